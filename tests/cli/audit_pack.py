#!/usr/bin/env python3
"""Packs of exports and the bulk import file, opened with other tools than ours.

usage: audit_pack.py MMRETAIN AUDIT_ARCHIVE
"""
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import unittest
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import outcome  # noqa: E402
import scratch  # noqa: E402

MMRETAIN, MAKER = (os.path.abspath(p) for p in sys.argv[1:3])
del sys.argv[1:3]
FORMATS = ("html", "jsonl", "csv", "eml", "mattermost")
NOW = ["--now", "2026-11-28T10:00:00Z"]


def files_below(folder):
    return {os.path.relpath(os.path.join(d, f), folder): os.path.join(d, f) for d, _, names in os.walk(folder) for f in names}


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Packs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = os.path.join(scratch.folder("pack", scratch.memory()), "work")
        os.mkdir(cls.tmp)
        cls.root = os.path.join(cls.tmp, "archive")
        done = subprocess.run([MAKER, cls.root, "2", "600", "11", "reindex"], capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.split("\n") if line]
        cls.posts = {p["post"]: p for p in lines if "thread" in p}
        cls.files = [f for f in lines if "file" in f]
        cls.threads = sorted({cls.posts[f["post"]]["thread"] for f in cls.files})[:12] + sorted({p["thread"] for p in cls.posts.values()})[:20]
        cls.threads = list(dict.fromkeys(cls.threads))

    @classmethod
    def tearDownClass(cls):
        scratch.remove(os.path.dirname(cls.tmp))

    def out(self, name):
        return os.path.join(self.tmp, name)

    def export(self, name, *more, form="html", ok=True, root=None):
        done = subprocess.run([MMRETAIN, "export", "--archive", root or self.root, "--case", "17/26", "--reason", "test", "--as", form, "--out", self.out(name),
                               *NOW, *more], capture_output=True, text=True, env=dict(os.environ, TZ="Europe/Berlin"))
        if ok:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def unpack(self, name):
        """With Python's own modules, which share no code with libarchive; members are looked at before."""
        folder = self.out(name + "-unpacked")
        os.mkdir(folder)
        if name.endswith(".zip"):
            with zipfile.ZipFile(self.out(name)) as z:
                self.assertIsNone(z.testzip())
                members = [(i.filename, i.external_attr >> 16) for i in z.infolist()]
                z.extractall(folder)
        else:
            if name.endswith(".zst"):
                plain = self.out(name + ".plain")
                with open(plain, "wb") as f:
                    subprocess.run(["zstd", "-dcq", self.out(name)], stdout=f, check=True)
            with tarfile.open(plain if name.endswith(".zst") else self.out(name)) as t:
                self.assertTrue(all(m.isreg() and m.uid == m.gid == 0 for m in t))
                members = [(m.name, m.mode) for m in t]
                t.extractall(folder)
        for path, mode in members:
            self.assertRegex(path, r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
            self.assertEqual(stat.S_IMODE(mode), 0o600)
        return folder, [m[0] for m in members]

    def check_pack(self, name, form, plain):
        folder, members = self.unpack(name)
        stem = re.sub(r"\.(zip|tar|tar\.gz|tgz|tar\.zst)$", "", name)
        top = folder if form == "mattermost" else os.path.join(folder, stem)
        self.assertTrue(members[0].endswith("README.txt") and members[-1].endswith("manifest-sha256.txt"), members)
        done = subprocess.run(["sha256sum", "--strict", "-c", "manifest-sha256.txt"], cwd=top, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        have = files_below(top)
        self.assertEqual(done.stdout.count(": OK\n"), len(have) - 1)
        texts = {have.pop(n): n for n in ("README.txt", "threads.tsv", "manifest-sha256.txt")}
        inner = {"eml": "eml/"}.get(form, "")
        self.assertEqual({n: hashlib.sha256(read(p)).digest() for n, p in have.items()},
                         {inner + n: hashlib.sha256(read(p)).digest() for n, p in plain.items()})
        return top, texts

    def plain_export(self, form, stem):
        """What the same export writes without packing, under the same names."""
        name = stem if form in ("eml", "mattermost") else "%s.%s" % (stem, form)
        where = self.out("plain-" + stem)
        os.mkdir(where)
        self.export(os.path.join("plain-" + stem, name), *self.threads, form=form)
        return files_below(os.path.join(where, name) if form in ("eml", "mattermost") else where)

    def test_every_format(self):
        for form in FORMATS:
            for end in ("zip", "tar"):
                with self.subTest(form=form, end=end):
                    name = "%s-%s.%s" % (form, end, end)
                    said = self.export(name, *self.threads, form=form).stdout
                    self.assertEqual(stat.S_IMODE(os.stat(self.out(name)).st_mode), 0o600)
                    self.assertIn("sha256 " + hashlib.sha256(read(self.out(name))).hexdigest() + "\n", said)
                    top, _ = self.check_pack(name, form, self.plain_export(form, "%s-%s" % (form, end)))
                    text = read(os.path.join(top, "README.txt")).decode()
                    for bundle in {os.path.basename(p) for p in self.bundles()}:
                        self.assertIn(bundle, text)
                    self.assertIn("verified: every row, SHA-256 of the file", text)
                    self.assertIn("Case:       17/26\n", text)
                    self.assertIn("Made at:    2026-11-28T10:00:00Z (UTC)\n", text)
                    self.assertIn("Asked for:  threads %s" % self.threads[0], text)
                    rows = read(os.path.join(top, "threads.tsv")).decode().split("\n")
                    self.assertEqual({r.split("\t")[0] for r in rows[1:-1]}, set(self.threads))
        self.assertEqual([f for f in os.listdir(self.tmp) if f.startswith(".")], [])

    def bundles(self):
        return [p for n, p in files_below(os.path.join(self.root, "bundles")).items() if n.endswith(".tar.zst")]

    def test_by_name_and_by_option(self):
        for name, magic in (("n.tar.gz", b"\x1f\x8b"), ("n.tgz", b"\x1f\x8b"), ("n.tar.zst", b"\x28\xb5\x2f\xfd"), ("n.ZIP", b"PK")):
            self.export(name, self.threads[0])
            self.assertEqual(read(self.out(name))[:len(magic)], magic)
        self.export("named-so", self.threads[0], "--pack", "zip")
        self.assertTrue(zipfile.is_zipfile(self.out("named-so")))
        done = self.export("other.tar", self.threads[0], "--pack", "zip", ok=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("does not fit", done.stderr)
        for name in ("g.tar.zst", "g.tar.gz"):
            self.export(name, self.threads[0])
            self.check_pack(name, "html", {n.replace("n", "g", 1) if n.startswith("n") else n: p for n, p in self.one("g").items()})

    def one(self, stem):
        where = self.out("one-" + stem)
        if not os.path.isdir(where):
            os.mkdir(where)
            self.export(os.path.join("one-" + stem, stem + ".html"), self.threads[0])
        return files_below(where)

    def test_names_are_made_plain(self):
        self.export("-fall größe; rm.zip", "--words", "pump", "--user", "user.1,user.2")
        folder, members = self.unpack("-fall größe; rm.zip")
        self.assertEqual(len({m.split("/")[0] for m in members}), 1)
        self.assertIn("--user 'user.1,user.2' --words 'pump'", read(os.path.join(folder, members[0])).decode())

    def test_same_bytes_again(self):
        for form in FORMATS:
            for end in ("zip", "tar.gz", "tar.zst"):
                for i in "12":
                    os.mkdir(self.out(form + end + i))
                    self.export(os.path.join(form + end + i, "same." + end), *self.threads[:5], form=form)
                self.assertEqual(*(read(self.out(os.path.join(form + end + i, "same." + end))) for i in "12"))

    def test_json(self):
        doc = json.loads(self.export("j.zip", self.threads[0], "--json").stdout)
        self.assertEqual((doc["pack"], doc["pack_bytes"]), ("zip", os.path.getsize(self.out("j.zip"))))
        self.assertEqual(doc["pack_sha256"], hashlib.sha256(read(self.out("j.zip"))).hexdigest())

    def test_compressed_names(self):
        """A plain file is not called compressed, however it is written or packed; a folder neither."""
        for form in FORMATS:
            for end in (".csv.gz", ".ZST", ".tar.xz", ".bz2", ".7z", ".zip/"):
                for pack in ((), ("--pack", "tar")):
                    done = self.export("plain" + end, self.threads[0], *pack, form=form, ok=False)
                    self.assertEqual((done.returncode, done.stdout), (2, ""), end)
                    self.assertRegex(done.stderr, r"is the name of something compressed.*\n  hint: Leave \.\w+ away and compress the result, or end the name in \.zip, ")
        self.assertEqual([n for n in os.listdir(self.out("")) if n.startswith("plain")], [])
        for end in (".gz.csv", ".gzip", "gz"):
            self.export("plain" + end, self.threads[0], form="csv")

    def test_never_over_another_file(self):
        with open(self.out("there.zip"), "w") as f:
            f.write("mine")
        done = self.export("there.zip", self.threads[0], ok=False)
        self.assertEqual((done.returncode, read(self.out("there.zip"))), (2, b"mine"))
        self.assertIn("never overwritten", done.stderr)

    def test_failure_leaves_nothing(self):
        """A bundle that is damaged where the thread is: no pack, no folder of half an export."""
        broken = self.out("broken")
        shutil.copytree(self.root, broken)
        for path in [p for n, p in files_below(os.path.join(broken, "bundles")).items() if n.endswith(".tar.zst")]:
            with open(path, "r+b") as f:
                for at in range(20000, os.path.getsize(path) - 70000, 4000):
                    f.seek(at)
                    f.write(b"damage")
        where = self.out("fails")
        os.mkdir(where)
        done = self.export(os.path.join("fails", "x.zip"), "--channel", "chan-3", ok=False, root=broken)
        self.assertEqual(done.returncode, 15, done.stderr)
        self.assertEqual(os.listdir(where), [])

    def import_lines(self, name, *more):
        done = self.export(name, *more, form="mattermost")
        with zipfile.ZipFile(self.out(name)) as z:
            names = z.namelist()
            # mmctl and the server take the first *.jsonl at the top, and attachments below data/
            self.assertEqual([n for n in names if "/" not in n and n.endswith(".jsonl")], ["import.jsonl"])
            self.assertEqual({n.split("/")[0] for n in names if "/" in n} - {"data"}, set())
            lines = [json.loads(line) for line in z.read("import.jsonl").decode().split("\n") if line]
        return done, lines, names

    def test_bulk_import(self):
        done, lines, names = self.import_lines("bulk.zip", "--after", "2000-01-01")
        self.assertEqual((lines[0]["type"], lines[0]["version"]), ("version", 1))
        kinds = [line["type"] for line in lines[1:]]
        self.assertEqual(kinds, sorted(kinds, key=["post", "direct_post"].index), "channels first, then direct and group messages")
        members, seen = set(), set()
        for line in lines[1:]:
            post = line[line["type"]]
            if line["type"] == "post":
                self.assertEqual((post["team"], post["channel"][:5]), ("accelerator", "chan-"))
            else:
                members.add(tuple(post["channel_members"]))
            for p in [post] + post.get("replies", []):
                self.assertRegex(p["user"], r"^user\.\d+$")
                self.assertGreater(p["create_at"], 0)
                seen.add((p["create_at"], p["message"]))
                for a in p.get("attachments", []):
                    self.assertIn("data/" + a["path"], names)
                for r in p.get("reactions", []):
                    self.assertGreaterEqual(r["create_at"], p["create_at"])
        self.assertEqual(members, {("user.5", "user.6"), ("user.1", "user.2", "user.3")})
        doc = json.loads(self.export("bulk2.zip", "--after", "2000-01-01", "--json", form="mattermost").stdout)
        self.assertGreater(doc["left_out"]["threads"], 0)
        self.assertEqual(len({(p["createat"], p["message"]) for p in self.posts.values()} - seen) > 0, doc["left_out"]["posts"] > 0)
        imported = [line[line["type"]] for line in lines[1:]]
        count = {"threads": len(imported), "posts": sum(1 + len(p.get("replies", [])) for p in imported)}
        self.assertEqual({k: doc[k] for k in count}, count, "what was left out is not said to be in it")
        self.assertRegex(done.stdout, r": %(threads)d threads, %(posts)d posts, " % count)
        self.assertIn("its bundle does not list who was in it", done.stderr)
        self.assertIn("that this format cannot express", done.stderr)
        with zipfile.ZipFile(self.out("bulk.zip")) as z:
            self.assertIn("Left out:   threads: %d, posts: %d" % (doc["left_out"]["threads"], doc["left_out"]["posts"]), z.read("README.txt").decode())
            self.assertIn("Holds:      threads: %(threads)d, posts: %(posts)d, " % count, z.read("README.txt").decode())
            rows = [r.split("\t") for r in z.read("threads.tsv").decode().split("\n")[1:-1]]
        left = [r for r in rows if r[5] == "left out"]
        self.assertEqual((len(left), len(rows) - len(left)), (doc["left_out"]["threads"], count["threads"]))
        self.assertEqual((sum(int(r[3]) for r in rows), sum(int(r[6]) for r in rows)), (count["posts"], doc["left_out"]["posts"]))
        self.assertEqual({r[3] for r in left}, {"0"})


if __name__ == "__main__":
    outcome.main(verbosity=1)
