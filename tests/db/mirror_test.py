#!/usr/bin/env python3
"""The mirror in nights: nothing is deleted before its bundle is confirmed in the bucket, whatever the store or the host does; a lost archive comes back from there.

usage: MMRETAIN=BINARY mirror_test.py [-k NAME]
"""
import os
import shutil
import signal
import time

import e2e_faults as faults
import e2e_lib as lib
import mirror_lib
import s3  # (tests/support, found by e2e_lib)
import tls
from mirror_lib import PREFIX, STORE, VERIFY

PG = WORLD = WHERE = NOW = None
PHASES = ("before", "after") if lib.outcome.LONG else ("after",)  # before one is after the one before it, and what was done here in between
CASE = ("--case", "DPO-2026-7", "--reason", "a test")


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("mirror")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 300, 17)
    mirror_lib.Base.use(WORLD, WHERE, NOW)


def tearDownModule():
    lib.clear(WHERE, PG)


class Nights(mirror_lib.Base):
    def test_night(self):
        """Each bundle is there before the line that announces its delete; the next night sends nothing but the ledger."""
        self.bench.run(code=self.bench.want.code)
        self.bench.done()
        self.assertGreater(len(self.paths()), 5)
        self.assert_mirrored()
        self.assert_gated()
        sent = [r for r in self.store.log if r.method == "PUT" and "/bundles/" in r.key]
        self.assertEqual(sorted(r.key.removeprefix(PREFIX) for r in sent), self.paths())
        for path in self.paths():  # asked for, sent, asked for again
            asked = [(r.method, r.status) for r in self.store.log if r.key == PREFIX + path]
            self.assertEqual(asked, [("HEAD", 404), ("PUT", 200), ("HEAD", 200)])
        self.store.log.clear()
        self.bench.run(code=self.bench.want.code)
        self.assert_mirrored()
        self.assertEqual({r.key for r in self.store.log if r.method == "PUT"}, {PREFIX + "ledger/entries.jsonl"})

    def test_gate(self):
        """While a bundle is sent nothing of it is gone, and no line says that it goes."""
        wrong = []

        def look(phase):
            if phase == "before":
                state = lib.ledger_state(self.archive)[0]
                path = {e["bundle"]: e["rel_path"] for e in state if e["type"] == "published"}
                there = self.there()
                wrong.extend(e["bundle"] for e in state if e["type"] == "purging" and path.get(e["bundle"]) and path[e["bundle"]] not in there)

        self.store.fault("PUT", "bundles/", look)
        self.bench.run(code=self.bench.want.code)
        self.assertEqual(wrong, [])
        self.assertGreater(len(self.lines("purging")), 5)

    def test_faults(self):
        """Each night of a store that fails deletes nothing and says why; the first whole one makes up for all."""
        for method, action, code, words in (("PUT", "403", STORE, ("403", "AccessDenied", "rights")), ("PUT", "404", STORE, ("404", "bucket made")), ("PUT", "500", STORE, ("500",)),
                                            ("PUT", "503", STORE, ("503", "SlowDown")), ("PUT", "cut", STORE, ("mirror",)), ("PUT", "200 error", STORE, ("InternalError",)),
                                            ("PUT", "swallow", STORE, ("does not have it",)), ("HEAD", "403", STORE, ("403",)), ("HEAD", "wrong sum", VERIFY, ("other bytes",))):
            with self.subTest(action=f"{method} {action}"):
                self.store.heal()
                self.store.fault(method, "bundles/", action)
                done = self.bench.run(code=code)
                for word in words:
                    self.assertIn(word, done.err)
                self.assertNotIn(s3.SECRET, done.out + done.err)
                self.assert_untouched(action)
                self.assertEqual(self.lines("purging"), [])
        self.assertGreater(len(self.paths()), 5)
        self.store.heal()
        self.bench.run(code=self.bench.want.code)
        self.bench.done(exact=False)
        self.assert_mirrored()

    def test_passing(self):
        """What is over in a moment costs a night nothing."""
        self.bench.policy(archive=self.mirror(timeout="1s"))
        for method, part, action, times in (("PUT", "bundles/", "500", 2), ("PUT", "bundles/", "cut", 1), ("PUT", "bundles/", "swallow", 1), ("PUT", "bundles/", "200 error", 1),
                                            ("PUT", "bundles/", "slow", 1), ("HEAD", "bundles/", "503", 1), ("GET", "", "500", 1), ("PUT", "ledger/", "swallow", 1)):
            self.store.fault(method, part, action, times)
        self.bench.run(code=self.bench.want.code)
        self.bench.done()
        self.assert_mirrored()

    def test_no_sums(self):
        """A store that gives no sums is read back."""
        self.store.sums = False
        self.bench.run(code=self.bench.want.code)
        self.bench.done()
        self.assert_mirrored()
        read = {r.key for r in self.store.log if r.method == "GET" and r.key.startswith(PREFIX + "bundles/")}
        self.assertEqual({k.removeprefix(PREFIX) for k in read}, set(self.paths()))
        self.assertEqual(self.json("verify", "--mirror", "read")["mirror"]["missing"], 0)

    def test_down(self):
        """A store that is not there ends the night before its first line."""
        self.store.stop()
        done = self.bench.run(code=STORE)
        self.assertIn("mirror", done.err)
        self.assert_untouched("down")
        self.assertEqual(lib.bundles(self.archive), [])
        self.assertEqual(self.bench.call("status", code=0).out.count("mirror: cannot be asked"), 1)

    def test_skew(self):
        self.store.clock_s = 4000
        self.bench.now = None
        done = self.bench.call("run", "--yes", code=STORE)
        self.assertIn("clock", done.err)
        self.store.clock_s, self.bench.now = 0, NOW
        self.finish()

    def test_foreign_bytes(self):
        """What is there with other bytes is never written over, and its rows stay."""
        self.store.fault("PUT", "bundles/", "403")
        self.bench.run(code=STORE)
        self.store.heal()
        victim = self.lines("published")[0]["rel_path"]
        self.store.write(PREFIX + victim, b"another's")
        done = self.bench.run(code=VERIFY)
        self.assert_untouched("other bytes")
        self.assertIn(os.path.basename(victim), done.err)
        self.assertIn("other bytes", done.err)
        self.assertEqual(self.there()[victim], b"another's")
        found = self.json("verify", "--mirror", "sums", code=VERIFY)["mirror"]
        self.assertEqual((found["other"], [f["object"] for f in found["found"] if "other bytes" in f["why"]]), (1, [victim]))
        self.store.drop(PREFIX + victim)
        self.bench.run(code=self.bench.want.code)
        self.bench.done(exact=False)
        self.store.write(PREFIX + victim, b"another's")  # of a bundle that no run has to do with any more
        self.assertIn(os.path.basename(victim), self.bench.run(code=VERIFY).err)
        self.store.drop(PREFIX + victim)
        self.bench.run(code=self.bench.want.code)
        self.assert_mirrored()

    def test_comes_later(self):
        """Bundles of nights without a mirror are brought there at the end of one that has it."""
        self.bench.policy()
        self.bench.run(code=self.bench.want.code)
        self.bench.policy(archive=self.mirror())
        self.assertEqual(self.json("status")["mirror"]["missing"], len(self.paths()))
        self.store.fault("PUT", "bundles/", "503")
        self.bench.run(code=STORE)
        self.store.heal()
        hurt = os.path.join(self.archive, self.paths()[1])
        lib.flip(hurt)
        self.assertIn("not the file that the ledger names", self.bench.run(code=VERIFY).err)
        self.assertEqual(set(self.paths()) - set(self.there()), {self.paths()[1]})
        lib.flip(hurt)
        self.bench.run(code=self.bench.want.code)
        self.assert_mirrored()
        self.assertEqual(self.json("status")["mirror"], {"bundles": len(self.paths()), "missing": 0, "problem": None})

    def test_archive_only(self):
        self.bench.call("run", "--yes", "--no-purge", code=0)
        self.assert_mirrored()
        self.assert_untouched("archive only")

    def test_list_cut_off(self):
        """A store that says that its list goes on, and not where, is not believed to have nothing more."""
        self.bench.run(code=self.bench.want.code)
        self.store.fault("GET", "", "no token")
        self.assertIn("goes on, and not where", self.bench.call("verify", "--mirror", "sums", code=STORE).err)
        self.store.heal()
        self.store.fault("GET", "", "same token")
        self.assertIn("again and again", self.bench.call("verify", "--mirror", "sums", code=STORE).err)

    def test_case_log(self):
        """One that was begun anew ends a night before its first line, and comes back from the mirror."""
        self.bench.run(code=self.bench.want.code)
        root = self.bench.roots()[0].root.id
        self.bench.call("show", root, *CASE, code=0)
        self.bench.run(code=self.bench.want.code)
        self.assert_mirrored()
        log, count = os.path.join(self.archive, "ledger", "access", "entries.jsonl"), len(lib.ledger(self.archive))
        with open(log, "rb") as f:
            whole = f.read()
        os.unlink(log)
        self.bench.call("show", root, "--case", "DPO-2026-8", "--reason", "another", code=0)  # begins one
        done = self.bench.run(code=VERIFY)
        self.assertIn("case log", done.err)
        self.assertEqual(len(lib.ledger(self.archive)), count)
        os.unlink(log)
        self.bench.call("fetch", code=0)
        with open(log, "rb") as f:
            self.assertEqual(f.read(), whole)
        self.bench.run(code=self.bench.want.code)
        self.assert_mirrored()

    def test_abandon(self):
        """What the mirror has is no loss, unless it is something else."""
        self.bench.run(code=self.bench.want.code)
        first, second = self.paths()[:2]
        lib.flip(os.path.join(self.archive, first))
        os.unlink(os.path.join(self.archive, second))
        abandon = lambda path, *more, code: self.bench.call("abandon", path, "--reason", "a test", *more, code=code)
        for path, word in ((first, "Move what is in its place"), (second, "brings it back")):
            self.assertIn(word, abandon(path, "--yes", code=16).err)
        self.assertEqual(self.lines("abandoned"), [])
        self.store.fault("HEAD", "bundles/", "403")
        self.assertIn("cannot be told", abandon(second, "--yes", code=STORE).err)
        self.store.heal()
        self.bench.policy(self.RULES, archive=self.mirror(bucket=f"s3://{s3.BUCKET}x/{PREFIX}"))  # no such bucket: of one object a store says the same as where only that is missing
        self.assertIn("cannot be told", abandon(second, "--yes", code=STORE).err)
        self.assertEqual(self.lines("abandoned"), [])
        self.bench.policy(self.RULES, archive=self.mirror())
        whole = self.there()[second]
        self.store.write(PREFIX + second, b"another's")
        abandon(second, "-n", code=0)
        self.store.write(PREFIX + second, whole)
        os.rename(os.path.join(self.archive, first), os.path.join(self.archive, "..", "aside"))
        self.bench.call("fetch", code=0)
        self.bench.call("verify", "--mirror", "read", code=0)
        os.unlink(os.path.join(self.archive, second))
        self.bench.call("abandon", "--archive", self.archive, second, "--reason", "a test", "--yes", code=0)  # knows of no mirror
        self.assertEqual(self.json("fetch")["bundles"][0]["state"], "fetched")

    def test_stop(self):
        """A signal ends a transfer at once; nothing of that bundle is gone."""
        def hang(phase):
            if phase == "before":
                os.kill(self.store.pid, signal.SIGTERM)
                time.sleep(3)

        self.store.fault("PUT", "bundles/", hang, 1)
        begin = time.monotonic()
        process = lib.start(self.bench.copy, self.bench.path, "run", "--yes", now_ms=NOW)
        self.store.pid = process.pid
        done = lib.finish(process)
        self.assertEqual(done.code, 128 + signal.SIGTERM, done.err)
        self.assertLess(time.monotonic() - begin, lib.TIMEOUT)
        self.assert_untouched("stopped")
        self.finish()

    def test_time_is_up(self):
        """--run-time ends a transfer; the next night goes on."""
        self.store.slow_s = 60
        self.bench.policy(archive=self.mirror(timeout="60s"))  # the same later on: under another policy no bundle goes on
        self.store.fault("PUT", "bundles/", "slow")
        self.bench.call("run", "--yes", "--run-time", "4s", code=4)
        self.assert_untouched("out of time")
        self.finish()

    def test_another_archive(self):
        """A new archive on the mirror of an old one is refused before it writes a line, and leaves it as it is."""
        self.bench.run(code=self.bench.want.code)
        before = self.there()
        os.rename(self.archive, self.archive + ".lost")
        self.bench.call("init", code=0)
        done = self.bench.run(code=VERIFY)
        self.assertIn("fetch", done.err)
        self.assertEqual(lib.bundles(self.archive), [])
        self.assertEqual(self.there(), before)

    def test_lost(self):
        """The whole archive is lost: everything comes back, and answers as before."""
        self.bench.run(code=self.bench.want.code)
        root = self.bench.roots()[0].root.id
        shown = self.bench.call("show", root, *CASE, code=0).out
        self.bench.run(code=self.bench.want.code)
        before = self.here()
        self.assert_mirrored()
        shutil.rmtree(self.archive)
        self.bench.call("init", code=0)
        self.assertIn("ledger would come", self.bench.call("fetch", "-n", code=0).out)
        done = self.json("fetch")
        self.assertEqual((done["ledger"], {b["state"] for b in done["bundles"]}, done["unknown"]), (True, {"fetched"}, 0))
        self.assertEqual(self.here(), before)
        self.bench.call("verify", "--mirror", "read", code=0)
        self.assertEqual(self.bench.call("show", root, *CASE, code=0).out, shown)
        self.bench.call("find", "--thread", root, *CASE, code=0)
        self.assertEqual(self.json("fetch")["bundles"], [])
        self.bench.run(code=self.bench.want.code)
        self.bench.problems += lib.compare_database(self.bench.want, self.bench.copy.load())
        self.assert_mirrored()

    def test_fetch_killed(self):
        """Between the empty ledger, which is gone, and the mirror's, which is not there yet."""
        self.bench.run(code=self.bench.want.code)
        here = self.here()
        lib.remove(self.archive)
        self.bench.call("init", code=0)
        done = self.bench.call("fetch", code=None, env={"MMR_FAULT": "FETCH_NO_LEDGER:kill"})
        self.assertEqual(done.code, -signal.SIGKILL, done.err)
        self.assertFalse(os.path.exists(os.path.join(self.archive, "ledger", "entries.jsonl")))
        self.bench.call("fetch", code=0)
        self.assertEqual(self.here(), here)

    def test_lost_in_the_night(self):
        """The host dies in its first night: what the ledger of the mirror does not know is fetched by name, and adopted."""
        done, hit = self.strike(self.requests_until("bundles/", 4), "after", "run", "--yes")
        self.assertTrue(hit, done.err)
        shutil.rmtree(self.archive)
        self.bench.call("init", code=0)
        there = [k for k in self.there() if k.startswith("bundles/")]
        first = self.json("fetch", code=(0, 1))
        none = [b["path"] for b in first["bundles"] if b["state"] == "none"]  # published, and not sent any more: nothing of them is gone
        self.assertEqual(first["unknown"] + len(first["bundles"]) - len(none), len(there))
        rest = sorted(set(there) - set(self.paths()))
        if rest:
            self.bench.call("fetch", *rest, code=0)
        self.bench.call("fetch", "bundles/2026/01/mmr1-nobody.tar.zst", code=1)
        self.assertEqual(self.paths(), sorted(there))
        self.bench.safe("fetched")
        for path in none:
            os.makedirs(os.path.dirname(os.path.join(self.archive, path)), exist_ok=True)
            self.bench.call("abandon", path, "--reason", "the host was lost before it was sent", "--yes", code=0)
        self.bench.run(code=self.bench.want.code)
        self.bench.problems += lib.compare_database(self.bench.want, self.bench.copy.load())
        self.bench.safe("the next night")
        self.assert_mirrored()

    def test_hold(self):
        """A hold between two nights is in the mirror at once, or the command says that it is not."""
        self.bench.run(code=self.bench.want.code)
        root = self.bench.roots()[0].root.id
        self.bench.call("hold", "add", root, "--case", "17/26", code=0)
        self.assert_mirrored()
        self.store.fault("PUT", "ledger/", "403")
        self.assertIn("does not have this yet", self.bench.call("hold", "release", root, "--case", "17/26", code=0).err)
        self.store.heal()
        self.assertNotEqual(self.here()["ledger/entries.jsonl"], self.there()["ledger/entries.jsonl"])
        self.bench.call("restore", root, *CASE, "--yes", code=0)
        self.assert_mirrored()
        self.assertEqual(self.lines("hold")[-1]["via"], "restore")

    def test_older_copy(self):
        """An archive that was put back from an older copy: no run and no fetch takes it for the mirror's, until its ledger is out of the way."""
        self.bench.run(code=self.bench.want.code)
        shutil.copytree(self.archive, self.archive + ".copy")
        self.bench.run(code=self.bench.want.code)
        there = self.there()
        shutil.rmtree(self.archive)
        os.rename(self.archive + ".copy", self.archive)
        os.unlink(os.path.join(self.archive, self.paths()[0]))
        self.bench.run(code=VERIFY)
        self.assertIn("older copy", self.bench.call("fetch", code=VERIFY).err)
        os.rename(os.path.join(self.archive, "ledger", "entries.jsonl"), os.path.join(self.bench.copy.where, "older"))
        self.bench.call("fetch", code=0)
        self.assertEqual(self.there(), there)
        self.assert_mirrored()
        self.bench.run(code=self.bench.want.code)
        self.bench.done()
        self.assert_mirrored()

    def requests_until(self, part, times):
        """The number of the request that puts the n-th such object, by a night of a copy."""
        other = faults.Bench(WORLD, WHERE, self.bench.name + "_counted", NOW)
        store = mirror_lib.Store(os.path.join(WHERE, "s3-" + other.name)).start()
        try:
            other.begin(archive=[line.replace(self.store.endpoint, store.endpoint) for line in self.mirror()])
            other.run(code=other.want.code)
            puts = [n for n, r in enumerate(store.log) if r.method == "PUT" and part in r.key]
            return puts[times - 1] + 1
        finally:
            store.stop()
            other.copy.remove()

    def test_fetch(self):
        """Lost bundles come back; what is damaged there is not taken, and nothing here is written over."""
        self.bench.run(code=self.bench.want.code)
        whole, (lost, bad, changed) = self.here(), self.paths()[:3]
        for path in (lost, bad):
            os.unlink(os.path.join(self.archive, path))
        lib.flip(os.path.join(self.archive, changed))
        self.store.write(PREFIX + bad, self.there()[bad][:-1])
        due = self.json("fetch", "-n")
        self.assertEqual({b["path"]: b["state"] for b in due["bundles"]}, {lost: "due", bad: "due"})
        done = self.json("fetch", code=VERIFY)
        self.assertEqual({b["path"]: b["state"] for b in done["bundles"]}, {lost: "fetched", bad: "damaged"})
        here = self.here()
        self.assertEqual((here[lost], here.get(bad), here[changed] == whole[changed]), (whole[lost], None, False))
        self.assertEqual([n for n in os.listdir(os.path.join(self.archive, "partial"))], [])
        self.store.drop(PREFIX + bad)
        self.bench.call("fetch", code=1)
        self.store.write(PREFIX + bad, whole[bad])
        for n in (1, 2, 3, 4):  # cut off in the middle, then the same call again
            self.strike(n, "after", "fetch")
        self.store.fault("GET", "bundles/", "cut", 1)
        self.bench.call("fetch", bad, code=0)
        os.unlink(os.path.join(self.archive, changed))
        self.bench.call("fetch", os.path.basename(changed), code=0)
        here = self.here()  # and a list of ids of what was missing when the indexes were built
        self.assertEqual({k: here[k] for k in whole}, whole)
        self.bench.call("verify", "--mirror", "sums", code=0)

    def test_looked_at(self):
        """doctor, check --db and verify find what is wrong with it."""
        self.assertIn("an object was written", self.bench.call("doctor").out)
        self.assertIn("the mirror takes", self.bench.call("check", "--db", code=0).out)
        self.assertEqual(self.there(), {})
        self.store.versioned = True
        self.assertIn("keeps versions", self.bench.call("doctor").out)
        self.store.versioned = False
        self.store.fault("DELETE", "probe-", "lost")
        self.assertIn("still has it", self.bench.call("check", "--db", code=STORE).err)
        self.store.heal()
        self.store.fault("PUT", "probe-", "403")
        self.assertIn("AccessDenied", self.bench.call("doctor").out)
        self.store.heal()
        for key in list(self.there()):
            self.store.drop(PREFIX + key)
        ledger = os.path.join(self.archive, "ledger", "entries.jsonl")
        self.bench.run(code=self.bench.want.code)
        with open(ledger, "rb") as f:
            whole = f.read()
        with open(ledger, "wb") as f:  # an older copy of the archive was put back: a run would end with it
            f.write(b"".join(whole.splitlines(keepends=True)[:-3]))
        self.assertRegex(self.bench.call("doctor", code=VERIFY).out, "not the beginning of the one in .*\n.*older copy")
        with open(ledger, "wb") as f:
            f.write(whole)
        self.assertNotIn("not the beginning", self.bench.call("doctor").out)

        def more(phase):  # a run beside it: its line is here, then there
            if phase == "before":
                with open(ledger, "ab") as f:
                    f.write(b"{}\n")
                self.store.write(PREFIX + "ledger/entries.jsonl", whole + b"{}\n")
        self.store.fault("HEAD", "ledger/entries", more, 1)
        self.assertNotIn("not the beginning", self.bench.call("doctor").out)
        self.store.heal()
        with open(ledger, "wb") as f:
            f.write(whole)
        self.store.write(PREFIX + "ledger/entries.jsonl", whole)
        self.store.write(PREFIX + "bundles/2026/01/mmr1-x-never-000001-000000000000.tar.zst", b"?")
        self.store.drop(PREFIX + self.paths()[0])
        found = self.json("verify", "--mirror", "sums", code=VERIFY)["mirror"]
        self.assertEqual((found["missing"], found["other"], found["unknown"], found["gone"]), (1, 0, 1, 0))
        self.assertEqual(self.json("status")["mirror"]["missing"], 1)
        self.bench.call("verify", code=0)
        self.assertIn("needs the policy", self.bench.call("verify", "--archive", self.archive, "--mirror", "sums", code=2).err)

    def test_credentials(self):
        """Nobody else may read them, and nothing that is printed holds them."""
        os.chmod(self.keys, 0o644)
        self.assertIn("can be read by everybody", self.bench.run(code=19).err)
        os.chmod(self.keys, 0o600)
        with open(self.keys, "w", encoding="ascii") as f:
            f.write("aws_access_key_id = x\naws_secret_access_key = y\n")
        self.assertIn("[default]", self.bench.run(code=10).err)
        with open(self.keys, "a", encoding="ascii") as f:
            f.write("#" * 65536)
        self.assertIn("larger than 64 KiB", self.bench.run(code=10).err)
        self.store.credentials(self.keys, secret="anothersecret")
        done = self.bench.call("run", "--yes", "-v", code=STORE)
        self.assertIn("403", done.err)
        self.assertNotIn("anothersecret", done.out + done.err)
        self.store.credentials(self.keys)
        done = self.bench.call("run", "--yes", "-v", code=self.bench.want.code)
        with open(os.path.join(self.archive, "ledger", "entries.jsonl"), encoding="utf-8") as f:
            said = done.out + done.err + f.read()
        self.assertNotIn(s3.SECRET, said)
        self.assertNotIn(s3.ID, said)

    def test_tls(self):
        """The store's certificate is checked, by an authority of one's own where the policy names it."""
        where = os.path.join(self.bench.copy.where, "tls")
        os.makedirs(where)
        ca = tls.Authority(where, "good")
        store = mirror_lib.Store(os.path.join(where, "objects"), ca.sign("store", "IP:127.0.0.1")).start()
        try:
            self.bench.policy(archive=self.mirror(endpoint=store.endpoint))
            self.assertIn("certificate", self.bench.run(code=STORE).err)
            self.bench.policy(archive=self.mirror(endpoint=store.endpoint, ca=ca.crt))
            self.bench.run(code=self.bench.want.code)
            self.bench.done()
            self.assertEqual(self.here(), store.objects(PREFIX))
        finally:
            store.stop()


