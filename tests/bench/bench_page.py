#!/usr/bin/env python3
"""Table and picture of docs/performance.md, out of the figures of one run of bench.py.

    bench_page.py [--check] [FIGURES]

FIGURES (figures.json beside this file) is what `bench.py --json` wrote. The text between the two marks of the page is replaced and
performance.svg is drawn anew; with --check nothing is written and the exit status says whether they are as they should be.
"""
import json
import os
import re
import sys
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "performance.md")
PICTURE = os.path.join(HERE, "..", "..", "docs", "performance.svg")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
WORDS = {"aim": "aim reached", "must": "goal reached", "MISSED": "missed", "FAILED": "failed", "-": "no goal"}


def figure(row, value):
    if value is None or not value:
        return "–"
    if row["unit"] == "x":
        return f"{value:.2f} ×" if value < 20 else f"{value:.0f} ×"
    return f"{value:.1f} {row['unit']}" if value < 20 else f"{value:.0f} {row['unit']}"


def table(data):
    lines = [f"Measured {data['at'][:10]} with {data['posts']:,} posts, {data['rounds']} rounds.", "",
             "| row | what | measured | goal | aim | |", "|---|---|---:|---:|---:|---|"]
    for r in data["rows"]:
        lines.append(f"| {r['row']} | {r['what'].replace('|', chr(92) + '|')} | {figure(r, r['value'])} | {figure(r, r['must'])} | {figure(r, r['aim'])} | {WORDS[r['verdict']]} |")
    lines += ["", "What the rows are made of:", ""]
    lines += [f"* {r['row']}: " + "; ".join(dict.fromkeys(r["notes"])) for r in data["rows"] if r["notes"]]
    return "\n".join(lines)


def share(row):
    """Measured against goal, such that 1 is the goal and less is better."""
    if not row["value"] or not row["must"]:
        return None
    return row["must"] / row["value"] if row["must"] < row["aim"] else row["value"] / row["must"]


SIGNS = {"aim": ("aim", "#1b5e38"), "must": ("goal", "#8fc7a0"), "MISSED": ("missed", "#b3402f")}


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def described(rows):
    """What the picture says, in words."""
    by = {sign: [r["row"] for r, _ in rows if r["verdict"] == verdict] for verdict, (sign, _) in SIGNS.items()}
    return "; ".join(f"{sign}: {', '.join(names)}" for sign, names in by.items() if names)


def picture(data):
    """A bar a row, with its value and the word for it: colour tells nothing alone."""
    rows = [(r, share(r)) for r in data["rows"] if share(r) is not None]
    left, width, line, full = 440, 420, 22, 3.0
    height = line * len(rows) + 50
    x = left + width / full
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 130} {height}" font-family="sans-serif" font-size="12" role="img"'
           ' aria-labelledby="t d">', '<title id="t">Measured cost of each row against its goal</title>', f'<desc id="d">{escape(described(rows))}</desc>',
           '<rect width="100%" height="100%" fill="#fff"/>',
           f'<line x1="{x}" y1="6" x2="{x}" y2="{height - 38}" stroke="#222" stroke-dasharray="3 3"/>']
    for i, (r, s) in enumerate(rows):
        y, end = 10 + i * line, left + width * min(s, full) / full
        sign, colour = SIGNS.get(r["verdict"], SIGNS["MISSED"])
        if r["verdict"] == "must" and s > 1:
            sign = "goal, by the other measure"
        what = escape(textwrap.shorten(r["what"], 70, placeholder=" …"))
        out += [f'<text x="{left - 8}" y="{y + 14}" text-anchor="end" fill="#222">{what} <tspan font-weight="bold">{r["row"]}</tspan></text>',
                f'<rect x="{left}" y="{y + 3}" width="{end - left:.1f}" height="14" fill="{colour}"/>',
                f'<text x="{max(end, x if s > 0.55 else 0) + 5:.1f}" y="{y + 14}" fill="#222">{s:.2f} {sign}</text>']
    out += [f'<text x="{x}" y="{height - 22}" text-anchor="middle" fill="#222">goal</text>',
            f'<text x="{left}" y="{height - 6}" fill="#444">measured / goal: shorter is better</text>', "</svg>", ""]
    return "\n".join(out)


def main(argv):
    check = "--check" in argv
    names = [a for a in argv if a != "--check"]
    with open(names[0] if names else os.path.join(HERE, "figures.json"), encoding="utf-8") as f:
        data = json.load(f)
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    wanted = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: f"{BEGIN}\n{table(data)}\n{END}", page, flags=re.S)
    if check:
        with open(PICTURE, encoding="utf-8") as f:
            drawn = f.read()
        if page != wanted or drawn != picture(data):
            print("docs/performance.md or .svg is not what tests/bench/figures.json says: run tests/bench/bench_page.py")
            return 1
        return 0
    for path, text in ((PAGE, wanted), (PICTURE, picture(data))):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
