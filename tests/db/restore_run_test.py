#!/usr/bin/env python3
"""`restore --run` and `restore --bundle`: a whole night comes back as it was, and what cannot is told.

usage: MMRETAIN=BINARY restore_run_test.py [-k NAME]
"""
import collections
import json
import os
import signal
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle
from restore_test import JSON

CASE = ("--case", "17/26", "--reason", "the policy was wrong")
POINTS = ("RESTORE_AFTER_FILE", "RESTORE_BEFORE_COMMIT", "RESTORE_AFTER_COMMIT", "LEDGER_WRITE", "LEDGER_SYNC")
BATCH = 60  # threads of one transaction, at most
INTERRUPTED = 128 + signal.SIGTERM
PG = WORLD = WHERE = NOW = None
PREPARED = {}  # after a night, by what that is


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000 - 3 * lib.DAY
    WHERE = lib.folder("restorerun")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 700, 21, spice=JSON)


def tearDownModule():
    lib.clear(WHERE, PG)


class Base(unittest.TestCase):
    RULES, MORE = None, {}

    def setUp(self):
        key = str((self.RULES, self.MORE))
        if key not in PREPARED:
            PREPARED[key] = faults.Prepared(WORLD, WHERE, f"night{len(PREPARED)}", NOW, self.night)
        self.bench = PREPARED[key].bench()
        self.addCleanup(self.bench.copy.remove)
        self.gone = self.tables()
        self.roots = sorted(r for r in self.bench.want.roots if self.bench.want.archived(r))
        self.before = {name: collections.Counter(t.lines) for name, t in self.bench.want.db.tables.items()}

    def night(self, bench):
        bench.begin(self.RULES, **self.MORE)
        bench.run(code=bench.want.code)

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def tables(self):
        return {name: collections.Counter(t.lines) for name, t in self.bench.copy.load().items()}

    def differences(self, now, want):
        return {n: (list((now[n] - want[n]).elements())[:3], list((want[n] - now[n]).elements())[:3]) for n in want if now[n] != want[n]}

    def all_back(self):
        """The database, and the attachments that were archived, are as before the night."""
        self.assertEqual(self.differences(self.tables(), self.before), {})
        files, here = self.bench.want.db.tables["fileinfo"], self.bench.copy.files()
        for row in files.rows:
            path = row[files.columns.index("path")]
            if self.bench.want.files.get(path, "special") != "special":
                self.assertEqual(here.get(path), self.bench.want.files[path], path)

    def back(self, roots):
        """Exactly these threads, as they were, and nothing else has changed."""
        want = {name: self.gone[name] + collections.Counter(line for line, _, root in rows if root in roots) for name, rows in self.bench.want.rows.items()}
        self.assertEqual(self.differences(self.tables(), {**self.gone, **want}), {})

    def here(self):
        """Which of the threads are there, by their roots; each of them whole."""
        posts = set(self.bench.sql("SELECT id FROM posts").split())
        roots = {r for r in self.roots if r in posts}
        self.back(roots)
        return roots

    def ledger(self, *kinds):
        return [e for e in lib.ledger(self.bench.copy.archive) if e["type"] in kinds]

    def restore(self, *args, code=0, of=("--run", "last"), **more):
        return self.bench.call("restore", *of, *CASE, *args, code=code, **more)

    def told(self, *args, code=0, **more):
        return json.loads(self.restore("--json", *args, code=code, **more).out)

    def show(self, root):
        return json.loads(self.bench.call("show", root, "--json", *CASE, code=0).out.splitlines()[-1])

    def bundle_of(self, root):
        """Name and path of the bundle that has this thread."""
        for path in lib.bundles(self.bench.copy.archive):
            if any(kind == "posts" and row["id"] == root for kind, row in lib.Bundle(path).rows()):
                return os.path.basename(path), path
        raise AssertionError(root)

    def threads_of(self, path):
        return {row["id"] for kind, row in lib.Bundle(path).rows() if kind == "posts" and row["id"] in self.roots}

    def large(self):
        """The bundle with the most threads."""
        return max(lib.bundles(self.bench.copy.archive), key=os.path.getsize)

    def sums(self, doc, key):
        return sum(b[key] for b in doc["bundles"])


