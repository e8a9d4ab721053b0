#!/usr/bin/env python3
"""Bundles of versions before, whose rows leave out other values: what such a version began, this one finishes, and puts back.

usage: MMRETAIN=BINARY MMRETAIN_EARLIER=BINARY earlier_test.py [-k NAME]
"""
import collections
import json
import os
import signal
import subprocess
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import outcome  # (tests/support, found by e2e_lib)

CASE = ("--case", "17/26", "--reason", "deleted by mistake")
PG = WORLD = WHERE = NOW = None


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("earlier")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 500, 23)


def tearDownModule():
    lib.clear(WHERE, PG)


class Earlier(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName.removeprefix("test_"), NOW)
        self.addCleanup(self.bench.copy.remove)
        self.bench.begin()
        self.roots = sorted(r for r in self.bench.want.roots if self.bench.want.archived(r))
        self.assertGreater(len(self.roots), 20)

    def tearDown(self):
        self.assertEqual([p[-600:] for p in self.bench.problems], [])

    def earlier(self, fault=None):
        """A run of the version before, killed at a fault point."""
        now, lib.PROGRAM = lib.PROGRAM, [os.environ["MMRETAIN_EARLIER"]]
        try:
            if not fault:
                return self.bench.run(code=self.bench.want.code)
            process = self.bench.halt(fault)
        finally:
            lib.PROGRAM = now
        os.kill(process.pid, signal.SIGKILL)
        lib.finish(process)
        self.other_values()
        return None

    def absent(self):
        """What the newest bundle's rows leave out of a post."""
        text = subprocess.run(["tar", "--zstd", "-xOf", lib.bundles(self.bench.copy.archive)[0], "--wildcards", "*/data/schema.json"], capture_output=True, check=True).stdout
        kinds = {kind["kind"]: kind for kind in json.loads(text)["kinds"]}
        return {column["name"]: column["absent"] for column in kinds["post"]["columns"]}

    def other_values(self):
        self.assertEqual(self.absent()["fileids"], "")

    def test_today(self):
        """Or the other tests would show nothing."""
        self.bench.run(code=self.bench.want.code)
        self.assertEqual(self.absent()["fileids"], "[]")

    def test_nothing_deleted_yet(self):
        self.earlier("RUN_AFTER_PUBLISHED")
        self.bench.converge()
        self.bench.done()

    def test_half_deleted(self):
        self.earlier("PURGE_AFTER_COMMIT")
        self.bench.converge()
        self.bench.done()

    def test_late_reply(self):
        """The thread comes back whole, out of the other version's bundle."""
        self.earlier("SWEEP_BEFORE")
        there = set(self.bench.sql("SELECT id FROM posts").split())
        t = next(t for t in self.bench.roots(faults.replies) if t.root.id not in there and t.root.user)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.run(code=(0, 3))
        before = collections.Counter(line for line, _, root in self.bench.want.rows["posts"] if root == t.root.id)
        self.assertGreater(len(before), 1)
        self.assertEqual(before - collections.Counter(self.bench.copy.load()["posts"].lines), collections.Counter())

    def test_restore(self):
        self.earlier()
        self.other_values()
        gone = {name: collections.Counter(t.lines) for name, t in self.bench.copy.load().items()}
        self.bench.call("restore", *self.roots, "--yes", *CASE, code=0)
        now = {name: collections.Counter(t.lines) for name, t in self.bench.copy.load().items()}
        for name, rows in self.bench.want.rows.items():
            want = collections.Counter(line for line, _, root in rows if root in self.roots)
            self.assertEqual(now[name] - gone[name], +want, name)


if __name__ == "__main__":
    outcome.main()
