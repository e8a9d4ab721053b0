#!/usr/bin/env python3
"""`erase`: one person leaves every file of the archive, and everybody else's rows stay, to the byte and provably.

usage: MMRETAIN=BINARY erase_test.py [-k NAME]
"""
import collections
import email
import email.policy
import fcntl
import glob
import itertools
import json
import os
import shutil
import re
import signal
import sqlite3
import subprocess
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
from cluster import literal  # (tests/support, found by e2e_lib)

CASE = ("--case", "DPO-2026-7", "--reason", "request under Art. 17")
WORDS = (b"zqxwordsofone", b"zqxnameoffile", b"zqxaccount", b"Zqxdisplay", b"zqxnobodysfile", b"zqxtextoffile")
POINTS = ("ERASE_WRITTEN", "ERASE_AFTER_INTENT", "ERASE_AFTER_LATE", "BUNDLE_WRITE", "BUNDLE_SYNC", "BUNDLE_BEFORE_RENAME", "BUNDLE_AFTER_RENAME", "ERASE_AFTER_LINE",
          "ERASE_BEFORE_UNLINK", "ERASE_AFTER_UNLINK", "ERASE_NAMES", "LEDGER_WRITE", "LEDGER_SYNC")
# One person whose words, files and names can be told from everybody else's; rows are long enough for a bundle to have an index.
ONE = """
CREATE TEMP TABLE one AS SELECT userid AS id FROM posts WHERE userid IN (SELECT id FROM users) GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1;
UPDATE posts SET message = left(message, 2000) || (SELECT string_agg(md5(posts.id || g), '') FROM generate_series(1, 60) g) WHERE type = '';
UPDATE posts SET message = 'zqxwordsofone ' || left(message, 3000) WHERE userid = (SELECT id FROM one);
INSERT INTO translations (objectid, dstlang, objecttype, providerid, normhash, text, confidence, meta, updateat, state, channelid)
 SELECT id, 'de', 'post', 'x', repeat('0', 64), 'zqxwordsofone übersetzt', 0.1, '{}', createat, 'ready', NULL FROM posts WHERE userid = (SELECT id FROM one) AND ascii(md5(id)) % 3 = 1 ON CONFLICT DO NOTHING;
UPDATE translations SET text = 'zqxwordsofone traduit' WHERE objectid IN (SELECT id FROM posts WHERE userid = (SELECT id FROM one));
UPDATE fileinfo SET name = 'zqxnameoffile ' || id || '.txt' WHERE creatorid = (SELECT id FROM one);
CREATE TEMP TABLE file AS SELECT f.id, p.userid = (SELECT id FROM one) AS own, row_number() OVER (PARTITION BY p.userid = (SELECT id FROM one) ORDER BY f.id) AS n
 FROM fileinfo f JOIN posts p ON p.id = f.postid WHERE f.creatorid = p.userid AND p.userid IN (SELECT id FROM users);
UPDATE fileinfo SET creatorid = 'nouser', name = 'zqxnobodysfile ' || fileinfo.id || '.txt', content = 'zqxtextoffile' FROM file f WHERE f.id = fileinfo.id AND own AND n % 3 = 0;
UPDATE fileinfo SET creatorid = (SELECT min(id) FROM users WHERE id <> (SELECT id FROM one)), name = 'of somebody else.txt' FROM file f WHERE f.id = fileinfo.id AND own AND n % 3 = 1;
UPDATE fileinfo SET creatorid = 'nouser' FROM file f WHERE f.id = fileinfo.id AND NOT own AND n % 3 = 0;
UPDATE users SET username = 'zqxaccount', nickname = 'Zqxdisplay', firstname = 'Zqxdisplay' WHERE id = (SELECT id FROM one);
"""
PG = WORLD = WHERE = NOW = USER = None


def setUpModule():
    global PG, WORLD, WHERE, NOW, USER
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("erase")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 700, 33, spice=ONE)
    USER = PG.psql("SELECT id FROM users WHERE username = 'zqxaccount'", db="world")


def tearDownModule():
    lib.clear(WHERE, PG)


def decompressed(path):
    if not path.endswith(".zst"):
        with open(path, "rb") as f:
            return f.read()
    return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout


def lines_of(bundle):
    return [line for name in sorted(m for m in bundle.members if m.startswith("data/threads/")) for line in bundle.members[name].splitlines()]


