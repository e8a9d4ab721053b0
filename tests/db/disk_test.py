#!/usr/bin/env python3
"""The disk of the database server is full: that of its temporary files during an export, that of its log of writes during a delete, when the server
goes down and cannot come up again, and that of its tables during a restore; and the disk of the archive, for an index alone and for everything.  Nothing is lost, the words say
what to do, and with room the next run comes to the same end.

usage: MMRETAIN=BINARY disk_test.py [-k NAME]
"""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
from archive_faults import find

ROLE = "keeper"
CASE = ("--case", "17/26", "--reason", "deleted by mistake")
RULES = [{"name": "all", "match": {}, "keep": {"for": "300d"}}]
SETTINGS = dict(lib.QUICK, synchronous_commit="on", work_mem="64kB", temp_buffers="800kB")
SEGMENT = 1 << 20
WHERE = None


class Room:
    """A small file system of memory, whose free space can be set."""

    def __init__(self, name, mib):
        self.path, self.mib = os.path.join(WHERE, name), mib
        os.makedirs(self.path)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0755", "tmpfs", self.path], capture_output=True).returncode:
            raise unittest.SkipTest("mounting a tmpfs is not permitted here")
        self.inside = os.path.join(self.path, "inside")
        os.makedirs(self.inside)
        identity = lib.cluster._identity()
        if identity:
            os.chown(self.inside, identity["user"], identity["group"])

    def leave(self, kib):
        """0 would be without end."""
        now = os.statvfs(self.path)
        used = (now.f_blocks - now.f_bfree) * now.f_frsize // 1024
        subprocess.run(["mount", "-o", f"remount,size={max(used + kib, 4)}k", self.path], check=True)

    def widen(self):
        subprocess.run(["mount", "-o", f"remount,size={self.mib}m", self.path], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=False)


def setUpModule():
    global WHERE
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root to mount")
    WHERE = lib.folder("disk")


def tearDownModule():
    if WHERE:
        lib.remove(WHERE)


