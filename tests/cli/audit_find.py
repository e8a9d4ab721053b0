#!/usr/bin/env python3
"""Find, show, export: everything in a seeded archive again, by id, word, author and file, and only that.

usage: audit_find.py MMRETAIN AUDIT_ARCHIVE

audit_archive makes the archive and prints every post; this script answers the same questions in Python and compares.
"""
import collections
import contextlib
import glob
import io
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unicodedata
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import outcome  # noqa: E402
import scratch  # noqa: E402

MMRETAIN, MAKER = (os.path.abspath(p) for p in sys.argv[1:3])
del sys.argv[1:3]
ENDLESS = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT "
HOSTILE = {
    "view": f"ALTER TABLE bundle RENAME TO b2; CREATE VIEW bundle AS {ENDLESS} x AS no, 'a' AS rel_path, 1 AS bytes, 1 AS min_ms, 1 AS max_ms, 1 AS blocks FROM r",
    "trigger": f"CREATE TRIGGER t BEFORE INSERT ON bundle BEGIN SELECT count(*) FROM ({ENDLESS} x FROM r); END; DELETE FROM bundle",
    "side": f"ALTER TABLE ids RENAME TO i2; CREATE VIEW ids AS {ENDLESS} -x AS first, x'00' AS data FROM r;"
            f"ALTER TABLE spans RENAME TO s2; CREATE VIEW spans AS {ENDLESS} 'user' AS kind, x AS id, x'00' AS data FROM r",
}
CASE = ["--case", "17/26", "--reason", "test of the archive"]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data, mode="wb"):
    with open(path, mode) as f:
        f.write(data)


def fold(text):
    """unicode61 remove_diacritics 2, near enough for the words that the seed uses."""
    text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", text.lower())


class Archive:
    @classmethod
    def setUpClass(cls):
        cls.tmp = scratch.folder("audit", scratch.memory())
        cls.root = os.path.join(cls.tmp, "archive")
        done = subprocess.run([MAKER, cls.root, "3", "1200", "5"], capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.split("\n") if line]
        cls.posts = {p["post"]: p for p in lines if "thread" in p}
        cls.files = [f for f in lines if "file" in f]
        cls.random = random.Random(5)
        cls.tokens = {i: fold(p["message"]) for i, p in cls.posts.items()}
        cls.by_word = collections.defaultdict(set)
        for i, tokens in cls.tokens.items():
            for t in tokens:
                cls.by_word[t].add(i)
        cls.mmretain("reindex")

    @classmethod
    def tearDownClass(cls):
        scratch.remove(cls.tmp)

    @classmethod
    def mmretain(cls, command, *words, status=0, text=True, env=None):
        logged = CASE if command in ("find", "show", "export") else []
        done = subprocess.run([MMRETAIN, command, "--archive", cls.root, *logged, *words], capture_output=True, text=text,
                              env={"PATH": "/usr/bin:/bin", "TZ": "Europe/Berlin", **(env or {})}, timeout=600)
        if done.returncode != status:
            raise AssertionError("%s: status %d\n%s\n%s" % (words, done.returncode, done.stdout, done.stderr))
        return done

    def hits(self, *words, **more):
        return json.loads(self.mmretain("find", "--json", "--limit", "0", *words, **more).stdout)["hits"]

    def ids(self, *words):
        return {h["post"] for h in self.hits(*words) if h["file"] is None}


