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
        settings = {"ENDPOINT": self.store.endpoint.removeprefix("http://"), "BUCKET": s3.BUCKET, "PATHPREFIX": "/" + PREFIX, "REGION": s3.REGION, "SSL": "false",
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

    def put(self, path, content, age_s=86400 * 700):
        self.store.write(PREFIX + path, content)
        at = time.time() - age_s
        os.utime(self.store.path(PREFIX + path), (at, at))

    def pull(self):
        """What the bucket holds becomes the folder, for the oracle."""
        shutil.rmtree(self.data)
        for path, content in self.store.objects(PREFIX).items():
            full = os.path.join(self.data, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as f:
                f.write(content)

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
        path = os.path.join(self.bench.copy.where, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"SqlSettings": {"DriverName": "postgres", "DataSource": self.bench.copy.url()},
                       "FileSettings": {"DriverName": "amazons3", "AmazonS3Endpoint": self.store.endpoint.removeprefix("http://"), "AmazonS3Bucket": s3.BUCKET,
                                        "AmazonS3PathPrefix": PREFIX, "AmazonS3Region": s3.REGION, "AmazonS3SSL": False, "AmazonS3SignV2": False, "AmazonS3AccessKeyId": s3.ID,
                                        "AmazonS3SecretAccessKey": s3.SECRET, "AmazonS3RequestTimeoutMilliseconds": 20000}}, f)
        with open(self.bench.path, encoding="utf-8") as f:
            text = f.read()
        lines = [f"  mattermost_config: {path}" if line.startswith("  url:") else line for line in text.splitlines()]
        with open(self.bench.path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        self.bench.env = dict.fromkeys(self.bench.env, "")
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

    def test_missing(self):
        """Without its object a thread stays, as without its file."""
        root, _, path = self.attached()[0]
        self.store.drop(PREFIX + path)
        done = self.night(code=3)
        self.assertIn("not in the bucket", done.err)
        self.assertIn(root, self.bench.sql("SELECT id FROM posts").split())

    def test_replaced_before_delete(self):
        """Another object by the time of its delete, too young to be in the bundle: it stays for good."""
        _, _, path = self.attached()[0]
        process = self.bench.halt("RUN_AFTER_PUBLISHED")
        self.put(path, b"somebody else's", age_s=0)
        self.bench.go_on(process, code=(0, 3))
        self.assertEqual(self.store.objects(PREFIX)[path], b"somebody else's")

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


if __name__ == "__main__":
    outcome.main()
