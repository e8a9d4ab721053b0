#!/usr/bin/env python3
"""F080: a night that begins in one year and ends in the next.  The clocks are real ones that go on: those of the program and of its database server
are moved by a preloaded library.  What a run decides by time, it decides by the moment of its plan; the next run does the rest.

usage: MMRETAIN=BINARY CLOCK_AHEAD=LIBRARY midnight_test.py [-k NAME]
"""
import json
import os
import re
import shutil
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle
from e2e_lib import DAY
from people_world import DOMAIN, Tables, expect

YEAR = oracle.ms(2027, 1, 1)
LAST = oracle.ms(2026, 1, 1)  # what is older goes when the year begins
OLDER = [{"name": "all", "match": {"team": "accelerator"}, "keep": {"for": "1y"}, "archive": {"keep_for": "1y"}}]
RULES = [{"name": "all", "match": {}, "keep": {"for": "1y"}, "archive": {"keep_for": "1y"}}]
MORE = ["departed_users:", "  after: 90d"]
# How long before the year's end a run begins: a busy machine needs more to come to its plan, and to the point where it is stopped.
EARLY_MS = {False: (300, 150, 600, 1200, 2400), True: (1000, 2000, 4000, 8000)}
OLD, LATE, NEW = (f"edge{n:022}" for n in range(3))  # threads: due before; due with the year's end; not due then
PG = WORLD = WHERE = PREPARED = None


class Clocked(lib.cluster.Cluster):
    """A server whose wall clock is moved by the file `offset`."""

    def _clean_env(self):
        library, file = os.path.join(self.directory, "clock.so"), os.path.join(self.directory, "offset")
        if not os.path.exists(library):  # where the server's account may read it
            shutil.copy(os.environ["CLOCK_AHEAD"], library)
            os.chmod(library, 0o755)
        self.clock = {"LD_PRELOAD": library, "CLOCK_OFFSET_FILE": file}
        return {**super()._clean_env(), **self.clock}

    def move(self, ms):
        """From now on it is that time, there and for whoever has the same environment."""
        with open(self.clock["CLOCK_OFFSET_FILE"] + ".new", "w", encoding="ascii") as f:
            f.write(str(ms - int(time.time() * 1000)))
        os.chmod(f.name, 0o644)
        os.rename(f.name, self.clock["CLOCK_OFFSET_FILE"])

    def now(self):
        with open(self.clock["CLOCK_OFFSET_FILE"], encoding="ascii") as f:
            return int(time.time() * 1000) + int(f.read())


