#!/usr/bin/env python3
"""A backlog that takes many nights: rests as they are by default, a bundle per team and month of expiry, an end by --run-time, by --until and by SIGTERM.
The nights come further and end in time, nothing is archived twice or lost, and attachments go in the night in which their rows went.

usage: MMRETAIN=BINARY nights_test.py [-k NAME]
"""
import json
import os
import signal
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle

PG = WORLD = WHERE = None
RULES = [{"name": "all", "match": {}, "keep": {"for": "300d"}, "archive": {"keep_for": "10y"}}]
NIGHT_S = 3


def setUpModule():
    global PG, WORLD, WHERE
    WHERE = lib.folder("nights")
    PG = lib.cluster.Cluster(settings=dict(lib.QUICK, synchronous_commit="on")).start()
    WORLD = lib.World(PG, "world", 4000, 3)


def tearDownModule():
    if PG:
        PG.stop("immediate")
        PG.remove()
    if WHERE:
        lib.remove(WHERE)


class Nights(unittest.TestCase):
    def begin(self, throttle):
        bench = faults.Bench(WORLD, WHERE, self._testMethodName, (int(time.time()) // 60 * 60 + 60 - NIGHT_S) * 1000)  # a minute begins when the night is over
        self.addCleanup(bench.copy.remove)
        bench.begin(RULES, bundle_size="64KiB", throttle=throttle)
        bench.attached = set(bench.want.attachments.gone) & set(bench.want.files)
        self.assertGreater(len(bench.attached), 20)
        return bench

    def state(self, bench):
        """Bundles, due threads that are still there, their attachments that are gone."""
        here = bench.want.roots & set(oracle.Db(bench.copy.load()).posts)
        return len(lib.bundles(bench.copy.archive)), len(here), len(bench.attached) - len(bench.attached & set(bench.copy.files()))

    def night(self, bench, n):
        """One night, ended in one of three ways: exit code and how long after its time it ended."""
        begin = time.monotonic()
        if n == 1:
            process = bench.start(None, "run", "--yes", "--json")
            time.sleep(NIGHT_S / 2)
            process.send_signal(signal.SIGTERM)
            done, wanted, length = lib.finish(process), 143, NIGHT_S / 2
        elif n == 2:
            until = time.strftime("%H:%M", time.gmtime(bench.now // 1000 + NIGHT_S))
            done, wanted, length = bench.call("run", "--yes", "--json", "--until", until, env={"TZ": "UTC"}), 4, NIGHT_S
        else:
            done, wanted, length = bench.call("run", "--yes", "--json", "--run-time", f"{NIGHT_S}s"), 4, NIGHT_S
        late = time.monotonic() - begin - length
        self.assertLess(late, 30, f"night {n}")
        self.assertIn(done.code, (0, wanted), f"night {n}: {done.err}")
        if n < 4:  # it reads all bundles
            bench.safe(f"night {n}")
        self.assertEqual(bench.problems, [])
        return done

    def test_backlog(self):
        bench = self.begin("{preset: normal, blob_grace: 200ms}")
        before, gone, idle = self.state(bench), [], 0
        for n in range(300):
            done = self.night(bench, n)
            now = self.state(bench)
            idle = 0 if now[0] > before[0] or now[1] < before[1] or done.code == 0 else idle + 1
            self.assertLess(idle, 10, f"night {n} came no further, nor did those before it: {now}")  # a busy machine may need one for the plan
            gone.append(now[2])
            before = now
            if done.code == 0:
                break
            self.assertEqual(json.loads(done.out)["outcome"], "partial")
        self.assertEqual(before[1], 0)
        self.assertGreater(n, 2, "too few nights: the test does not test")
        self.assertGreater(gone[-2], 0, f"attachments wait until all else is done: {gone}")
        bench.run(code=0)
        bench.done()
        self.assertEqual(bench.problems, [])
        entries = lib.ledger(bench.copy.archive)
        self.assertEqual(len([e for e in entries if e["type"] == "published"]), len({e["bundle"] for e in entries if e["type"] == "published"}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
