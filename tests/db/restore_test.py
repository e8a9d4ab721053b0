#!/usr/bin/env python3
"""`restore`: what a run took comes back as it was, row for row and file for file, and stays.

usage: MMRETAIN=BINARY restore_test.py [-k NAME]
"""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle
from cluster import literal  # (tests/support, found by e2e_lib)

CASE = ("--case", "17/26", "--reason", "deleted by mistake")
POINTS = ("RESTORE_AFTER_FILE", "RESTORE_BEFORE_COMMIT", "RESTORE_AFTER_COMMIT", "LEDGER_WRITE", "LEDGER_SYNC")
# What JSON knows and SQL does not: a null that is a value; numbers longer than any machine's, zeros at their end; a bare string.
JSON = r"""
UPDATE posts SET props = CASE left(md5(id), 1) WHEN '0' THEN 'null' WHEN '1' THEN '{"n": 123456789012345678901234567890.5000, "e": 1e300, "s": "a\\b\u0001\""}'
 WHEN '2' THEN '"null"' WHEN '3' THEN NULL ELSE props END::jsonb WHERE left(md5(id), 1) IN ('0', '1', '2', '3');
UPDATE propertyvalues SET value = 'null' WHERE left(md5(id), 1) < '8';
UPDATE threads SET participants = 'null' WHERE left(md5(postid), 1) < '2';
"""
PG = WORLD = WHERE = NOW = None


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("restore")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 700, 21, spice=JSON)


def tearDownModule():
    lib.clear(WHERE, PG)