class Erase(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName.removeprefix("test_"), NOW)
        self.addCleanup(self.bench.copy.remove)
        self.bench.begin()
        self.archive = self.bench.copy.archive

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def run_all(self):
        self.bench.run(code=self.bench.want.code)
        self.before = {b.name.partition(".")[0]: b for b in map(lib.Bundle, lib.bundles(self.archive))}
        self.assertGreater(len(self.before), 2)

    def erase(self, *args, code=0, user="zqxaccount", **more):
        return self.bench.call("erase", "--user", user, *args, *CASE, code=code, **more)

    def where_found(self):
        """Files of the archive root that hold anything of the person, bundles decompressed."""
        found = []
        for folder, _, names in os.walk(self.archive):
            for name in names:
                content = decompressed(os.path.join(folder, name))
                found += [(os.path.relpath(os.path.join(folder, name), self.archive), w.decode()) for w in WORDS if w.lower() in content.lower()]
        return found

    def check_erased(self):
        """Every bundle says the same of everybody else as before."""
        gone, stays = collections.Counter(), collections.Counter()
        self.assertEqual(self.where_found(), [])
        now = {b.name.partition(".")[0].removesuffix("-e2"): b for b in map(lib.Bundle, lib.bundles(self.archive))}
        self.assertEqual(set(now), set(self.before))
        for name, old in self.before.items():
            a, b = json.loads(old.members["mmretain.json"]), json.loads(now[name].members["mmretain.json"])
            self.assertEqual(a["rows_sha256"], b["rows_sha256"])
            if not now[name].name.endswith("-e2.tar.zst"):
                self.assertEqual(old.members, now[name].members)
                continue
            self.assertEqual(now[name].members["history/mmretain-e1.json"], old.members["mmretain.json"])
            before, after = lines_of(old), lines_of(now[name])
            self.assertEqual(len(before), len(after))
            posts = {r["id"] for r in map(json.loads, before) if r["k"] == "post" and r["userid"] == USER}
            for was, line in zip(before, after):
                row = json.loads(was)
                if line != was:
                    self.assertEqual(line[:13], b'{"k":"erased"')
                    self.assertEqual(json.loads(line)["kind"], row["k"])
                    self.assertTrue(USER in (row.get("userid"), row.get("creatorid")) or row["k"] in ("translation", "temporary") or self.is_nobodys(row, posts), was)
                    gone[row["k"]] += 1
                    gone["file of nobody"] += self.is_nobodys(row, posts)
                else:
                    self.assertNotIn(USER, (row.get("userid"), row.get("creatorid")))
                    self.assertFalse(self.is_nobodys(row, posts), was)
                    stays["nouser"] += row.get("creatorid") == "nouser"
                    stays["on an erased post"] += row["k"] == "file" and row["postid"] in posts
            self.assertFalse([m for m in old.blobs if m not in now[name].blobs and self.is_used(now[name], m)])
            self.assertFalse([m for m in now[name].blobs if not self.is_used(now[name], m)])
        nobodys = gone.pop("file of nobody")
        self.assertTrue(nobodys and stays["nouser"] and stays["on an erased post"], (nobodys, stays))
        return gone

    def is_nobodys(self, row, posts):
        """A file that no account owns, on a post of the person."""
        return row["k"] == "file" and row["postid"] in posts and len(row.get("creatorid", "")) != 26

    def is_used(self, bundle, digest):
        return any(json.loads(line).get("sha256") == digest for line in bundle.members.get("data/files.jsonl", b"").splitlines())

    def ledger(self, *types):
        return [e for e in lib.ledger(self.archive) if e["type"] in types]

    def test_all(self):
        self.run_all()
        self.bench.call("reindex", code=0)
        indexes = glob.glob(os.path.join(self.archive, "bundles", "**", "*.idx"), recursive=True)
        self.assertTrue(indexes)
        self.assertTrue({w for _, w in self.where_found()} == {w.decode() for w in WORDS})
        self.assertTrue([p for p, _ in self.where_found() if p.endswith(".idx")])
        self.assertTrue([p for p, _ in self.where_found() if p.endswith(".sqlite")])
        shown = self.erase(code=2)
        self.assertIn("acts only with --yes", shown.err)
        self.assertIn("what stays", shown.out)
        looked = json.loads(self.erase("-n", "--json").out)
        self.assertEqual({b["state"] for b in looked["bundles"]}, {"due"})
        self.assertEqual(self.ledger("erasing", "erased"), [])
        done = json.loads(self.erase("--yes", "--json").out)
        self.assertEqual({b["state"] for b in done["bundles"]}, {"erased"})
        gone = self.check_erased()
        self.assertEqual(dict(gone), done["rows"])
        self.assertEqual(done["rows"], looked["rows"])
        self.assertTrue({"post", "reaction", "file", "member", "translation"} <= set(gone), gone)
        self.assertGreater(sum(b["attachments"] for b in done["bundles"]), 0)
        lines = self.ledger("erasing", "erased")
        self.assertEqual([e["type"] for e in lines], ["erasing", "erased"] * len(done["bundles"]))
        for b, e in zip(done["bundles"], lines[1::2]):
            self.assertEqual((e["old_rel_path"], e["rel_path"], e["rows"], e["case"]), (b["bundle"], b["new"], b["rows"], "DPO-2026-7"))
            self.assertEqual(e["bundle"], os.path.basename(b["bundle"]))
        self.assertEqual(len({e["person_digest"] for e in lines}), 1)
        self.assertNotIn(USER, json.dumps(lines))
        self.bench.call("verify", code=0)
        new = [os.path.join(self.archive, b["new"]) for b in done["bundles"]]
        tools = subprocess.run(["bash", os.path.join(lib.HERE, "..", "cli", "tools_bundle.sh"), min(new, key=os.path.getsize)], capture_output=True, text=True)
        self.assertEqual((tools.returncode, tools.stderr), (0, ""))
        # once more: nothing is left to do
        again = self.erase("--yes", user=USER)
        self.assertIn("nothing of this person", again.out)
        self.erase("--yes", code=1)  # the name means nobody any more
        self.assertEqual(len(self.ledger("erasing", "erased")), len(lines))
        access = json.loads(self.bench.call("report", "--access", "--json", code=0).out)
        self.assertIn("erase", [a["command"] for a in access["access"]])

    def read(self, *args, code=0):
        return self.bench.call(*args, *CASE, code=code)

    def timeless_mail(self, folder, post):
        """Nobody knows when it was: the mail says so, and why it has a Date."""
        name, = glob.glob(os.path.join(folder, f"*-{post}.eml"))
        with open(name, "rb") as f:
            mail = email.message_from_binary_file(f, policy=email.policy.default)
        self.assertTrue(mail["Subject"].startswith("[time unknown] Re: "), mail["Subject"])
        self.assertEqual(mail["X-Mattermost-State"], "erased")
        self.assertTrue(mail["X-Mmretain-Time"].startswith("unknown; Date is that of the post before it"))
        self.assertRegex(mail.get_content(), r"^\[erased, case DPO-2026-7, .*\]\nTime of this post: unknown; Date is that of the post before it, because a mail must have one\.\n$")

    def test_file_of_an_earlier_text(self):
        """A part of a thread that stayed: the post is not in the bundle, an earlier text of it and the file that the edit took off it are."""
        post = self.bench.sql(f"SELECT id FROM posts WHERE userid = '{USER}' AND rootid = '' AND originalid = '' AND deleteat = 0 AND type = '' AND NOT ispinned ORDER BY createat LIMIT 1")
        at, copy, file, path = self.bench.now - 60 * lib.DAY, faults.new_id(1), faults.new_id(2), "versions/zqxnameoffile.txt"
        self.bench.sql(f"""
          INSERT INTO posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids)
           SELECT '{copy}', createat, {at}, 0, {at}, false, userid, channelid, '', id, 'before', '', '{{}}', '', '[]', '["{file}"]' FROM posts WHERE id = '{post}';
          INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, width, height, haspreviewimage, content, remoteid, archived, channelid)
           SELECT '{file}', 'nouser', id, createat, createat, {at}, '{path}', '', '', 'zqxnameoffile.txt', 'txt', 3, 'text/plain', 0, 0, false, 'zqxtextoffile', '', false, channelid FROM posts WHERE id = '{post}'""")
        full = os.path.join(self.bench.copy.data, path)
        os.makedirs(os.path.dirname(full))
        with open(full, "w", encoding="utf-8") as f:
            f.write("was")
        os.utime(full, (at / 1000, at / 1000))
        self.bench.policy([{"name": "all", "match": {}, "keep": "forever"}], purge_after="30d")
        self.bench.run(code=(0, 3))
        rows = [(table, row["id"]) for path in lib.bundles(self.archive) for table, row in lib.Bundle(path).rows() if row.get("id") in (copy, file, post)]
        self.assertEqual(set(rows), {("posts", copy), ("fileinfo", file)})
        self.erase("--yes")
        self.assertEqual(self.where_found(), [])
        self.assertFalse([m for path in lib.bundles(self.archive) for m in lib.Bundle(path).blobs.values() if m == b"was"])
        self.bench.call("verify", code=0)

    def test_readers(self):
        """What is left of a thread can be found, shown and exported, and cannot be put back."""
        self.run_all()
        self.erase("--yes")
        threads = list(self.bench.want.db.threads.values())
        archived = [t for t in threads if t.root.id in self.bench.want.roots and self.bench.want.archived(t.root.id)]
        root = next(t for t in archived if t.root.user == USER and any(p.user != USER and p.root == t.root.id for p in t.posts))
        reply = next(t for t in archived if t.root.user != USER and any(p.user == USER and p.root == t.root.id for p in t.posts))
        mine = next(p for p in reply.posts if p.user == USER and p.root == reply.root.id)
        for ident in (root.root.id, reply.root.id, mine.id):
            shown = self.read("show", ident)
            self.assertIn("[erased, case DPO-2026-7, ", shown.out)
            self.assertNotIn("zqx", shown.out.lower())
        self.assertIn(f"thread {reply.root.id}", self.read("show", mine.id).out)
        rows = [json.loads(line) for line in self.read("show", root.root.id, "--json").out.splitlines()]
        self.assertEqual((rows[0]["k"], rows[0]["kind"], rows[0]["id"]), ("erased", "post", root.root.id))
        other = next(p for p in root.posts if p.user != USER and p.root == root.root.id)
        self.assertIn(root.root.id, self.read("find", "--thread", other.id).out)
        for form in ("html", "jsonl", "csv", "eml", "mattermost"):
            out = os.path.join(self.bench.copy.where, "out-" + form)
            self.read("export", root.root.id, reply.root.id, "--as", form, "--out", out)
            text = b"".join(decompressed(os.path.join(d, n)) for d, _, names in os.walk(out) for n in names) if os.path.isdir(out) else decompressed(out)
            self.assertTrue(b"erased" in text or form in ("mattermost", "eml"), form)
        self.timeless_mail(os.path.join(self.bench.copy.where, "out-eml"), mine.id)
        done = self.bench.call("restore", root.root.id, "--yes", *CASE, code=16)
        self.assertIn("of a person who was erased (case DPO-2026-7)", done.err)
        self.bench.call("restore", reply.root.id, "--yes", *CASE, code=16)
        whole = next(t for t in archived if all(p.user != USER for p in t.posts))
        self.bench.call("restore", whole.root.id, "--yes", *CASE, code=(0, 3))
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{whole.root.id}'"), "1")
        # runs go on, and the chain over bundles too
        self.bench.call("run", "--yes", code=(0, 3))
        self.bench.call("status", code=0)
        report = self.bench.call("report", self.ledger("run-begin")[0]["run"], code=0)
        self.assertIn("case DPO-2026-7", report.out)
        self.bench.call("verify", code=0)

    def test_find(self):
        """A search never lists what was erased; what a search says of a thread says that its text is gone, and nobody else is called erased."""
        self.run_all()
        self.erase("--yes")
        gone = {json.loads(line)["id"] for b in map(lib.Bundle, lib.bundles(self.archive)) for line in lines_of(b) if line.startswith(b'{"k":"erased","kind":"post"')}
        self.assertTrue(gone)
        nameless = 0
        for question in (("--after", "1990-01-01"), ("--team", "accelerator"), ("--has", "file"), ("--user", USER), ("zqxwordsofone",)):
            for h in json.loads(self.read("find", *question, "--limit", "0", "--json").out)["hits"]:
                self.assertNotIn(h["post"], gone)
                self.assertEqual(h["snippet"], h["snippet"].strip("\n"))
                self.assertNotEqual(h["user"], "erased")
                self.assertEqual(h["user"] == "unknown", h["user_id"] == "")
                nameless += h["user_id"] == ""
        self.assertTrue(nameless)  # the world has rows without author and text
        self.assertIn("    (no text)\n", self.read("find", "--after", "1990-01-01", "--limit", "0").out)
        root = next(t.root.id for t in self.bench.want.db.threads.values() if t.root.id in gone)
        hit, = json.loads(self.read("find", "--thread", root, "--json").out)["hits"]
        self.assertEqual((hit["snippet"][:25], hit["user"], hit["user_id"]), ("[erased, case DPO-2026-7,", "erased", ""))
        self.assertIn("@erased\n    [erased, case DPO-2026-7, ", self.read("find", "--thread", root).out)

    def copy_of(self, rel):
        kept = os.path.join(self.bench.copy.where, "kept.tar.zst")
        shutil.copyfile(os.path.join(self.archive, rel), kept)
        return kept

    def test_old_file_back(self):
        """What an erasure replaced is not restored from, wherever it came from."""
        self.run_all()
        thread = next(t for t in self.bench.want.db.threads.values() if t.root.id in self.bench.want.roots and self.bench.want.archived(t.root.id) and any(p.user == USER for p in t.posts))
        old = next(n for n, b in self.before.items() if any(b'"k":"post"' in line and thread.root.id.encode() in line for line in lines_of(b)))
        old = next(os.path.relpath(p, self.archive) for p in lib.bundles(self.archive) if os.path.basename(p).startswith(old))
        kept = self.copy_of(old)
        self.erase("--yes")
        new = next(e["rel_path"] for e in self.ledger("erased") if e["old_rel_path"] == old)
        os.unlink(os.path.join(self.archive, new))
        shutil.copyfile(kept, os.path.join(self.archive, old))
        done = self.bench.call("restore", thread.root.id, "--yes", *CASE, code=15)
        self.assertIn("was replaced by an erasure", done.err)
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{thread.root.id}'"), "0")

    def test_indexers_meanwhile(self):
        """Whoever builds indexes at the same time leaves nothing of the person in them, and they are whole in the end."""
        self.run_all()
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        for i in range(10):
            shutil.rmtree(self.archive)
            shutil.copytree(kept, self.archive)
            other = lib.start(self.bench.copy, self.bench.path, "reindex", "--all", now_ms=self.bench.now)
            time.sleep(0.01 * i)
            self.erase("--yes", user=USER)
            lib.finish(other)  # an erasure clears partial/: the indexer may have lost its work
            self.assertEqual(self.where_found(), [], i)
            self.assertEqual(json.loads(self.bench.call("verify", "--json", code=0).out)["indexes"]["gone"], 0)

    def test_successor_damaged(self):
        """The old file is not removed on the word of a ledger line when the new one has come to harm since."""
        self.run_all()
        done = lib.finish(self.bench.start("ERASE_AFTER_LINE:kill", "erase", "--user", USER, "--yes", *CASE))
        self.assertEqual(done.code, -signal.SIGKILL)
        e, = self.ledger("erased")
        new, old = (os.path.join(self.archive, e[k]) for k in ("rel_path", "old_rel_path"))
        kept = self.copy_of(e["rel_path"])
        lib.flip(new)
        self.assertIn("cannot be read back", self.erase("--yes", user=USER, code=15).err)
        self.bench.call("run", "--yes", code=(0, 3, 15))
        self.assertTrue(os.path.exists(old))
        shutil.copyfile(kept, new)
        self.erase("--yes", user=USER)
        self.assertFalse(os.path.exists(old))
        self.check_erased()

    def test_ledger_older(self):
        """What an erasure wrote is not taken in without the line that announces it: with an older copy of the ledger nothing is believed, and nothing changed."""
        self.run_all()
        book, now = os.path.join(self.archive, "ledger", "entries.jsonl"), self.bench.copy.where + ".now"
        older = self.copy_of("ledger/entries.jsonl")
        self.erase("--yes", user=USER)
        os.rename(book, now)
        shutil.copyfile(older, book)
        before = lib.bundles(self.archive), self.bench.copy.state()
        done = self.bench.call("run", "--yes", code=15)
        self.assertIn("says that a person was erased in it, and no line of the ledger announces that", done.err)
        self.assertIn("the ledger is an older copy", done.err)
        self.assertNotIn("No run has deleted anything by it", done.err)
        self.assertEqual(before, (lib.bundles(self.archive), self.bench.copy.state()))
        os.rename(now, book)
        self.bench.call("run", "--yes", code=(0, 3))
        self.assertEqual(before, (lib.bundles(self.archive), self.bench.copy.state()))
        self.check_erased()

    def test_crash(self):
        """Killed at every step: the bundle is there, whole, in one form or the other, and the same command ends it."""
        self.run_all()
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        for point in POINTS:
            for n, second in ((1, "erase"), (2, "run"), (1, "run"), (2, "erase"))[:4 if lib.outcome.LONG else 2]:
                self.fresh(kept)
                done = lib.finish(self.bench.start(f"{point}:kill:{n}", "erase", "--user", USER, "--yes", *CASE))
                self.assertEqual(done.code, -signal.SIGKILL, f"{point} {n}: {done.err}")
                torn = lib.ledger(self.archive, torn=True)
                self.assertTrue(torn)
                self.bench.call("verify", code=0)
                if second == "run":
                    self.bench.call("run", "--yes", code=(0, 3))
                    self.bench.call("verify", code=0)
                    self.assertEqual(json.loads(self.bench.call("verify", "--json", code=0).out)["replaced"], [])
                self.erase("--yes", user=USER)
                self.check_erased()
                self.bench.call("verify", code=0)
                self.assertEqual(os.listdir(os.path.join(self.archive, "partial")), [])

    def test_name_after_crash(self):
        """The name is gone with the last bundle, and what is left to do needs none."""
        self.run_all()
        n = len(json.loads(self.erase("-n", "--json").out)["bundles"])
        done = lib.finish(self.bench.start(f"ERASE_AFTER_LINE:kill:{n}", "erase", "--user", "zqxaccount", "--yes", *CASE))
        self.assertEqual(done.code, -signal.SIGKILL)
        self.assertTrue(self.where_found())
        self.assertIn("finished: 1 interrupted", self.erase("--yes", code=1).out)
        self.check_erased()

    def names(self):
        """How many the catalog has; None: it has no list of them."""
        with sqlite3.connect(f"file:{self.archive}/catalog.sqlite?mode=ro", uri=True) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'name'").fetchone():
                return None
            return db.execute("SELECT count(*) FROM name WHERE what = 'users'").fetchone()[0]

    def check_no_names(self, other, posts):
        """The catalog names nobody any more, and searches by name give what they gave before."""
        self.assertIsNone(self.names())
        self.assertEqual([p for p, _ in self.where_found() if p.endswith(".sqlite")], [])
        found = self.read("find", "--user", other, "--limit", "0", "--json")
        self.assertEqual({h["post"] for h in json.loads(found.out)["hits"]}, posts)
        self.assertNotIn("damaged", found.err)
        self.bench.call("verify", code=0)

    def test_no_names_after_crash(self):
        """Names go from the catalog with the first old file and come back after the last; in between, however it ends, nobody finds the erased person by them and everybody else."""
        self.run_all()
        self.bench.call("reindex", code=0)
        self.assertGreater(self.names(), 1)
        hits = json.loads(self.read("find", "--after", "1990-01-01", "--limit", "0", "--json").out)["hits"]
        other = next(h["user"] for h in hits if h["user_id"] not in ("", USER))
        posts = {h["post"] for h in json.loads(self.read("find", "--user", other, "--limit", "0", "--json").out)["hits"]}
        self.assertTrue(posts)
        n = len(json.loads(self.erase("-n", "--json").out)["bundles"])
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        again = (("erase", "--user", USER, "--yes", *CASE), ("run", "--yes"), ("expire", "--yes"))
        for point in ("ERASE_BEFORE_UNLINK:kill", "ERASE_AFTER_UNLINK:kill", f"ERASE_BEFORE_UNLINK:kill:{n}", f"ERASE_AFTER_UNLINK:kill:{n}", "ERASE_NAMES:kill:2"):
            for call in again:
                shutil.rmtree(self.archive)
                shutil.copytree(kept, self.archive)
                done = lib.finish(self.bench.start(point, *again[0]))
                self.assertEqual(done.code, -signal.SIGKILL, done.err)
                self.check_no_names(other, posts)
                if point.startswith("ERASE_NAMES"):
                    self.check_erased()  # with the last file all of the person is gone, before anything is built again
                done = lib.finish(self.bench.start("ERASE_NAMES:kill", *call))
                self.assertEqual(done.code, -signal.SIGKILL, done.err)
                self.check_no_names(other, posts)
                self.bench.call(*call, code=(0, 3))
                self.assertGreater(self.names(), 1)
                self.erase("--yes", user=USER)
                self.check_erased()
                self.assertEqual({h["post"] for h in json.loads(self.read("find", "--user", other, "--limit", "0", "--json").out)["hits"]}, posts)

    @unittest.skipUnless(shutil.which("strace") and not subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True).returncode, "needs strace, and the right to trace")
    def test_openings(self):
        """How often a bundle is opened does not depend on how many others hold anything of the person."""
        self.run_all()
        self.bench.call("reindex", code=0)
        n = len(json.loads(self.erase("-n", "--json").out)["bundles"])
        self.assertGreater(n, 4)
        calls, program = os.path.join(self.bench.copy.where, "calls"), lib.PROGRAM
        self.bench.env["ASAN_OPTIONS"] = "detect_leaks=0"
        lib.PROGRAM = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "300", "-o", calls, "-e", "trace=openat,openat2", lib.binary()]
        try:
            self.erase("--yes")
        finally:
            lib.PROGRAM = program
        opened, indexed = collections.Counter(), set()
        with open(calls, encoding="utf-8", errors="replace") as f:
            for name, end in re.findall(r'"(?:[^"]*/)?(mmr1-[^"/]*?)(?:-e2)?\.(tar\.zst|idx)"', f.read()):
                opened[name] += 1
                indexed |= {name} if end == "idx" else set()
        self.assertEqual(len(opened), len(self.before))
        small = {name: count for name, count in opened.items() if name not in indexed}
        self.assertGreater(len(small), 3)
        self.assertEqual(len(set(small.values())), 1, opened)

    def test_holds(self):
        self.run_all()
        thread = next(t for t in self.bench.want.db.threads.values() if t.root.id in self.bench.want.roots and self.bench.want.archived(t.root.id) and any(p.user == USER for p in t.posts))
        self.bench.call("hold", "add", thread.root.id, "--case", "court", code=0)
        done = self.erase("-n", code=17)
        self.assertIn("is held, case court", done.out)
        self.assertNotIn("nothing was done", done.err)
        self.assertRegex(self.erase(code=17).err, r"error: nothing was done without --yes; with it 1 bundle stays as it is: ")
        done = json.loads(self.erase("--yes", "--json", code=17).out)
        self.assertEqual([b["state"] for b in done["bundles"]].count("held"), 1)
        self.bench.call("hold", "release", thread.root.id, "--case", "court", code=0)
        rules = faults.OLD
        for holds in ([{"name": "by-name", "match": {"users": ["zqxaccount"]}, "because": "court"}], [{"name": "by-id", "match": {"users": [USER]}, "because": "court"}]):
            self.bench.policy(rules, holds=holds)
            done = self.erase("--yes", code=17, user=USER)
            self.assertIn("names this person", done.err)
            self.assertTrue(self.where_found())
        # renamed since: the bundles have the old name, the hold the new one
        self.bench.sql(f"UPDATE users SET username = 'renamed' WHERE id = '{USER}'")
        self.bench.policy(rules, holds=[{"name": "new-name", "match": {"users": ["renamed"]}, "because": "court"}])
        self.erase("--yes", code=17)
        # somebody else's, and a channel's, where the person wrote
        left = json.loads(self.write_policy_and_look([{"name": "channel", "match": {"channels": [thread.channel]}, "because": "court"}]).out)["bundles"]
        self.assertEqual({b["state"] for b in left}, {"held"})
        self.assertIn("hold channel covers thread", left[0]["why"])
        other = next((p.user for p in thread.posts if p.user and p.user != USER), None)
        if other:
            left = json.loads(self.write_policy_and_look([{"name": "other", "match": {"users": [other]}, "because": "court"}]).out)["bundles"]
            self.assertEqual({b["state"] for b in left}, {"held"})
        # outside of the hold's time
        self.bench.policy(rules, holds=[{"name": "long-ago", "match": {"channels": [thread.channel]}, "since": "1990-01-01", "until": "1990-02-01", "because": "court"}])
        self.erase("--yes")
        self.check_erased()

    def test_holds_of_now(self):
        """A channel and a team under the name of then, or of now."""
        self.run_all()
        thread = next(t for t in self.bench.want.db.threads.values() if t.root.id in self.bench.want.roots and self.bench.want.archived(t.root.id) and any(p.user == USER for p in t.posts))
        was, team = self.bench.sql(f"SELECT c.name || ',' || t.name FROM channels c JOIN teams t ON t.id = c.teamid WHERE c.id = '{thread.channel}'").split(",")
        self.bench.sql(f"UPDATE channels SET name = 'qq-now' WHERE id = '{thread.channel}'; UPDATE teams SET name = 'qq-team' WHERE name = '{team}'")
        for match in ({"channels": [was]}, {"channels": ["qq-now"]}, {"teams": [team]}, {"teams": ["qq-team"]}):
            left = json.loads(self.write_policy_and_look([{"name": "court", "match": match, "because": "court"}]).out)["bundles"]
            self.assertIn("held", {b["state"] for b in left}, match)
            self.assertIn(f"hold court covers thread", next(b["why"] for b in left if b["state"] == "held"))

    def test_another_database(self):
        """Holds are asked of the database that the bundles came from."""
        self.run_all()
        other = WORLD.clone(self.bench.name + "_b", os.path.join(WHERE, self.bench.name + "_b"))
        self.addCleanup(other.remove)
        self.bench.policy(faults.OLD, url=other.url())
        self.assertIn("nothing was removed", self.erase("--yes", code=16).err)
        self.assertTrue(self.where_found())

    def write_policy_and_look(self, holds):
        self.bench.policy(faults.OLD, holds=holds)
        return self.erase("-n", "--json", code=17)

    def plugin_holds(self, **record):
        record = {"id": "h1", "name": "h1", "group_ids": None, "starts_at": 0, "ends_at": 0, "include_public_channels": True, "secret": "x", **record}
        text = literal(json.dumps(record))
        self.bench.sql("DELETE FROM pluginkeyvaluestore WHERE pluginid = 'com.mattermost.plugin-legal-hold'; INSERT INTO pluginkeyvaluestore (pluginid, pkey, pvalue, expireat) VALUES "
                       f"('com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_h1', convert_to({text}, 'UTF8'), 0)")

    def test_plugin(self):
        """A legal hold of the server stands against it too; one that cannot be read, as well."""
        self.run_all()
        self.plugin_holds(user_ids=[USER])
        self.assertIn("the legal-hold plugin names this person", self.erase("--yes", code=17).err)
        self.assertTrue(self.where_found())
        self.bench.sql("UPDATE pluginkeyvaluestore SET pvalue = '\\x00ff' WHERE pluginid = 'com.mattermost.plugin-legal-hold'")
        self.erase("--yes", code=17)
        self.assertTrue(self.where_found())
        self.bench.sql("DELETE FROM pluginkeyvaluestore WHERE pluginid = 'com.mattermost.plugin-legal-hold'")
        self.erase("--yes")
        self.check_erased()

    def test_hold_while_writing(self):
        """One that comes when the new file is written already, and nothing is announced: the bundle stays as it is."""
        self.run_all()
        self.bench.policy(faults.OLD, holds=[{"name": "court", "match": {"channels": ["qq-held"]}, "because": "court"}])
        first = json.loads(self.erase("-n", "--json").out)["bundles"][0]["bundle"]
        channel = next(r["channelid"] for table, r in lib.Bundle(os.path.join(self.archive, first)).rows() if table == "posts" and r.get("userid") == USER)
        was = self.bench.sql(f"SELECT name FROM channels WHERE id = '{channel}'").strip()
        holds = {"the legal-hold plugin names this person": lambda: self.plugin_holds(user_ids=[USER]),
                 "hold court covers thread": lambda: self.bench.sql(f"UPDATE channels SET name = 'qq-held' WHERE id = '{channel}'")}
        for why, come in holds.items():
            with self.subTest(why=why):
                process = self.bench.start("ERASE_WRITTEN:stop", "erase", "--user", "zqxaccount", "--yes", "--json", *CASE)
                self.assertTrue(lib.stopped(process))
                self.assertEqual(len(os.listdir(os.path.join(self.archive, "partial"))), 1)
                come()
                left = json.loads(self.bench.go_on(process, code=17).out)["bundles"][0]
                self.assertEqual((left["bundle"], left["state"]), (first, "held"))
                self.assertIn(why, left["why"])
                self.assertTrue(os.path.exists(os.path.join(self.archive, first)))
                self.assertEqual(os.listdir(os.path.join(self.archive, "partial")), [])
                self.assertNotIn(first, [e["old_rel_path"] for e in self.ledger("erasing")])
                self.bench.sql("DELETE FROM pluginkeyvaluestore WHERE pluginid = 'com.mattermost.plugin-legal-hold'")
        self.bench.sql(f"UPDATE channels SET name = '{was}' WHERE id = '{channel}'")
        self.erase("--yes")
        self.check_erased()

    # ---- a hold that comes between a crash and the call that takes the erasure up ----

    def published(self, point="BUNDLE_AFTER_RENAME:kill"):
        """Killed when the first new file is published: (line `erasing`, a thread of the person in it)."""
        done = lib.finish(self.bench.start(point, "erase", "--user", USER, "--yes", *CASE))
        self.assertEqual(done.code, -signal.SIGKILL, done.err)
        e, = self.ledger("erasing")
        self.assertTrue(os.path.exists(os.path.join(self.archive, e["rel_path"])) and os.path.exists(os.path.join(self.archive, e["old_rel_path"])))
        posts = [r for table, r in lib.Bundle(os.path.join(self.archive, e["old_rel_path"])).rows() if table == "posts"]
        return e, next(r for r in posts if r.get("userid") == USER and not r.get("rootid") and not r.get("originalid") and r["message"].startswith("zqxwordsofone"))

    def late_holds(self, post):
        """Name: (it comes, it ends)."""
        held = [{"name": "court", "match": {"channels": [post["channelid"]]}, "because": "court"}]
        named = [{"name": "court", "match": {"users": [USER]}, "because": "court"}]
        return {"add": (lambda: self.bench.call("hold", "add", post["id"], "--case", "court", code=0), lambda: self.bench.call("hold", "release", post["id"], "--case", "court", code=0)),
                "channel": (lambda: self.bench.policy(faults.OLD, holds=held), lambda: self.bench.policy(faults.OLD)),
                "person": (lambda: self.bench.policy(faults.OLD, holds=named), lambda: self.bench.policy(faults.OLD)),
                "plugin": (lambda: self.plugin_holds(user_ids=[USER]), lambda: self.bench.sql("DELETE FROM pluginkeyvaluestore WHERE pluginid = 'com.mattermost.plugin-legal-hold'"))}

    def takers(self):
        """Whatever takes an interrupted erasure up; nothing of that person is in the archive."""
        return {"run": ("run", "--yes"), "expire": ("expire", "--yes"), "erase": ("erase", "--user", "y" * 26, "--yes", *CASE)}

    def check_withdrawn(self, e, post, digest):
        """The old bundle is the bundle, whole, and can be found; the new one is nowhere; ledger, status and report say so."""
        self.assertFalse(os.path.exists(os.path.join(self.archive, e["rel_path"])))
        with open(os.path.join(self.archive, e["old_rel_path"]), "rb") as f:
            self.assertEqual(f.read(), digest)
        lines = [line for line in self.ledger("erasing", "erased", "erasure-withdrawn") if line["bundle"] == e["bundle"]]
        self.assertEqual([line["type"] for line in lines], ["erasing", "erasure-withdrawn"])
        self.assertEqual({k: lines[1].get(k) for k in (*e, "because") if k not in ("type", "seq", "at", "prev", "hash")},
                         {**{k: e[k] for k in e if k not in ("type", "seq", "at", "prev", "hash")}, "because": "held"})
        self.assertEqual(json.loads(self.bench.call("verify", "--json", code=0).out)["replaced"], [])
        self.assertIn("zqxwordsofone", self.read("show", post["id"]).out)
        self.assertIn(post["id"], {h["post"] for h in json.loads(self.read("find", "zqxwordsofone", "--limit", "0", "--json").out)["hits"]})
        self.assertEqual(json.loads(self.bench.call("status", "--json", code=0).out)["erasures_withdrawn"], [{"bundle": e["bundle"], "case": "DPO-2026-7"}])
        self.assertIn("withdrawn: the erasure of case DPO-2026-7", self.bench.call("status", code=0).out)
        self.assertIn("was withdrawn, case DPO-2026-7", self.bench.call("report", self.ledger("run-begin")[0]["run"], code=0).out)

    def fresh(self, kept):
        shutil.rmtree(self.archive)
        shutil.copytree(kept, self.archive)

    def test_late_hold(self):
        """One that comes after the new file was published and before `erased`: whoever takes the erasure up withdraws it."""
        self.run_all()
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        points = ("BUNDLE_AFTER_RENAME:kill", "LEDGER_WRITE:kill:3")  # the case log has a line, too
        holds, takers = ("add", "channel", "person", "plugin"), list(self.takers().items())
        for (i, hold), (j, point), (k, (taker, command)) in itertools.product(enumerate(holds), enumerate(points), enumerate(takers)):
            if not lib.outcome.LONG and k != (i + j) % len(takers):
                continue  # a normal run: each hold at each point, one command in turn
            with self.subTest(point=point, taker=taker, hold=hold):
                self.fresh(kept)
                e, post = self.published(point)
                with open(os.path.join(self.archive, e["old_rel_path"]), "rb") as f:
                    digest = f.read()
                come, end = self.late_holds(post)[hold]
                come()
                self.addCleanup(end)
                self.bench.call("verify", code=0)
                done = self.bench.call(*command, code=(0, 3))
                self.assertIn("it is withdrawn, the bundle stays as it was", done.err)
                self.check_withdrawn(e, post, digest)
                self.erase("--yes", user=USER, code=17)
                self.check_withdrawn(e, post, digest)
                end()
                self.bench.call("run", "--yes", code=(0, 3))  # a hold that ended brings nothing back
                self.assertFalse(os.path.exists(os.path.join(self.archive, e["rel_path"])))
                self.erase("--yes", user=USER)
                self.assertEqual(self.where_found(), [])
                self.assertEqual(json.loads(self.bench.call("status", "--json", code=0).out)["erasures_withdrawn"], [])
                self.bench.call("verify", code=0)
                self.assertTrue(os.path.exists(os.path.join(self.archive, e["rel_path"])))

    def test_late_hold_elsewhere(self):
        """One that covers nothing of the person does not keep an erasure from its end."""
        self.run_all()
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        for taker, command in self.takers().items():
            with self.subTest(taker=taker):
                self.fresh(kept)
                e, post = self.published()
                mine = {r["channelid"] for table, r in lib.Bundle(os.path.join(self.archive, e["old_rel_path"])).rows() if table == "posts" and r.get("channelid")}
                other = self.bench.sql("SELECT id FROM channels WHERE id NOT IN (" + ",".join(f"'{c}'" for c in mine) + ") ORDER BY id LIMIT 1")
                self.bench.policy(faults.OLD, holds=[{"name": "court", "match": {"channels": [other]}, "because": "court"}])
                self.bench.call(*command, code=(0, 3))
                self.assertEqual([line["type"] for line in self.ledger("erasing", "erased", "erasure-withdrawn") if line["bundle"] == e["bundle"]][:2], ["erasing", "erased"])
                self.assertFalse(os.path.exists(os.path.join(self.archive, e["old_rel_path"])))
                self.bench.policy(faults.OLD)
                self.erase("--yes", user=USER)
                self.assertEqual(self.where_found(), [])

    def test_late_hold_crash(self):
        """Killed at every step of withdrawing: both files are there, or the old one, and the next call ends it."""
        self.run_all()
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        steps = {"expire": ("LEDGER_WRITE:kill:1", "LEDGER_SYNC:kill:1", "ERASE_WITHDRAWN:kill", "ERASE_WITHDRAWN_FORGOTTEN:kill", "ERASE_WITHDRAWN_REMOVED:kill"),
                 "run": ("LEDGER_WRITE:kill:2", "ERASE_WITHDRAWN:kill", "ERASE_WITHDRAWN_FORGOTTEN:kill", "ERASE_WITHDRAWN_REMOVED:kill"),
                 "erase": ("ERASE_WITHDRAWN:kill", "ERASE_WITHDRAWN_FORGOTTEN:kill", "ERASE_WITHDRAWN_REMOVED:kill")}
        for n, (first, point) in enumerate((first, point) for first, points in steps.items() for point in points):
            seconds = ("run", "expire", "erase")
            for second in seconds if lib.outcome.LONG else (seconds[n % 3],):
                with self.subTest(first=first, point=point, second=second):
                    self.fresh(kept)
                    e, post = self.published()
                    with open(os.path.join(self.archive, e["old_rel_path"]), "rb") as f:
                        digest = f.read()
                    self.bench.call("reindex", code=0)  # whoever indexes meanwhile finds the new file
                    come, end = self.late_holds(post)["channel"]
                    come()
                    self.addCleanup(end)
                    done = lib.finish(self.bench.start(point, *self.takers()[first]))
                    self.assertEqual(done.code, -signal.SIGKILL, done.err)
                    self.bench.call("verify", code=0)
                    self.bench.call("status", code=0)
                    with open(os.path.join(self.archive, e["old_rel_path"]), "rb") as f:
                        self.assertEqual(f.read(), digest)
                    self.bench.call(*self.takers()[second], code=(0, 3))
                    self.check_withdrawn(e, post, digest)
                    self.assertEqual([p for p, _, names in os.walk(self.archive) for n in names if n == os.path.basename(e["rel_path"]).replace(".tar.zst", ".idx")], [])
                    end()
                    self.erase("--yes", user=USER)
                    self.assertEqual(self.where_found(), [])
                    self.bench.call("verify", code=0)

    def test_late_hold_ended(self):
        """Ended again when the next call comes after a crash: what the ledger calls withdrawn stays so, until somebody erases again."""
        self.run_all()
        e, post = self.published()
        come, end = self.late_holds(post)["channel"]
        come()
        done = lib.finish(self.bench.start("ERASE_WITHDRAWN:kill", "run", "--yes"))
        self.assertEqual(done.code, -signal.SIGKILL, done.err)
        end()
        with open(os.path.join(self.archive, e["old_rel_path"]), "rb") as f:
            digest = f.read()
        self.bench.call("run", "--yes", code=(0, 3))
        self.check_withdrawn(e, post, digest)
        self.erase("--yes", user=USER)
        self.check_erased()
        self.bench.call("verify", code=0)

    def test_late_hold_after_line(self):
        """One that comes after `erased`, when the old file is still there: it stays while the hold lasts, and whoever takes the erasure up says so."""
        self.run_all()
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        for point in ("LEDGER_SYNC:kill:3", "ERASE_AFTER_LINE:kill", "ERASE_BEFORE_UNLINK:kill"):
            for taker, command in self.takers().items():
                with self.subTest(point=point, taker=taker):
                    self.fresh(kept)
                    e, post = self.published(point)
                    come, end = self.late_holds(post)["channel"]
                    come()
                    self.addCleanup(end)
                    done = self.bench.call(*command, code=(0, 3, 17))
                    self.assertIn("it goes when the hold has ended", done.err)
                    self.assertTrue(os.path.exists(os.path.join(self.archive, e["old_rel_path"])))
                    self.assertEqual(json.loads(self.bench.call("verify", "--json", code=0).out)["replaced"], [e["old_rel_path"]])
                    if taker == "erase":
                        self.assertEqual(done.code, 17)
                    end()
                    self.bench.call(*command, code=(0, 3))
                    self.assertFalse(os.path.exists(os.path.join(self.archive, e["old_rel_path"])))
                    self.erase("--yes", user=USER)
                    self.assertEqual(self.where_found(), [])
                    self.bench.call("verify", code=0)

    def test_late_hold_damaged(self):
        """What a hold keeps is only in the old file: when that has come to harm, nothing is removed."""
        self.run_all()
        e, post = self.published()
        old, new = (os.path.join(self.archive, e[k]) for k in ("old_rel_path", "rel_path"))
        kept = self.copy_of(e["old_rel_path"])
        self.late_holds(post)["add"][0]()
        lib.flip(old)
        for command in self.takers().values():
            self.assertIn("both files are left", self.bench.call(*command, code=(0, 3, 15)).err)
            self.assertTrue(os.path.exists(old) and os.path.exists(new))
        self.assertEqual([line["type"] for line in self.ledger("erasing", "erased", "erasure-withdrawn") if line["bundle"] == e["bundle"]], ["erasing"])
        shutil.copyfile(kept, old)
        with open(kept, "rb") as f:
            digest = f.read()
        self.bench.call("run", "--yes", code=(0, 3))
        self.check_withdrawn(e, post, digest)

    def test_late_hold_unasked(self):
        """`--without database` is said of one person: somebody else's erasure waits for who can ask, and their bundle with it."""
        self.run_all()
        e, post = self.published()
        other = self.bench.sql(f"SELECT userid FROM posts WHERE userid IN (SELECT id FROM users) AND userid <> '{USER}' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
        done = self.erase("--yes", "--json", "--without", "database", user=other, code=15)
        self.assertIn("holds are not asked of everybody now", done.err)
        self.assertNotIn("erased", [b["state"] for b in json.loads(done.out)["bundles"] if b["bundle"] == e["rel_path"]])
        self.assertTrue(os.path.exists(os.path.join(self.archive, e["rel_path"])) and os.path.exists(os.path.join(self.archive, e["old_rel_path"])))
        self.assertEqual([line for line in self.ledger("erased") if line["bundle"] == e["bundle"]], [])
        self.erase("--yes", "--without", "database", user=USER)
        self.assertFalse(os.path.exists(os.path.join(self.archive, e["old_rel_path"])))
        self.bench.call("verify", code=0)
        self.assertEqual(self.where_found(), [])

    def test_archive_alone(self):
        """Without policy and database; nobody has asked holds then, and that is said."""
        self.run_all()
        command = [lib.binary(), "erase", "--archive", self.archive, "--user", USER, "--yes", *CASE]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 17)
        self.assertIn("holds could not be asked", done.stderr)
        self.assertTrue(self.where_found())
        done = subprocess.run([*command, "--without", "policy"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.check_erased()
        for words in (["--user", USER], ["--case", "x", "--reason", "y"], ["--case", "x", "--reason", "y", "--user", "a,b"]):
            done = subprocess.run([lib.binary(), "erase", "--archive", self.archive, "--without", "policy", *words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)

    def test_database_down(self):
        """Holds cannot be judged by the names of then alone, unless somebody says so."""
        self.run_all()
        self.bench.policy(faults.OLD, holds=[{"name": "other", "match": {"users": ["nobody.of.these"]}, "because": "court"}], url="postgresql:///x?host=/nowhere")
        self.erase("--yes", code=12)
        self.assertTrue(self.where_found())
        self.erase("--yes", "--without", "database")
        self.check_erased()

    def test_unfinished(self):
        """A bundle that a run has not finished is left to it."""
        done = lib.finish(self.bench.start("PURGE_AFTER_INTENT:kill"))
        self.assertEqual(done.code, -signal.SIGKILL)
        found = json.loads(self.erase("--yes", "--json", code=3, user=USER).out)["bundles"]
        self.assertIn("unfinished", {b["state"] for b in found})
        self.assertIn("has not finished", next(b for b in found if b["state"] == "unfinished")["why"])
        self.run_all()
        self.erase("--yes", user=USER)
        self.check_erased()

    def test_not_in_the_ledger(self):
        done = lib.finish(self.bench.start("BUNDLE_AFTER_RENAME:kill"))
        self.assertEqual(done.code, -signal.SIGKILL)
        found = json.loads(self.erase("-n", "--json", code=(0, 3), user=USER).out)["bundles"]
        self.assertEqual({b["state"] for b in found} - {"unknown"}, set())

    def test_late(self):
        """Rows beside the ledger: the person's go, the others stay."""
        self.run_all()
        bundle = next(b for b in self.before.values() if USER.encode() in b.members["salts.jsonl"])
        digest = json.loads(bundle.members["mmretain.json"])["rows_sha256"][:12]
        post = next(json.loads(line)["id"] for line in lines_of(bundle) if b'"k":"post"' in line and f'"userid":"{USER}"'.encode() in line)
        other = '{"k":"reaction","row":{"postid": "p", "userid": "somebody-else", "emojiname": "eyes"}}\n'
        late = [f'{{"k":"reaction","row":{{"postid": "p", "userid": "{USER}", "emojiname": "zqxwordsofone"}}}}\n', other,
                f'{{"k":"translation","row":{{"objectid": "{post}", "text": "zqxwordsofone"}}}}\n', other]
        path = os.path.join(self.archive, "ledger", f"late-{digest}-1.jsonl")
        alone = os.path.join(self.archive, "ledger", f"late-{digest}-2.jsonl")
        for name, lines in ((path, late), (alone, late[:1])):
            with open(name, "w", encoding="utf-8") as f:
                f.writelines(lines)
        done = json.loads(self.erase("--yes", "--json").out)
        self.assertEqual(sum(b["late"] for b in done["bundles"]), 3)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), other + other)
        self.assertFalse(os.path.exists(alone))
        self.check_erased()

    def test_late_alone(self):
        """A late row of the person in a bundle that knows nothing else of them; and where a hold covers its thread."""
        self.run_all()
        people = self.bench.sql("SELECT id FROM users ORDER BY id").split()
        bundle, person = next((b, p) for b in self.before.values() for p in people if all(p.encode() not in data for data in b.members.values()))
        post = json.loads(next(line for line in lines_of(bundle) if b'"k":"post"' in line))
        digest = json.loads(bundle.members["mmretain.json"])["rows_sha256"]
        row = f'{{"k":"reaction","row":{{"postid": "{post["id"]}", "userid": "%s", "emojiname": "eyes"}}}}\n'
        other = row % "somebody-else"
        path = os.path.join(self.archive, "ledger", f"late-{digest[:12]}-1.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.write(row % person + other)
        self.bench.policy(faults.OLD, holds=[{"name": "court", "match": {"channels": [post["channelid"]]}, "because": "court"}])
        held = [b for b in json.loads(self.erase("-n", "--json", user=person, code=17).out)["bundles"] if b["late"]]
        self.assertEqual([(b["state"], b["rows"]) for b in held], [("held", 0)])
        self.bench.policy(faults.OLD)
        done = [b for b in json.loads(self.erase("--yes", "--json", user=person).out)["bundles"] if b["late"]]
        self.assertEqual([(b["state"], b["rows"], b["names"], b["late"]) for b in done], [("erased", 0, 0, 1)])
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), other)
        self.assertIn(digest, {e["rows_digest"] for e in self.ledger("erased")})
        self.bench.call("verify", code=0)
        self.assertIn("nothing of this person", self.erase("--yes", user=person).out)

    def test_journal(self):
        """A name of a file that waits to be unlinked is in a journal: first that."""
        self.run_all()
        ident = next(json.loads(line)["id"] for b in self.before.values() for line in lines_of(b) if b'"k":"file"' in line and f'"creatorid":"{USER}"'.encode() in line)
        with open(os.path.join(self.archive, "ledger", "unlink-x-1.jsonl"), "w", encoding="utf-8") as f:
            f.write(json.dumps({"id": ident, "path": "a/zqxnameoffile.txt"}) + "\n")
        found = json.loads(self.erase("-n", "--json", code=3).out)["bundles"]
        self.assertIn("waits in a journal", next(b["why"] for b in found if b["state"] == "unfinished"))

    def test_files_that_a_run_removes_meanwhile(self):
        """Looking takes no lock: a journal or a file of late rows that was listed may be gone when it is to be read, as what a link to nowhere names."""
        self.run_all()
        plain = json.loads(self.erase("-n", "--json").out)["bundles"]
        digest = next(e["rows_digest"] for e in self.ledger("published") if e["bundle"] in {os.path.basename(b["bundle"]) for b in plain})
        for name in ("unlink-x-1.jsonl", "moved-unlink-x-1.jsonl", f"late-{digest[:12]}-7.jsonl"):
            os.symlink("nowhere", os.path.join(self.archive, "ledger", name))
        self.assertEqual(json.loads(self.erase("-n", "--json").out)["bundles"], plain)

    def test_same_name(self):
        """A name that two people had: which one is meant must be said."""
        other = self.bench.sql(f"SELECT userid FROM posts WHERE userid IN (SELECT id FROM users) AND userid <> '{USER}' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
        rules = [dict(r) for r in faults.OLD]
        self.bench.run(code=self.bench.want.code)
        self.bench.sql(f"UPDATE users SET username = 'gone' WHERE id = '{USER}'; UPDATE users SET username = 'zqxaccount' WHERE id = '{other}'")
        self.bench.policy([dict(r, keep={"for": "1d"}) for r in rules])
        self.bench.run(code=(0, 3))
        done = self.erase("--yes", code=2)
        self.assertIn("means 2 people", done.err)
        self.assertTrue(USER in done.err and other in done.err)
        self.erase("--yes", user="never.heard.of", code=1)

    def test_stop(self):
        """A signal ends it between two bundles; the same command goes on."""
        self.run_all()
        n = len(json.loads(self.erase("-n", "--json").out)["bundles"])
        self.assertGreater(n, 1)
        done = lib.finish(self.bench.start("ERASE_AFTER_INTENT:term", "erase", "--user", USER, "--yes", *CASE))
        self.assertEqual(done.code, 143, done.err)
        self.assertIn("1 erased in", done.err)
        self.assertEqual(len(self.ledger("erased")), 1)
        self.assertGreater(self.names(), 0)
        self.bench.call("verify", code=0)
        self.erase("--yes", user=USER)
        self.assertEqual(len(self.ledger("erased")), n)
        self.check_erased()

    def test_locked(self):
        """While a run is on."""
        self.run_all()
        with open(os.path.join(self.archive, "ledger", "entries.jsonl"), "r+b") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.erase("--yes", code=11)
        self.assertTrue(self.where_found())
        self.erase("--yes")

    def test_false_generation(self):
        """A later generation that no line announces does not pass for the bundle."""
        self.run_all()
        kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, kept)
        new = json.loads(self.erase("--yes", "--json").out)["bundles"][0]["new"]
        with open(os.path.join(self.archive, new), "rb") as f:
            content = f.read()
        shutil.rmtree(self.archive)
        shutil.copytree(kept, self.archive)
        with open(os.path.join(self.archive, new), "wb") as f:
            f.write(content)
        self.bench.call("verify", code=15)
        self.bench.call("run", "--yes", code=15)
        old = new.replace("-e2.tar.zst", ".tar.zst")
        self.assertIn("no line of the ledger puts in its place", self.erase("--yes", user=USER, code=15).err)
        self.assertTrue(os.path.exists(os.path.join(self.archive, old)) and os.path.exists(os.path.join(self.archive, new)))

    def test_damaged(self):
        """What cannot be read back against the ledger is not written again."""
        self.run_all()
        rel = json.loads(self.erase("-n", "--json").out)["bundles"][0]["bundle"]
        path = os.path.join(self.archive, rel)
        lib.flip(path)
        done = self.erase("--yes", "--json", code=15)
        states = {b["bundle"]: b["state"] for b in json.loads(done.out)["bundles"]}
        self.assertEqual(states.pop(rel), "damaged")
        self.assertEqual(set(states.values()), {"erased"})  # the others all the same
        self.assertIn(rel, done.err)
        self.assertTrue(os.path.exists(path))
        os.unlink(path)
        self.assertEqual([p for p, _ in self.where_found() if p.endswith(".zst")], [])

    def test_two_people(self):
        """One after the other, from the same bundles."""
        self.run_all()
        other = self.bench.sql(f"SELECT userid FROM posts WHERE userid IN (SELECT id FROM users) AND userid <> '{USER}' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
        other = other or next(json.loads(line)["owner"] for b in self.before.values() for line in b.members["salts.jsonl"].splitlines()
                              if len(json.loads(line).get("owner", "")) == 26 and json.loads(line)["owner"] != USER)
        with open(os.path.join(self.archive, "FORMAT.md"), "w", encoding="utf-8") as f:
            f.write("of an archive that was made before\n")
        self.erase("--yes")
        with open(os.path.join(self.archive, "FORMAT.md"), encoding="utf-8") as f:
            self.assertIn("## 10. Erasing one person", f.read())
        self.erase("--yes", user=other)
        self.assertTrue(any(p.endswith("-e3.tar.zst") for p in lib.bundles(self.archive)))
        self.assertEqual(self.where_found(), [])
        self.bench.call("verify", code=0)


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
