#!/usr/bin/env python3
"""`abandon`: a bundle that is lost while its delete is unfinished stops every run until somebody declares it lost; what is left goes anew, nothing else goes because of it.

usage: MMRETAIN=BINARY abandon_test.py [-k NAME]
"""
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle

RULE = {"name": "all", "match": {}, "keep": {"for": "500d"}, "archive": {"keep_for": "700d"}}
WHY = ("--reason", "disk of the archive died; in no backup")
CASE = ("--case", "17/26", "--reason", "test")
PG = WORLD = WHERE = NOW = None


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("abandon")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 400, 5)


def tearDownModule():
    lib.clear(WHERE, PG)


class Base(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName.removeprefix("test_"), NOW)
        self.addCleanup(self.bench.copy.remove)
        self.archive = self.bench.copy.archive

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def call(self, *args, code=0, **more):
        return self.bench.call(*args, code=code, **more)

    def abandon(self, path, *args, code=0, **more):
        return self.call("abandon", os.path.basename(path), *WHY, *args, code=code, **more)

    def bundles(self):
        return lib.bundles(self.archive)

    def ledger(self):
        return lib.ledger(self.archive)

    def of_type(self, kind):
        return [e for e in self.ledger() if e["type"] == kind]

    def crash(self, with_files=False):
        """A run that died while it deleted; returns its unfinished bundle, the one with `purging` and without `purged`, and its threads.  with_files: attachments
        of what is gone wait to be removed."""
        self.bench.begin([RULE])
        self.attachments = dict(self.bench.want.attachments.rows)
        for _ in range(80):
            lib.finish(self.bench.start("PURGE_AFTER_COMMIT:kill"))
            path = self.unfinished()
            gone = self.posts - self.there()
            if gone and (not with_files or any(root in gone for root, _ in self.attachments.values())):
                return path
        self.fail("no run died as it should")

    def unfinished(self):
        lines = self.ledger()
        done = {e["bundle"] for e in lines if e["type"] in ("purged", "bundle-done")}
        name = next(e["bundle"] for e in lines if e["type"] == "purging" and e["bundle"] not in done)
        path = next(p for p in self.bundles() if os.path.basename(p) == name)
        rows = [row for table, row in lib.Bundle(path).rows() if table == "posts"]
        self.roots = {r["id"] for r in rows if not r.get("rootid") and not r.get("originalid")}
        self.posts = {r["id"] for r in rows}
        return path

    def there(self):
        return set(oracle.Db(self.bench.copy.load()).posts)


