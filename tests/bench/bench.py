#!/usr/bin/env python3
"""How fast the program is beside what PostgreSQL and zstd can do: one command, a table, JSON.

    bench.py [--posts 2000000] [--rows E1,P1,…] [--rounds 5] [--json FILE] [--keep DIR] [-v]

Every figure is a ratio of medians of one run: baseline and tool in turn, on clones of one seeded database. With --keep server and databases
stay in DIR for the next call. MMRETAIN names the binary (a release build); needs zstd, openssl, psql, pgbench, psycopg2.
The figures file is written after every group of rows, whole or not at all. A row that fails is told as failed, the others go on, the exit
status is 1.
"""
import argparse
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_find  # noqa: E402
import bench_load  # noqa: E402
import bench_rows  # noqa: E402
from bench_lib import Bench, Row  # noqa: E402

ALL = "E1 E2 E3 P1 P2 P3 P4 PD D1 D2 D3 L1 L2 L3 T1 T1m A1 G1 M1 V1 F1 F2".split()


def memory_row(b, rows):
    """Peak of each command, and its growth between the two sizes."""
    if not b.memory:
        return
    row = Row("M1", "peak memory of the largest", 128, 64, "MiB")
    if not any(b.memory.values()):
        raise SystemExit("no memory was seen of any command: the watch knows the program by its name, which must be mmretain")
    row.fixed = max(b.memory.values()) / 1024
    row.notes.append(", ".join(f"{k} {v / 1024:.0f}" for k, v in sorted(b.memory.items())))
    rows.append(row)
    if "D1" in b.memory and "G1 small" in b.memory:
        growth = Row("M1g", "peak memory of a run, against a quarter of the posts", 1.1, 1.0)
        growth.add(b.memory["D1"], b.memory["G1 small"])
        rows.append(growth)


def show(rows):
    print(f"{'row':4} {'must':>7} {'aim':>7} {'measured':>9}  {'verdict':7} what")
    for r in rows:
        value = "-" if r.value is None else f"{r.value:.2f}" if r.unit == "x" else f"{r.value:.1f}"
        print(f"{r.name:4} {r.must:7} {r.aim:7} {value:>9}  {r.verdict():7} {r.what} [{r.unit}]")
        for note in r.notes:
            print(f"{'':38}{note}")


def measure(b, wanted, rows, save):
    """Fills rows; save() after each group of them, so that what was measured stays whatever comes."""
    groups = (
        ("E1 E2 E3", lambda: bench_rows.export_rows(b, rows, wanted)),
        ("P1 P2 P3 P4 PD", lambda: bench_rows.plan_rows(b, rows, wanted)),
        ("D1 D2 D3", lambda: bench_rows.delete_rows(b, rows, wanted)),
        ("G1", lambda: bench_rows.growth_row(b, rows)),
        ("T1", lambda: bench_rows.night_row(b, rows)),
        ("T1m", lambda: bench_rows.night_row(b, rows, "10y")),
        ("A1", lambda: bench_rows.files_row(b, rows)),
        ("V1", lambda: bench_rows.verify_row(b, rows)),
        ("F1 F2", lambda: bench_find.find_rows(b, rows, wanted)),
        ("L1 L2 L3", lambda: bench_load.load_rows(b, rows)),
        ("M1", lambda: memory_row(b, rows)),
    )
    for names, work in groups:
        asked = [name for name in names.split() if name in wanted]
        if asked:
            b.say("measuring " + " ".join(asked))
            b.attempt(rows, asked, work)
            save()


def write_figures(path, args, rows, complete):
    """Beside it first, then renamed: what was there before, or all that is known now."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump({"posts": args.posts, "rounds": args.rounds, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "complete": complete,
                   "rows": [r.as_json() for r in rows]}, f, indent=1)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".new", path)


def main(argv):
    parser = argparse.ArgumentParser(description="Ratios to what PostgreSQL and zstd can do.")
    parser.add_argument("--posts", type=int, default=2_000_000)
    parser.add_argument("--rows", default=",".join(ALL))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=30, help="length of one window of the live load")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--keep", metavar="DIR", help="keep server and databases in DIR")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args(argv)
    wanted = set(args.rows.split(","))
    if wanted - set(ALL):
        parser.error(f"no such row: {' '.join(sorted(wanted - set(ALL)))}; rows: {' '.join(ALL)}")
    rows = []

    def save(complete=False):
        if args.json:
            write_figures(args.json, args, rows, complete)
    b = Bench(args)
    try:
        measure(b, wanted, rows, save)
        save(complete=True)
    finally:
        b.close()
        show(rows)
    return 1 if any(r.failed for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