class Crash(mirror_lib.Base):
    RULES = faults.ONE

    def test_kill(self):
        """Killed at every request of a night: what may be gone is there, and the next night comes to the end."""
        n, reached = 0, True
        while reached:
            n += 1
            for phase in PHASES:
                self.fresh()
                done, reached = self.strike(n, phase, "run", "--yes")
                if not reached:
                    self.assertEqual(done.code, self.bench.want.code, done.err)
                    break
                self.assertEqual(done.code, -signal.SIGKILL, done.err)
                self.bench.safe(f"killed {phase} request {n}")
                self.assert_gated()
                self.finish()
        self.assertGreater(n, 12)

    def test_kill_here(self):
        """Killed at what cannot be undone here."""
        for point in ("RUN_AFTER_PUBLISHED", "PURGE_AFTER_INTENT", "PURGE_AFTER_COMMIT", "SWEEP_AFTER", "RUN_AFTER_DONE"):
            self.fresh()
            done = self.bench.run(env={"MMR_FAULT": f"{point}:kill"})
            self.assertEqual(done.code, -signal.SIGKILL, point)
            self.bench.safe(point)
            self.assert_gated()
            self.finish()

    def fresh(self):
        if os.path.exists(self.bench.copy.archive) and not lib.ledger_state(self.archive)[0]:
            return
        name = self.bench.name
        self.bench.copy.remove()
        for key in list(self.there()):
            self.store.drop(PREFIX + key)
        self.bench = faults.Bench(WORLD, WHERE, name, NOW)
        self.store.credentials(self.keys)
        self.bench.begin(self.RULES, archive=self.mirror())


if __name__ == "__main__":
    lib.outcome.main()