class Night(Base):
    def test_whole_night(self):
        doc = self.told("--yes")
        self.all_back()
        self.assertEqual((doc["done"], self.sums(doc, "back"), self.sums(doc, "there"), doc["left_out"]), (True, len(self.roots), 0, []))
        self.assertEqual(self.sums(doc, "posts"), sum((self.before["posts"] - self.gone["posts"]).values()))
        self.assertEqual(self.sums(doc, "rows"), sum(sum((self.before[n] - self.gone[n]).values()) for n in self.before))
        lines = self.ledger("hold", "restored")
        for kind in ("hold", "restored"):
            named = [root for e in lines if e["type"] == kind for root in e["roots"]]
            self.assertEqual(sorted(named), self.roots, kind)
        self.assertLessEqual(max(len(e["roots"]) for e in lines), BATCH)
        self.assertGreater(len(self.threads_of(self.large())), 2 * BATCH)
        # once more: nothing to do, and no line
        doc = self.told("--yes")
        self.assertEqual((self.sums(doc, "back"), self.sums(doc, "there")), (0, len(self.roots)))
        self.assertEqual(len(self.ledger("hold", "restored")), len(lines))
        self.assertIn("there already", self.restore("--yes").out)
        self.all_back()
        # the next night takes none of it, and when the holds end all of it
        done = json.loads(self.bench.run(code=(0, 3)).out)
        self.assertEqual(done["deleted"]["threads"], 0)
        self.all_back()
        released = json.loads(self.bench.call("hold", "release", "--all", "--case", "17/26", "--json", code=0).out)
        self.assertEqual(released["released"], self.roots)
        self.bench.run(code=(0, 3))
        self.assertEqual(self.tables(), self.gone)
        # what went twice comes back as of the second time
        self.told("--yes")
        self.all_back()
        self.bench.call("verify", code=0)
        self.assertIsNotNone(self.show(self.roots[0])["restored"])

    def test_database_from_a_backup(self):
        """Its rows are back and their attachments are not: these come back to rows that stay as they are, and the next night takes all as the first one did."""
        files = self.bench.copy.files()
        PG.psql(f'DROP DATABASE "{self.bench.name}" WITH (FORCE)')
        PG.createdb(self.bench.name, template=WORLD.name, strategy="file_copy")
        doc = self.told("--yes")
        self.all_back()
        self.assertEqual((self.sums(doc, "posts"), self.sums(doc, "rows")), (0, 0))
        self.assertGreater(len(self.bench.copy.files()), len(files))
        self.bench.call("hold", "release", "--all", "--case", "17/26", code=0)
        self.bench.run(code=(0, 3))
        self.assertEqual(self.tables(), self.gone)
        self.assertEqual(self.bench.copy.files(), files)

    def test_went_again(self):
        """Of the first of two nights that took the same threads nothing comes back: the second has them as they were last."""
        first = self.ledger("run-begin")[-1]["run"]
        self.told("--yes")
        self.bench.call("hold", "release", "--all", "--case", "17/26", code=0)
        root = self.roots[0]
        self.bench.sql(f"UPDATE posts SET message = 'the second time' WHERE id = '{root}'")
        before = self.tables()
        self.bench.run(code=(0, 3))
        self.assertEqual(self.tables(), self.gone)
        doc = self.told("--yes", of=("--run", first), code=3)
        self.assertEqual({o["reason"] for o in doc["left_out"]}, {"later"})
        self.assertEqual(sorted(o["thread"] for o in doc["left_out"]), self.roots)
        self.assertEqual(doc["counts"]["later"], len(self.roots))
        self.assertEqual(self.tables(), self.gone)
        self.told("--yes")
        self.assertEqual(self.differences(self.tables(), before), {})

    def test_bundle(self):
        for name in (os.path.basename(self.large()), os.path.relpath(self.large(), self.bench.copy.archive)):
            doc = self.told("--yes", of=("--bundle", name))
            self.assertEqual([b["bundle"] for b in doc["bundles"]], [os.path.basename(name)])
            self.assertIsNone(doc["run"])
            self.back(self.threads_of(self.large()))
        lines = json.loads(self.bench.call("report", "--bundle", os.path.basename(self.large()), "--json", code=0).out)["lines"]
        self.assertEqual(sum(e["threads"] for e in lines if e["type"] == "restored"), len(self.threads_of(self.large())))

    def test_shows_only(self):
        """Nothing is written but the case log."""
        def rest():
            found = {}
            for folder, _, names in os.walk(self.bench.copy.archive):
                for n in names:
                    if "access" not in folder:
                        with open(os.path.join(folder, n), "rb") as f:
                            found[os.path.join(folder, n)] = f.read()
            return found
        archive, files = rest(), self.bench.copy.files()
        doc = self.told("-n")
        self.assertFalse(doc["done"])
        self.assertEqual((self.sums(doc, "back"), self.sums(doc, "there")), (len(self.roots), 0))
        self.assertGreater(self.sums(doc, "files"), 0)
        done = self.restore(code=2)
        self.assertIn("acts only with --yes", done.err)
        self.assertIn("would come back", done.out)
        self.restore("-n", "--yes", code=2)
        self.assertEqual((self.tables(), self.bench.copy.files()), (self.gone, files))
        self.assertEqual(rest(), archive)
        access = json.loads(self.bench.call("report", "--access", "--json", code=0).out)["access"]
        self.assertEqual([(a["command"], a["bundles"], a["threads"]) for a in access], 2 * [("restore", len(doc["bundles"]), len(self.roots))])

    def test_words(self):
        name = os.path.basename(self.large())
        for words in ((), ("--run", "last", "--bundle", name), ("--run", "last", self.roots[0]), ("--bundle", name, self.roots[0])):
            self.bench.call("restore", *words, *CASE, "--yes", code=2)
        self.bench.call("restore", "--run", "last", "--yes", code=2)  # no case
        for words in (("--run", "20200101T000000Z-00000000"), ("--bundle", "mmr1-no-never-000001-0123456789ab.tar.zst")):
            self.bench.call("restore", *words, *CASE, "--yes", code=1)
        self.bench.call("run", "--yes", code=(0, 3))
        self.assertIn("deleted no threads", self.restore("--yes", code=1).err)
        self.assertEqual(self.tables(), self.gone)

    def test_one_is_back(self):
        """Restored by its id, held for another case, or with a late reply: each as it is, and counted."""
        one, late = [r for r in self.roots if len(self.bench.want.db.threads[r].posts) > 1][:2]
        self.bench.call("restore", one, *CASE, "--yes", code=0)
        t = self.bench.want.db.threads[late]
        faults.insert_reply(self.bench, t, 1, NOW)
        doc = self.told("--yes")
        self.assertEqual((self.sums(doc, "back"), self.sums(doc, "there")), (len(self.roots) - 1, 1))
        self.assertNotIn(one, [root for e in self.ledger("restored") for root in e.get("roots", ())])
        self.assertEqual(sum(one in e["roots"] for e in self.ledger("hold")), 1)
        live = sum(p.root == late and p.live and not p.original for p in t.posts)
        self.assertEqual(self.bench.sql(f"SELECT replycount || ' ' || lastreplyat FROM threads WHERE postid = '{late}'"), f"{live + 1} {NOW}")
        self.bench.sql(f"DELETE FROM posts WHERE id = '{faults.new_id(1)}'")
        now = self.tables()
        self.assertEqual(now["posts"], self.before["posts"])

    def test_partly_there(self):
        """A thread that lost a reply again: the reply comes, the rest stays as it is."""
        self.told("--yes")
        root = next(r for r in self.roots if sum(p.root == r and p.live and not p.original for p in self.bench.want.db.threads[r].posts) > 1)
        reply = next(p for p in self.bench.want.db.threads[root].posts if p.root == root and p.live and not p.original)
        self.bench.sql(f"DELETE FROM posts WHERE id = '{reply.id}'; UPDATE posts SET message = 'edited since' WHERE id = '{root}'")
        doc = self.told("--yes")
        self.assertEqual((self.sums(doc, "back"), self.sums(doc, "posts")), (1, 1))
        self.assertEqual(self.bench.sql(f"SELECT message FROM posts WHERE id = '{root}'"), "edited since")

    def test_held(self):
        done = self.restore("--yes")
        self.assertIn("held until", done.out)
        listed = json.loads(self.bench.call("hold", "list", "--json", code=0).out)["held"]
        self.assertEqual({(h["thread"], h["case"], h["via"]) for h in listed}, {(r, "17/26", "restore") for r in self.roots})