class Lost(Base):
    def check_whole_story(self, path, found, with_files=False):
        """From the night that ends for ever to the answers of years later."""
        gone = self.posts - self.there()
        self.assertTrue(gone)
        files = self.bench.copy.files()
        for _ in range(2):
            self.assertIn(self.call("run", "--yes", code=(14, 15)).code, (14, 15))
        self.assertEqual(self.posts - self.there(), gone)
        lines = len(self.ledger())
        # Without a reason, without --yes: nothing.
        self.bench.says(self.call("abandon", os.path.basename(path), "--yes", code=2), "needs a reason")
        self.bench.says(self.abandon(path, code=2), f"{found}:", "nothing was done")
        self.abandon(path, "-n")
        self.assertEqual(len(self.ledger()), lines)
        doc = json.loads(self.abandon(path, "--yes", "--json").out)
        self.assertEqual((doc["done"], doc["already"], doc["found"], doc["deleting"], doc["threads"]), (True, False, found, True, len(self.roots)))
        line = self.of_type("abandoned")
        self.assertEqual(len(line), 1)
        self.assertEqual((line[0]["found"], line[0]["reason"], line[0]["uid"], line[0]["deleting"], line[0]["threads"]), (found, WHY[1], os.getuid(), True, len(self.roots)))
        # Nothing in the database or among the attachments has changed by that.
        self.assertEqual(self.posts - self.there(), gone)
        self.assertEqual(self.bench.copy.files(), files)
        # The night goes on: what is left of its threads is archived anew and goes; attachments of what is gone stay.
        self.bench.expect(db=oracle.Db(self.bench.copy.load()))
        self.bench.run(code=self.bench.want.code)
        self.assertFalse(self.bench.want.roots & self.there())
        # No run, here or later, has taken an attachment of a row that went with the lost bundle.
        lost_files = {p for root, p in self.paths.values() if root in gone and p in files}
        self.assertEqual(lost_files - set(self.bench.copy.files()), set())
        if with_files:
            self.assertTrue(lost_files)
            self.assertTrue(glob.glob(os.path.join(self.archive, "ledger", "lost-unlink-*")))
        self.call("run", "--yes", code=self.bench.want.code)
        self.assertEqual(len([e for e in self.of_type("abandoned")]), 1)
        self.assertNotEqual(doc["ids"], "none")
        self.answers(path, gone, doc["ids"])

    def answers(self, path, gone, ids):
        was = "was archived in" if ids == "index" else "was probably archived in"
        name = os.path.basename(path)
        archived = {r["id"] for b in lib.read_bundles(self.archive, []) for table, r in b.rows() if table == "posts"}
        for post in sorted(gone - archived)[:3]:
            for args in (("show", post), ("find", "--thread", post), ("export", post, "--out", os.path.join(WHERE, "x.html")), ("restore", post)):
                done = self.call(*args, *CASE, code=1)
                self.bench.says(done, f'"{post}" {was} {name}', "which was declared lost on 20", f"by user {os.getuid()}", WHY[1])
        # Ids that nobody ever made.  A list from the catalog takes one in a hundred of them for its own, so that each alone says little of it.
        wrong = sum("was probably archived in" in self.unknown(26 * c, ids) for c in "abcdefgh")
        self.assertLess(wrong, 4 if ids == "filter" else 1)
        done = self.call("verify")
        self.bench.says(done, f"lost: bundles/", name, WHY[1])
        doc = json.loads(self.call("verify", "--json").out)
        self.assertEqual((doc["ok"], doc["missing"], [os.path.basename(b["bundle"]) for b in doc["lost"]]), (True, [], [name]))
        doc = json.loads(self.call("status", "--json").out)
        self.assertEqual((doc["lost"], doc["unfinished"]), (1, []))
        self.bench.says(self.call("status"), "lost: 1 bundle, declared so")
        run = self.of_type("run-begin")[0]["run"]
        self.bench.says(self.call("report", run), "declared lost", WHY[1])
        self.call("reindex", "--all")
        self.bench.says(self.call("find", "nosuchwordanywhere", *CASE), "1 bundle of this archive was declared lost")
        if gone - archived:
            self.bench.says(self.call("show", sorted(gone - archived)[0], *CASE, code=1), "declared lost")
        # Long past its time there is nothing that could expire, and no error.
        self.bench.now = NOW + 900 * lib.DAY
        got = json.loads(self.call("expire", "-n", "--json", "--clock-is-right", code=(0, 3)).out)
        self.assertNotIn(name, [b["bundle"] for b in got["bundles"]])

    def unknown(self, post, ids):
        err = self.call("show", post, *CASE, code=1).err
        self.assertRegex(err, "no archived post or file has the id" + ("|was probably archived in" if ids == "filter" else ""))
        return err

    @property
    def paths(self):
        return {r: (root, self.bench.want.db.tables["fileinfo"].get(row, "path")) for r, (root, row) in self.attachments.items()}

    def test_missing(self):
        path = self.crash(with_files=True)
        os.unlink(path)
        self.check_whole_story(path, "missing", with_files=True)

    def test_damaged(self):
        path = self.crash()
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            f.write(b"\0" * 64)
        self.check_whole_story(path, "damaged")
        self.assertTrue(os.path.exists(path + ".lost"))
        self.assertFalse(os.path.exists(path))
        self.bench.says(self.call("status"), f"aside: {os.path.relpath(path, self.archive)}.lost, damaged")

    def test_folder_in_its_place(self):
        path = self.crash()
        os.unlink(path)
        os.mkdir(path)
        self.check_whole_story(path, "damaged")
        self.assertTrue(os.path.isdir(path + ".lost"))

    def test_journal(self):
        """Whoever wrote the catalog was killed at it: what it knew before is what it knows."""
        path = self.crash()
        os.unlink(path)
        code = ("import os, signal, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN');"
                "c.execute('DELETE FROM filter'); c.execute('DELETE FROM member'); c.execute('DELETE FROM bundle'); os.kill(os.getpid(), signal.SIGKILL)")
        subprocess.run([sys.executable, "-c", code, os.path.join(self.archive, "catalog.sqlite")], check=False)
        self.assertTrue(os.path.getsize(os.path.join(self.archive, "catalog.sqlite-journal")))
        self.assertEqual(json.loads(self.abandon(path, "--yes", "--json").out)["ids"], "filter")

    def test_no_index(self):
        """Nothing tells which ids it held: then every waiting journal may be of it, and no answer is guessed."""
        path = self.crash()
        os.unlink(path)
        for name in (os.path.join(self.archive, "catalog.sqlite"), path.removesuffix(".tar.zst") + ".idx"):
            if os.path.exists(name):
                os.unlink(name)
        doc = json.loads(self.abandon(path, "--yes", "--json").out)
        self.assertEqual(doc["ids"], "none")
        self.assertEqual(glob.glob(os.path.join(self.archive, "ledger", "unlink-*")), [])
        gone = sorted(self.posts - self.there())[0]
        done = self.call("show", gone, *CASE, code=1)
        self.bench.says(done, "no archived post or file has the id", "1 bundle of this archive was declared lost")

    def test_done(self):
        """Of a bundle that no run asks for any more `verify` does, for ever."""
        self.bench.begin([RULE])
        self.bench.run(code=self.bench.want.code)
        name = self.of_type("published")[0]["bundle"]
        path = next(p for p in self.bundles() if os.path.basename(p) == name)
        os.unlink(path)
        self.assertEqual(self.call("verify", code=15).code, 15)
        doc = json.loads(self.abandon(path, "--yes", "--json").out)
        self.assertEqual((doc["deleting"], doc["done"]), (False, True))
        self.call("verify")
        self.call("run", "--yes", code=self.bench.want.code)


