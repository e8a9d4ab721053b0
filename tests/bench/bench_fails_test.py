#!/usr/bin/env python3
"""A row of the benchmark that fails costs neither the rows before it nor those after it."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

from bench_lib import binary  # noqa: E402

# Refuses to plan; shows what is in the figures file when the next group is at work.
WRAPPER = """#!/bin/sh
case $1 in
plan) echo "no plan today" >&2; exit 12 ;;
verify) cp "{figures}" "{seen}" ;;
esac
exec "{real}" "$@"
"""


def rows(path):
    with open(path, encoding="utf-8") as f:
        data = json.load(f)
    return data["complete"], {r["row"]: r for r in data["rows"]}


def check(what, good):
    print(f"{'ok  ' if good else 'FAIL'} {what}")
    return good


def main():
    with tempfile.TemporaryDirectory() as folder:
        figures, seen, wrapper = (os.path.join(folder, n) for n in ("figures.json", "seen.json", "mmretain"))
        with open(wrapper, "w", encoding="utf-8") as f:
            f.write(WRAPPER.format(figures=figures, seen=seen, real=binary()))
        os.chmod(wrapper, 0o755)
        done = subprocess.run([sys.executable, os.path.join(HERE, "bench.py"), "--posts", "3000", "--rounds", "1", "--rows", "P1,V1", "--json", figures],
                              env=dict(os.environ, MMRETAIN=wrapper), capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr[-2000:], sep="\n")
        meanwhile_complete, meanwhile = rows(seen)
        complete, end = rows(figures)
    good = [
        check("the exit status is 1", done.returncode == 1),
        check("the first group is in the file while the second is measured", not meanwhile_complete and list(meanwhile) == ["P1"]),
        check("the failed row says so and why", end["P1"]["verdict"] == "FAILED" and "no plan today" in end["P1"]["notes"][0]),
        check("the row after it has a value", complete and end["V1"]["value"] > 0),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
