#!/usr/bin/env python3
"""No statement of a night compares all rows with all: the server explains every one of them, for units that are small beside their table (index
probes only) and for large ones.  The last line is `N passed, N failed, N skipped`.

A nested loop without an index shows itself by the pairs of rows that it threw away.  Their number grows with the square of what is due, which no
timing of a small test would tell.
"""
import os
import re
import sys

import e2e_lib as lib
from e2e_faults import Bench

POSTS = 2000
MOST = 20 * POSTS    # thrown away by one step of a plan; a step that meets every row of the table a few times is none of the kind
EXPLAIN = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_analyze": "on",
           "auto_explain.log_timing": "off"}
RULES = [{"name": "all", "match": {}, "keep": {"for": "400d"}, "files": "archive"}]
STEP = re.compile(r"actual (?:time=\S+ )?rows=\d+ loops=(\d+)")
REMOVED = re.compile(r"Rows Removed by Join Filter: (\d+)")


def explained(text):
    """(statement, most rows that a step of its plan threw away) for every plan in the log."""
    for entry in re.split(r"^(?=\d{4}-\d\d-\d\d )", text, flags=re.M):
        if " plan:\n" not in entry:
            continue
        worst, loops = 0, 1
        for line in entry.splitlines():
            step, removed = STEP.search(line), REMOVED.search(line)
            loops = int(step[1]) if step else loops
            worst = max(worst, int(removed[1]) * loops) if removed else worst
        yield " ".join(entry.partition("Query Text: ")[2].split())[:160], worst


def night(world, where, name, rows):
    """A run with that many posts in the planner's book; returns problems."""
    bench = Bench(world, where, name, lib.NOW)
    try:
        bench.begin(RULES, purge_after="30d")
        if rows:
            bench.sql(f"UPDATE pg_class SET reltuples = {rows} WHERE oid = 'posts'::regclass")
        log = os.path.join(bench.pg.directory, "server.log")
        at = os.path.getsize(log)
        bench.run(code=(0, 3))
        with open(log, encoding="utf-8", errors="replace") as f:
            f.seek(at)
            seen = list(explained(f.read()))
        due = len(bench.want.roots)
        problems = list(bench.problems)
        if due < 300 or not any("mmr_post" in text for text, _ in seen):
            problems.append(f"{due} threads due, {len(seen)} plans: too little to tell")
        return problems + [f"{worst} pairs thrown away: {text}" for text, worst in seen if worst > MOST]
    finally:
        bench.copy.remove()


def main():
    tally, where = lib.Tally(), lib.folder("plans")
    try:
        with lib.cluster.Cluster(settings=dict(lib.QUICK, **EXPLAIN)) as pg:
            world = lib.World(pg, "world", POSTS, 5)
            for name, rows in (("large", None), ("small", 1e9)):
                tally.check(f"units that are {name} beside their table", night(world, where, name, rows))
    finally:
        lib.remove(where)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
