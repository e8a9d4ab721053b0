"""The tables of docs/formats.md, read for comparing."""
import re

HEAD = ("seq", "at", "prev", "type")  # of each line of a ledger; `hash` closes it


def _outside(text):
    """Without what stands in brackets, or says that a line lacks something."""
    before = None
    while before != text:
        before, text = text, re.sub(r"\([^()]*\)", "", text)
    return re.sub(r"[Nn]o `run`|without `\w+`", "", text)


def ledger_types(page):
    """{type of a line: names of its fields}; those in `rules` of a plan line are among them."""
    types, rows = {}, re.findall(r"^\| `([a-z-]+)` \| [^|]* \| ([^|]*) \|$", page.partition("\n## Ledger\n")[2].partition("\n## ")[0], re.M)
    for kind, fields in rows:
        if fields == "fields":
            continue
        same = re.match(r"as `([a-z-]+)`", fields)
        types[kind] = set(re.findall(r"`([a-z_0-9]+)`", _outside(fields[same.end():] if same else fields))) | (types[same.group(1)] if same else set())
    return types