class Restore(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName.removeprefix("test_"), NOW)
        self.addCleanup(self.bench.copy.remove)
        self.bench.begin()
        self.bench.run(code=self.bench.want.code)
        self.gone = self.tables()
        self.roots = sorted(r for r in self.bench.want.roots if self.bench.want.archived(r))
        self.assertGreater(len(self.roots), 20)

    def tearDown(self):
        self.assertEqual([p[-600:] for p in self.bench.problems], [])

    def tables(self):
        return {name: collections.Counter(t.lines) for name, t in self.bench.copy.load().items()}

    def rows_of(self, *roots):
        """What must be there again: the rows of these threads, by table."""
        want = collections.defaultdict(collections.Counter)
        for name, rows in self.bench.want.rows.items():
            want[name].update(line for line, _, root in rows if root in roots)
        return want

    def back(self, *roots):
        """Exactly these threads, as they were, and nothing else has changed."""
        want, now = self.rows_of(*roots), self.tables()
        for name, before in self.gone.items():
            self.assertEqual(now[name] - before, +want[name], name)
            self.assertEqual(before - now[name], collections.Counter(), name)

    def unchanged(self):
        self.assertEqual(self.tables(), self.gone)

    def restore(self, *args, code=0, **more):
        return self.bench.call("restore", *args, *CASE, code=code, **more)

    def with_file(self):
        """A thread with an attachment whose content the bundle holds, and the path of that."""
        here = self.bench.copy.files()
        return next((root, path) for root, path in self.attachments() if root in self.roots and path not in here)

    def attachments(self):
        """Root and path of each attachment that a bundle holds."""
        files = self.bench.want.db.tables["fileinfo"]
        ident, path = files.columns.index("id"), files.columns.index("path")
        for line, _, root in self.bench.want.rows["fileinfo"]:
            row = oracle.Table(files.columns, [line]).rows[0]
            if row[ident] in self.bench.want.attachments.stored:
                yield root, row[path]

    def test_all(self):
        done = json.loads(self.restore("--yes", "--json", *self.roots).out)
        self.back(*self.roots)
        self.assertTrue(done["done"])
        self.assertEqual({t["thread"] for t in done["threads"]}, set(self.roots))
        self.assertEqual(sum(t["posts"] for t in done["threads"]), sum(self.rows_of(*self.roots)["posts"].values()))
        files, here = self.bench.want.db.tables["fileinfo"], self.bench.copy.files()
        for row in files.rows:
            path = row[files.columns.index("path")]
            if path in self.bench.want.files and self.bench.want.files[path] != "special":
                self.assertEqual(here.get(path), self.bench.want.files[path], path)
        done = json.loads(self.restore("--yes", "--json", *self.roots).out)
        self.assertEqual({t["state"] for t in done["threads"]}, {"there already"})
        self.back(*self.roots)

    def test_shows_only(self):
        root = self.roots[0]
        done = self.restore(root, code=2)
        self.assertIn("can be put back", done.out)
        self.assertIn("acts only with --yes", done.err)
        self.restore(root, "-n")
        self.restore(root, "-n", "--yes", code=2)
        self.unchanged()
        self.assertFalse([e for e in lib.ledger(self.bench.copy.archive) if e["type"] in ("hold", "restored")])

    def test_records(self):
        root = self.roots[0]
        self.restore(self.bench.want.db.threads[root].posts[-1].id, "--yes")  # any post of it
        self.back(root)
        entries = lib.ledger(self.bench.copy.archive)
        self.assertEqual([e["type"] for e in entries[-2:]], ["hold", "restored"])
        self.assertEqual((entries[-1]["root"], entries[-1]["case"], entries[-1]["rows"]), (root, "17/26", sum(sum(c.values()) for c in self.rows_of(root).values())))
        self.bench.call("verify", code=0)
        access = json.loads(self.bench.call("report", "--access", "--json", code=0).out)
        self.assertEqual(access["access"][-1]["command"], "restore")
        self.bench.call("restore", root, "--yes", code=2)  # no case

    def test_stays(self):
        """Later runs keep it, with what people write into it: neither the plan nor a sweep of its old bundle takes anything; released, it goes."""
        root = next(r for r in self.roots if len(self.bench.want.db.threads[r].posts) > 1)
        self.restore(root, "--yes")
        t = self.bench.want.db.threads[root]
        self.bench.sql(f"INSERT INTO reactions VALUES ('{t.root.user}', '{t.root.id}', 'tada', {NOW}, {NOW}, 0, '', '{t.channel}')")
        before = self.tables()
        for _ in range(2):
            done = json.loads(self.bench.call("run", "--yes", "--json", code=(0, 3)).out)
            self.assertEqual(done["deleted"]["threads"], 0)
            plan = json.loads(self.bench.call("plan", "--json", code=0).out)
            self.assertEqual([r["reasons"].get("hold", 0) for r in plan["rules"]], [1])
            self.assertEqual(self.tables(), before)
        self.bench.call("hold", "release", root, "--case", "17/26", code=0)
        done = json.loads(self.bench.call("run", "--yes", "--json", code=(0, 3)).out)
        self.assertEqual(done["deleted"]["threads"], 1)
        self.unchanged()

    def test_file(self):
        root, path = self.with_file()
        full = os.path.join(self.bench.copy.data, path)
        self.assertFalse(os.path.exists(full))
        self.assertEqual(json.loads(self.restore(root, "-n", "--json").out)["threads"][0]["files"] > 0, True)
        self.assertFalse(os.path.exists(full))
        self.restore(root, "--yes")
        self.assertEqual(self.bench.copy.files()[path], self.bench.want.files[path])
        self.assertEqual(os.stat(full).st_uid, os.stat(self.bench.copy.data).st_uid)
        self.back(root)

    def test_attachment_that_waits(self):
        """Back before the attachments went: their journal must not take them afterwards."""
        self.restore(*self.roots, "--yes")
        self.bench.call("hold", "release", *self.roots, "--case", "17/26", code=0)
        self.assertEqual(lib.finish(self.bench.start("UNLINK_BEFORE:kill")).code, -signal.SIGKILL)
        self.unchanged()
        here = self.bench.copy.files()
        root, path = next((root, path) for root, path in self.attachments() if root in self.roots and path in here)
        done = json.loads(self.restore(root, "--yes", "--json").out)["threads"][0]
        self.assertGreater(done["files_there"], 0)
        self.bench.run(code=(0, 3))
        self.assertEqual(self.bench.copy.files().get(path), here[path])
        self.assertLess(len(self.bench.copy.files()), len(here))
        self.back(root)

    def folder_gone(self):
        """A thread with an attachment, its path, and the topmost folder of that, which is not there; all of it is of a server's account."""
        if os.geteuid() != 0:
            self.skipTest("needs root to make files of others")
        root, path = self.with_file()
        data = self.bench.copy.data
        for folder, _, names in os.walk(data):
            for n in names + ["."]:
                os.lchown(os.path.join(folder, n), faults.NOBODY.pw_uid, faults.NOBODY.pw_gid)
        top = path.split("/")[0]
        if os.path.exists(os.path.join(data, top)):
            os.rename(os.path.join(data, top), os.path.join(self.bench.copy.where, "moved"))
        return root, path, top

    def all_of_the_server(self, path):
        parts = path.split("/")
        for n in range(1, len(parts) + 1):
            st = os.stat(os.path.join(self.bench.copy.data, *parts[:n]))
            self.assertEqual((st.st_uid, st.st_gid), (faults.NOBODY.pw_uid, faults.NOBODY.pw_gid), parts[:n])
        left = [n for f, dirs, names in os.walk(self.bench.copy.data) for n in dirs + names if n.startswith(".mmretain")]
        self.assertEqual(left, [])

    def test_crash_in_folder(self):
        """A folder under its name belongs to the server, whenever the restore that made it was killed."""
        root, path, _ = self.folder_gone()
        for n in range(1, path.count("/") + 1):
            done = lib.finish(self.bench.start(f"RESTORE_IN_FOLDER:kill:{1 if n == 1 else 2}", "restore", root, "--yes", *CASE))
            self.assertEqual(done.code, -signal.SIGKILL)
            for folder, dirs, _ in os.walk(self.bench.copy.data):
                for d in dirs:
                    if not d.startswith(".mmretain"):
                        self.assertEqual(os.stat(os.path.join(folder, d)).st_uid, faults.NOBODY.pw_uid, d)
        self.restore(root, "--yes")
        self.back(root)
        self.all_of_the_server(path)

    def test_folder_race(self):
        """The server makes the folder in the same moment."""
        root, path, top = self.folder_gone()
        process = self.bench.start("RESTORE_IN_FOLDER:stop", "restore", root, "--yes", *CASE)
        self.assertTrue(lib.stopped(process))
        os.mkdir(os.path.join(self.bench.copy.data, top), 0o750)
        os.chown(os.path.join(self.bench.copy.data, top), faults.NOBODY.pw_uid, faults.NOBODY.pw_gid)
        with open(os.path.join(self.bench.copy.data, top, "upload"), "wb"):
            pass
        self.assertEqual(self.bench.go_on(process, code=0).code, 0)
        os.chown(os.path.join(self.bench.copy.data, top, "upload"), faults.NOBODY.pw_uid, faults.NOBODY.pw_gid)
        self.assertTrue(os.path.exists(os.path.join(self.bench.copy.data, top, "upload")))
        self.back(root)
        self.all_of_the_server(path)

    def halted_at_file(self):
        """A restore that stops itself when its attachment is in its place; nothing is committed yet."""
        here = self.bench.copy.files()
        root = next(r for r, p in self.attachments() if r in self.roots and p not in here)
        process = self.bench.start("RESTORE_AFTER_FILE:stop", "restore", root, "--yes", *CASE)
        self.assertTrue(lib.stopped(process))
        return root, process

    def test_archive_moves(self):
        """A copy lies in the archive's place by the time of the commit: the hold would be in neither ledger that a run reads, so nothing comes back."""
        root, process = self.halted_at_file()
        archive = self.bench.copy.archive
        os.rename(archive, archive + ".moved")
        shutil.copytree(archive + ".moved", archive)
        self.bench.go_on(process, code=14)
        self.unchanged()
        shutil.rmtree(archive)
        os.rename(archive + ".moved", archive)
        self.restore(root, "--yes")
        self.back(root)

    def test_lock_lost(self):
        """Its lock is gone, and another host may be at work: nothing comes back."""
        root, process = self.halted_at_file()
        self.bench.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        self.bench.go_on(process, code=12)
        self.unchanged()
        self.restore(root, "--yes")
        self.back(root)

    def test_another_account(self):
        """Who may write in the folder and give nothing away is told once that the server cannot read it, and what settles that."""
        root, path, _ = self.folder_gone()
        real, lib.PROGRAM = lib.PROGRAM, ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
                                          lib.binary()]
        try:
            done = self.restore(root, "--yes")
        finally:
            lib.PROGRAM = real
        self.back(root)
        settle = re.findall(r"belong to user 12345, who runs this, and the server, user \d+, cannot read them .*As root: (find .*)", done.err)
        self.assertEqual(len(settle), 1, done.err)
        subprocess.run(["sh", "-c", settle[0]], check=True)
        self.all_of_the_server(path)

    def small_disk(self, folder):
        """A file system of its own below this folder, with what was in it; fill(n) leaves n bytes, fill(None) as many as there are."""
        inside = folder + ".inside"
        shutil.copytree(folder, inside, symlinks=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0750", "tmpfs", folder], capture_output=True).returncode:
            self.skipTest("mounting a tmpfs is not permitted here")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
        shutil.copytree(inside, folder, symlinks=True, dirs_exist_ok=True)
        filler = os.path.join(folder, "filler")

        def fill(left):
            if os.path.exists(filler):
                os.unlink(filler)
            if left is None:
                return
            with open(filler, "wb", buffering=0) as f:
                st = os.statvfs(folder)
                f.write(bytes(max(st.f_bavail * st.f_frsize - left, 0)))
        return fill

    def test_disk_full_of_attachments(self):
        """No row comes back for an attachment that did not fit; with room the same command does."""
        here = self.bench.copy.files()
        root, path = max(((r, p) for r, p in self.attachments() if r in self.roots and p not in here),
                         key=lambda a: os.path.getsize(os.path.join(self.bench.world.data, a[1])))
        size = os.path.getsize(os.path.join(self.bench.world.data, path))
        self.assertGreater(size, 4096)
        fill = self.small_disk(self.bench.copy.data)
        before = self.bench.copy.files()
        for left in (0, (path.count("/") + 1) * 4096, size // 2 // 4096 * 4096):
            fill(left)
            done = self.restore(root, "--yes", code=14)
            self.assertIn("No space left on device", done.err)
            fill(None)
            self.unchanged()
            self.assertEqual({n: c for n, c in self.bench.copy.files().items() if n not in before}, {}, left)
            self.assertFalse([e for e in lib.ledger(self.bench.copy.archive) if e["type"] in ("hold", "restored")])
        self.restore(root, "--yes")
        self.back(root)
        self.assertEqual(self.bench.copy.files()[path], self.bench.want.files[path])

    def test_disk_full_of_the_ledger(self):
        """A hold or a restore that cannot be written down does not happen; the ledger is whole afterwards, and the next one goes on."""
        root, other = self.roots[:2]
        fill = self.small_disk(os.path.join(self.bench.copy.archive, "ledger"))
        book = os.path.join(self.bench.copy.archive, "ledger", "entries.jsonl")
        for room in (4096, 0):
            size = os.path.getsize(book)
            fill(room)
            for n in range(200):
                done = self.bench.call("hold", "add", other, "--case", f"{n} " + 150 * "x")
                self.assertIn(done.code, (0, 14), done.err)
                if done.code == 14:
                    self.assertIn("No space left on device", done.err)
                    break
                self.assertIn(self.bench.call("hold", "release", other, "--case", f"{n} " + 150 * "x").code, (0, 14))
            else:
                self.fail("the disk was never full")
            self.restore(root, "--yes", code=14)
            self.unchanged()
            fill(None)
            self.bench.call("hold", "list", code=0)  # a torn last line, which the next writer cuts off, is none
            self.assertGreaterEqual(os.path.getsize(book), size)
            with open(book, "rb") as f:
                self.assertNotIn(b'"type":"restored"', f.read())
        self.restore(root, "--yes")
        self.back(root)
        self.bench.call("verify", code=0)

    def test_other_file(self):
        root, path = self.with_file()
        full = os.path.join(self.bench.copy.data, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(b"another")
        done = self.restore(root, "--yes", code=16)
        self.assertIn("lies another file", done.err)
        self.unchanged()
        os.unlink(full)
        os.symlink("/etc/passwd", full)
        self.restore(root, "--yes", code=14)
        self.unchanged()
        os.unlink(full)
        # a folder of the path that leads elsewhere
        top = path.split("/")[0]
        os.rename(os.path.join(self.bench.copy.data, top), os.path.join(self.bench.copy.where, "moved"))
        os.symlink(os.path.join(self.bench.copy.where, "moved"), os.path.join(self.bench.copy.data, top))
        self.restore(root, "--yes", code=14)
        self.unchanged()
        self.assertFalse(os.path.exists(full))

    def again_as(self, root, path, name):
        """The thread's file gets another name, and the thread goes once more."""
        self.restore(root, "--yes")
        new, data = os.path.join(os.path.dirname(path), name), self.bench.copy.data
        os.rename(os.path.join(data, path), os.path.join(data, new))
        self.bench.sql(f"UPDATE fileinfo SET path = {literal(new)} WHERE path = {literal(path)}")
        self.bench.call("hold", "release", root, "--case", "17/26", code=0)
        self.bench.call("run", "--yes", code=(0, 3))
        self.unchanged()
        self.assertNotIn(new, self.bench.copy.files())
        return new

    def test_name_with_a_dot(self):
        """The last name of a path is what the user called the file: .gitignore is one."""
        root, path = self.with_file()
        for name in (".gitignore", "..x", "...", "a\"b'c.txt"):
            content = self.bench.want.files[path]
            new = self.again_as(root, path, name)
            self.restore(root, "--yes")
            self.assertEqual(self.bench.copy.files().get(new), content)
            os.rename(os.path.join(self.bench.copy.data, new), os.path.join(self.bench.copy.data, path))
            self.bench.sql(f"UPDATE fileinfo SET path = {literal(path)} WHERE path = {literal(new)}")

    def test_twice(self):
        """What went twice comes back as it was the second time."""
        root = next(r for r in self.roots if len(self.bench.want.db.threads[r].posts) > 1)
        self.restore(root, "--yes")
        self.bench.call("hold", "release", root, "--case", "17/26", code=0)
        self.bench.sql(f"UPDATE posts SET message = 'the second time' WHERE id = '{root}'")
        before = self.tables()
        self.bench.call("run", "--yes", code=(0, 3))
        self.unchanged()
        self.restore(root, "--yes")
        self.assertEqual(self.tables(), before)

    def test_archived_twice(self):
        """Of a thread that came back, went on and was archived again the newer bundle counts, whatever the names of both."""
        root = next(r for r in self.roots if self.bench.want.db.threads[r].root.live)
        path = json.loads(self.restore(root, "--yes", "--json").out)["threads"][0]["bundle"]
        self.bench.call("hold", "release", root, "--case", "17/26", code=0)
        self.bench.sql(f"INSERT INTO posts SELECT (jsonb_populate_record(p, jsonb_build_object('id', 'zznewreplyzznewreplyzznewr', 'rootid', '{root}'))).* FROM posts p WHERE id = '{root}'")
        self.bench.policy([dict(r, archive={"keep_for": "40y"}) for r in faults.OLD])
        self.bench.run(code=(0, 3))
        later = [p for p in lib.bundles(self.bench.copy.archive) if any(t == "posts" and row["id"] == root for t, row in lib.Bundle(p).rows())]
        self.assertEqual(len(later), 2)
        self.assertEqual(os.path.relpath(max(later), self.bench.copy.archive), path)  # by name the old one is the last
        found = json.loads(self.restore(root, "-n", "--json").out)["threads"][0]
        self.assertNotEqual(found["bundle"], path)
        self.restore(root, "--yes")
        self.assertEqual(self.bench.sql("SELECT rootid FROM posts WHERE id = 'zznewreplyzznewreplyzznewr'"), root)

    def test_limit(self):
        """Where a rule has a limit, whoever puts a thread back is told that others go for it."""
        said = "the next run takes the oldest other threads for it"
        self.assertNotIn(said, self.restore(self.roots[0], "--yes").out)
        self.bench.policy([{"name": "full", "match": {}, "keep": "forever", "limit": {"per": "channel", "posts": 1}}])
        self.assertIn(said, self.restore(self.roots[1], "--yes").out)

    def test_held_before(self):
        """A restore holds for its own case; what another case holds goes on by itself."""
        root, other = self.roots[:2]
        self.bench.call("hold", "add", root, "--case", "court", code=0)
        self.restore(root, other, "--yes")
        listed = lambda: {(h["thread"], h["case"], h["via"]) for h in json.loads(self.bench.call("hold", "list", "--json", code=0).out)["held"]}
        self.assertEqual(listed(), {(root, "court", "admin"), (root, "17/26", "restore"), (other, "17/26", "restore")})
        self.restore(root, other, "--yes")
        self.assertEqual(sum(e["type"] == "hold" for e in lib.ledger(self.bench.copy.archive)), 2)
        self.bench.call("hold", "release", root, other, "--case", "17/26", code=0)
        self.assertEqual(listed(), {(root, "court", "admin")})
        self.bench.run(code=(0, 3))
        here = lib.oracle.Db(self.bench.copy.load()).posts
        self.assertIn(root, here)
        self.assertNotIn(other, here)

    def test_no_folder(self):
        """The rows come, and the status says that something is missing."""
        root, _ = self.with_file()
        done = self.restore(root, "--yes", code=3, env={"MM_FILESETTINGS_DIRECTORY": ""})
        self.assertIn("without content", done.err)
        self.back(root)

    def test_crash(self):
        root, _ = self.with_file()
        for point in POINTS:
            for n in (1, 2):
                process = self.bench.start(f"{point}:kill:{n}", "restore", root, "--yes", *CASE)
                done = lib.finish(process)
                if done.code != -signal.SIGKILL:
                    self.assertEqual((done.code, n), (0, 2), f"{point}: {done.err}")
                now = self.tables()
                self.assertIn(now["posts"] - self.gone["posts"], (collections.Counter(), self.rows_of(root)["posts"]), point)
                self.restore(root, "--yes")
                self.back(root)
                self.bench.call("verify", code=0)
                ids = " ".join(p.id for p in self.bench.want.db.threads[root].posts)
                self.take_away(root, ids)

    def take_away(self, root, ids):
        """As before the restore, without the program."""
        for name, lines in self.rows_of(root).items():
            table = self.bench.want.db.tables[name]
            key = {"posts": "id", "fileinfo": "id", "sharedchannelattachments": "id", "preferences": "name", "drafts": "rootid", "translations": "objectid",
                   "propertyvalues": "id"}.get(name, "postid")
            for row in oracle.Table(table.columns, list(lines)).rows:
                self.bench.sql(f"DELETE FROM {name} WHERE {key} = '{row[table.columns.index(key)]}'" + (" AND category = 'flagged_post'" if name == "preferences" else ""))
        self.unchanged()

    def test_partly_there(self):
        """A second try after somebody removed a reply again: it comes, the rest stays as it is, and the thread's counts are right."""
        root = next(r for r in self.roots if sum(p.root == r and p.live and not p.original for p in self.bench.want.db.threads[r].posts) > 1)
        self.restore(root, "--yes")
        reply = next(p for p in self.bench.want.db.threads[root].posts if p.root == root and p.live and not p.original)
        self.bench.sql(f"DELETE FROM posts WHERE id = '{reply.id}'; UPDATE posts SET message = 'edited since' WHERE id = '{root}'")
        done = json.loads(self.restore(root, "--yes", "--json").out)["threads"][0]
        self.assertEqual((done["posts"], done["state"]), (1, "put back"))
        self.assertEqual(self.bench.sql(f"SELECT message FROM posts WHERE id = '{root}'"), "edited since")
        live = sum(p.root == root and p.live and not p.original for p in self.bench.want.db.threads[root].posts)
        self.assertEqual(self.bench.sql(f"SELECT replycount FROM threads WHERE postid = '{root}'"), str(live))

    def test_late_reply(self):
        """Back before the sweep that would find it: the count of the thread has the reply that came when the thread was gone."""
        root = next(r for r in self.roots if sum(p.root == r and p.live and not p.original for p in self.bench.want.db.threads[r].posts) > 1)
        t = self.bench.want.db.threads[root]
        faults.insert_reply(self.bench, t, 1, NOW)
        self.restore(root, "--yes")
        live = sum(p.root == root and p.live and not p.original for p in t.posts)
        self.assertEqual(self.bench.sql(f"SELECT replycount || ' ' || lastreplyat FROM threads WHERE postid = '{root}'"), f"{live + 1} {NOW}")
        self.bench.run(code=(0, 3))
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{root}' OR rootid = '{root}'"), str(len([p for p in t.posts if p.id == root or p.root == root]) + 1))

    def test_foreign_row(self):
        """Another row under the id of an archived one is not taken for it: nothing comes back, and the row is named."""
        root = next(r for r in self.roots if sum(p.root == r for p in self.bench.want.db.threads[r].posts) > 1)
        reply = next(p.id for p in self.bench.want.db.threads[root].posts if p.root == root)
        files = {r: line for line, _, r in self.bench.want.rows["fileinfo"] if r in self.roots}
        filed = next(iter(files))
        file = oracle.Table(self.bench.want.db.tables["fileinfo"].columns, [files[filed]]).rows[0]
        ident = file[self.bench.want.db.tables["fileinfo"].columns.index("id")]
        here = self.bench.sql("SELECT id FROM posts WHERE rootid = '' AND originalid = '' AND deleteat = 0 ORDER BY id LIMIT 1")
        was = here
        self.bench.sql(f"UPDATE posts SET id = '{reply}' WHERE id = '{here}'")
        self.gone = self.tables()
        for word in ("--yes", "-n"):
            done = self.restore(root, self.roots[-1], word, code=16)
            self.assertIn(f"in table posts another row has the id {reply}", done.err)
            self.unchanged()
        # in the thread, at the time, but of another person
        self.bench.sql(f"UPDATE posts SET id = '{was}' WHERE id = '{reply}'")
        self.restore(root, "--yes")
        self.bench.sql(f"UPDATE posts SET userid = reverse(userid) WHERE id = '{reply}'")
        self.restore(root, "--yes", code=16)
        self.bench.sql(f"UPDATE posts SET userid = reverse(userid), editat = {NOW}, message = 'edited', deleteat = {NOW} WHERE id = '{reply}'")
        self.assertIn("there already", self.restore(root, "--yes").out)
        before = self.tables()
        self.bench.sql(f"INSERT INTO fileinfo SELECT (jsonb_populate_record(f, jsonb_build_object('id', '{ident}'))).* FROM fileinfo f LIMIT 1")
        self.assertNotEqual(self.tables(), before)
        before = self.tables()
        self.assertIn(f"in table fileinfo another row has the id {ident}", self.restore(filed, "--yes", code=16).err)
        self.assertEqual(self.tables(), before)

    def test_refused(self):
        root = self.roots[0]
        t = self.bench.want.db.threads[root]
        self.restore("zzzzzzzzzzzzzzzzzzzzzzzzzz", "--yes", code=1)
        other = next(r for r in self.roots if self.bench.want.db.threads[r].channel != t.channel)
        self.bench.sql(f"UPDATE channels SET id = 'x' || substr(id, 2) WHERE id = '{t.channel}'")
        self.gone = self.tables()
        done = self.restore(other, root, "--yes", code=16)  # all or none
        self.assertIn("is not in the database", done.err)
        self.unchanged()

    def test_damaged_bundle(self):
        root = self.roots[0]
        rel = json.loads(self.restore(root, "-n", "--json").out)["threads"][0]["bundle"]
        path = os.path.join(self.bench.copy.archive, rel)
        lib.flip(path)
        self.restore(root, "--yes", code=15)
        self.unchanged()

    def test_bundle_of_another_archive(self):
        """Sound in itself, but no line of this ledger names it."""
        root = self.roots[0]
        rel = json.loads(self.restore(root, "-n", "--json").out)["threads"][0]["bundle"]
        other = os.path.join(self.bench.copy.where, "other")
        os.rename(self.bench.copy.archive, other)
        self.bench.call("init", code=0)
        os.makedirs(os.path.dirname(os.path.join(self.bench.copy.archive, rel)))
        shutil.copyfile(os.path.join(other, rel), os.path.join(self.bench.copy.archive, rel))
        self.assertIn("vouches", self.restore(root, "--yes", code=15).err)
        self.unchanged()

    def test_tables_of_a_later_release(self):
        """A new column stays empty; one that is gone would lose what it held."""
        root = self.roots[0]
        self.bench.sql("ALTER TABLE posts ADD COLUMN invented text")
        self.restore(root, "--yes")
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{root}' AND invented IS NULL"), "1")
        other = self.roots[1]
        self.bench.sql("ALTER TABLE posts DROP COLUMN invented; ALTER TABLE posts DROP COLUMN remoteid")
        done = self.restore(other, "--yes", code=13)
        self.assertIn("no column remoteid", done.err)
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{other}'"), "0")

    def test_trigger(self):
        """One that swallows the insert: the thread is not called there."""
        self.bench.sql("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                       " CREATE TRIGGER swallow BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION swallow()")
        self.assertIn("trigger swallow", self.restore(self.roots[0], "--yes", code=13).err)
        self.unchanged()
        self.assertFalse([e for e in lib.ledger(self.bench.copy.archive) if e["type"] == "hold"])

    def test_while_a_run_is_on(self):
        process = self.bench.start("RUN_AFTER_DONE:stop")
        if not lib.stopped(process):
            process = self.bench.start("LEDGER_WRITE:stop")
            self.assertTrue(lib.stopped(process))
        self.restore(self.roots[0], "--yes", code=11)
        self.restore(self.roots[0], "-n", code=11)
        self.bench.go_on(process, code=(0, 3))
        self.unchanged()

    def test_interrupted_run(self):
        """Of a bundle that a run had begun to delete nothing comes back before that is finished."""
        self.restore(*self.roots, "--yes")
        self.bench.call("hold", "release", *self.roots, "--case", "17/26", code=0)
        process = self.bench.start("PURGE_AFTER_INTENT:kill")
        self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
        done = self.restore(self.roots[0], "--yes", code=16)
        self.assertIn("interrupted", done.err)
        self.bench.run(code=(0, 3))
        self.restore(self.roots[0], "--yes")
        self.back(self.roots[0])


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