def of_later_form(path):
    """The bundle as a later mmretain could have written it: whole, and its mmretain.json names another format."""
    data = pathlib.Path(path).read_bytes()
    frames = struct.unpack("<I", data[-9:-5])[0]
    table = len(data) - 17 - 8 * frames
    sizes = list(struct.iter_unpack("<II", data[table + 8:-9]))
    last = table - sizes[-1][0]
    at = last - sizes[-2][0]
    text = subprocess.run(["zstd", "-dcq"], input=data[at:last], capture_output=True, check=True).stdout.replace(b'"format":"mmr1"', b'"format":"mmr2"')
    body = text[:text.rindex(b'"check"')]
    text = body + b'"check":"' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'
    with tempfile.NamedTemporaryFile() as f:  # from a file: a frame that says its size
        f.write(text)
        f.flush()
        frame = subprocess.run(["zstd", "-cq", f.name], capture_output=True, check=True).stdout
    sizes[-2] = (len(frame), len(text))
    data = data[:at] + frame + data[last:table] + data[table:table + 8] + b"".join(struct.pack("<II", *s) for s in sizes) + data[-9:]
    pathlib.Path(path).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def change_ledger(archive, change):
    """Every line as `change` gives it, in a chain that is whole."""
    path = pathlib.Path(archive, "ledger", "entries.jsonl")
    lines, prev = [], "0" * 64
    for line in path.read_text().splitlines():
        body = re.sub('"prev":"[0-9a-f]{64}"', f'"prev":"{prev}"', change(line[:line.rindex(',"hash":')]), count=1)
        prev = hashlib.sha256(body.encode()).hexdigest()
        lines.append(f'{body},"hash":"{prev}"}}\n')
    path.write_text("".join(lines))