class LeftOut(Base):
    """What cannot come back stays away alone."""

    def check(self, reason, roots, code=3):
        gone = self.gone = self.tables()
        for word in ("-n", "--yes"):
            doc = self.told(word, code=code)
            self.assertEqual({(o["thread"], o["reason"]) for o in doc["left_out"]}, {(r, reason) for r in roots})
            self.assertEqual((doc["counts"][reason], self.sums(doc, "out")), (len(roots), len(roots)))
            if word == "-n":
                self.assertEqual(self.tables(), gone)
        self.back(set(self.roots) - set(roots))
        held = {root for e in self.ledger("hold", "restored") for root in e["roots"]}
        self.assertFalse(held & set(roots))
        return doc

    def middle(self):
        """A thread in the middle of a large bundle, with replies."""
        threads = sorted(self.threads_of(self.large()), key=lambda r: (self.bench.want.db.threads[r].channel, self.bench.want.db.threads[r].root.createat))
        return next(r for r in threads[len(threads) // 2:] if sum(p.root == r for p in self.bench.want.db.threads[r].posts) > 1)

    def test_channel(self):
        channel = self.bench.want.db.threads[self.middle()].channel
        roots = [r for r in self.roots if self.bench.want.db.threads[r].channel == channel]
        self.bench.sql(f"UPDATE channels SET id = 'x' || substr(id, 2) WHERE id = '{channel}'")
        self.check("channel", roots)
        self.assertIn(f"{len(roots)} thread", self.restore("--yes", code=3).out)
        self.bench.sql(f"UPDATE channels SET id = '{channel}' WHERE id = 'x' || substr('{channel}', 2)")
        self.told("--yes")
        self.all_back()

    def test_row(self):
        root = self.middle()
        reply = next(p.id for p in reversed(self.bench.want.db.threads[root].posts) if p.root == root)
        here = self.bench.sql("SELECT id FROM posts WHERE rootid = '' AND originalid = '' AND deleteat = 0 ORDER BY id LIMIT 1")
        self.bench.sql(f"UPDATE posts SET id = '{reply}' WHERE id = '{here}'")
        doc = self.check("row", [root])
        self.assertIn(f"in table posts another row has the id {reply}", doc["left_out"][0]["why"])

    def test_file(self):
        """Nor do its other attachments come."""
        files, here = self.bench.want.db.tables["fileinfo"], self.bench.copy.files()
        of = collections.defaultdict(list)
        for line, _, root in self.bench.want.rows["fileinfo"]:
            row = oracle.Table(files.columns, [line]).rows[0]
            path = row[files.columns.index("path")]
            if root in self.roots and row[files.columns.index("id")] in self.bench.want.attachments.stored and path not in here:
                of[root].append(path)
        root = max(sorted(of), key=lambda r: len(of[r]))
        self.assertGreater(len(of[root]), 1)
        full = os.path.join(self.bench.copy.data, of[root][-1])
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(b"another")
        self.check("file", [root])
        now = self.bench.copy.files()
        self.assertFalse([p for p in of[root][:-1] if p in now])
        os.unlink(full)
        os.symlink("/etc/passwd", full)
        self.assertEqual({o["reason"] for o in self.told("--yes", code=3)["left_out"]}, {"file"})
        os.unlink(full)
        self.told("--yes")
        self.all_back()

    def test_erased(self):
        user = self.bench.want.db.threads[self.middle()].root.user
        self.bench.call("erase", "--user", user, "--case", "DPO-1", "--reason", "a test", "--yes", code=0)
        roots = [r for r in self.roots if any(p.user == user for p in self.bench.want.db.threads[r].posts)]
        self.gone = self.tables()
        doc = self.told("--yes", code=3)
        self.assertEqual({(o["thread"], o["reason"]) for o in doc["left_out"]}, {(r, "erased") for r in roots})
        posts = set(self.bench.sql("SELECT id FROM posts").split())
        self.assertEqual({r for r in self.roots if r in posts}, set(self.roots) - set(roots))
        self.assertTrue(any(b["path"].endswith("-e2.tar.zst") for b in doc["bundles"]))
        old = os.path.basename(next(b["path"] for b in doc["bundles"] if b["path"].endswith("-e2.tar.zst")))
        self.assertEqual(self.told("-n", of=("--bundle", old), code=(0, 3))["bundles"][0]["path"].rpartition("/")[2], old)

    def test_erasure_interrupted(self):
        """Which file is the bundle is not settled: nothing comes out of either, until somebody finishes it."""
        user = self.bench.want.db.threads[self.middle()].root.user
        erase = ("erase", "--user", user, "--case", "DPO-1", "--reason", "a test", "--yes")
        self.assertEqual(lib.finish(self.bench.start("BUNDLE_AFTER_RENAME:kill", *erase)).code, -signal.SIGKILL)
        doc = self.told("--yes", code=3)
        self.assertEqual([b["state"] for b in doc["bundles"]].count("unfinished"), 1)
        self.assertEqual({b["back"] for b in doc["bundles"] if b["state"] == "unfinished"}, {0})
        self.assertGreater(self.sums(doc, "back"), 0)
        self.bench.run(code=(0, 3))
        first = self.ledger("run-begin")[0]["run"]
        doc = self.told("--yes", of=("--run", first), code=3)
        self.assertEqual({b["state"] for b in doc["bundles"]}, {"done"})
        self.assertEqual({o["reason"] for o in doc["left_out"]}, {"erased"})

    def test_no_folder(self):
        done = self.restore("--yes", code=3, env={"MM_FILESETTINGS_DIRECTORY": ""})
        self.assertIn("without content", done.err)
        self.assertEqual(self.here(), set(self.roots))


class Bundles(Base):
    """Bundles that are not there: they are named, and the others come back."""
    RULES = [{"name": "all", "match": {}, "keep": {"for": "500d"}, "archive": {"keep_for": "700d"}}]

    def states(self, doc):
        return {b["path"]: b["state"] for b in doc["bundles"]}

    def check(self, states, code):
        """states: of the paths that are not read."""
        doc = self.told("--yes", code=code)
        self.assertEqual({p: s for p, s in self.states(doc).items() if s != "done"}, states)
        there = {r for p in self.states(doc) if p not in states for r in self.threads[p]}
        self.assertEqual(self.here(), there)
        self.assertGreater(len(there), 0)
        for path in states:
            self.assertIn(os.path.basename(path), self.restore("--yes", code=code).out)
        return doc

    def setUp(self):
        super().setUp()
        self.threads = {os.path.relpath(p, self.bench.copy.archive): self.threads_of(p) for p in lib.bundles(self.bench.copy.archive)}
        self.paths = sorted(self.threads, key=lambda p: -len(self.threads[p]))

    def full(self, path):
        return os.path.join(self.bench.copy.archive, path)

    def test_expired(self):
        self.bench.now = NOW + 2 * lib.DAY
        done = json.loads(self.bench.call("expire", "--yes", "--json", code=0).out)
        gone = [b["path"] for b in done["bundles"] if b["state"] == "expired"]
        self.assertGreater(len(gone), 0)
        self.check({p: "expired" for p in gone}, 3)

    def test_missing_and_damaged(self):
        missing, damaged = self.paths[:2]
        os.rename(self.full(missing), self.full(missing) + ".away")
        lib.flip(self.full(damaged))
        doc = self.check({missing: "missing", damaged: "damaged"}, 15)
        self.assertIsNotNone(next(b["why"] for b in doc["bundles"] if b["path"] == damaged))
        os.rename(self.full(missing) + ".away", self.full(missing))
        lib.flip(self.full(damaged))
        self.told("--yes")
        self.all_back()

    def test_lost(self):
        os.unlink(self.full(self.paths[0]))
        self.bench.call("abandon", os.path.basename(self.paths[0]), "--reason", "a test", "--yes", code=0)
        self.check({self.paths[0]: "lost"}, 3)

    def test_changed_under_its_name(self):
        """A bundle that is sound in itself, but not the one of the ledger, brings nothing."""
        one, other = self.paths[:2]
        os.replace(self.full(other), self.full(one))
        doc = self.told("--yes", code=15)
        self.assertEqual((self.states(doc)[one], self.states(doc)[other]), ("damaged", "missing"))


class Parts(Base):
    MORE = {"purge_after": "30d"}

    def test_parts(self):
        """Deleted posts of threads that stay are told, and do not come back."""
        doc = self.told("--yes", code=3)
        parts = [b for b in doc["bundles"] if b["state"] == "parts"]
        self.assertGreater(len(parts), 0)
        self.assertEqual(sum(b["back"] for b in parts), 0)
        self.assertEqual({b["state"] for b in doc["bundles"]}, {"parts", "done"})
        self.assertGreater(self.sums(doc, "back"), 20)
        self.assertEqual({e["rel_path"] for e in self.ledger("restored")} & {b["path"] for b in parts}, set())


class Waived(Base):
    RULES = [{"name": "talk", "match": {"team": "accelerator"}, "keep": {"for": "500d"}, "archive": "none", "because": "a test", "floor": "400d"},
             {"name": "rest", "match": {}, "keep": {"for": "500d"}}]

    def test_waived(self):
        """What was deleted without an archive is not silently missing."""
        doc = self.told("--yes", code=3)
        waived = [b for b in doc["bundles"] if b["state"] == "waived"]
        self.assertEqual(sum(b["threads"] for b in waived), len(self.bench.want.roots) - len(self.roots))
        self.assertGreater(sum(b["threads"] for b in waived), 0)
        self.assertEqual(self.here(), set(self.roots))
        self.assertIn("deleted without an archive", self.restore("--yes", code=3).out)
        one = self.told("-n", of=("--bundle", waived[0]["bundle"]), code=3)["bundles"]
        self.assertEqual([(b["state"], b["threads"]) for b in one], [("waived", waived[0]["threads"])])


class Faults(Base):
    """However it ends, whole threads are there, and the same command does the rest."""

    def again(self):
        here = self.here()
        self.told("--yes")
        self.all_back()
        self.bench.call("verify", code=0)
        named = {root for e in self.ledger("restored") for root in e["roots"]}
        self.assertEqual(named, set(self.roots))
        held = {h["thread"] for h in json.loads(self.bench.call("hold", "list", "--json", code=0).out)["held"]}
        self.assertEqual(held, set(self.roots))
        return here

    def killed(self, point, n):
        done = lib.finish(self.bench.start(f"{point}:kill:{n}", "restore", "--run", "last", *CASE, "--yes"))
        self.assertEqual(done.code, -signal.SIGKILL, f"{point}:{n}: {done.err[-300:]}")

    def test_commit(self):
        """Between commit and line: nobody says that they are back until the command is given once more."""
        self.killed("RESTORE_AFTER_COMMIT", 3)
        said = {root for e in self.ledger("restored") for root in e["roots"]}
        untold = self.here() - said
        self.assertGreater(len(untold), 0)
        self.assertLessEqual(len(untold), BATCH)
        root = sorted(untold)[0]
        self.assertIsNone(self.show(root)["restored"])
        self.again()
        self.assertIsNotNone(self.show(root)["restored"])

    def test_refused_write(self):
        """A full disk, of the ledger or of the attachments, ends it: what was committed stays."""
        for fault, code in (("LEDGER_WRITE:ENOSPC:5", 14), ("RESTORE_AFTER_FILE:ENOSPC:9", 1)):
            done = lib.finish(self.bench.start(fault, "restore", "--run", "last", *CASE, "--yes"))
            self.assertEqual(done.code, code, done.err)
            self.assertGreater(len(self.here()), 0)
        self.again()

    def test_server_gone(self):
        """The sessions end before a commit."""
        process = self.bench.start("RESTORE_BEFORE_COMMIT:stop:3", "restore", "--run", "last", *CASE, "--yes")
        self.assertTrue(lib.stopped(process))
        self.bench.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mmretain'")
        self.bench.go_on(process, code=12)
        self.assertGreater(len(self.again()), 0)

    def test_stop(self):
        process = self.bench.start("RESTORE_BEFORE_COMMIT:stop:4", "restore", "--run", "last", *CASE, "--yes")
        self.assertTrue(lib.stopped(process))
        os.kill(process.pid, signal.SIGTERM)
        done = self.bench.go_on(process, code=INTERRUPTED)
        self.assertIn("not yet", done.out)
        here = self.again()
        self.assertGreater(len(here), 0)
        self.assertLess(len(here), len(self.roots))

    def test_while_a_run_is_on(self):
        process = self.bench.halt("LEDGER_WRITE")
        for word in ("--yes", "-n"):
            self.restore(word, code=11)
        self.bench.go_on(process, code=(0, 3))
        self.assertEqual(self.tables(), self.gone)


def kill_test(point, n):
    def test(self):
        self.killed(point, n)
        self.again()
    return test


for POINT in POINTS:
    for COUNT in (1, 2, 5):
        setattr(Faults, f"test_kill_{POINT.lower()}_{COUNT}", kill_test(POINT, COUNT))


class Interrupted(unittest.TestCase):
    tables, differences = Base.tables, Base.differences

    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName, NOW)
        self.addCleanup(self.bench.copy.remove)
        self.bench.begin()

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def restore(self, *args, code=0):
        return self.bench.call("restore", *args, *CASE, code=code)

    def runs(self):
        return [e["run"] for e in lib.ledger(self.bench.copy.archive) if e["type"] == "run-begin"]

    def test_finished_by_the_next(self):
        """A run that was killed is refused until its delete is finished; then both runs give back what went with the bundle that both had to do with."""
        before = {name: collections.Counter(t.lines) for name, t in self.bench.want.db.tables.items()}
        self.assertEqual(lib.finish(self.bench.start("PURGE_AFTER_COMMIT:kill:2")).code, -signal.SIGKILL)
        first = self.runs()[0]
        self.assertIn("interrupted", self.restore("--run", "last", "--yes", code=16).err)
        self.bench.run(code=(0, 3))
        gone = self.tables()
        both = {b["bundle"] for b in json.loads(self.restore("--run", first, "-n", "--json").out)["bundles"]}
        last = {b["bundle"] for b in json.loads(self.restore("--run", "last", "-n", "--json").out)["bundles"]}
        self.assertEqual(len(both & last), 1)
        self.assertEqual(len(both | last), len(lib.bundles(self.bench.copy.archive)))
        self.assertEqual(self.tables(), gone)
        self.restore("--run", first, "--yes")
        self.restore("--run", "last", "--yes")
        self.assertEqual(self.differences(self.tables(), before), {})

    def test_closed_by_another_policy(self):
        """The run after a kill that may not delete any more names what is left; the rest went with the first, and comes back."""
        before = {name: collections.Counter(t.lines) for name, t in self.bench.want.db.tables.items()}
        self.assertEqual(lib.finish(self.bench.start("PURGE_AFTER_COMMIT:kill:2")).code, -signal.SIGKILL)
        self.bench.policy([{"name": "all", "match": {}, "keep": "forever"}])
        self.bench.run(code=(0, 3))
        self.assertNotEqual(self.differences(self.tables(), before), {})
        doc = json.loads(self.restore("--run", self.runs()[0], "--yes", "--json").out)
        self.assertGreater(sum(b["back"] for b in doc["bundles"]), 0)
        self.assertEqual(self.differences(self.tables(), before), {})

    def test_stayed(self):
        """Threads of a bundle that its run did not delete are not looked at: they are the server's, also when it has removed them since."""
        process = self.bench.halt("PURGE_AFTER_INTENT")
        bundle = lib.bundles(self.bench.copy.archive)[0]
        inside = {row["id"] for kind, row in lib.Bundle(bundle).rows() if kind == "posts" and row["id"] in self.bench.want.roots}
        root = sorted(inside)[0]
        self.bench.sql(f"UPDATE posts SET message = 'changed in time', updateat = {NOW}, editat = {NOW} WHERE id = '{root}'")
        self.bench.go_on(process, code=(0, 3))
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{root}'"), "1")
        self.bench.sql(f"DELETE FROM posts WHERE id = '{root}'")
        doc = json.loads(self.restore("--run", "last", "--yes", "--json", code=0).out)
        self.assertEqual(sum(b["stayed"] for b in doc["bundles"]), 1)
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{root}'"), "0")

    def test_nothing_deleted(self):
        """A bundle by which nothing was deleted brings nothing back: its threads stayed, and may have gone with another one."""
        self.bench.call("run", "--yes", "--no-purge", code=(0, 3))
        bundle = os.path.basename(lib.bundles(self.bench.copy.archive)[0])
        self.assertIn("nothing was deleted", self.restore("--bundle", bundle, "--yes", code=1).err)
        self.assertIn("deleted no threads", self.restore("--run", "last", "--yes", code=1).err)


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