class Find(Archive, unittest.TestCase):
    def test_every_file_and_some_posts_by_id(self):
        for post in self.random.sample(sorted(self.posts), 60):
            hit, = self.hits("--thread", post)
            self.assertEqual(hit["thread"], self.posts[post]["thread"])
        for f in self.files[:20]:
            hit, = self.hits("--thread", f["file"])
            self.assertEqual(hit["thread"], self.posts[f["post"]]["thread"])

    def test_by_word(self):
        words = self.random.sample(sorted(w for w in self.by_word if w.isascii()), 25) + ["losch" "ung", "uberdruck"]
        for word in words:
            if word in ("and", "or", "not"):
                continue
            want = self.by_word[word]
            got = self.ids(word)
            self.assertEqual(want - got, set(), word)
            for extra in got - want:  # attachment texts, or letters that Python folds otherwise
                self.assertIn(word, fold(self.posts[extra]["message"] + " Anlage Wärmetauscher"))

    def test_no_word_is_left_out(self):
        """Words that are too many are refused: a question without some of them is another one, and shows more."""
        self.assertTrue(self.ids("der"))
        for words in (("der", "x" * 70000), ("--user", next(iter(self.posts.values()))["user"], "x" * 70000)):
            done = self.mmretain("find", *words, status=2)
            self.assertIn("too long", done.stderr)
            self.assertEqual(done.stdout, "")

    def test_one_rule_for_words(self):
        """Whatever the shell makes one operand of is the same question, in `find` and in `export --words`; only quotation marks make a phrase."""
        def exported(words):
            out = os.path.join(self.tmp, "words.jsonl")
            self.mmretain("export", "--words", words, "--out", out, "--no-verify")
            rows = [json.loads(line) for line in read(out).split(b"\n") if line]
            os.unlink(out)
            return {r["id"] for r in rows if r["k"] == "post" and not r.get("rootid") and not r.get("originalid")}

        both, phrase = self.ids("der", "die"), self.ids('"der die"')
        self.assertTrue(phrase < both)
        self.assertLessEqual(self.by_word["der"] & self.by_word["die"], both)
        self.assertEqual(self.ids("der die"), both)
        self.assertEqual(self.ids("kuhl* der"), self.ids("kuhl*", "der"))
        self.assertEqual(self.ids("pump OR", "magnet"), self.ids("pump OR magnet"))
        for words in ("der die", '"der die"', "kuhl* der", "pump NOT the"):
            self.assertEqual(exported(words), {h["thread"] for h in self.hits(words)}, words)
        for words in (("der", "AND"), ("der AND",), ("OR der",)):
            self.assertIn("a word is missing", self.mmretain("find", *words, status=2).stderr)

    def test_nothing_passes_for_an_operator(self):
        for words, said in (('"kuhl* der"', "in `kuhl* der` it is passed over"), ('"der AND die"', "in the phrase `der AND die` AND is a word like any other"),
                            ("*pump", "in `*pump` it is passed over"), ("pu*mp", "in `pu*mp` it is passed over"), ('"NOT the"', "NOT is a word like any other")):
            self.assertIn(said, self.mmretain("find", words).stderr)
        for words in ("pump*", '"der di"*', '"ANDERS ORT"', "kuhl* AND der", "\u2a0d", "*"):
            self.assertNotIn("warning", self.mmretain("find", words).stderr)

    def test_questions_of_any_shape(self):
        """As many words as a question may have, and brackets in brackets: the index answers, or is passed by, and is not called damaged."""
        absent = ["w%03d" % i for i in range(490)]
        nested = "pump"
        for i in range(60):
            nested = f"({nested} AND der)" if i % 2 else f"({nested} OR w{i})"
        for words in (" OR ".join(["pump"] + absent), " ".join(["pump"] + absent), nested, '"der die" OR (pump OR magnet) AND "der die"'):
            done = self.mmretain("find", "--json", "--limit", "0", words)
            self.assertNotIn("warning", done.stderr)
            self.assertEqual(json.loads(done.stdout)["hits"], self.hits("--scan", words), words)

    def test_index_and_scan_agree(self):
        users = sorted({p["user"] for p in self.posts.values()})
        channels = sorted({p["channel"] for p in self.posts.values()})
        for _ in range(200 if outcome.LONG else 20):
            q = []
            if self.random.random() < .6:
                q += [self.random.choice(["pump", "kuhl*", "alarm vacuum", "pump OR magnet", '"alarm vacuum"', "NOT the", "Störung", "🚀",
                                          "script", "(pump OR disk) NOT leak"])]
            if self.random.random() < .5:
                q += ["--user", ",".join(self.random.sample(users, 2))]
            if self.random.random() < .5:
                q += ["--channel", self.random.choice(channels)]
            if self.random.random() < .5:
                q += ["--after", "2018-0%d-01" % self.random.randint(2, 6)]
            if self.random.random() < .3:
                q += ["--before", "2018-10-15"]
            if self.random.random() < .2:
                q += ["--has", "file"]
            if self.random.random() < .2:
                q += ["--file-name", "*.p?f"]
            if not q:
                continue
            self.assertEqual(self.hits(*q), self.hits("--scan", *q), q)

    def test_by_author_channel_time(self):
        user = collections.Counter(p["user"] for p in self.posts.values()).most_common(3)[2][0]
        channel = self.posts[sorted(self.posts)[0]]["channel"]
        self.assertEqual(self.ids("--user", user), {i for i, p in self.posts.items() if p["user"] == user})
        low, high = 1520000000000, 1525000000000
        want = {i for i, p in self.posts.items() if p["channel"] == channel and low <= p["createat"] < high}
        self.assertEqual(self.ids("--channel", channel, "--after", "%dms" % low, "--before", "%dms" % high), want)

    def test_by_name(self):
        hit = self.hits("--user", "@user.7", "--channel", "accelerator/chan-3")
        self.assertTrue(hit)
        self.assertEqual({(h["user"], h["place"]) for h in hit}, {("user.7", "accelerator/chan-3")})
        for words in (("--user", "nobody"), ("--channel", "nowhere"), ("--team", "none")):
            self.assertIn("no bundle knows", self.mmretain("find", *words, status=1).stderr)

    def test_by_file_name(self):
        got = [h for h in self.hits("--file-name", "kühlwasser") if h["file"]]
        self.assertEqual(sorted(h["post"] for h in got), sorted(f["post"] for f in self.files if "Kühlwasser" in f["name"]))

    def test_has_file_names_them(self):
        hits = self.hits("--has", "file")
        want = collections.defaultdict(list)
        for f in self.files:
            want[f["post"]].append("<img src=x onerror=alert(1)>.svg" if f["name"] == "svg" else f["name"])
        self.assertEqual({h["post"]: h["files"] for h in hits}, dict(want))
        text = self.mmretain("find", "--has", "file", "--limit", "0").stdout
        self.assertEqual(sorted(re.findall("^    file (.*)$", text, re.M)), sorted(n for names in want.values() for n in names))
        page = json.loads(self.mmretain("find", "--json", "--has", "file", "--limit", "3", "--offset", "2").stdout)["hits"]
        self.assertEqual(page, hits[2:5])
        self.assertEqual({tuple(h["files"]) for h in self.hits("uberdruck")}, {()})

    def test_paging(self):
        whole = [h["post"] for h in self.hits("pump")]
        paged = []
        while True:
            page = json.loads(self.mmretain("find", "--json", "--limit", "37", "--offset", str(len(paged)), "pump").stdout)
            paged += [h["post"] for h in page["hits"]]
            if not page["more"]:
                break
            self.assertEqual(page["next_offset"], len(paged))
        self.assertEqual(paged, whole)

    def test_how_many(self):
        total = len(self.hits("pump"))
        for words, said in ((("--limit", "0"), f"{total} hits"), (("--limit", str(total)), f"{total} hits"), (("--limit", "3"), "at least 4 hits; more: --offset 3"),
                            (("--limit", "3", "--offset", "6"), "at least 10 hits; more: --offset 9"), (("--offset", str(total - 1)), f"{total} hits"),
                            (("--offset", str(total + 5)), f"none from --offset {total + 5} on: {total} hits in all")):
            self.assertEqual(self.mmretain("find", "pump", *words).stderr, said + "\n")
            doc = json.loads(self.mmretain("find", "--json", "pump", *words).stdout)
            self.assertEqual((doc["total"], doc["more"]), (int(re.search("(\\d+) hits", said).group(1)), "more" in said))
        self.assertEqual(self.mmretain("find", "-q", "pump", "--limit", "3").stderr, "")
        self.assertEqual(self.mmretain("find", "--thread", sorted(self.posts)[0]).stderr, "1 hit\n")

    def test_words_in_attachment_cards(self):
        self.assertTrue(self.hits("warmetauscher"))

    def test_permalinks_and_halves(self):
        post = self.random.choice(sorted(self.posts))
        for written in (f"https://chat.example.org/team-a/pl/{post}", f"https://chat.example.org/_redirect/pl/{post}?x=1", f" {post}\n"):
            self.assertEqual(self.mmretain("show", written).stdout, self.mmretain("show", post).stdout)
            hit, = self.hits("--thread", written)
            self.assertEqual(hit["thread"], self.posts[post]["thread"])
            out = os.path.join(self.tmp, "permalink.jsonl")
            self.mmretain("export", written, "--as", "jsonl", "--out", out)
            os.unlink(out)
        done = self.mmretain("show", post[:12], status=1)
        self.assertIn("An id has 26 letters and digits", done.stderr)
        self.assertNotIn("--scan", done.stderr)

    def test_nothing_is_ignored(self):
        """An option that would have no effect is a mistake, not a narrower answer."""
        post = sorted(self.posts)[0]
        for words in (("--user", self.posts[post]["user"]), ("ung",), ("--after", "2020-01-01"), ("--has", "file")):
            self.assertIn("nothing else narrows it", self.mmretain("find", "--thread", post, *words, status=2).stderr)
        out = os.path.join(self.tmp, "none.html")
        for words in (("--user", self.posts[post]["user"]), ("--words", "ung"), ("--before", "2020-01-01")):
            self.assertIn("those that are named, or those that answer", self.mmretain("export", post, "--out", out, *words, status=2).stderr)
        self.assertFalse(os.path.exists(out))

    def test_time_that_holds_nothing(self):
        for a, b in (("2025-01-01", "2025-01-01"), ("2026-01-01", "2025-01-01")):
            done = self.mmretain("find", "--after", a, "--before", b, "und", status=2)
            self.assertIn(f"--before {b} is not after --after {a}", done.stderr)

    def test_days_name_their_zone(self):
        days = set()
        for thread in outcome.some(sorted({p["thread"] for p in self.posts.values()}), 60):
            days.update(line for line in self.mmretain("show", thread).stdout.split("\n") if re.match("-- .* --$", line))
        self.assertEqual({day.removesuffix(" --").rpartition(", ")[2] for day in days}, {"CET", "CEST"})
        for day in days:
            self.assertRegex(day, r"^-- [A-Z][a-z]+day, [1-9][0-9]? [A-Z][a-z]+ [0-9]{4}, (CET|CEST) --$")

    def test_terminal_is_safe(self):
        for p in self.posts.values():
            if "\x1b" in p["message"] or "\u202e" in p["message"]:
                out = self.mmretain("show", p["thread"], text=False).stdout
                self.assertNotRegex(out.decode(), "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
        out = self.mmretain("find", "--limit", "0", "alert OR red OR bidi", text=False).stdout
        self.assertNotRegex(out.decode(), "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


class Indexes(Archive, unittest.TestCase):
    def sidecars(self):
        return sorted(os.path.join(d, f) for d, _, names in os.walk(self.root) for f in names if f.endswith(".idx"))

    def check(self):
        word = "uberdruck"
        self.assertEqual(self.ids(word), self.by_word[word])

    def test_missing_stale_damaged(self):
        first, second, third = self.sidecars()
        os.unlink(first)
        self.check()
        self.assertTrue(os.path.exists(first))  # built again
        shutil.copyfile(second, third)
        self.check()
        catalog = os.path.join(self.root, "catalog.sqlite")
        for path in (second, catalog):
            size = os.path.getsize(path)
            good = read(path)
            for _ in range(30):
                bad = bytearray(good)
                for _ in range(20):
                    bad[self.random.randrange(size)] ^= 1 << self.random.randrange(8)
                write(path, bad)
                done = subprocess.run([MMRETAIN, "find", "--archive", self.root, *CASE, "--json", "uberdruck"], capture_output=True)
                self.assertGreaterEqual(done.returncode, 0, done.stderr)  # never a crash
            write(path, b"nonsense")
            self.check()
            os.path.exists(path) and os.unlink(path)
            self.check()
        self.mmretain("reindex", "--all")
        self.check()

    def test_hostile(self):
        """Indexes of somebody else, which look like ours and never come to an end, are not asked; reindex makes them anew."""
        for name, sql in HOSTILE.items():
            for path in self.sidecars() if name == "side" else [os.path.join(self.root, "catalog.sqlite")]:
                with contextlib.closing(sqlite3.connect(path)) as db:
                    db.executescript(sql)
            self.check()
            self.mmretain("verify", status=15)  # no ledger: every bundle is unknown to it
            self.mmretain("reindex")
            self.check()

    def test_odd_numbers(self):
        """An index whose numbers cannot be is damaged, and takes nobody's memory."""
        path, catalog = self.sidecars()[0], os.path.join(self.root, "catalog.sqlite")
        for sql in ("UPDATE frame SET no = no - 1000000", "UPDATE frame SET no = no + 20000000", "UPDATE about SET ids = 4000000000", "UPDATE about SET ids = -1"):
            with self.subTest(sql=sql):
                self.mmretain("reindex", "--all")
                with contextlib.closing(sqlite3.connect(path)) as db:
                    db.executescript(sql)
                if "about" in sql:
                    os.unlink(catalog)
                    self.assertIn("is damaged; building it", self.mmretain("reindex", "-v").stderr)
                    with contextlib.closing(sqlite3.connect(catalog)) as db:
                        self.assertEqual(db.execute("SELECT count(*) FROM bundle").fetchone(), (3,))
                self.check()
                self.assertLess(os.path.getsize(catalog), 1 << 22)
        self.mmretain("reindex", "--all")

    def test_reindex_looked_at(self):
        """With -n it says how many indexes it would build, and builds none."""
        def looked(*words):
            before = {p: os.stat(p).st_ino for p in (*self.sidecars(), os.path.join(self.root, "catalog.sqlite"))}
            doc = json.loads(self.mmretain("reindex", "-n", "--json", *words).stdout)
            self.assertEqual({p: os.stat(p).st_ino for p in before}, before)
            self.assertEqual((doc["done"], doc["bundles"], doc["small"], doc["failed"]), (False, 3, 0, 0))
            return doc["built"]

        self.mmretain("reindex", "--all")
        paths = self.sidecars()
        self.assertEqual((looked(), looked("--all")), (0, 3))
        os.unlink(paths[0])
        self.assertEqual(looked(), 1)
        write(paths[1], b"nonsense")
        self.assertEqual(looked(), 2)
        self.assertRegex(self.mmretain("reindex", "-n").stdout, r"^3 bundles \(.*\), 2 index files to be built, 0 small bundles read into the catalog alone, indexes now ")
        self.assertEqual(json.loads(self.mmretain("reindex", "--json").stdout)["built"], 2)
        self.assertEqual(looked(), 0)

    def test_bundle_that_is_gone(self):
        """An answer without one of the bundles says so, every time, until the catalog is built without it."""
        path = self.sidecars()[0].replace(".idx", ".tar.zst")
        os.rename(path, path + ".away")
        try:
            for _ in range(2):
                self.assertIn("1 bundle that the catalog lists is not in the archive", self.mmretain("find", "pump").stderr)
        finally:
            os.rename(path + ".away", path)
        self.assertNotIn("not in the archive", self.mmretain("find", "pump").stderr)

    def test_no_file_in_its_place(self):
        """A folder, a FIFO, a link where a bundle should be: named, with and without a catalog, and the other bundles answer."""
        path = self.sidecars()[0].replace(".idx", ".tar.zst")
        name = os.path.relpath(path, self.root)
        catalog = os.path.join(self.root, "catalog.sqlite")
        made = {"folder": os.mkdir, "fifo": os.mkfifo, "link": lambda p: os.symlink(path + ".away", p), "dangling": lambda p: os.symlink("/nowhere", p)}
        os.rename(path, path + ".away")
        try:
            for what, make in made.items():
                make(path)
                for listed in (True, False):
                    with self.subTest(what=what, listed=listed):
                        if not listed and os.path.exists(catalog):
                            os.unlink(catalog)
                        done = self.mmretain("find", "pump", status=15)
                        self.assertIn(f'what is in the place of bundle "{name}" is not a regular file; it is passed over', done.stderr)
                        self.assertTrue(done.stdout)
                        self.assertIn(name, self.mmretain("verify", status=15).stdout)
                        self.assertIn("not a regular file; leaving it out of the catalog", self.mmretain("reindex", status=15).stderr)
                os.rmdir(path) if what == "folder" else os.unlink(path)
        finally:
            os.rename(path + ".away", path)
            self.mmretain("reindex")
        # Named like a later generation, it takes nobody's place.
        other = path.replace(".tar.zst", "-e2.tar.zst")
        os.mkdir(other)
        try:
            self.assertEqual({h["post"] for h in json.loads(self.mmretain("find", "--json", "--limit", "0", "uberdruck", status=15).stdout)["hits"] if h["file"] is None},
                             self.by_word["uberdruck"])
        finally:
            os.rmdir(other)

    def test_case_log_empty(self):
        root = os.path.join(self.tmp, "empty")
        subprocess.run([MAKER, root, "1", "3"], capture_output=True, check=True)
        done = subprocess.run([MMRETAIN, "report", "--access", "--archive", root], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "the case log has no record yet\n", ""))

    def test_case_log(self):
        done = subprocess.run([MMRETAIN, "find", "--archive", self.root, "pump"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        before = json.loads(self.mmretain("report", "--access", "--json").stdout)["access"]
        self.hits("pump")
        after = json.loads(self.mmretain("report", "--access", "--json").stdout)["access"]
        self.assertEqual(len(after), len(before) + 1)
        last = after[-1]
        self.assertEqual((last["case"], last["reason"], last["command"], last["uid"]), ("17/26", "test of the archive", "find", os.getuid()))
        self.assertNotIn("pump", json.dumps(last))
        # a case log that cannot be written: nothing is shown
        log = os.path.join(self.root, "ledger", "access", "entries.jsonl")
        kept = read(log)
        write(log, b'{"seq":1}\n', "ab")
        done = subprocess.run([MMRETAIN, "find", "--archive", self.root, *CASE, "pump"], capture_output=True, text=True)
        write(log, kept)
        self.assertEqual((done.returncode, done.stdout), (15, ""))


class Missing(Archive, unittest.TestCase):
    """Of three bundles in the ledger one is not there: no answer looks whole that is not, and nobody is told that no bundle has an id."""

    LEDGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "make_ledger.py")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bundles = sorted(os.path.relpath(os.path.join(d, f), cls.root) for d, _, names in os.walk(cls.root) for f in names if f.endswith(".tar.zst"))
        cls.path = os.path.join(cls.root, cls.bundles[1])
        found = json.loads(cls.mmretain("find", "--json", "--limit", "0", "--after", "1990-01-01").stdout)["hits"]
        cls.of = {path: [h["post"] for h in found if h["bundle"] == path] for path in cls.bundles}
        cls.ledger()
        os.rename(cls.path, cls.path + ".away")

    @classmethod
    def ledger(cls, *more):
        lines = [{"at": "2026-11-24T01:00:02Z", "type": "published", "run": "r", "bundle": os.path.basename(path), "rel_path": path, "threads": 1, "posts": 1, "rows": 1,
                  "rows_digest": "%064d" % i, "file_digest": "0" * 64, "expires_ms": 0} for i, path in enumerate(cls.bundles)]
        subprocess.run([sys.executable, cls.LEDGER, os.path.join(cls.root, "ledger", "entries.jsonl")], text=True, check=True,
                       input="".join(json.dumps(line) + "\n" for line in [*lines, *more]))

    def setUp(self):
        self.ledger()
        self.inside, self.outside = self.of[self.bundles[1]][0], self.of[self.bundles[2]][0]

    def check(self, certain):
        out = os.path.join(self.tmp, "x.jsonl")
        done = self.mmretain("show", self.inside, status=15)
        self.assertIn("no archived post or file that can be read has the id", done.stderr)
        self.assertIn("mmretain fetch", done.stderr)
        self.mmretain("find", "--thread", self.inside, status=15)
        for words in ((self.inside,), ("--after", "1990-01-01")):
            done = self.mmretain("export", "--as", "jsonl", "--out", out, *words, status=15)
            self.assertIn(f'bundle "{self.bundles[1]}" is missing', done.stderr)
            self.assertFalse(os.path.exists(out))
        done = self.mmretain("find", "--json", "--limit", "0", "--after", "1990-01-01", status=15)
        doc = json.loads(done.stdout)
        self.assertEqual([h["post"] for h in doc["hits"]], self.of[self.bundles[0]] + self.of[self.bundles[2]])
        self.assertEqual((doc["read"]["bundles_unreadable"], doc["read"]["bundles_missing"]), (1, 1))
        self.assertIn("1 bundle is missing: what it holds is not in this answer", done.stderr)
        done = self.mmretain("show", self.outside, status=0 if certain else 15)  # parts of it could be there
        self.assertTrue(done.stdout)
        if certain:
            self.assertIn("no archived post or file has the id", self.mmretain("show", "x" * 26, status=1).stderr)
            self.mmretain("export", "--as", "jsonl", "--out", out, self.outside)
            os.unlink(out)

    def test_missing(self):
        side, catalog = self.path.replace(".tar.zst", ".idx"), os.path.join(self.root, "catalog.sqlite")
        self.check(certain=True)
        os.rename(side, side + ".away")
        self.check(certain=True)  # by the catalog
        self.mmretain("find", "--before", "1990-01-01")  # and it knows that nothing is as old
        os.unlink(catalog)
        self.check(certain=False)
        self.assertIn("and 1 is missing", self.mmretain("find", "--user", "nobody", status=15).stderr)
        os.rename(side + ".away", side)
        self.check(certain=True)

    def test_expired_or_lost(self):
        """What the ledger says is gone is not missing."""
        for kind in ("expired", "abandoned"):
            self.ledger({"at": "2026-11-25T01:00:02Z", "type": kind, "bundle": os.path.basename(self.path), "rel_path": self.bundles[1], "reason": "none"})
            self.mmretain("find", "--after", "1990-01-01")
            self.mmretain("show", self.inside, status=1)

    def test_status(self):
        policy = os.path.join(self.tmp, "policy.yaml")
        write(policy, "version: 1\ndatabase: {service: none}\narchive: {store: %s}\nrules:\n  - {name: all, match: {}, keep: forever}\n" % self.root, "w")
        os.chmod(policy, 0o600)

        def say(*words):
            return subprocess.run([MMRETAIN, *words, "-c", policy], capture_output=True, text=True).stdout

        doc = json.loads(say("status", "--json"))
        self.assertEqual(doc["missing"], 1)
        self.assertTrue(any(f"1 bundle is missing: {self.bundles[1]}" in w for w in doc["warnings"]), doc["warnings"])
        self.assertRegex(say("status"), f"warning: 1 bundle is missing: {self.bundles[1]}")
        self.assertRegex(say("doctor"), f"warn +bundles +1 bundle is missing: {self.bundles[1]}")


class Readers(Archive, unittest.TestCase):
    def test_reader_that_left(self):
        """`| head -1`, of much output and of little, in every form: the command ends as if all had been read."""
        thread = max(collections.Counter(p["thread"] for p in self.posts.values()).items())[0]
        for words in (("find", "--after", "1990-01-01", "--limit", "0"), ("find", "--after", "1990-01-01", "--limit", "0", "--json"), ("show", thread), ("show", thread, "--json"),
                      ("verify",), ("verify", "--json"), ("reindex", "--json")):
            command = [MMRETAIN, words[0], "--archive", self.root, *(CASE if words[0] in ("find", "show") else ()), *words[1:]]
            whole = subprocess.run(command, capture_output=True, check=False)
            for lines in (0, 1):
                with self.subTest(words=words, lines=lines):
                    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    if lines:
                        self.assertTrue(process.stdout.readline())
                    process.stdout.close()
                    err = process.stderr.read()
                    process.stderr.close()
                    self.assertEqual((process.wait(60), err), (whole.returncode, whole.stderr))


class Verify(Archive, unittest.TestCase):
    """These bundles were made without a ledger: each is unknown to it, so the status is 15 in any case."""

    def verify(self, *words, status=15):
        policy = os.path.join(self.tmp, "policy.yaml")
        write(policy, "version: 1\ndatabase: {service: none}\narchive: {store: %s}\nrules:\n  - {name: all, match: {}, keep: forever}\n" % self.root, "w")
        os.chmod(policy, 0o600)
        done = subprocess.run([MMRETAIN, "verify", "--json", "-q", "-c", policy, *words], capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    def test_parts_are_disjoint_and_cover_everything(self):
        whole = [b["bundle"] for b in self.verify()["bundles"]]
        parts = [b["bundle"] for n in "12" for b in self.verify("--subset", n + "/2")["bundles"]]
        self.assertEqual(sorted(parts), sorted(whole))
        for bad in ("0/2", "3/2", "1", "1/0", "a/b", "1/2x"):
            self.verify("--subset", bad, status=2)

    def test_case_log_is_walked(self):
        self.hits("nothing")
        doc = self.verify()["case_log"]
        self.assertIsNone(doc["damage"])
        self.assertGreater(doc["entries"], 0)
        path = os.path.join(self.root, "ledger", "access", "entries.jsonl")
        data = bytearray(read(path))
        data[60] ^= 1
        write(path, data)
        self.assertIn("line 1", self.verify()["case_log"]["damage"])

    def test_name_that_is_no_text(self):
        """A file that somebody has put there with a bundle's name, in bytes that are no UTF-8: a finding like any other."""
        path = os.path.join(os.fsencode(os.path.dirname(glob.glob(self.root + "/bundles/*/*/*.zst")[0])), b"mmr1-\xff-203601-000900-0123456789ab.tar.zst")
        write(path, b"nothing")
        self.addCleanup(os.unlink, path)
        self.assertIn("mmr1-\\xff-203601-000900", " ".join(self.verify()["unknown"]))


class Export(Archive, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.thread = collections.Counter(p["thread"] for p in cls.posts.values()).most_common(1)[0][0]
        cls.mine = {i for i, p in cls.posts.items() if p["thread"] == cls.thread}

    def out(self, name):
        return os.path.join(self.tmp, name)

    def export(self, form, name, *words):
        self.mmretain("export", "--as", form, "--out", self.out(name), *(words or (self.thread,)))
        return self.out(name)

    def test_rows_are_the_archived_bytes(self):
        path = self.export("jsonl", "t.jsonl")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        rows = read(path).split(b"\n")[:-1]
        self.assertEqual({json.loads(r)["id"] for r in rows if json.loads(r)["k"] == "post"}, self.mine)
        unpacked = subprocess.run("for b in $(find %s/bundles -name '*.zst'); do tar --zstd -xOf $b --wildcards '*/data/threads/*'; done"
                                  % self.root, shell=True, capture_output=True, check=True).stdout
        lines = set(unpacked.split(b"\n"))
        self.assertTrue(set(rows) <= lines)
        for row in rows:
            row = json.loads(row)
            if row["k"] == "post":
                self.assertEqual(row.get("message", ""), self.posts[row["id"]]["message"])

    def test_format_by_name(self):
        """A name that ends like a format chooses it, and may not lie about it."""
        first = {"csv": b'"', "CSV": b'"', "jsonl": b'{"k":"post"', "html": b"<!", "htm": b"<!", "txt": b"<!", "csv.bak": b"<!"}
        for end, begins in first.items():
            path = self.out("named-%s.%s" % (end, end))
            self.mmretain("export", self.thread, "--out", path)
            self.assertEqual(read(path)[:len(begins)], begins, end)
        self.mmretain("export", self.thread, "--out", self.out("named.eml/"))
        self.assertTrue(all(n.endswith(".eml") for n in os.listdir(self.out("named.eml"))))
        for form, end, other in (("html", "csv", "csv"), ("csv", "html", "html"), ("eml", "csv", "csv"), ("mattermost", "jsonl", "jsonl"), ("jsonl", "eml", "eml")):
            done = self.mmretain("export", self.thread, "--as", form, "--out", self.out("lie." + end), status=2)
            self.assertIn(f"ends in .{end}, and --as {form} writes something else", done.stderr)
            self.assertIn(f"Give --as {other}, or another name.", done.stderr)
            self.assertFalse(os.path.lexists(self.out("lie." + end)))
        done = self.mmretain("export", self.thread, "--as", "csv", "--out", self.out("named.html.zip"))
        self.assertIn("sha256", done.stdout)

    def test_never_overwrites(self):
        path = self.export("csv", "once.csv")
        self.mmretain("export", "--as", "csv", "--out", path, self.thread, status=2)

    def test_attachment_that_cannot_be_written(self):
        """A page whose attachments did not arrive is no page: their folder is there and somebody else's."""
        os.mkdir(self.out("taken_files"))
        done = self.mmretain("export", self.thread, "--out", self.out("taken.html"), status=2)
        self.assertRegex(done.stderr, r'cannot write "\S+/taken_files": File exists\n  hint: What is there is never overwritten')
        self.assertEqual(os.listdir(self.out("taken_files")), [])

    def test_csv(self):
        import csv
        path = self.export("csv", "t.csv", "--words", "alert OR calc OR 1", "--bom")
        data = read(path).decode()
        self.assertTrue(data.startswith("\ufeff"))
        rows = list(csv.DictReader(io.StringIO(data[1:], newline="")))
        by_id = {r["Post Id"]: r for r in rows if r["Post Type"] == "message"}
        for i, r in by_id.items():
            want = self.posts[i]["message"].replace("\0", "")
            self.assertIn(r["Post Message"], (want, "'" + want), i)
            for cell in r.values():
                self.assertFalse(cell.lstrip(" ")[:1] in tuple("=+-@\t\r\n"), repr(cell))

    def test_raw_csv(self):
        """Each cell is what was archived; the two differ by the guard before what a spreadsheet would calculate, and in nothing else."""
        import csv
        guarded, raw = ([row for row in csv.reader(io.StringIO(read(self.export("csv", name, "--words", "alert OR calc OR 1", *more)).decode(), newline=""))]
                        for name, more in (("guarded.csv", ()), ("raw.csv", ("--raw-csv",))))
        self.assertEqual([len(row) for row in guarded], [len(row) for row in raw])
        pairs = {(a, b) for one, other in zip(guarded, raw) for a, b in zip(one, other) if a != b}
        self.assertTrue(any(b.startswith("=") for _, b in pairs), pairs)
        for a, b in pairs:
            self.assertEqual(a, "'" + b)
            self.assertIn(b.lstrip(" ")[:1], tuple("=+-@\t\r\n"))
        at, message = raw[0].index("Post Id"), raw[0].index("Post Message")
        kind = raw[0].index("Post Type")
        for row in raw[1:]:
            if row[kind] == "message":
                self.assertEqual(row[message], self.posts[row[at]]["message"])

    def test_mails(self):
        import email
        import email.policy
        folder = self.export("eml", "mails")
        names = sorted(os.listdir(folder))
        self.assertEqual(len(names), len(self.mine))
        roots = 0
        for name in names:
            mail = email.message_from_bytes(read(os.path.join(folder, name)), policy=email.policy.default)
            self.assertEqual(mail.defects, [])
            post = mail["X-Mattermost-Post"]
            body = mail.get_body() if mail.is_multipart() else mail
            self.assertEqual(body.get_payload(decode=True).decode(), self.posts[post]["message"])
            roots += mail["References"] is None
            self.assertTrue(mail["From"].addresses[0].addr_spec.endswith(".invalid"))
        self.assertEqual(roots, 1)

    def test_subjects_of_mails(self):
        """They say what is deleted, edited or an earlier version, and are no longer than a list of mails shows."""
        import email
        import email.policy
        folder, seen, cut = self.export("eml", "subjects", "--channel", "chan-1,chan-2,chan-3,chan-4,chan-5,chan-6"), collections.Counter(), 0
        for name in os.listdir(folder):
            mail = email.message_from_bytes(read(os.path.join(folder, name)), policy=email.policy.default)
            state, subject = mail["X-Mattermost-State"], mail["Subject"]
            begin = {"deleted": r"\[deleted 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\] ", "edited": r"\[edited 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\] ",
                     "earlier-version": r"\[earlier version\] ", "live": ""}[state]
            self.assertRegex(subject, "^" + begin + ("Re: " if mail["References"] else "") + "accelerator/chan-")
            title = subject.split(": ", 2 if mail["References"] else 1)[-1] if state != "deleted" and state != "edited" else ""
            self.assertLessEqual(len(title.encode()), 124)
            self.assertNotIn("\ufffd", subject)
            seen[state] += 1
            cut += title.endswith("…")
        self.assertTrue(all(seen[s] for s in ("deleted", "edited", "earlier-version", "live")) and cut, seen)

    def test_page_and_index(self):
        path = self.export("html", "many.html", "--channel", "chan-1,chan-2,chan-3,chan-4,chan-5,chan-6,chan-7,chan-8,chan-9,chan-10")
        pages = [p for p in os.listdir(self.tmp) if p.startswith("many-")]
        self.assertGreater(len(pages), 1)
        text = read(path).decode()
        for p in pages:
            self.assertIn('href="%s"' % p, text)
        self.assertTrue(all("verified: every row" in read(self.out(p)).decode() for p in pages))
        for i, p in enumerate(sorted(pages)):
            links = [("", "many.html", "Index")]
            links += [(' rel="prev"', "many-%04d.html" % i, "Earlier")] if i else []
            links += [(' rel="next"', "many-%04d.html" % (i + 2), "Later")] if i + 1 < len(pages) else []
            text = read(self.out(p)).decode()
            above, below = (re.findall(r'<nav aria-label="Pages">(.*?)</nav>', part) for part in text.split("<main>"))
            self.assertEqual(above, below)
            self.assertEqual(re.findall(r'<a( rel="\w+")? href="([^"]+)">(\w+)</a>', above[0]), links)
            self.assertIn(">Page %d<" % (i + 1), above[0])
        self.assertNotIn("<nav", read(self.export("html", "single.html")).decode())


class Many(unittest.TestCase):
    """More bundles than a process may have files open: each has an index, and each is asked."""

    def test_few_descriptors(self):
        with tempfile.TemporaryDirectory(prefix="mmr-many-") as tmp:
            root = os.path.join(tmp, "archive")
            made = subprocess.run([MAKER, root, "48", "300", "3", "reindex"], capture_output=True, text=True, check=True)
            posts = [p for p in (json.loads(line) for line in made.stdout.split("\n") if line) if "post" in p and "thread" in p]
            self.assertEqual(len([f for _, _, names in os.walk(root) for f in names if f.endswith(".idx")]), 48)

            def find(*words, most="1024"):
                done = subprocess.run(["prlimit", "--nofile=" + most, MMRETAIN, "find", "--archive", root, *CASE, "--json", "--limit", "0", *words],
                                      capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                return json.loads(done.stdout)["hits"]

            self.assertEqual(find("pump", most="40"), find("pump"))
            for p in random.Random(3).sample(posts, 5):
                self.assertEqual(find("--thread", p["post"], most="40")[0]["thread"], p["thread"])


class Tiny(unittest.TestCase):
    """Bundles of a few frames have no sidecar; nothing is missed and nothing is called missing."""

    def test_without_sidecars(self):
        with tempfile.TemporaryDirectory(prefix="mmr-tiny-") as tmp:
            root = os.path.join(tmp, "archive")
            made = subprocess.run([MAKER, root, "6", "60", "3", "reindex"], capture_output=True, text=True, check=True)
            posts = [p for p in (json.loads(line) for line in made.stdout.split("\n") if line) if "post" in p and "thread" in p]
            bundles = [f for _, _, names in os.walk(root) for f in names if f.endswith(".zst")]
            self.assertEqual(len(bundles), 6)
            self.assertFalse([f for _, _, names in os.walk(root) for f in names if f.endswith(".idx")])

            def find(*words):
                done = subprocess.run([MMRETAIN, "find", "--archive", root, *CASE, "--json", "--limit", "0", *words], capture_output=True, text=True, check=True)
                self.assertEqual(done.stderr, "")
                return json.loads(done.stdout)

            for p in random.Random(3).sample(posts, 25):
                self.assertEqual(find("--thread", p["post"])["hits"][0]["thread"], p["thread"])
                doc = find("--user", p["user"], "--after", "%dms" % p["createat"], "--before", "%dms" % (p["createat"] + 1))
                self.assertIn(p["post"], {h["post"] for h in doc["hits"]})
                self.assertLess(doc["read"]["bundles"], 6, "the catalog narrows")
            want = {p["post"] for p in posts if "pump" in fold(p["message"])}
            self.assertLessEqual(want, {h["post"] for h in find("pump")["hits"]})
            done = subprocess.run([MMRETAIN, "verify", "--archive", root], capture_output=True, text=True)
            self.assertNotIn("indexes:", done.stdout)


if __name__ == "__main__":
    outcome.main(verbosity=1)