class Disk(unittest.TestCase):
    def server(self, **more):
        pg = lib.cluster.Cluster(**more)
        self.addCleanup(pg.remove)
        self.addCleanup(pg._at_exit)
        return pg.start()

    def bench_on(self, pg, posts):
        world = lib.World(pg, "world", posts, 3)
        return self.bench_of(world)

    def bench_of(self, world):
        bench = faults.Bench(world, WHERE, self._testMethodName, int(time.time()) * 1000)
        self.addCleanup(bench.copy.remove)
        return bench

    def room(self, mib):
        room = Room("room-" + self._testMethodName, mib)
        self.addCleanup(room.close)
        return room

    def to_the_end(self, bench):
        bench.run(code=bench.want.code)
        bench.done(exact=False)
        self.assertEqual(bench.problems, [])

    def test_temporary_files(self):
        """temp_tablespaces of a few pages and more, until an export fits."""
        room, pg = self.room(64), self.server(settings=SETTINGS)
        bench = self.bench_on(pg, 4000)
        pg.psql(f"CREATE TABLESPACE small LOCATION '{room.inside}'")
        pg.psql(f"CREATE ROLE {ROLE} SUPERUSER LOGIN; ALTER ROLE {ROLE} SET temp_tablespaces = small")
        bench.begin(RULES, user=ROLE, bundle_size="64MiB")
        full = 0
        for kib in (0, 16, 64, 128, 256, 512, 1024, 2048, 4096, 16384):
            room.leave(kib)
            done = bench.run(code=(12, bench.want.code))
            bench.safe(f"{kib} KiB")
            if done.code != 12:
                break
            full += 1
            bench.says(done, "SQLSTATE 53100", "disk is full: make room")
            self.assertFalse([e for e in lib.ledger(bench.copy.archive) if e["type"] == "purging"])
        self.assertGreater(full, 3)
        room.widen()
        self.to_the_end(bench)

    def test_temporary_limit(self):
        """temp_file_limit where the statements of the delete need more: it ends there, and what was deleted is whole."""
        pg = self.server(settings=SETTINGS)
        bench = self.bench_on(pg, 12000)
        pg.psql(f"CREATE ROLE {ROLE} SUPERUSER LOGIN")
        bench.begin(RULES, user=ROLE, bundle_size="64MiB")
        reached = 0
        for kib in (0, 64, 256, 1024):
            pg.psql(f"ALTER ROLE {ROLE} SET temp_file_limit = '{kib}kB'")
            done = bench.run(code=(12, bench.want.code))
            bench.safe(f"{kib} KiB")
            if done.code != 12:
                break
            reached += 1
            bench.says(done, "temp_file_limit", "ALTER ROLE")
        self.assertGreater(reached, 0)
        pg.psql(f"ALTER ROLE {ROLE} RESET temp_file_limit")
        self.to_the_end(bench)

    def fill_log(self, pg, room, kib):
        """Room for so much more of the log, in the segment that is written and beside it."""
        pg.psql("CHECKPOINT")
        now = pg.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        for n in os.listdir(os.path.join(room.inside, "log")):
            if len(n) == 24 and n > now:  # made before it was needed
                os.unlink(os.path.join(room.inside, "log", n))
        room.leave(min(kib, 900))  # never a whole segment more
        rest = SEGMENT - int(pg.psql(f"SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint % {SEGMENT}"))
        with contextlib.suppress(lib.cluster.ClusterError):  # a message that does not fit is the end of the server already
            pg.psql(f"SELECT pg_logical_emit_message(false, 'x', repeat('x', {max(0, rest - kib * 1024)}))")

    def come_up(self, pg, room):
        room.widen()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                return pg.psql("SELECT 1")
            except lib.cluster.ClusterError:
                if pg.process is None or pg.process.poll() is not None:
                    pg.process = None
                    pg.start()
                time.sleep(0.1)
        self.fail("the server does not come up")

    def test_log_of_writes(self):
        """pg_wal is full at each point of a delete: the server goes down in the midst of it, and cannot come up before there is room."""
        room = self.room(300)
        pg = self.server(settings=dict(SETTINGS, fsync="on", full_page_writes="on", max_wal_size="16MB", min_wal_size="8MB"),
                         initdb=[f"--waldir={os.path.join(room.inside, 'log')}", "--wal-segsize=1"])
        world, gone = lib.World(pg, "world", 2500, 3), 0
        points = (("PURGE_AFTER_INTENT", 60), ("PURGE_AFTER_DELETE", 8), ("PURGE_AFTER_COMMIT", 40), ("SWEEP_BEFORE", 8))
        more = (("PURGE_AFTER_INTENT", 8), ("PURGE_AFTER_INTENT", 300), ("RUN_AFTER_PUBLISHED", 8)) if lib.outcome.LONG else ()
        for point, kib in points + more:
            with self.subTest(point=point, kib=kib):
                bench = faults.Bench(world, WHERE, "wal", int(time.time()) * 1000)
                try:
                    bench.begin(RULES, bundle_size="256KiB")
                    process = bench.halt(point)
                    self.fill_log(pg, room, kib)
                    done = bench.go_on(process, (12, bench.want.code))
                    if done.code == 12:
                        gone += 1
                        self.assertRegex(done.err, "was lost|before the answer to COMMIT|No space left on device|cannot connect")
                        self.assertRegex(done.err, "(?i)run again|check that postgresql runs")
                        with contextlib.suppress(AssertionError):
                            bench.run(code=12)
                    self.come_up(pg, room)
                    bench.safe(point)
                    self.to_the_end(bench)
                finally:
                    bench.copy.remove()
        self.assertGreater(gone, 4 if more else 2)

    def test_tables(self):
        """A restore finds no room for its rows: nothing comes back, and later everything."""
        room, pg = self.room(600), self.server(settings=SETTINGS)
        world = lib.World(pg, "world", 1500, 3)
        pg.psql(f"CREATE TABLESPACE small LOCATION '{room.inside}'")
        pg.psql("ALTER DATABASE world SET TABLESPACE small")
        bench = self.bench_of(world)
        self.assertEqual(bench.sql("SELECT pg_relation_filepath('posts') LIKE 'pg_tblspc/%'"), "t")
        bench.begin(RULES)
        bench.run(code=bench.want.code)
        bench.sql("VACUUM FULL posts, fileinfo, reactions, threads, threadmemberships, preferences")  # no free place inside them
        gone = sorted(bench.want.roots - set(faults.oracle.Db(bench.copy.load()).posts))[:40]
        before = {name: sorted(t.lines) for name, t in bench.copy.load().items()}
        room.leave(0)
        done = bench.call("restore", *gone, "--yes", *CASE, code=12)
        bench.says(done, "SQLSTATE 53100", "disk is full: make room")
        room.widen()
        self.assertEqual({name: sorted(t.lines) for name, t in bench.copy.load().items()}, before)
        bench.call("restore", *gone, "--yes", *CASE, code=0)
        self.assertEqual(bench.sql("SELECT count(*) FROM posts WHERE id IN ('%s')" % "','".join(gone)), str(len(gone)))
        bench.run(code=(0, 3))
        self.assertEqual(bench.sql("SELECT count(*) FROM posts WHERE id IN ('%s')" % "','".join(gone)), str(len(gone)))
        self.assertEqual(bench.problems, [])

    # ---- indexes ----
    def found(self, bench):
        """Every post that was deleted."""
        posts = {i for i, p in bench.world.db.posts.items() if (p.createat or 0) > 10 ** 12} - set(faults.oracle.Db(bench.copy.load()).posts)
        self.assertGreater(len(posts), 5)
        hits, _ = find(bench, "--after", "2001-01-01")
        self.assertEqual(posts - {h["post"] for h in hits}, set())
        for thread in sorted({h["thread"] for h in hits})[:2]:
            self.assertTrue(find(bench, "--thread", thread)[0])
            bench.call("show", thread, *CASE, code=0)

    def listed(self, bench):
        with contextlib.closing(sqlite3.connect(os.path.join(bench.copy.archive, "catalog.sqlite"))) as c:
            return {path for path, in c.execute("SELECT rel_path FROM bundle")}

    def no_room(self, bench, room, kib):
        """So much is left when the only bundle is published, and nothing deleted.  Did an index fail, and nothing else?"""
        process = bench.halt("RUN_AFTER_PUBLISHED")
        first = {os.path.relpath(p, bench.copy.archive) for p in lib.bundles(bench.copy.archive)}
        room.leave(kib)
        done = bench.go_on(process, (14, bench.want.code))
        bench.safe(f"{kib} KiB")
        failed = "cannot index" in done.err or "cannot enter" in done.err
        if failed:
            bench.says(done, "disk is full", "`mmretain reindex`")
            full = bench.call("reindex", code=14)
            bench.says(full, "disk is full", "make room")
            self.assertEqual(os.listdir(os.path.join(bench.copy.archive, "partial")), [])
        elif done.code == 14:
            bench.says(done, "No space left", "hint:")
        room.widen()
        return first, failed and done.code != 14

    def index(self, rules, with_side):
        room, pg, failed = self.room(64), self.server(settings=dict(lib.QUICK, synchronous_commit="on")), 0
        world = lib.World(pg, "world", 1500, 3)
        for kib in (0, 16, 32, 48, 64):
            with self.subTest(kib=kib):
                bench = faults.Bench(world, WHERE, "index", int(time.time()) * 1000)
                bench.copy.archive = os.path.join(room.path, "archive")
                try:
                    bench.policy(RULES, bundle_size="1MiB")
                    at_the_end = bench.expect()
                    bench.begin(rules, bundle_size="1MiB")
                    first, alone = self.no_room(bench, room, kib)
                    failed += alone
                    if alone:
                        self.found(bench)
                    # whatever is published from now on is entered without anybody's help
                    bench.policy(RULES, bundle_size="1MiB")
                    bench.want = at_the_end
                    bench.run(code=bench.want.code)
                    bench.problems += [p for p in lib.compare(bench.want, bench.copy, exact=False) if p != "left over: ledger/access/entries.jsonl"]
                    here = {os.path.relpath(p, bench.copy.archive) for p in lib.bundles(bench.copy.archive)}
                    self.assertLessEqual(here - first, self.listed(bench))
                    bench.call("reindex", code=0)
                    self.assertEqual(set(json.loads(bench.call("verify", "--json", code=0).out)["indexes"].values()), {0})
                    self.assertEqual(self.listed(bench), here)
                    self.assertEqual({os.path.exists(os.path.join(bench.copy.archive, p.replace(".tar.zst", ".idx"))) for p in first}, {with_side})
                    self.found(bench)
                    self.assertEqual(bench.problems, [])
                finally:
                    bench.copy.remove()
                    room.widen()
                    shutil.rmtree(bench.copy.archive, ignore_errors=True)
        self.assertGreater(failed, 1)

    def test_sidecar(self):
        """Of a bundle that is large enough for an index of its own."""
        self.index([{"name": "one", "match": {"team": "accelerator"}, "keep": {"for": "300d"}}], with_side=True)

    def test_catalog(self):
        """Of a small bundle: only the catalog has it."""
        self.index([{"name": "one", "match": {"team": "accelerator", "channel": "town-square"}, "keep": {"for": "1200d"}}], with_side=False)

    def derived(self, bench):
        """What may go at any time."""
        found = [os.path.join(bench.copy.archive, "catalog.sqlite")]
        return [*found, *(p.replace(".tar.zst", ".idx") for p in lib.bundles(bench.copy.archive) if os.path.exists(p.replace(".tar.zst", ".idx")))]

    def due(self, bench):
        return {b["path"] for b in json.loads(bench.call("expire", "-n", "--json").out)["bundles"] if b["state"] == "expires"}

    def test_archive(self):
        """The archive's disk takes nothing more: bundles that are past their time cannot go either, before what is derived has made room for the lines that say so."""
        room, pg = self.room(64), self.server(settings=lib.QUICK)
        bench = faults.Bench(lib.World(pg, "world", 1500, 3), WHERE, self._testMethodName, int(time.time()) * 1000 - 3 * lib.DAY)
        self.addCleanup(bench.copy.remove)
        bench.copy.archive = os.path.join(room.path, "archive")
        bench.begin([dict(RULES[0], archive={"keep_for": "30d"})], bundle_size="1MiB")
        bench.run(code=bench.want.code)
        bench.now += 2 * lib.DAY
        due = self.due(bench)
        self.assertGreater(len(due), 1)
        thread = find(bench, "--after", "2001-01-01")[0][0]["thread"]
        room.leave(0)
        held = []
        while len(held) < 40:  # the last block of the ledger may have room for some
            done = bench.call("hold", "add", thread, "--case", str(len(held)))
            if done.code:
                break
            held.append(str(len(held)))
        full = ("No space left on device", "`catalog.sqlite` and the `*.idx` files", "`mmretain reindex`", "`mmretain expire --yes`")
        for done in (done, bench.call("expire", "--yes"), bench.call("run", "--yes"), self.logged(bench)):
            self.assertEqual(done.code, 14, done.err)
            bench.says(done, *full)
        self.assertGreaterEqual(len(lib.bundles(bench.copy.archive)), len(due))
        self.assertIsNone(json.loads(bench.call("status", "--json", code=0).out)["not_begun"])  # there is no place
        for path in self.derived(bench):
            os.unlink(path)
        bench.call("find", *CASE, "--after", "2001-01-01", code=0)
        for case in held:
            bench.call("hold", "release", thread, "--case", case, code=0)
        bench.call("expire", "--yes", code=0)
        self.assertEqual(self.due(bench), set())
        self.assertLess(len(lib.bundles(bench.copy.archive)), len(due))
        room.widen()
        bench.call("reindex", code=0)
        bench.call("verify", code=0)
        self.assertEqual(bench.problems, [])

    def logged(self, bench):
        """A search whose record finds no room."""
        for _ in range(40):
            done = bench.call("find", *CASE, "--after", "2001-01-01")
            if done.code:
                break
        return done

    def test_cut_off(self):
        """What a full disk left of an index: said as that, with what to do, and searches do without."""
        bench = self.bench_on(self.server(settings=lib.QUICK), 1500)
        bench.begin(RULES, bundle_size="1MiB")
        bench.run(code=bench.want.code)
        catalog, *sides = self.derived(bench)
        whole = len(find(bench, "--after", "2001-01-01")[0])
        for size, words in ((0, ("is empty, as a full disk leaves it",)), (8192, ("is damaged",))):
            os.truncate(catalog, size)
            done = bench.call("find", *CASE, "--after", "2001-01-01", "--json", "--limit", "0", code=0)
            bench.says(done, *words, "`mmretain reindex` builds it again")
            self.assertNotIn("another format", done.err)
            self.assertEqual(len(json.loads(done.out)["hits"]), whole)
            bench.call("reindex", "--all", code=0)
        os.truncate(sides[0], 0)
        bench.says(bench.call("find", *CASE, "--after", "2001-01-01", code=0), "is empty, as a full disk leaves it; building it")
        self.assertEqual(bench.problems, [])

    def mounted(self, image, where):
        if subprocess.run(["mount", "-o", "loop", image, where], capture_output=True, check=False).returncode:
            self.skipTest("loop devices are not permitted here")

    def test_sync_of_the_ledger(self):
        """The disk below the file system takes no more: a sync fails, and the kernel has the pages for clean all the same.  What only the cache has is not relied upon."""
        room, pg, failed = self.room(256), self.server(settings=lib.QUICK), 0
        world, image = lib.World(pg, "world", 400, 5, lost=False), os.path.join(room.path, "image")
        for n in range(4, 10):  # one of these lines begins a block
            bench = faults.Bench(world, WHERE, f"sync_{n}", int(time.time()) * 1000)
            archive = bench.copy.archive
            with open(image, "wb") as f:
                f.truncate(300 << 20)  # sparse: each block takes room when it is written first
            subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", image], check=True)
            os.makedirs(archive)
            self.mounted(image, archive)
            try:
                os.rmdir(os.path.join(archive, "lost+found"))
                bench.begin(bundle_size="1MiB")
                subprocess.run(["sync", "-f", archive], check=True)
                process = bench.start(f"LEDGER_SYNC:stop:{n}")
                self.assertTrue(lib.stopped(process))
                room.leave(0)
                first = bench.go_on(process)
                failed += first.code == 14
                room.widen()
                bench.problems.clear()
                bench.call("run", "--yes", code=(0, 3, 14))
                subprocess.run(["umount", archive], check=True)  # and with it all that no disk has
                self.mounted(image, archive)
                for _ in range(2):  # attachments of what the first of them finds deleted wait for the second
                    bench.call("run", "--yes", code=(0, 3))
                bench.call("verify", code=0)
                bench.done(exact=False)
                self.assertEqual(bench.problems, [], n)
            finally:
                subprocess.run(["umount", "-l", archive], check=False, capture_output=True)
                bench.copy.remove()
        self.assertGreater(failed, 0)


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