class Refused(Base):
    def test_later_form(self):
        """What this program cannot read is not lost when every byte is as it was published."""
        path = self.crash()
        was = next(e for e in self.of_type("published") if e["bundle"] == os.path.basename(path))["file_digest"]
        now = of_later_form(path)
        change_ledger(self.archive, lambda line: line.replace(was, now))
        self.refused(path, 16, "is whole, byte for byte what the ledger names", "has format mmr2", "use a newer mmretain")
        self.assertTrue(os.path.exists(path))
        lib.flip(path)  # damaged
        self.assertEqual(json.loads(self.abandon(path, "--yes", "--json").out)["found"], "damaged")

    def test_whole(self):
        """One that can be read and is what the ledger names: the run finishes it."""
        path = self.crash()
        lines = len(self.ledger())
        self.bench.says(self.abandon(path, "--yes", code=16), "is whole, and what the ledger names", "mmretain run --yes")
        self.assertEqual(len(self.ledger()), lines)
        self.bench.run(code=self.bench.want.code)
        self.bench.done()

    def test_elsewhere(self):
        path = self.crash()
        other = os.path.join(self.archive, "bundles", "1999", "01")
        os.makedirs(other)
        shutil.move(path, other)
        self.bench.says(self.abandon(path, "--yes", code=16), "is not in its place, but in", "bundles/1999/01/", "Move it back")
        self.assertEqual(self.of_type("abandoned"), [])

    def refused(self, path, code, *words):
        """Nothing is declared, and nothing waits aside."""
        lines, waiting = len(self.ledger()), sorted(os.listdir(os.path.join(self.archive, "ledger")))
        self.bench.says(self.abandon(path, "--yes", code=code), *words)
        self.assertEqual((len(self.ledger()), sorted(os.listdir(os.path.join(self.archive, "ledger")))), (lines, waiting))

    def test_folder_away(self):
        """A file system that is not mounted: the file may be in its folder."""
        path = self.crash()
        folder = os.path.dirname(path)
        os.rename(folder, folder + ".away")
        self.refused(path, 16, "its folder is not there", "mounted")
        os.mkdir(folder)
        self.assertEqual(json.loads(self.abandon(path, "--yes", "--json").out)["found"], "missing")

    def test_links(self):
        """Somebody moved it to another disk: what is behind a link may be whole."""
        path = self.crash()
        folder, name = os.path.split(path)
        os.rename(path, path + ".away")
        os.symlink(name + ".away", path)
        self.refused(path, 16, "is a link", "put the file itself there")
        self.assertTrue(os.path.islink(path))
        os.rename(path + ".away", path)
        os.rename(folder, folder + ".away")
        os.symlink(os.path.basename(folder) + ".away", folder)
        self.refused(path, 14, "whether bundle", "cannot be told")
        os.unlink(folder)
        os.rename(folder + ".away", folder)
        self.bench.run(code=self.bench.want.code)
        self.bench.done()

    def test_erasure_published(self):
        """The bundle was written again without one person, and the line that says so did not come: that file is it, and whole."""
        self.bench.begin([RULE])
        self.bench.run(code=self.bench.want.code)
        name = self.of_type("published")[0]["bundle"]
        path = next(p for p in self.bundles() if os.path.basename(p) == name)
        owner = next(r["userid"] for table, r in lib.Bundle(path).rows() if table == "posts" and r.get("message"))
        user = self.bench.sql(f"SELECT username FROM users WHERE id = '{owner}'").strip()
        lib.finish(self.bench.start("BUNDLE_AFTER_RENAME:kill", "erase", "--user", user, "--yes", *CASE))
        erasing = self.of_type("erasing")[-1]
        self.assertTrue(os.path.exists(os.path.join(self.archive, erasing["rel_path"])))
        self.assertEqual(self.of_type("erased"), [])
        old = os.path.join(self.archive, erasing["old_rel_path"])
        os.truncate(old, os.path.getsize(old) // 2)
        self.refused(old, 16, "an erasure of bundle", os.path.basename(erasing["rel_path"]))
        self.call("run", "--yes", code=self.bench.want.code)
        self.assertEqual(self.of_type("erased")[-1]["rel_path"], erasing["rel_path"])

    def test_unknown(self):
        self.crash()
        self.bench.says(self.call("abandon", "mmr1-nosuch.tar.zst", *WHY, "--yes", code=1), "the ledger knows no bundle")

    def test_running(self):
        self.bench.begin([RULE])
        process = self.bench.halt("RUN_AFTER_PUBLISHED")
        path = self.bundles()[0]
        os.rename(path, path + ".away")
        self.bench.says(self.abandon(path, "--yes", code=11), "another process writes the ledger")
        os.rename(path + ".away", path)
        self.bench.go_on(process, code=self.bench.want.code)
        self.bench.done()

    def test_back(self):
        """Somebody finds a copy after all: it is read like any other, and cannot be declared lost."""
        path = self.crash()
        kept = pathlib.Path(path).read_bytes()
        os.unlink(path)
        self.abandon(path, "--yes")
        pathlib.Path(path).write_bytes(kept)
        gone = sorted(self.posts - self.there())[0]
        self.call("show", gone, *CASE)
        self.bench.says(self.call("verify"), "ok, though declared lost on")
        self.bench.says(self.abandon(path, "--yes", code=16), "is whole")
        self.bench.expect(db=oracle.Db(self.bench.copy.load()))
        self.bench.run(code=self.bench.want.code)


    def test_back_and_damaged(self):
        """A copy that was put back is damaged, too: nothing is written over."""
        path = self.crash()
        for content in (b"first", b"second"):
            pathlib.Path(path).write_bytes(content)
            done = self.abandon(path, "--yes", code=0 if content == b"first" else 14)
        self.bench.says(done, "File exists", "move it out of the archive root")
        self.assertEqual(pathlib.Path(path + ".lost").read_bytes(), b"first")
        os.unlink(path + ".lost")
        self.abandon(path, "--yes")
        self.assertEqual((pathlib.Path(path + ".lost").read_bytes(), len(self.of_type("abandoned"))), (b"second", 1))
        self.call("verify")

    def test_back_and_erased(self):
        """A journal that was set aside has the names of people's files: nobody is told that they are gone while it is there."""
        path = self.crash(with_files=True)
        kept = pathlib.Path(path).read_bytes()
        owners = {r["id"]: r["creatorid"] for table, r in lib.Bundle(path).rows() if table == "fileinfo"}
        os.unlink(path)
        self.abandon(path, "--yes")
        pathlib.Path(path).write_bytes(kept)
        self.bench.expect(db=oracle.Db(self.bench.copy.load()))
        self.bench.run(code=self.bench.want.code)
        aside = glob.glob(os.path.join(self.archive, "ledger", "lost-unlink-*"))
        ident = next(i for p in aside for i in owners if f'"{i}"' in pathlib.Path(p).read_text())
        user = self.bench.sql(f"SELECT username FROM users WHERE id = '{owners[ident]}'").strip()
        def look():
            found = json.loads(self.call("erase", "--user", user, "-n", "--json", *CASE, code=(0, 3)).out)["bundles"]
            return next(b for b in found if os.path.basename(b["bundle"]) == os.path.basename(path))
        self.assertIn("waits in a journal that was set aside, with its name (ledger/moved-*, ledger/lost-unlink-*): remove", look()["why"] or "")
        for p in aside:
            os.unlink(p)
        self.assertNotIn("waits in a journal", look()["why"] or "")


class Crashed(Base):
    def drop_indexes(self, path):
        for name in (os.path.join(self.archive, "catalog.sqlite"), path.removesuffix(".tar.zst") + ".idx"):
            if os.path.exists(name):
                os.unlink(name)

    def test_indexes_gone_meanwhile(self):
        """What was written down of its ids is not written over by a call that knows less."""
        path = self.crash()
        os.unlink(path)
        self.abandon(path, "--yes", code=(-9, 137), env={"MMR_FAULT": "ABANDON_SAVED:kill"})
        self.drop_indexes(path)
        self.assertNotEqual(json.loads(self.abandon(path, "--yes", "--json").out)["ids"], "none")
        gone = sorted(self.posts - self.there())[0]
        self.bench.says(self.call("show", gone, *CASE, code=1), "archived in", "which was declared lost")

    def test_two(self):
        """Taking the first out of the catalog takes every bundle out that cannot be read: what it knew of the second is wanted later."""
        path = self.crash()
        other = next(p for p in self.bundles() if p != path)
        posts = [r["id"] for table, r in lib.Bundle(other).rows() if table == "posts"]
        for p in (path, other):
            os.truncate(p, os.path.getsize(p) // 2)
        self.abandon(path, "--yes")
        self.assertNotEqual(json.loads(self.abandon(other, "--yes", "--json").out)["ids"], "none")
        self.bench.says(self.call("show", posts[0], *CASE, code=1), "archived in", os.path.basename(other), "which was declared lost")

    def test_reindex_before(self):
        """`verify` names `reindex` when indexes are stale; the catalog may be the last that knows what a small bundle held."""
        for damaged in (False, True):
            with self.subTest(damaged=damaged):
                if damaged:
                    self.bench.copy.remove()
                    self.bench = faults.Bench(WORLD, WHERE, "reindex_damaged", NOW)
                    self.archive = self.bench.copy.archive
                    self.addCleanup(self.bench.copy.remove)
                path = self.crash()
                os.truncate(path, os.path.getsize(path) // 2) if damaged else os.unlink(path)
                self.call("reindex", code=15 if damaged else 0)
                self.call("reindex", "--all", code=15 if damaged else 0)
                self.assertNotEqual(json.loads(self.abandon(path, "--yes", "--json").out)["ids"], "none")
                gone = sorted(self.posts - self.there())[0]
                self.bench.says(self.call("show", gone, *CASE, code=1), "archived in", "which was declared lost")

    def test_at_each_step(self):
        """Killed anywhere: the same command once more goes on, and there is one line."""
        steps = ("ABANDON_BEFORE_LINE:kill", "ABANDON_SAVED:kill", "LEDGER_SYNC:kill", "ABANDON_AFTER_LINE:kill", "ABANDON_ASIDE:kill")
        more = ("LEDGER_WRITE:kill", "LEDGER_SYNC:EIO", "LEDGER_WRITE:ENOSPC") if lib.outcome.LONG else ()
        for number, fault in enumerate(steps + more):
            with self.subTest(fault=fault):
                if number:
                    self.bench.copy.remove()
                    self.bench = faults.Bench(WORLD, WHERE, f"at_each_step{number}", NOW)
                    self.archive = self.bench.copy.archive
                    self.addCleanup(self.bench.copy.remove)
                path = self.crash(with_files=not number)
                with open(path, "r+b") as f:
                    f.truncate(os.path.getsize(path) // 2)
                gone, files = self.posts - self.there(), self.bench.copy.files()
                self.abandon(path, "--yes", code=(-9, 137, 14), env={"MMR_FAULT": fault})
                if not number:  # what waited for attachments is aside already, and no line says why: nobody removes one
                    self.assertTrue(glob.glob(os.path.join(self.archive, "ledger", "lost-unlink-*")))
                    self.assertEqual(self.of_type("abandoned"), [])
                    self.call("run", "--yes", code=(14, 15))
                    self.assertEqual(self.bench.copy.files(), files)
                doc = json.loads(self.abandon(path, "--yes", "--json").out)
                self.assertTrue(doc["done"])
                self.assertEqual(len(self.of_type("abandoned")), 1)
                self.assertTrue(os.path.exists(path + ".lost"))
                self.assertEqual((self.posts - self.there(), self.bench.copy.files()), (gone, files))
                self.bench.expect(db=oracle.Db(self.bench.copy.load()))
                self.bench.run(code=self.bench.want.code)
                self.assertFalse(self.bench.want.roots & self.there())
                self.call("verify")


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
