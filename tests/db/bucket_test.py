#!/usr/bin/env python3
"""Attachments in an S3-compatible bucket: archived, removed, put back as those of a folder are; in doubt they and their threads stay.

usage: MMRETAIN=BINARY bucket_test.py [-k NAME]
"""
import collections
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle
import outcome  # (tests/support, found by e2e_lib)
import s3

CASE = ("--case", "17/26", "--reason", "deleted by mistake")
PREFIX = "mattermost/files/"
PG = WORLD = WHERE = NOW = None


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("bucket")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 600, 31)


def tearDownModule():
    lib.clear(WHERE, PG)


class Base(unittest.TestCase):
    RULES = None

    def setUp(self):
        name = self._testMethodName.removeprefix("test_")
        self.bench = faults.Bench(WORLD, WHERE, name, NOW)
        self.addCleanup(self.bench.copy.remove)
        self.store = s3.S3(os.path.join(WHERE, name + "-store")).start()
        self.addCleanup(self.store.stop)
        self.data = self.bench.copy.data
        self.push()
        self.bench.env = self.env()
        self.bench.begin(self.RULES)

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def env(self, **more):
        settings = {"ENDPOINT": self.store.endpoint.removeprefix("http://"), "BUCKET": s3.BUCKET, "PATHPREFIX": PREFIX, "REGION": s3.REGION, "SSL": "false",
                    "ACCESSKEYID": s3.ID, "SECRETACCESSKEY": s3.SECRET, **more}
        return {"MM_FILESETTINGS_DRIVERNAME": "amazons3", "MM_FILESETTINGS_DIRECTORY": "", **{"MM_FILESETTINGS_AMAZONS3" + k: v for k, v in settings.items()}}

    def push(self):
        """The folder's files into the bucket, as old as a chat's are."""
        for folder, _, names in os.walk(self.data):
            for n in names:
                full = os.path.join(folder, n)
                if os.path.isfile(full) and not os.path.islink(full):
                    with open(full, "rb") as f:
                        self.put(os.path.relpath(full, self.data), f.read())

    def put(self, path, content, age_s=86400 * 700, prefix=PREFIX):
        self.store.write(prefix + path, content)
        at = time.time() - age_s
        os.utime(self.store.path(prefix + path), (at, at))

    def pull(self):
        """What the bucket holds becomes the folder, for the oracle."""
        shutil.rmtree(self.data)
        for path, content in self.store.objects(PREFIX).items():
            full = os.path.join(self.data, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as f:
                f.write(content)

    def config(self, more):
        """All of it out of the server's config.json."""
        path = os.path.join(self.bench.copy.where, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"SqlSettings": {"DriverName": "postgres", "DataSource": self.bench.copy.url()},
                       "FileSettings": {"DriverName": "amazons3", "AmazonS3Endpoint": self.store.endpoint.removeprefix("http://"), "AmazonS3Bucket": s3.BUCKET,
                                        "AmazonS3PathPrefix": PREFIX, "AmazonS3Region": s3.REGION, "AmazonS3SSL": False, "AmazonS3SignV2": False, "AmazonS3AccessKeyId": s3.ID,
                                        "AmazonS3SecretAccessKey": s3.SECRET, "AmazonS3RequestTimeoutMilliseconds": 20000, **more}}, f)
        with open(self.bench.path, encoding="utf-8") as f:
            text = f.read()
        lines = [f"  mattermost_config: {path}" if line.startswith("  url:") else line for line in text.splitlines()]
        with open(self.bench.path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        self.bench.env = dict.fromkeys(self.bench.env, "")

    def night(self, code=None, **more):
        return self.bench.run(code=self.bench.want.code if code is None else code, **more)

    def finished(self, exact=True):
        self.pull()
        self.bench.done(exact)

    def journals(self):
        return [n for n in os.listdir(os.path.join(self.bench.copy.archive, "ledger")) if n.startswith("unlink-")]

    def attached(self):
        """Attachments of due threads whose content is there: (thread, id, path)."""
        return faults.attached(self.bench)

    def untouched(self):
        """Rows and objects as before."""
        self.pull()
        self.bench.untouched()

    def keys(self):
        return sorted(self.store.objects(PREFIX))

    def kept_rows(self):
        """Threads with attachments are whole, the others may be gone; no object is."""
        roots = {root for root, _, _ in self.attached()}
        here = set(self.bench.sql("SELECT id FROM posts").split())
        self.assertEqual(sorted(roots - here), [])
        self.pull()
        self.assertEqual(self.bench.copy.files(), self.bench.want.files)


class Night(Base):
    def test_night(self):
        """As with a folder: what the oracle says is gone, in the bundle and nowhere else."""
        before = self.store.objects(PREFIX)
        self.night()
        self.assertLess(len(self.store.objects(PREFIX)), len(before))
        self.assertEqual(self.journals(), [])
        self.assertEqual(sum(r.method == "DELETE" for r in self.store.log), len(before) - len(self.store.objects(PREFIX)))
        self.finished()
        self.bench.call("verify", code=0)

    def test_once(self):
        """Each content is fetched once."""
        self.night()
        got = collections.Counter(r.key for r in self.store.log if r.method == "GET" and not r.key.startswith("?"))
        self.assertGreater(len(got), 5)
        self.assertEqual(set(got.values()), {1})

    def test_config_file(self):
        """All of it out of the server's config.json."""
        self.config({})
        self.night()
        self.finished()


    def test_adopted(self):
        """A bundle that a crash left without its line: each attachment is read again and compared before its thread goes."""
        process = self.bench.start("BUNDLE_AFTER_RENAME:kill")
        self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
        self.night(code=(0, 3))
        self.finished()

    def test_adopted_and_changed(self):
        """Another content by then, of the same length: what goes is in a bundle."""
        changed = []
        while not changed:
            process = self.bench.start("BUNDLE_AFTER_RENAME:kill")
            self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
            known = {e["bundle"] for e in lib.ledger(self.bench.copy.archive) if e["type"] == "published"}
            archived = {row["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) if b.name not in known for table, row in b.rows() if table == "posts"}
            objects = self.store.objects(PREFIX)
            changed = [(root, path) for root, _, path in self.attached() if root in archived and objects.get(path)]
        for _, path in changed:
            self.put(path, b"?" * len(objects[path]))
        self.night(code=(0, 3))
        held = {os.path.basename(name) for b in lib.bundles(self.bench.copy.archive) for name in subprocess.run(["tar", "--zstd", "-tf", b], capture_output=True, check=True, text=True).stdout.split()}
        lost = [path for _, path in changed if path not in self.keys() and hashlib.sha256(b"?" * len(objects[path])).hexdigest() not in held]
        self.assertEqual(lost, [])


class Trouble(Base):
    def test_outage(self):
        """Nobody answers: threads with attachments stay, the others go, and the night does not wait for each file."""
        self.store.fault("*", PREFIX, "500")
        begun = len(self.store.log)
        done = self.night(code=3)
        self.assertIn("not asked any more", done.err)
        self.assertLess(len(self.store.log) - begun, 20)
        self.kept_rows()
        self.store.heal()
        self.night()
        self.finished()

    def test_refused(self):
        self.store.fault("*", PREFIX, "403")
        done = self.night(code=3)
        self.assertNotIn(s3.SECRET, done.err + done.out)
        self.kept_rows()
        self.store.heal()
        self.night()
        self.finished()

    def test_cut_and_slow(self):
        """Half an answer is none: it is asked for again."""
        paths = [path for _, _, path in self.attached()][:3]
        for path, how in zip(paths, ("cut", "500", "503")):
            self.store.fault("GET", path, how, times=1)
        self.night()
        self.finished()

    def test_cut_for_good(self):
        """One that never comes whole keeps its thread."""
        root, _, path = self.attached()[0]
        self.store.fault("GET", path, "cut")
        self.night(code=3)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.assertIn(path, self.keys())
        self.store.heal()
        self.night()
        self.finished(exact=False)  # its rows are in the first bundle too

    def test_grown(self):
        """Longer than when it was looked at: its thread stays."""
        root, _, path = self.attached()[0]
        self.store.fault("GET", path, lambda when: self.put(path, b"another content, and longer by far than any attachment of this world") if when == "before" else None, times=1)
        self.night(code=3)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.assertIn(path, self.keys())

    def test_cold(self):
        """Objects that the bucket refuses, as those of a cold class, keep their threads and no others."""
        refused = self.attached()[:5]
        for _, _, path in refused:
            self.store.fault("GET", path, "403")
        done = self.night(code=3)
        self.assertNotIn("not asked any more", done.err)
        here = set(self.bench.sql("SELECT id FROM posts").split())
        self.assertEqual({root for root, _, _ in refused} - here, set())
        self.assertNotEqual({root for root, _, _ in self.attached()} - here, set())
        self.store.heal()
        self.night()
        self.finished(exact=False)

    def test_full_work_folder(self):
        """What does not fit into $TMPDIR keeps its thread, and no other one."""
        small = os.path.join(WHERE, "small")
        os.makedirs(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small], capture_output=True).returncode:
            self.skipTest("mounting a tmpfs is not permitted here")
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        large = self.attached()[:4]
        for _, _, path in large:
            self.put(path, os.urandom(8 << 20))
        done = self.night(code=3, env=self.env() | {"TMPDIR": small})
        self.assertIn("No space left", done.err)
        here = set(self.bench.sql("SELECT id FROM posts").split())
        self.assertEqual({root for root, _, _ in large} - here, set())
        self.assertNotEqual({root for root, _, _ in self.attached()} - here, set())
        self.assertEqual([path for _, _, path in large if path not in self.keys()], [])

    def test_missing(self):
        """Without its object a thread stays, as without its file."""
        root, _, path = self.attached()[0]
        self.store.drop(PREFIX + path)
        done = self.night(code=3)
        self.assertIn("not in the bucket", done.err)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())

    def test_replaced_before_delete(self):
        """Another object by the time of its delete, too young to be in the bundle: it stays, and so does its thread."""
        root, _, path = self.attached()[0]
        process = self.bench.halt("RUN_AFTER_PUBLISHED")
        self.put(path, b"somebody else's", age_s=0)
        self.bench.go_on(process, code=3)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.assertEqual(self.store.objects(PREFIX)[path], b"somebody else's")

    def test_young(self):
        """Written shortly before the export, by clocks that may differ: its thread goes in another night, and nothing stays behind."""
        root, _, path = self.attached()[0]
        self.put(path, self.store.objects(PREFIX)[path], age_s=300)
        done = self.night(code=3)
        self.assertEqual(json.loads(done.out)["kept"]["changed"], 1)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.put(path, self.store.objects(PREFIX)[path], age_s=3000)
        self.night()
        self.finished(exact=False)

    def test_replaced_before_unlink(self):
        """Another object when its turn comes: it stays for good."""
        _, _, path = self.attached()[0]
        process = self.bench.halt("UNLINK_BEFORE")
        for _, _, other in self.attached():
            if other in self.store.objects(PREFIX):
                self.put(other, b"somebody else's")
        self.bench.go_on(process, code=(0, 3))
        self.assertTrue(b"somebody else's" in self.store.objects(PREFIX).values())
        self.assertIn(path, self.keys())
        self.assertEqual(self.journals(), [])

    def test_no_delete(self):
        """A store that does not remove: the journal waits, and the next night removes."""
        self.store.fault("DELETE", PREFIX, "500")
        self.night(code=3)
        self.assertNotEqual(self.journals(), [])
        self.store.heal()
        self.night(code=(0, 3))
        self.assertEqual(self.journals(), [])
        self.finished()

    def test_lost_delete(self):
        """It said that it removed, and did not."""
        self.store.fault("DELETE", PREFIX, "lost")
        self.night(code=3)
        self.assertNotEqual(self.journals(), [])
        self.store.heal()
        self.night(code=(0, 3))
        self.finished()

    def test_killed(self):
        """At the points of unlinking."""
        for point in ("UNLINK_BEFORE", "UNLINK_AFTER", "UNLINK_BEFORE_CLOSE", "UNLINK_AFTER_CLOSE"):
            process = self.bench.start(f"{point}:kill")
            self.assertEqual(lib.finish(process).code, -signal.SIGKILL, point)
            self.bench.safe(point)
        self.night(code=(0, 3))
        self.finished()

    def test_other_bucket(self):
        """An empty one, when attachments are to go: they wait."""
        process = self.bench.halt("UNLINK_BEFORE")
        os.kill(process.pid, signal.SIGKILL)
        lib.finish(process)
        before = self.store.objects(PREFIX)
        done = self.night(code=3, env=self.env(PATHPREFIX="elsewhere"))
        self.assertIn("server's bucket", done.err)
        self.assertTrue(self.store.objects(PREFIX) == before)
        self.assertNotEqual(self.journals(), [])
        self.night(code=(0, 3))
        self.finished()

    def test_no_bucket(self):
        """Nothing is to be found there; what is to go waits for the right one."""
        self.night(code=3, env=self.env(BUCKET="nobodys-bucket"))
        self.kept_rows()
        self.push()
        process = self.bench.halt("UNLINK_BEFORE")
        os.kill(process.pid, signal.SIGKILL)
        lib.finish(process)
        done = self.night(code=3, env=self.env(BUCKET="nobodys-bucket"))
        self.assertIn("cannot be listed", done.err)
        self.assertNotEqual(self.journals(), [])
        self.night(code=(0, 3))
        self.finished()

    def test_moved_to_a_folder(self):
        """What is to be removed was in a bucket, and the server keeps its files in a folder now: said."""
        process = self.bench.halt("UNLINK_BEFORE")
        os.kill(process.pid, signal.SIGKILL)
        lib.finish(process)
        shutil.rmtree(self.data)
        os.makedirs(os.path.join(self.data, "brand"))
        before = self.store.objects(PREFIX)
        done = self.night(code=3, env={"MM_FILESETTINGS_DRIVERNAME": "local", "MM_FILESETTINGS_DIRECTORY": self.data})
        self.assertIn("it was in a bucket", done.err)
        self.assertTrue(self.store.objects(PREFIX) == before)

    def test_keys(self):
        """None, half a pair, of signatures that nobody makes any more: said, and threads with attachments stay."""
        for more, word in (({"ACCESSKEYID": "", "SECRETACCESSKEY": ""}, "IAM"), ({"SECRETACCESSKEY": ""}, "only"), ({"SIGNV2": "true"}, "version 2"), ({"BUCKET": ""}, "names no bucket")):
            done = self.bench.call("doctor", env=self.env(**more))
            self.assertIn(word, done.out + done.err)
        self.night(code=3, env=self.env(ACCESSKEYID="", SECRETACCESSKEY=""))
        self.kept_rows()


class Others(Base):
    def test_restore(self):
        """Back into the bucket, the same bytes."""
        before = self.store.objects(PREFIX)
        self.night()
        gone = {p: c for p, c in before.items() if p not in self.store.objects(PREFIX)}
        paths = {path: root for root, _, path in self.attached()}
        path = next(p for p in paths if p in gone)
        self.bench.call("restore", paths[path], *CASE, "--dry-run", code=0)
        self.assertNotIn(path, self.keys())
        self.bench.call("restore", paths[path], "--yes", *CASE, code=0)
        self.assertEqual(self.store.objects(PREFIX)[path], gone[path])
        self.bench.call("restore", paths[path], "--yes", *CASE, code=0)

    def test_restore_over_another(self):
        before = self.store.objects(PREFIX)
        self.night()
        paths = {path: root for root, _, path in self.attached()}
        path = next(p for p in paths if p in before and p not in self.store.objects(PREFIX))
        self.put(path, b"somebody else's")
        done = self.bench.call("restore", paths[path], "--yes", *CASE, code=16)
        self.assertIn("another file", done.err)
        self.assertEqual(self.store.objects(PREFIX)[path], b"somebody else's")

    def test_restore_run(self):
        """A whole night back into the bucket, but for a thread in whose attachment's place lies another object."""
        before = self.store.objects(PREFIX)
        self.night()
        gone = {p: c for p, c in before.items() if p not in self.store.objects(PREFIX)}
        paths = {path: root for root, _, path in self.attached() if path in gone}
        path = sorted(paths)[0]
        self.put(path, b"somebody else's")
        self.bench.call("restore", "--run", "last", *CASE, "-n", code=3)
        self.assertFalse((set(paths) - {path}) & set(self.keys()))
        doc = json.loads(self.bench.call("restore", "--run", "last", "--yes", "--json", *CASE, code=3).out)
        self.assertEqual([(o["thread"], o["reason"]) for o in doc["left_out"]], [(paths[path], "file")])
        now = self.store.objects(PREFIX)
        self.assertEqual(now[path], b"somebody else's")
        others = [p for p in paths if paths[p] != paths[path]]
        self.assertGreater(len(others), 1)
        for p in others:
            self.assertEqual(now.get(p), gone[p], p)
        self.assertFalse([p for p in paths if paths[p] == paths[path] and p != path and p in now])

    def test_departed(self):
        """The picture of a depersonalised account, and uploads that nobody posted."""
        self.bench.policy(more=["departed_users:", "  after: 600d"])
        self.bench.sql(f"UPDATE users SET deleteat = {NOW - 700 * 86_400_000} WHERE id IN (SELECT u.id FROM users u WHERE u.deleteat = 0 AND coalesce(u.remoteid, '') = ''"
                       " AND NOT EXISTS (SELECT FROM bots b WHERE b.userid = u.id) ORDER BY u.id LIMIT 3)")
        for i in self.bench.sql("SELECT id FROM users").split():
            self.put(f"users/{i}/profile.png", b"a picture")
        self.bench.expect()
        done = json.loads(self.bench.run(code=(0, 3)).out)["departed_users"]
        there = self.keys()
        self.assertGreater(done["depersonalised"], 0)
        self.assertEqual(done["pictures_removed"], done["depersonalised"])
        self.assertEqual([a["id"] for a in done["accounts"] if a["result"] == "depersonalised" and f"users/{a['id']}/profile.png" in there], [])
        self.assertEqual(len([k for k in there if k.endswith("profile.png")]), len(self.bench.sql("SELECT id FROM users").split()) - done["depersonalised"])

    def test_departed_killed(self):
        """Just after a picture is gone: the next run goes on with the others."""
        self.bench.policy(more=["departed_users:", "  after: 600d"])
        self.bench.sql(f"UPDATE users SET deleteat = {NOW - 700 * 86_400_000} WHERE id IN (SELECT u.id FROM users u WHERE u.deleteat = 0 AND coalesce(u.remoteid, '') = ''"
                       " AND NOT EXISTS (SELECT FROM bots b WHERE b.userid = u.id) ORDER BY u.id LIMIT 3)")
        for i in self.bench.sql("SELECT id FROM users").split():
            self.put(f"users/{i}/profile.png", b"a picture")
        self.bench.expect()
        before = len(self.keys())
        self.assertEqual(lib.finish(self.bench.start("PEOPLE_AFTER_PICTURE:kill")).code, -signal.SIGKILL)
        self.assertLess(len(self.keys()), before)
        self.bench.run(code=(0, 3))
        gone = self.bench.sql("SELECT id FROM users WHERE email LIKE '%@departed.invalid'").split()
        self.assertGreater(len(gone), 0)
        self.assertEqual([i for i in gone if f"users/{i}/profile.png" in self.keys()], [])

    def test_restore_killed(self):
        """Just after an object is back: no row names it, and the same command finds it in its place."""
        before = self.store.objects(PREFIX)
        self.night()
        root, _, path = next(a for a in self.attached() if a[2] in before and a[2] not in self.store.objects(PREFIX))
        process = self.bench.start("RESTORE_AFTER_FILE:kill", "restore", root, "--yes", *CASE)
        self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
        self.assertNotIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.bench.call("restore", root, "--yes", *CASE, code=0)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.assertEqual(self.store.objects(PREFIX)[path], before[path])

    def test_versions(self):
        """A bucket that keeps versions has removed nothing for good: said."""
        self.store.versioned = True
        done = self.night()
        self.assertIn("keeps versions", done.err)
        self.finished()

    def test_doctor(self):
        done = self.bench.call("doctor", "-v")
        self.assertIn("looked at", done.out)
        self.assertIn(s3.BUCKET, done.out)
        self.store.fault("HEAD", PREFIX, "403")
        done = self.bench.call("doctor", "-v")
        self.assertIn("cannot be looked at", done.out)
        done = self.bench.call("doctor", "-v", env=self.env(PATHPREFIX="elsewhere"))
        self.assertIn("none is there", done.out)
        self.assertNotIn("PUT", {r.method for r in self.store.log})


class Keys(Base):
    """Which object it is: the one that the server means, or none."""

    def move(self, prefix):
        for path, content in self.store.objects(PREFIX).items():
            self.put(path, content, prefix=prefix)

    def test_slash_of_prefix(self):
        """The server's keys begin with a slash when its prefix does; what lies without it is of somebody else."""
        self.move("/" + PREFIX)
        before = self.store.objects(PREFIX)
        self.bench.env = self.env(PATHPREFIX="/" + PREFIX)
        self.night()
        self.assertTrue(self.store.objects(PREFIX) == before)
        self.assertLess(len(self.store.objects("/" + PREFIX)), len(before))
        self.finished_at("/" + PREFIX)

    def finished_at(self, prefix):
        for path in self.keys():
            self.store.drop(PREFIX + path)
        for path, content in self.store.objects(prefix).items():
            self.put(path, content)
        self.finished()

    def test_prefix_as_the_server_joins_it(self):
        """Doubled slashes, dots."""
        self.bench.env = self.env(PATHPREFIX="a/../mattermost//./files")
        self.night()
        self.finished()

    def test_prefix_that_leads_out(self):
        """Dots in front, a bucket that is no name: refused, since on the way they would become another bucket."""
        for more in ({"PATHPREFIX": "../" + PREFIX}, {"PATHPREFIX": ".."}, {"BUCKET": ".."}, {"BUCKET": "."}, {"REGION": "a/b", "ENDPOINT": "s3.amazonaws.com"}, {"REGION": "a:b"}):
            done = self.bench.call("doctor", env=self.env(**more))
            self.assertIn("attachments in a bucket: ", done.out, more)
        begun = len(self.store.log)
        self.night(code=3, env=self.env(PATHPREFIX="../" + s3.BUCKET + "/" + PREFIX))
        self.assertEqual(len(self.store.log), begun)
        self.kept_rows()

    def test_address(self):
        """IPv6."""
        six = s3.S3(os.path.join(WHERE, "six"), host="::1").start()
        self.addCleanup(six.stop)
        for path, content in self.store.objects(PREFIX).items():
            six.write(PREFIX + path, content)
            at = time.time() - 86400 * 700
            os.utime(six.path(PREFIX + path), (at, at))
        self.store = six
        self.bench.env = self.env()
        self.night()
        self.finished()

    def test_elsewhere(self):
        """A redirect is followed by nobody."""
        self.store.fault("*", PREFIX, "elsewhere")
        self.night(code=3)
        self.assertNotIn("elsewhere", {r.key for r in self.store.log})
        self.kept_rows()

    def test_names(self):
        """What a person called a file is in no log."""
        names = {os.path.basename(path) for path in self.keys()}
        for n, how in enumerate(("403", "500", "cut", "elsewhere")):
            self.store.heal()
            self.store.fault("GET" if how == "cut" else "*", PREFIX, how)
            done = self.night(code=3)
            said = done.err + done.out
            self.assertEqual([name for name in names if name in said or name.replace(" ", "%20") in said], [], how)

    def test_odd_names(self):
        """Blanks, signs, composed and decomposed letters: other keys are other objects."""
        odd = ["a b", "a+b", "a%20b", "a%2Bb", "a%b", "\u00e4", "a\u0308", "a?b#c&d=e", "'(*)!~", "..x", "a\\b", "\t"]
        rows = [(i, root, path) for root, i, path in self.attached()]
        self.assertGreaterEqual(len(rows), len(odd))
        for (i, _, path), name in zip(rows, odd):
            new = os.path.join(os.path.dirname(path), name)
            self.bench.sql("UPDATE fileinfo SET path = '%s' WHERE id = '%s'" % (new.replace("'", "''"), i))
            content = self.store.read(PREFIX + path)
            self.store.drop(PREFIX + path)
            self.put(new, content)
            for other in odd:  # of nobody
                if other != name:
                    self.put(os.path.join(os.path.dirname(path), other), b"of nobody")
        self.night(code=(0, 3))
        kept = self.store.objects(PREFIX)
        self.assertEqual(len([k for k, c in kept.items() if c == b"of nobody"]), len(odd) * (len(odd) - 1))
        self.assertEqual([k for k, c in kept.items() if os.path.basename(k) in odd and c != b"of nobody"], [])


class Doubt(Base):
    """An answer that is none, or comes too late."""

    def test_dropped_from_another(self):
        """`files: drop` and a bucket that lists nothing: what could not be removed keeps its row."""
        self.bench.policy([dict(faults.OLD[0], files="drop")])
        done = self.night(code=3, env=self.env(PATHPREFIX="elsewhere"))
        self.assertGreater(json.loads(done.out)["kept"]["file_unreadable"], 0)
        self.assertIn("lists nothing", done.err)
        self.kept_rows()
        self.night(code=(0, 3))
        self.assertEqual([path for _, _, path in self.attached() if path in self.keys()], [])

    def test_unseen(self):
        """One that cannot be looked at when its thread is to go keeps it, and that is said."""
        root, _, path = self.attached()[0]
        asked = []
        self.store.fault("HEAD", path, lambda when: asked.append(1) or self.store.fault("HEAD", path, "500") if when == "after" and not asked else None, times=1)
        done = self.night(code=3)
        self.assertEqual(json.loads(done.out)["kept"]["file_unreadable"], 1)
        self.assertIn("cannot be looked at", done.err)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.assertIn(path, self.keys())

    def test_adopted_unreadable(self):
        """What cannot be compared now keeps its thread."""
        ours = []
        while not ours:
            process = self.bench.start("BUNDLE_AFTER_RENAME:kill")
            self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
            known = {e["bundle"] for e in lib.ledger(self.bench.copy.archive) if e["type"] == "published"}
            archived = {row["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) if b.name not in known for table, row in b.rows() if table == "posts"}
            ours = [(root, path) for root, _, path in self.attached() if root in archived and path in self.keys()]
        self.store.fault("GET", ours[0][1], "cut")
        done = self.night(code=3)
        self.assertGreater(json.loads(done.out)["kept"]["file_unreadable"], 0)
        self.assertIn(ours[0][0], self.bench.sql("SELECT id FROM posts").split())
        self.assertIn(ours[0][1], self.keys())
        self.store.heal()
        self.night(code=(0, 3))
        self.finished(exact=False)

    def test_reply_meanwhile(self):
        """A reply while the bucket is asked what it has: its thread stays."""
        root, _, path = self.attached()[0]
        asked = []

        def reply(when):
            if when == "before":
                asked.append(path)
            if when == "before" and len(asked) == 2:
                self.bench.sql("INSERT INTO posts SELECT (jsonb_populate_record(p, jsonb_build_object('id', 'zreplyreplyreplyreplyreply', 'rootid', p.id, 'createat', %d, 'updateat', %d, 'message', 'late'))).*"
                               " FROM posts p WHERE id = '%s'" % (NOW, NOW, root))
        self.store.fault("HEAD", path, reply)
        self.night(code=(0, 3))
        self.assertGreaterEqual(len(asked), 2)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())
        self.assertIn(path, self.keys())

    def test_restore_in_doubt(self):
        """A part, or nothing, is no answer to what lies there: nothing is written over it."""
        before = self.store.objects(PREFIX)
        self.night()
        paths = {path: root for root, _, path in self.attached()}
        path = next(p for p in paths if p in before and p not in self.store.objects(PREFIX))
        for how in ("206", "204"):
            self.put(path, b"somebody else's")
            self.store.fault("GET", path, how)
            self.bench.call("restore", paths[path], "--yes", *CASE)
            self.assertEqual(self.store.objects(PREFIX)[path], b"somebody else's", how)
            self.store.heal()

    def test_versions_no_more(self):
        """Versions that were kept once: what is removed gets a mark only."""
        self.store.suspended = True
        self.assertIn("keeps versions", self.night().err)
        self.finished()

    def test_etag(self):
        """Whatever the store calls them, the journal can be read."""
        self.store.etag = '"\xff\x01\xfe"'
        self.night(code=(0, 3))
        self.assertEqual(self.journals(), [])

    def test_slow(self):
        """One that hangs is not waited for over and over."""
        path = self.config({"AmazonS3RequestTimeoutMilliseconds": 1000})
        self.store.slow_s = 3
        self.store.fault("HEAD", PREFIX, "slow")
        begun = time.monotonic()
        done = self.night(code=3)
        self.assertIn("not asked any more", done.err)
        self.assertLess(time.monotonic() - begun, 15)
        self.kept_rows()

    def test_deadline(self):
        """The end of the time is no fault of an attachment."""
        root, _, path = self.attached()[0]
        asked = []

        def late(when):
            if when == "before":
                asked.append(path)
                if len(asked) == 2:
                    time.sleep(9)
        self.store.fault("HEAD", path, late)
        done = self.bench.call("run", "--yes", "--json", "--run-time", "6s")
        self.assertGreaterEqual(len(asked), 2)
        self.assertEqual(done.code, 4)
        self.assertEqual(json.loads(done.out)["kept"].get("file_unreadable", 0), 0)
        self.night(code=(0, 3))
        self.finished()


class Departed(Base):
    """Uploads that nobody posted go with their account."""

    def setUp(self):
        super().setUp()
        self.bench.policy(more=["departed_users:", "  after: 600d"])
        self.user = self.bench.sql("SELECT u.id FROM users u WHERE u.deleteat = 0 AND coalesce(u.remoteid, '') = ''"
                                   " AND NOT EXISTS (SELECT FROM bots b WHERE b.userid = u.id) ORDER BY u.id LIMIT 1").strip()
        self.bench.sql(f"UPDATE users SET deleteat = {NOW - 700 * 86_400_000} WHERE id = '{self.user}'")

    def upload(self, n, path):
        i = f"z{n:025}"
        self.bench.sql("INSERT INTO drafts (createat, updateat, deleteat, userid, channelid, rootid, message, fileids)"
                       f" VALUES (1, 1, 0, '{self.user}', 'c{n:025}', '', 'x', '[\"{i}\"]')")
        self.bench.sql("INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, archived)"
                       f" VALUES ('{i}', '{self.user}', '', 1, 1, 0, '{path}', '', '', 'x', 'txt', 1, 'x', false)")

    def people(self, **more):
        done = self.bench.run(code=(0, 3), **more)
        return {a["id"]: a["result"] for a in json.loads(done.out)["departed_users"]["accounts"]}[self.user], done

    def test_paths(self):
        """One that is none keeps neither its account nor the night."""
        self.upload(1, "../outside/x.txt")
        self.upload(2, "drafts/x.txt")
        self.put("drafts/x.txt", b"draft")
        result, _ = self.people()
        self.assertEqual(result, "done")
        self.assertNotIn("drafts/x.txt", self.keys())
        self.assertEqual(self.journals(), [])

    def test_no_lock_meanwhile(self):
        """Nobody waits for the bucket with rows locked."""
        self.upload(2, "drafts/x.txt")
        self.put("drafts/x.txt", b"draft")
        seen = []
        self.store.fault("HEAD", "drafts/x.txt", lambda when: seen.append(self.bench.sql(
            "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'fileinfo' AND l.mode = 'RowExclusiveLock'").strip()) if when == "before" else None)
        result, _ = self.people()
        self.assertEqual(result, "done")
        self.assertEqual(set(seen), {"0"})
        self.assertNotIn("drafts/x.txt", self.keys())

    def test_outage(self):
        """An account whose uploads cannot be looked at waits, and the night goes on."""
        self.upload(2, "drafts/x.txt")
        self.put("drafts/x.txt", b"draft")
        self.store.fault("*", "drafts/x.txt", "500")
        result, _ = self.people()
        self.assertEqual(result, "failed")
        self.assertIn("drafts/x.txt", self.keys())
        self.store.heal()
        result, _ = self.people()
        self.assertEqual(result, "done")
        self.assertNotIn("drafts/x.txt", self.keys())


if __name__ == "__main__":
    outcome.main()
