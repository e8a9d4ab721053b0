#!/usr/bin/env python3
"""What ctest found: the failed and the skipped tests by name, then `N passed, N failed, N skipped`.

    summary.py [--more PASSED,FAILED] FILE...      FILE: of `ctest --output-junit`; --more: what ran beside ctest

A test that ctest has and could not start has failed, and so has a file that is not there.  A module that ran and left something out has passed; what it left out counts as
skipped beside it (tests/support/outcome.py).
"""
import argparse
import re
import sys
import xml.etree.ElementTree

LEFT_OUT = re.compile(r"^skip  (.+)$", re.M)


def read(path):
    """(name, verdict, what it left out) of every test of a file."""
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        out = LEFT_OUT.findall(case.findtext("system-out") or "")
        skipped = case.find("skipped")
        if skipped is not None and skipped.get("message", "").startswith("SKIP_"):
            yield case.get("name"), "skipped", out or ["all of it"]
        else:
            yield case.get("name"), "passed" if case.get("status") == "run" else "failed", out


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--more", default="0,0")
    parser.add_argument("file", nargs="+")
    args = parser.parse_args(argv)
    passed, failed = map(int, args.more.split(","))
    lines, skipped = [], 0
    for path in args.file:
        try:
            tests = list(read(path))
        except (OSError, xml.etree.ElementTree.ParseError) as e:
            tests = [(f"{path}: {e}", "failed", [])]
        for name, verdict, out in tests:
            passed, failed, skipped = passed + (verdict == "passed"), failed + (verdict == "failed"), skipped + len(out)
            lines += [f"failed   {name}"] * (verdict == "failed") + [f"skipped  {name}: {what}" for what in out]
    for line in sorted(lines):
        print(line)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
