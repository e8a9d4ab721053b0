#!/usr/bin/env python3
"""The mirror when something has to go: what expires or is erased leaves nothing behind there, killed in between or not.

usage: MMRETAIN=BINARY mirror_traces_test.py [-k NAME]
"""
import os
import signal
import time

import e2e_lib as lib
import erase_test
import mirror_lib
from e2e_lib import DAY
from mirror_lib import PREFIX, STORE, VERIFY

PG = WORLD = WHERE = NOW = None
# Few bundles that expire, and one that does not.
RULES = [{"name": "all", "match": {"team": "accelerator"}, "keep": {"for": "1000d"}, "archive": {"keep_for": "200d"}},
         {"name": "square", "match": {"team": "accelerator", "channel": "town-square"}, "keep": {"for": "500d"}}]
CASE = ("--case", "DPO-2026-7", "--reason", "request under Art. 17")
WORDS = (b"zqxwordsofone", b"zqxnameoffile", b"zqxaccount", b"zqxdisplay")


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000 - 3 * DAY
    WHERE = lib.folder("traces")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 300, 33, spice=erase_test.ONE)
    mirror_lib.Base.use(WORLD, WHERE, NOW)


def tearDownModule():
    lib.clear(WHERE, PG)


class Traces(mirror_lib.Base):
    RULES = RULES

    def setUp(self):
        super().setUp()
        self.bench.run(code=self.bench.want.code)
        self.assert_mirrored()
        self.bench.now = NOW + 2 * DAY

    def late(self, path):
        """A file of late rows of a bundle, here and there."""
        rows = next(e["rows_digest"] for e in self.lines("published") if e["rel_path"] == path)
        name = f"ledger/late-{rows[:12]}-1.jsonl"
        user = PG.psql("SELECT id FROM users WHERE username = 'zqxaccount'", db="world")
        with open(os.path.join(self.archive, name), "w", encoding="ascii") as f:
            f.write('{"k":"reaction","row":{"postid": "%s", "userid": "%s", "emojiname": "zqxwordsofone"}}\n' % ("p" * 26, user))
        with open(os.path.join(self.archive, name), "rb") as f:
            self.store.write(PREFIX + name, f.read())
        return name

    def words_there(self):
        found = []
        for key, body in self.there().items():
            path = os.path.join(self.bench.copy.where, "object" + (".zst" if key.endswith(".zst") else ""))
            with open(path, "wb") as f:
                f.write(body)
            content = erase_test.decompressed(path).lower()
            found += [(key, w) for w in WORDS if w in content]
        return found

    def words_left(self):
        """Of the person, in what was archived when they were erased: a later night may archive more of their threads."""
        lines = self.lines("published", "erased")
        erased = max(i for i, e in enumerate(lines) if e["type"] == "erased")
        later = {e["rel_path"] for e in lines[erased:] if e["type"] == "published"}
        return [(key, w) for key, w in self.words_there() if key not in later]

    def strike_all(self, check, *args):
        """The command killed at each of its first requests, then at every ninth; each time the same command goes on."""
        n, killed = 0, 0
        while True:
            n += 1 if n < 14 else 9
            seen = len(self.store.log)
            done, hit = self.strike(n, "after", *args)
            if not hit:
                return done, killed
            self.assertEqual(done.code, -signal.SIGKILL, done.err)
            killed += 1
            check(self.store.log[seen:])

    # ---- expiry ----
    def due(self):
        return [b["path"] for b in self.json("expire", "-n")["bundles"] if b["state"] == "expires"]

    def test_expire(self):
        due = self.due()
        self.assertGreater(len(due), 2)
        late = self.late(due[0])
        gone = []

        def look(phase):  # gone there before it is said to be gone
            if phase == "before":
                gone.extend(e["rel_path"] for e in self.lines("expired") if e["rel_path"] in self.there())

        self.store.fault("DELETE", "", look)
        self.bench.call("expire", "--yes", code=0)
        self.assertEqual(gone, [])
        self.assertEqual({e["rel_path"] for e in self.lines("expired")}, set(due))
        self.assertNotIn(late, self.there())
        self.assert_mirrored()

    def test_expire_in_a_run(self):
        due = self.due()
        self.bench.run(code=(0, 3))
        self.assertEqual({e["rel_path"] for e in self.lines("expired")}, set(due))
        self.assert_mirrored()

    def test_expire_refused(self):
        """A copy that does not go keeps its bundle from being said to be gone."""
        for action in ("403", "lost", "500"):
            self.store.heal()
            self.store.fault("DELETE", "bundles/", action)
            self.bench.call("expire", "--yes", code=STORE)
            self.assertEqual(self.lines("expired"), [])
        self.store.heal()
        due = self.due()
        self.bench.call("expire", "--yes", code=0)
        self.assertEqual({e["rel_path"] for e in self.lines("expired")}, set(due))
        self.assert_mirrored()

    def test_expire_killed(self):
        due = self.due()[:2]
        late = self.late(due[0])

        def check(_):
            for e in self.lines("expired"):
                self.assertNotIn(e["rel_path"], self.there())

        done, killed = self.strike_all(check, "expire", "--yes")
        self.assertEqual(done.code, 0, done.err)
        self.assertGreater(killed, 5)
        self.assertFalse({late, *due} & set(self.there()))
        self.assert_mirrored()

    def test_damaged_and_due(self):
        """A bundle that cannot expire, because it is damaged, keeps nothing from the mirror."""
        first, other = self.due()[0], sorted(set(self.paths()) - set(self.due()))[0]
        lib.flip(os.path.join(self.archive, first))
        self.store.drop(PREFIX + other)
        self.bench.run(code=15)
        self.assertIn(other, set(self.there()))

    def test_versions(self):
        """A bucket that keeps versions is told of."""
        self.store.versioned = True
        done = self.bench.call("expire", "--yes", code=0)
        self.assertIn("keeps versions", done.err)
        self.store.versioned = False
        self.assertNotIn("keeps versions", self.bench.run(code=(0, 3)).err)

    def test_behind_its_back(self):
        """Expired and erased by somebody whose policy has no mirror: the next night makes it good."""
        due = self.due()
        self.bench.policy(self.RULES)
        self.bench.call("expire", "--yes", code=0)
        self.bench.call("erase", "--user", "zqxaccount", "--yes", *CASE, code=0)
        self.assertTrue(set(due) & set(self.there()))
        self.bench.policy(self.RULES, archive=self.mirror())
        found = self.json("verify", "--mirror", "sums", code=15)["mirror"]
        self.assertGreaterEqual(found["gone"], len(due))
        self.bench.run(code=(0, 3))
        self.assert_mirrored()
        self.assertEqual(self.words_left(), [])

    def test_late_rows_lost_here(self):
        """They are in no bundle: what is lost or cut off here stays whole there, and comes back."""
        name = self.late(sorted(set(self.paths()) - set(self.due()))[0])
        whole, file = self.there()[name], os.path.join(self.archive, name)
        for hurt in (lambda: os.truncate(file, 5), lambda: os.unlink(file)):
            hurt()
            self.assertIn(name, self.bench.run(code=(0, 3)).err)
            self.assertEqual(self.there()[name], whole)
        self.bench.call("fetch", code=0)
        self.assertEqual(self.here()[name], whole)
        self.assertNotIn("stays as it is there", self.bench.run(code=(0, 3)).err)

    def test_newer_file_missing_on_both_sides(self):
        """Erased by somebody whose policy has no mirror, and the newer file is lost: the older one there is the last copy of everybody else's rows."""
        self.bench.policy(self.RULES)
        self.bench.call("erase", "--user", "zqxaccount", "--yes", *CASE, code=0)
        self.bench.policy(self.RULES, archive=self.mirror())
        erased = self.lines("erased")[0]
        os.rename(os.path.join(self.archive, erased["rel_path"]), os.path.join(self.archive, "..", "aside"))
        self.bench.call("run", "--yes", "--no-purge", code=(0, 3))
        self.assertIn(erased["old_rel_path"], set(self.there()))
        os.rename(os.path.join(self.archive, "..", "aside"), os.path.join(self.archive, erased["rel_path"]))
        self.bench.call("run", "--yes", "--no-purge", code=(0, 3))
        self.assertNotIn(erased["old_rel_path"], set(self.there()))
        self.assertEqual(self.words_left(), [])

    # ---- erasure ----
    def erase(self, code=0):
        return self.bench.call("erase", "--user", "zqxaccount", "--yes", *CASE, code=code)

    def test_erase(self):
        late = self.late(self.paths()[0])
        self.assertTrue(self.words_there())
        alone = []

        def look(phase):  # the newer file is there before the older one goes
            if phase == "before":
                there = self.there()
                alone.extend(e["old_rel_path"] for e in self.lines("erased") if e["old_rel_path"] not in there and e["rel_path"] not in there)

        self.store.fault("DELETE", "", look)
        self.erase()
        self.assertEqual(alone, [])
        self.assertGreater(len(self.lines("erased")), 2)
        self.assertEqual(self.words_there(), [])
        self.assertNotIn(late, self.there())
        self.assert_mirrored()
        self.bench.call("verify", "--mirror", "read", code=0)

    def test_erase_with_a_bundle_only_there(self):
        """It would bring the person back, also when somebody who did not know of the mirror has declared it lost."""
        path = sorted(set(self.paths()) - set(self.due()))[0]
        os.rename(os.path.join(self.archive, path), os.path.join(self.archive, "..", "aside"))
        here = self.paths()
        self.assertIn("fetch", self.erase(VERIFY).err)
        self.assertEqual(self.paths(), here)
        self.bench.call("abandon", "--archive", self.archive, path, "--reason", "a test", "--yes", code=0)
        self.erase(VERIFY)
        self.assertEqual(self.lines("erased", "erasing"), [])
        self.bench.call("fetch", code=0)
        self.erase()
        self.assertEqual(self.words_there(), [])
        self.bench.call("verify", "--mirror", "read", code=0)

    def erase_without(self, path):
        """Who is in there is not known: the others are done, and that is said until somebody declares it lost."""
        os.rename(os.path.join(self.archive, path), os.path.join(self.archive, "..", "aside"))
        done = self.erase(VERIFY)
        self.assertIn("Put it back from a copy", done.err)
        self.assertIn(path, done.err)
        self.assertEqual([w for w in self.words_there() if w[0] != path], [])
        self.bench.call("abandon", path, "--reason", "a test", "--yes", code=0)
        self.assertNotIn("not here", self.bench.call("erase", "--user", "q" * 26, "--yes", *CASE, code=(0, 1)).err)

    def test_erase_with_a_bundle_nowhere(self):
        self.store.drop(PREFIX + self.paths()[0])
        self.erase_without(self.paths()[0])

    def test_erase_with_a_bundle_replaced_there(self):
        """Another's bytes in its place are no copy."""
        self.store.write(PREFIX + self.paths()[0], self.there()[self.paths()[1]])
        self.erase_without(self.paths()[0])

    def test_erase_behind_a_link(self):
        """A folder that was moved to another disk, with a link in its place: what is behind it is not read, so it is not here."""
        month = os.path.dirname(os.path.join(self.archive, self.paths()[0]))
        os.rename(month, os.path.join(self.archive, "..", "moved"))
        os.symlink(os.path.join(self.archive, "..", "moved"), month)
        self.assertIn("not here", self.erase(VERIFY).err)
        os.unlink(month)
        with open(month, "w", encoding="ascii"):
            pass
        self.assertNotEqual(self.bench.call("fetch").code, 0)
        self.assertIn("not here", self.erase(VERIFY).err)
        os.unlink(month)
        os.rename(os.path.join(self.archive, "..", "moved"), month)
        self.erase()
        self.assertEqual(self.words_there(), [])

    def test_erase_with_an_unknown_object(self):
        """A bundle of a host that was lost in the night: no line knows it, and the person may be in it."""
        self.store.write(PREFIX + "bundles/2026/01/mmr1-accelerator-never-000099-abcdefabcdef.tar.zst", b"who knows")
        self.assertIn("does not know", self.erase(VERIFY).err)
        self.store.drop(PREFIX + "bundles/2026/01/mmr1-accelerator-never-000099-abcdefabcdef.tar.zst")
        self.bench.call("erase", "--user", "q" * 26, "--yes", *CASE, code=(0, 1))
        self.assertEqual(self.words_there(), [])

    def test_erase_refused(self):
        """Neither file goes before the mirror has the newer one and not the older."""
        for method, action in (("PUT", "500"), ("PUT", "swallow"), ("DELETE", "403"), ("DELETE", "lost")):
            self.store.heal()
            self.store.fault(method, "bundles/", action)
            self.erase(STORE)
            for e in self.lines("erased"):
                self.assertTrue(os.path.exists(os.path.join(self.archive, e["old_rel_path"])))
        self.store.heal()
        self.erase()
        self.assertEqual(self.words_there(), [])
        self.assert_mirrored()

    def test_erase_killed(self):
        self.late(self.paths()[0])

        def check(_):
            there = set(self.there())
            done = {e["old_rel_path"]: e["rel_path"] for e in self.lines("erased")}
            for path in self.paths():
                self.assertTrue(path in there or path in done or path in done.values(), path)
            for old, new in done.items():
                self.assertTrue({old, new} & there)

        user = PG.psql("SELECT id FROM users WHERE username = 'zqxaccount'", db="world")  # when all is erased no bundle knows the name
        done, killed = self.strike_all(check, "erase", "--user", user, "--yes", *CASE)
        self.assertEqual(done.code, 0, done.err)
        self.assertGreater(killed, 5)
        self.assertEqual(self.words_there(), [])
        self.assert_mirrored()
        self.bench.call("verify", "--mirror", "read", code=0)

    def test_rebuilt(self):
        """What comes back from the mirror has neither what expired nor who was erased."""
        due = self.due()
        self.bench.call("expire", "--yes", code=0)
        self.erase()
        here = self.here()
        lib.remove(self.archive)
        self.bench.call("init", code=0)
        self.bench.call("fetch", code=0)
        self.assertEqual(self.here(), here)
        self.assertFalse(set(due) & set(self.paths()))
        self.bench.call("verify", "--mirror", "read", code=0)


if __name__ == "__main__":
    lib.outcome.main()