def setUpModule():
    global PG, WORLD, WHERE, PREPARED
    if not os.environ.get("CLOCK_AHEAD"):
        raise unittest.SkipTest("no clock to preload")
    WHERE = lib.folder("midnight")
    PG = Clocked(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 1500, 3, spice="; ".join(
        f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
        SELECT '{i}', {at}, {at}, 0, 0, userid, channelid, '', '', 'edge', '', '{{}}', '', '[]', '[]', false, false, '' FROM posts JOIN channels c ON c.id = channelid AND c.deleteat = 0
         WHERE posts.userid <> '' ORDER BY posts.id LIMIT 1""" for i, at in ((OLD, LAST - 60_000), (LATE, LAST - 1), (NEW, LAST + 3600_000))))
    PREPARED = faults.Prepared(WORLD, WHERE, "night", None, prepare)


def tearDownModule():
    lib.clear(WHERE, PG)


def prepare(bench):
    """An archive of three days before, with bundles whose time is up when the year begins."""
    PG.move(YEAR - 3 * DAY)
    bench.env.update(PG.clock)
    bench.policy(OLDER, bundle_size="64KiB", more=MORE)
    bench.call("init", code=0)
    bench.run(code=(0, 3))
    people = bench.pg.psql("SELECT id FROM users WHERE coalesce(remoteid, '') = '' AND deleteat = 0 AND NOT EXISTS (SELECT FROM bots WHERE userid = users.id) ORDER BY id LIMIT 2", db=bench.name).split()
    bench.leavers = dict(zip(people, (YEAR - 90 * DAY - 60_000, YEAR - 90 * DAY - 1)))
    for user, at in bench.leavers.items():
        bench.sql(f"UPDATE users SET deleteat = {at}, updateat = {at} WHERE id = '{user}'")


class Midnight(unittest.TestCase):
    def begin(self):
        self.bench = bench = PREPARED.bench()
        self.addCleanup(bench.copy.remove)
        bench.env.update(PG.clock, TZ="America/New_York")
        self.before = len(lib.ledger(bench.copy.archive))
        bench.policy(RULES, bundle_size="64KiB", more=MORE)
        bench.now = YEAR - 1
        bench.expect(db=oracle.Db(bench.copy.load()))
        bench.now = None
        people = Tables(bench.pg.conninfo(bench.name))
        after = expect(people, set(bench.leavers))
        self.touched = {name for name in people.data if people.bag(name) != after.bag(name)}
        self.assertEqual([i in bench.want.roots for i in (OLD, LATE, NEW)], [True, False, False])

    def check(self, want):
        """Of the oracle's word what it has about threads; accounts are looked at by themselves."""
        self.assertEqual([p for p in lib.compare(want, self.bench.copy, exact=False)
                          if p.partition(":")[0] not in self.touched and not p.startswith("... and") and "users/" not in p], [])
        self.assertEqual(self.bench.problems, [])

    def scrubbed(self):
        return {u["id"] for u in Tables(self.bench.pg.conninfo(self.bench.name))["users"] if u["email"].endswith(DOMAIN) and u["id"] in self.bench.leavers}

    def cross(self, point):
        """A run that begins in the old year and ends in the new one."""
        for early in EARLY_MS[bool(point)]:
            self.begin()
            PG.move(YEAR - early)
            process = self.bench.start(f"{point}:stop" if point else None)
            if point and not lib.stopped(process):
                self.fail(f"{point}: {lib.tail(lib.finish(process).err)}")
            halted = PG.now()
            if point and halted < YEAR:
                time.sleep((YEAR + 50 - halted) / 1000)
            done = self.bench.go_on(process, self.bench.want.code)
            lines = lib.ledger(self.bench.copy.archive)[self.before:]
            planned = next((e for e in lines if e["type"] == "plan"), None)
            if planned and planned["taken_ms"] < YEAR and (halted < YEAR or not point) and PG.now() >= YEAR:
                return json.loads(done.out), lines, planned
            self.bench.copy.remove()
            self.assertEqual(self.bench.problems, [])
        self.skipTest(lib.outcome.TOO_SLOW)

    def consistent(self, run, lines, planned):
        at = [oracle.parse_time(e["at"]) for e in lines]
        self.assertEqual(at, sorted(at))
        self.assertLess(run["began"], "2027")
        self.assertGreaterEqual(run["ended"], "2027")
        self.assertRegex(run["run"], r"\A20261231T2359\d\dZ-")
        self.assertEqual({e["run"] for e in lines if "run" in e}, {run["run"]})
        back = planned["taken_ms"] - 365 * DAY
        self.assertEqual([r["cut_ms"] for r in planned["rules"]], [back])
        published = [e for e in lines if e["type"] == "published"]
        self.assertTrue(published)
        for e in published:
            month = re.fullmatch(r"bundles/2026/12/mmr1-[a-z0-9-]+?-(\d{6})-\d{6}-[0-9a-f]{12}\.tar\.zst", e["rel_path"])
            self.assertTrue(month, e["rel_path"])
            self.assertEqual(lib.stamp(e["expires_ms"]), f"{month[1][:4]}-{month[1][4:]}-01T00:00:00Z")
            bundle = json.loads(lib.Bundle(os.path.join(self.bench.copy.archive, e["rel_path"])).members["data/bundle.json"])
            self.assertEqual((bundle["cutoff_ms"], oracle.parse_time(bundle["cutoff"])), (back, back))
        self.assertEqual([e["bundle"] for e in lines if e["type"] == "expired" and e["bundle"] in self.year_end()], [])

    def year_end(self):
        """Bundles of the nights before whose time is up when the year begins."""
        return {e["bundle"] for e in lib.ledger(self.bench.copy.archive)[:self.before] if e["type"] == "published" and e["expires_ms"] == YEAR}

    def night(self, point):
        run, lines, planned = self.cross(point)
        bench, (first, second) = self.bench, list(self.bench.leavers)
        self.consistent(run, lines, planned)
        self.check(bench.want)
        self.assertEqual(self.scrubbed(), {first})
        report, status = (json.loads(bench.call(*args, "--json", code=0).out) for args in (("report", "last"), ("status",)))
        for said in (report, status["runs"][-1]):
            self.assertEqual([said[k] for k in ("run", "began", "ended")], [run["run"], lines[0]["at"], lines[-1]["at"]])
        self.assertEqual((status["open_run"], status["unfinished"], status["warnings"]), (None, [], []))
        bench.call("verify", code=0)
        # What became due with the year is for the next one, and it finds nothing wrong.
        bench.now = PG.now()
        want = bench.expect(db=oracle.Db(bench.copy.load()))
        bench.now = None
        self.assertEqual(want.roots, {LATE})
        following = json.loads(bench.run(code=want.code).out)
        self.check(want)
        self.assertEqual(self.scrubbed(), {first, second})
        self.assertEqual({b["path"][:15] for b in following["bundles"]}, {"bundles/2027/01"})
        gone = {e["bundle"] for e in lib.ledger(bench.copy.archive) if e["type"] == "expired"}
        self.assertTrue(self.year_end() and self.year_end() <= gone)
        self.assertEqual(json.loads(bench.run(code=want.code).out)["bundles"], [])
        bench.call("verify", code=0)
        self.assertEqual(bench.problems, [])

    def test_goes_on(self):
        self.night(None)

    def test_before_a_bundle_is_published(self):
        self.night("BUNDLE_BEFORE_RENAME")

    def test_after_a_bundle_was_published(self):
        self.night("RUN_AFTER_PUBLISHED")

    def test_inside_a_delete(self):
        self.night("PURGE_BEFORE_COMMIT")

    def test_before_files_go(self):
        self.night("UNLINK_BEFORE")

    def test_at_an_account(self):
        self.night("PEOPLE_BEFORE_COMMIT")

    def test_at_an_expired_bundle(self):
        self.night("EXPIRE_AFTER_INTENT")


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
