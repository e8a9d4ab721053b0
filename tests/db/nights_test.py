#!/usr/bin/env python3
"""A backlog that takes many nights: rests as they are by default, a bundle per team and month of expiry, an end by --run-time, by --until and by SIGTERM.
The nights come further and end in time, nothing is archived twice or lost, and attachments go in the night in which their rows went.  Departed users and
bundles past their time do not wait for the end of the backlog.

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
from e2e_lib import DAY
from people_world import DOMAIN, Tables, expect

PG = WORLD = WHERE = None
RULES = [{"name": "all", "match": {}, "keep": {"for": "300d"}, "archive": {"keep_for": "10y"}}]
NIGHT_S = 3
LATER_S = 4
LEAVERS = 1500
OLDER = [{"name": "all", "match": {"team": "accelerator"}, "keep": {"for": "600d"}, "archive": {"keep_for": "800d"}}]  # of nights before, for bundles that are past their time
LATER = [{"name": "later", "match": {}, "keep": {"for": "300d"}}]  # few bundles; what the rule before it wrote goes by its own time
DEPARTED = ["departed_users:", "  after: 600d"]
SLOW = "{preset: normal, pause_factor: 100, export_pause_factor: 1, blob_grace: 2s}"


def setUpModule():
    global PG, WORLD, WHERE
    WHERE = lib.folder("nights")
    PG = lib.cluster.Cluster(settings=dict(lib.QUICK, synchronous_commit="on")).start()
    WORLD = lib.World(PG, "world", 4000, 3)


def tearDownModule():
    lib.clear(WHERE, PG)


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
        bench = self.begin("{preset: normal, pause_factor: 10, blob_grace: 200ms}")
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


class Following(unittest.TestCase):
    """Nights that are too short for the threads, and what comes after the threads."""
    name, rules, throttle = "later", LATER, SLOW
    prepared = whole = victims = touched = None

    @classmethod
    def setUpClass(cls):
        cls.prepared = faults.Prepared(WORLD, WHERE, cls.name, int(time.time()) * 1000, cls.prepare)
        bench = cls.begin(None)
        before = Tables(bench.pg.conninfo(bench.name))
        cls.victims = {u["id"] for u in before["users"] if 0 < u["deleteat"] < bench.now - 600 * DAY and not u["remoteid"]} - {b["userid"] for b in before["bots"]}
        after = expect(before, cls.victims)
        cls.touched = {name for name in before.data if before.bag(name) != after.bag(name)}
        assert len(cls.victims) > 2 and "users" in cls.touched and "posts" not in cls.touched, (cls.victims, cls.touched)
        began = time.monotonic()
        done = bench.run(code=bench.want.code)
        cls.took = time.monotonic() - began
        cls.whole = bench.copy.state()
        cls.overdue = json.loads(done.out)["expiry"]["bundles"]
        assert cls.overdue > 2 and not bench.problems, (cls.overdue, bench.problems)
        bench.copy.remove()

    @staticmethod
    def prepare(bench):
        present, bench.now = bench.now, bench.now - 3 * DAY
        bench.begin(OLDER)
        bench.run(code=bench.want.code)
        bench.now = present

    @classmethod
    def begin(cls, throttle):
        """After the older nights, with pictures of those who left."""
        bench = cls.prepared.bench()
        bench.policy(cls.rules, bundle_size="64KiB", more=DEPARTED, throttle=throttle)
        bench.expect(db=oracle.Db(bench.copy.load()))
        users = bench.want.db.tables["users"]
        for row in users.rows:
            if users.get(row, "deleteat") != "0":
                folder = os.path.join(bench.copy.data, "users", users.get(row, "id"))
                os.makedirs(folder)
                with open(os.path.join(folder, "profile.png"), "w", encoding="utf-8") as f:
                    f.write("picture")
        return bench

    def setUp(self):
        self.bench = self.begin(self.throttle)
        self.addCleanup(self.bench.copy.remove)

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def keep(self, problems, word):
        """Of those that the oracle has about threads: what is taken off accounts is compared with the undisturbed run."""
        self.bench.problems += [f"{word}: {p}" for p in problems if p.partition(":")[0] not in self.touched and not p.startswith("... and") and "users/" not in p]

    def left(self):
        here = oracle.Db(self.bench.copy.load()).posts
        return len(self.bench.want.roots & set(here))

    def expired(self):
        entries = lib.ledger(self.bench.copy.archive)
        path = {e["bundle"]: e["rel_path"] for e in entries if e["type"] == "published"}
        gone = [e["bundle"] for e in entries if e["type"] == "expired"]
        self.assertEqual(len(gone), len(set(gone)))
        self.assertFalse([b for b in gone if os.path.exists(os.path.join(self.bench.copy.archive, path[b]))])
        return len(gone)

    def scrubbed(self):
        return {u["id"] for u in Tables(self.bench.pg.conninfo(self.bench.name))["users"] if u["email"].endswith(DOMAIN)}

    def short(self, code, seconds, fault=None):
        begin = time.monotonic()
        done = self.bench.call("run", "--yes", "--json", "--run-time", f"{seconds}s", code=code, env={"MMR_FAULT": fault} if fault else {})
        self.assertLess(time.monotonic() - begin - seconds, 30)
        self.keep(lib.nowhere(self.bench.want, self.bench.copy), "after the night")
        return done

    def night(self, code, seconds):
        done = self.short(code, seconds)
        self.assertGreater(self.left(), 0, "the backlog is no longer than a night: the test does not test")
        return done

    def to_the_end(self):
        self.bench.policy(self.rules, bundle_size="64KiB", more=DEPARTED)
        self.bench.run(code=self.bench.want.code)
        self.keep(lib.compare(self.bench.want, self.bench.copy, exact=False), "at the end")
        self.bench.problems += lib.differences(self.bench.copy.state(), self.whole)
        self.assertEqual((self.scrubbed(), self.expired()), (self.victims, self.overdue))
        ends = [e["user"] for e in lib.ledger(self.bench.copy.archive) if e["type"] == "depersonalised"]
        self.assertEqual(sorted(ends), sorted(self.victims))


class Later(Following):
    def test_first_night(self):
        for seconds in (LATER_S, 2 * LATER_S, 4 * LATER_S):  # a busy machine does as much in a longer one
            done = json.loads(self.night(4, seconds).out)
            if (self.scrubbed(), self.expired()) == (self.victims, self.overdue):
                break
            self.bench.copy.remove()
            problems, self.bench = self.bench.problems, self.begin(SLOW)
            self.bench.problems += problems
        self.assertEqual((done["outcome"], done["departed_users"]["depersonalised"], done["expiry"]["bundles"]), ("partial", len(self.victims), self.overdue))
        self.assertEqual((self.scrubbed(), self.expired()), (self.victims, self.overdue))
        self.assertTrue(done["bundles"], "the threads have most of the night")
        self.to_the_end()

    def killed(self, point):
        """A busy machine may need another night to come there."""
        for _ in range(10):
            if self.short((4, -signal.SIGKILL), LATER_S, point).code != 4:
                return self.to_the_end()
        return self.fail(f"no night came to {point}")

    def test_killed_at_an_account(self):
        self.killed("PEOPLE_AFTER_COMMIT:kill:2")

    def test_killed_at_a_bundle(self):
        self.killed("EXPIRE_AFTER_UNLINK:kill:2")

    def test_kept_back(self):
        """An account of which something stays, every night, keeps nothing else."""
        victim = sorted(self.victims)[0]
        picture = os.path.join(self.bench.copy.data, "users", victim, "profile.png")
        os.unlink(picture)
        os.mkdir(picture)
        self.bench.policy(self.rules, bundle_size="64KiB", more=DEPARTED)
        done = json.loads(self.bench.run(code=3).out)
        self.assertEqual((done["departed_users"]["pictures_left"], done["expiry"]["bundles"]), (1, self.overdue))
        os.rmdir(picture)
        self.to_the_end()


class Interrupted(Following):
    """Nights that are taken by the deletes of one that was killed, so that they do not come to a plan and its guards."""
    name = "interrupted"

    def resumed(self, days, seconds, code):
        """Such a night, so many days after the one that was killed: it, and whose accounts it did."""
        self.bench.copy.remove()
        bench = self.bench = self.begin(SLOW)
        bench.policy(self.rules, bundle_size="64MiB", more=DEPARTED, throttle=SLOW)
        self.assertEqual(lib.finish(bench.start("PURGE_AFTER_INTENT:kill")).code, -signal.SIGKILL)
        bench.now += days * DAY
        done = bench.call("run", "--yes", "--json", "--run-time", f"{seconds}s", code=code)
        name = json.loads(done.out)["run"]
        self.assertEqual([e["type"] for e in lib.ledger(bench.copy.archive) if e["type"] == "plan" and e["run"] == name], [])
        self.assertEqual(bench.problems, [])
        return done, self.scrubbed()

    def test_silence(self):
        """Accounts have their share, but not after a silence of the ledger, which may be a clock that has jumped."""
        for seconds in (LATER_S, 2 * LATER_S, 4 * LATER_S):  # a busy machine does as much in a longer one
            done, accounts = self.resumed(31, seconds, 4)
            if accounts:
                break
        self.assertTrue(accounts)
        self.assertNotIn("no account is touched", done.err)
        done, accounts = self.resumed(33, seconds, 16)  # nor bundles past their time, which is an error
        self.assertEqual(accounts, set())
        self.assertRegex(done.err, "the ledger is silent from .* to .*: no account is touched")
        self.assertEqual([e for e in lib.ledger(self.bench.copy.archive) if e["type"].startswith("depersonalis")], [])


class Leavers(Following):
    """So many departed users that no night does them all, beside threads that take many nights, too."""
    name, rules, throttle = "leavers", [dict(LATER[0], archive={"keep_for": "10y"})], "{preset: normal, pause_factor: 6, blob_grace: 200ms}"

    @staticmethod
    def prepare(bench):
        Following.prepare(bench)
        bench.sql(f"""INSERT INTO users SELECT r.* FROM users u, generate_series(1, {LEAVERS}) n,
                      jsonb_populate_record(u, jsonb_build_object('id', 'n' || lpad(n::text, 25, '0'), 'username', 'leaver' || n, 'email', 'leaver' || n || '@example.org',
                                            'authdata', NULL, 'remoteid', '', 'deleteat', {bench.now - 700 * DAY} + n)) r
                       WHERE u.id = (SELECT min(id) FROM users)""")
        bench.sql("INSERT INTO status (userid, status, manual, lastactivityat, dndendtime, prevstatus) SELECT id, 'away', false, 1, 0, '' FROM users WHERE username LIKE 'leaver%'")

    def test_every_night_goes_on(self):
        """A busy machine may need a night more for a step, and a longer one, not for all of them for ever."""
        done, left, gone, idle = [0], [self.left()], [0], 0
        seconds = min(10, max(2, round(self.took / 3)))  # as fast as this machine is now
        for n in range(40):
            code = self.short((4, self.bench.want.code), seconds << idle).code
            done.append(len(self.scrubbed()))
            left.append(self.left())
            gone.append(self.expired())
            if code != 4:
                break
            idle = idle + 1 if done[-1] == done[-2] < len(self.victims) or left[-1] == left[-2] > 0 or gone[-1] == gone[-2] < self.overdue else 0
            self.assertLess(idle, 3, f"accounts {done}, threads {left}, bundles {gone} of {self.overdue}")
        print(f"  {n + 1} nights of {seconds} s, all in one {self.took:.1f} s, accounts {done}, threads {left}, bundles {gone} of {self.overdue}", flush=True)
        self.assertTrue(n > 2 and done[2] < len(self.victims), "the backlog is too small: the test does not test")
        self.assertEqual((gone[-1], done[-1], left[-1]), (self.overdue, len(self.victims), 0))
        self.to_the_end()
        published = [e["bundle"] for e in lib.ledger(self.bench.copy.archive) if e["type"] == "published"]
        self.assertEqual(len(published), len(set(published)))


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
