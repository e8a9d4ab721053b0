#!/usr/bin/env python3
"""The unlink journal that a run before has left: very long, damaged, of lines that are no orders.

    unlink_test.py [unittest options]       MMRETAIN names a binary built with -DMMR_FAULTS=ON

Of journals that go as a whole, tests/crash/crash.py has the crashes.
"""
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

PG = WORLD = WHERE = NOW = None
NAME = "unlink-20200101T000000Z-00000000-1.jsonl"
MANY = 3_000_000 if lib.outcome.LONG else 250_000
MEMORY_MIB = 40 if lib.outcome.LONG else 28


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("unlink")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 600, 12, lost=False)


def tearDownModule():
    lib.clear(WHERE, PG)


class Left(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName.removeprefix("test_"), NOW)
        self.addCleanup(self.bench.copy.remove)
        self.bench.begin()
        self.journal = os.path.join(self.bench.copy.archive, "ledger", NAME)
        self.gone, self.stays, self.kept = {}, {}, {}

    def tearDown(self):
        self.assertEqual(self.bench.problems, [])

    def full(self, path):
        return os.path.join(self.bench.copy.data, path)

    def rows(self):
        """(id, path) of file rows whose threads stay, with a path of their own."""
        table = self.bench.want.db.tables["fileinfo"]
        due = {row for root, row in self.bench.want.attachments.rows.values() if root in self.bench.want.roots}
        found = [(table.get(r, "id"), table.get(r, "path")) for r in table.rows if r not in due]
        found = [(i, p) for i, p in found if os.path.isfile(self.full(p))]
        self.assertGreaterEqual(len(found), 2)
        return found

    def head(self):
        system = self.bench.sql("SELECT system_identifier FROM pg_control_system()")
        return {"journal": 1, "system": system, "database": self.bench.name}

    @staticmethod
    def ident(n):
        return f"old{n:023}"

    def identity(self, path):
        st = os.stat(self.full(path))
        return {"ino": st.st_ino, "bytes": st.st_size, "mtime_ns": st.st_mtime_ns}

    def blob(self, n):
        """An attachment without a row, and the line that orders it to go."""
        path = f"20200101/teams/noteam/channels/c/users/u/{self.ident(n)}/photo.jpg"
        os.makedirs(os.path.dirname(self.full(path)))
        with open(self.full(path), "w", encoding="utf-8") as f:
            f.write("an attachment")
        return path, {"id": self.ident(n), "path": path, **self.identity(path)}

    def thumbnail(self, path):
        thumb = path.replace("photo", "photo_thumb")
        with open(self.full(thumb), "w", encoding="utf-8") as f:
            f.write("small")
        return thumb

    def orders(self):
        """Lines of every kind; self.gone has the paths that go, self.stays those whose line stays, too, self.kept those that no later run looks at."""
        lines = []
        for n in range(3):
            path, line = self.blob(n)
            thumb = self.thumbnail(path)
            lines.append({**line, "thumbnail": thumb, "preview": path.replace("photo", "never_made")})
            self.gone.update({path: line, thumb: line})
        lines.insert(0, dict(lines[0], ino=1))  # of a delete that was rolled back: the same row's later line has what the file was when it went
        for n, stays in ((10, self.kept), (13, self.stays)):
            path, line = self.blob(n)
            thumb = self.thumbnail(path)
            lines.append({**line, "thumbnail": thumb})
            stays.update({path: lines[-1], thumb: lines[-1]})
        lines[-2]["bytes"] += 1  # another file, and a picture that may be of it
        os.unlink(self.full(path))
        os.mkdir(self.full(path))  # as long as a folder is there
        (there, its), (_, used) = self.rows()[:2]
        lines.append({"id": there, "path": its, **self.identity(its)})  # its row is there
        lines.append({"id": self.ident(11), "path": used, **self.identity(used)})  # a row uses its path
        lines.append({"id": self.ident(12), "path": self.ident(12) + "/gone", "thumbnail": used, "preview": used})  # likewise, and its own file is gone
        return lines

    def write(self, lines):
        with open(self.journal, "w", encoding="utf-8") as f:
            for line in [self.head(), *lines]:
                f.write((line if isinstance(line, str) else json.dumps(line, separators=(",", ":"))) + "\n")
        os.utime(self.journal, (0, 0))

    def left(self):
        """What the journal has."""
        with open(self.journal, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def counts(self):
        """What the ledger has of it: unlinked, shared, failed."""
        e = next(e for e in lib.ledger(self.bench.copy.archive) if e["type"] == "unlinked" and e["bundle"] == NAME)
        return e["blobs_unlinked"], e["blobs_shared"], e["blobs_failed"]

    def check(self, gone=True):
        for path in self.gone:
            self.assertEqual(os.path.exists(self.full(path)), not gone, path)
        for path in [*self.stays, *self.kept]:
            self.assertTrue(os.path.exists(self.full(path)), path)

    def settle(self):
        """What stays is let go by hand; then all is as it should be."""
        lines = self.left()
        self.assertEqual((lines[0], sorted(line["id"] for line in lines[1:])), (self.head(), sorted({line["id"] for line in self.stays.values()})))
        for line in self.stays.values():
            self.assertIn(line, lines)
        for path in [*self.stays, *self.kept]:
            (os.rmdir if os.path.isdir(self.full(path)) else os.unlink)(self.full(path))
        os.utime(self.journal, (0, 0))
        with open(self.journal + ".tmp", "w", encoding="utf-8") as f:
            f.write("of a crash while a shorter journal was written")
        self.bench.run(code=0)
        self.assertEqual([n for n in os.listdir(os.path.dirname(self.journal)) if n.startswith("unlink-")], [])
        self.bench.done(exact=False)


class Lines(Left):
    def test_every_kind(self):
        self.write(self.orders())
        done = self.bench.run(code=3)
        self.check()
        self.assertFalse(os.path.exists(os.path.dirname(self.full(next(iter(self.gone))))), "the file's own folder stays")
        self.assertEqual(self.counts(), (6, 3, 2), done.err)
        self.settle()

    def test_read_only(self):
        """Where nothing can be removed, twenty are named of all journals together, then how many they are and what lets them go."""
        lines = [self.blob(n)[1] for n in range(30)]
        self.gone = {line["path"]: line for line in lines}
        self.write(lines[:15])
        with open(self.journal, encoding="utf-8") as f, open(self.journal.replace("-1.jsonl", "-2.jsonl"), "w", encoding="utf-8") as other:
            other.write(f.readline() + "".join(json.dumps(line) + "\n" for line in lines[15:]))
        os.utime(other.name, (0, 0))
        data = self.bench.copy.data
        if subprocess.run(["mount", "--bind", data, data], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("mounting is not permitted here")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", data], check=True)
            done = self.bench.run(code=3)
        finally:
            subprocess.run(["umount", "-l", data], check=True)
        self.bench.says(done, "30 files that should go stay for the next run: mount their file system for writing; in a unit, `ReadWritePaths=` names the folder")
        self.assertEqual(sum(line.startswith("mmretain: warning: attachment old") for line in done.err.splitlines()), 20, done.err)
        self.check(gone=False)
        for name in os.listdir(os.path.dirname(self.journal)):
            os.utime(os.path.join(os.path.dirname(self.journal), name), (0, 0))
        self.bench.run(code=0)
        self.check()

    def test_not_the_file(self):
        """A file that was copied to another disk, was written to, or whose line does not say what it was can never be what a line describes: each is told
        and counted once, stays, and keeps no journal."""
        lines = [self.blob(n)[1] for n in range(30)]
        for line in lines[:28]:
            full = self.full(line["path"])
            shutil.copy2(full, full + ".copy")
            os.rename(full + ".copy", full)
        os.utime(self.full(lines[28]["path"]))
        for key in ("ino", "bytes", "mtime_ns"):
            del lines[29][key]
        lines.append({"id": self.ident(30), "path": self.ident(30) + "/gone"})  # is not there anyway
        lines.append({"id": self.ident(31), "path": "../" + self.ident(31)})  # lies where no run ever looks
        self.write([*lines[28:], *lines[:28]])
        done = self.bench.run(code=3)
        self.bench.says(done, f"attachment {self.ident(28)} stays: another file is in its place, or it was copied or written to since",
                        f"attachment {self.ident(29)} stays: it could not be read when", "11 more attachments stay like these, and no run removes them")
        self.assertNotIn("tries again\n", done.err)
        self.assertEqual(done.err.count("no run removes it"), 20)
        self.assertEqual(self.counts(), (0, 0, 31), done.err)
        self.assertEqual([n for n in os.listdir(os.path.dirname(self.journal)) if n.startswith("unlink-")], [])
        self.bench.run(code=0)
        for line in lines[:30]:
            os.unlink(self.full(line["path"]))
        self.bench.done(exact=False)

    def test_not_mounted(self):
        """An empty attachment folder is no word for files being gone: the journal waits until something is in it."""
        self.bench.run(code=self.bench.want.code)
        lines = [self.blob(n)[1] for n in range(2)] + [{"id": self.ident(2)}, {"id": self.ident(3), "path": self.ident(3) + "/gone"}]
        self.write(lines)
        data = self.bench.copy.data
        os.rename(data, data + ".disk")
        os.mkdir(data)
        done = self.bench.run(code=3)
        self.bench.says(done, f"the folder of the attachments is empty, and attachment {self.ident(0)} was there: is its file system mounted?")
        self.assertEqual(self.left(), [self.head(), *lines[:2]])
        self.assertEqual(self.counts(), (0, 0, 2))
        os.rmdir(data)
        os.rename(data + ".disk", data)
        os.utime(self.journal, (0, 0))
        self.bench.run(code=0)
        self.assertEqual([line for line in lines[:2] if os.path.exists(self.full(line["path"]))], [])
        self.assertFalse(os.path.exists(self.journal))
        self.bench.done(exact=False)

    def test_wanted(self):
        """A live post names a file whose row went with a part of its thread: it stays, also where another deleted row has the same path."""
        ident, path = self.rows()[0]
        root = self.bench.sql(f"SELECT CASE WHEN p.rootid = '' THEN p.id ELSE p.rootid END FROM posts p JOIN fileinfo f ON f.postid = p.id WHERE f.id = '{ident}'").strip()
        self.bench.sql(f"UPDATE posts SET fileids = '[\"{ident}\"]' FROM fileinfo f WHERE f.id = '{ident}' AND posts.id = f.postid")
        self.bench.expect(db=oracle.Db(self.bench.copy.load()))
        row = self.bench.sql(f"SELECT row_to_json(f) FROM fileinfo f WHERE id = '{ident}'").strip().replace("'", "''")
        self.bench.sql(f"DELETE FROM fileinfo WHERE id = '{ident}'")
        line = {"id": ident, "thread": root, "path": path, **self.identity(path)}
        other, its = self.blob(50)
        lines = [{**line, "id": self.ident(40), "thread": "x" * 26}, line, {**its, "preview": path}]
        self.write(lines)
        self.bench.run(code=3)
        self.assertEqual((os.path.exists(self.full(path)), os.path.exists(self.full(other))), (True, False))
        self.assertEqual(self.left(), [self.head(), line])
        self.assertEqual(self.counts(), (1, 2, 1))
        self.bench.sql(f"INSERT INTO fileinfo SELECT * FROM json_populate_record(NULL::fileinfo, '{row}')")
        os.utime(self.journal, (0, 0))
        self.bench.run(code=0)
        self.assertFalse(os.path.exists(self.journal))
        self.bench.done(exact=False)

    def test_damaged(self):
        """One line that is no entry, wherever it is: none of the others is an order before a person has looked."""
        lines = self.orders()
        for at, bad in ((0, "{"), (3, '{"id":"x","path":"y","unless":"z"}'), (len(lines), "")):
            with self.subTest(at=at):
                self.write(lines[:at] + [bad] + lines[at:])
                with open(self.journal, "rb") as f:
                    before = f.read()
                self.bench.says(self.bench.run(code=15), "damaged line", f"line {at + 2} of ledger/{NAME}")
                self.check(gone=False)
                with open(self.journal, "rb") as f:
                    self.assertEqual(f.read(), before)
        self.write(lines)
        self.bench.run(code=3)
        self.check()
        self.settle()

    def test_torn(self):
        """A last line without its end was never committed."""
        path, line = self.blob(20)
        self.write(self.orders())
        with open(self.journal, "a", encoding="utf-8") as f:
            f.write(json.dumps(line))
        os.utime(self.journal, (0, 0))
        self.bench.run(code=3)
        self.check()
        self.assertTrue(os.path.exists(self.full(path)))
        os.unlink(self.full(path))
        self.settle()


class Crashes(Left):
    """Of a journal with a line that stays: killed at every step, the next run finds gone what is gone, and the journal as it was or with that line alone."""

    def crash(self, fault):
        self.write(self.orders())
        with open(self.journal, "rb") as f:
            before = f.read()
        self.assertEqual(lib.finish(self.bench.start(fault.replace(":", ":kill:"))).code, -signal.SIGKILL)
        with open(self.journal, "rb") as f:
            now = f.read()
        self.assertEqual(now == before, "AFTER_CLOSE" not in fault)
        self.assertEqual(lib.bundles(self.bench.copy.archive), [])
        os.utime(self.journal, (0, 0))
        self.bench.run(code=3)
        self.check()
        self.settle()

    def test_before_a_file(self):
        self.crash("UNLINK_BEFORE:1")

    def test_before_the_last_file(self):
        self.crash("UNLINK_BEFORE:6")

    def test_after_a_file(self):
        self.crash("UNLINK_AFTER:1")

    def test_after_the_last_file(self):
        self.crash("UNLINK_AFTER:6")

    def test_before_the_end(self):
        self.crash("UNLINK_BEFORE_CLOSE:1")

    def test_after_the_end(self):
        self.crash("UNLINK_AFTER_CLOSE:1")


class Several(Left):
    """Journals that are carried out at once: each comes to what it comes to alone."""

    def name(self, n):
        return os.path.join(os.path.dirname(self.journal), f"unlink-20200101T000000Z-{n + 1:08x}-1.jsonl")

    def write_each(self, lists):
        for n, lines in enumerate(lists):
            self.write(lines)
            os.rename(self.journal, self.name(n))

    def there(self):
        return [n for n in range(100) if os.path.exists(self.name(n))]

    def lines_of(self, n):
        """What the ledger has of one."""
        name = os.path.basename(self.name(n))
        return [(e["blobs_unlinked"], e["blobs_shared"], e["blobs_failed"]) for e in lib.ledger(self.bench.copy.archive) if e["type"] == "unlinked" and e["bundle"] == name]

    def blobs(self, *numbers):
        found = [self.blob(n) for n in numbers]
        return [path for path, _ in found], [line for _, line in found]

    def exist(self, paths):
        return [os.path.exists(self.full(path)) for path in paths]

    def test_each_as_alone(self):
        """A row that two journals name, a path that a row uses, one that stays: counted and kept by the journal that has it."""
        (one, two, three), lines = self.blobs(60, 61, 62)
        _, used = self.rows()[0]
        stays, its = self.blob(63)
        os.unlink(self.full(stays))
        os.mkdir(self.full(stays))
        self.write_each([[dict(lines[0], ino=1), lines[1]], [lines[0], {"id": self.ident(64), "path": used, **self.identity(used)}], [its, lines[2]], []])
        self.bench.run(code=3)
        self.assertEqual(self.exist([one, two, three, used, stays]), [False, False, False, True, True])  # to the first journal it is another file
        self.assertEqual([self.lines_of(n) for n in range(4)], [[(1, 0, 1)], [(1, 1, 0)], [(1, 0, 1)], [(0, 0, 0)]])
        self.assertEqual(self.there(), [2])
        with open(self.name(2), encoding="utf-8") as f:
            self.assertEqual([json.loads(line) for line in f], [self.head(), its])

    def test_many(self):
        """More than are carried out at once, in number and in lines."""
        paths, lines = self.blobs(*range(100, 170))
        long = [{"id": f"{n:026}", "path": f"{n:026}/gone"} for n in range(21_000)]
        self.write_each([long, *([line] for line in lines)])
        self.bench.run(code=(0, 3))
        self.assertEqual((self.there(), any(self.exist(paths))), ([], False))
        self.assertEqual([self.lines_of(n) for n in range(71)], [[(0, 0, 0)]] + 70 * [[(1, 0, 0)]])
        self.bench.done(exact=False)

    def test_scans(self):
        """However many they are, the paths of all rows are looked at as often as for one."""
        self.bench.run(code=self.bench.want.code)
        seen = []
        for first, n in ((200, 1), (210, 20)):
            _, lines = self.blobs(*range(first, first + n))
            self.write_each([[line] for line in lines])
            before = self.scans()
            self.bench.run(code=0)
            self.assertEqual(self.there(), [])
            seen.append(self.scans() - before)
        self.assertGreater(seen[0], 0)
        self.assertEqual(seen[0], seen[1])

    def scans(self):
        time.sleep(0.1)  # a backend tells as it ends
        return int(self.bench.sql("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'fileinfo'"))

    def test_damaged(self):
        """Those before a damaged one are carried out, and counted; it and those behind it wait until somebody has looked."""
        paths, lines = self.blobs(70, 71, 72)
        self.write_each([[lines[0]], [lines[1], "{"], [lines[2]]])
        self.bench.says(self.bench.run(code=15), "damaged line", "line 3 of ledger/" + os.path.basename(self.name(1)))
        self.assertEqual((self.exist(paths), self.there(), self.lines_of(0)), ([False, True, True], [1, 2], [(1, 0, 0)]))
        self.write_each([[], [lines[1]]])
        self.bench.run(code=(0, 3))
        self.assertEqual((self.exist(paths), self.there()), ([False] * 3, []))
        self.bench.done(exact=False)

    def test_killed(self):
        """Nothing is taken off a journal before all that they name is gone, and what is left of them the next run finds gone."""
        for at, (fault, gone, left) in enumerate((("UNLINK_BEFORE:kill:2", 1, 3), ("UNLINK_AFTER:kill:2", 2, 3), ("UNLINK_BEFORE_CLOSE:kill:1", 3, 3),
                                                  ("UNLINK_BEFORE_CLOSE:kill:2", 3, 2), ("UNLINK_AFTER_CLOSE:kill:3", 3, 0))):
            with self.subTest(fault=fault):
                paths, lines = self.blobs(*range(300 + 10 * at, 303 + 10 * at))
                self.write_each([[line] for line in lines])
                self.assertEqual(lib.finish(self.bench.start(fault)).code, -signal.SIGKILL)
                self.assertEqual((self.exist(paths).count(False), len(self.there())), (gone, left))
                for n in self.there():
                    os.utime(self.name(n), (0, 0))
                self.bench.run(code=(0, 3))
                self.assertEqual((any(self.exist(paths)), self.there()), (False, []))
        self.bench.done(exact=False)


class Long(Left):
    def test_memory(self):
        """However long it is: memory stays as it is, and the few lines that are orders among the many are carried out."""
        orders = self.orders()
        every = MANY // (len(orders) + 1)

        def lines():
            for n in range(MANY):
                if n % every == every - 1 and orders:
                    yield orders.pop(0)
                name = f"20200101/teams/noteam/channels/c/users/u/{n:026}/a file of somebody"
                yield {"id": f"{n:026}", "path": name + ".jpg", "thumbnail": name + "_thumb.jpg", "preview": name + "_preview.jpg", "ino": n, "bytes": n, "mtime_ns": n}
        self.write(lines())
        self.assertEqual(orders, [])
        process = self.bench.halt("RUN_AFTER_PUBLISHED")
        with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
            mib = int(next(line.split()[1] for line in f if line.startswith("VmHWM:"))) >> 10
        self.check()
        self.assertLess(os.path.getsize(self.journal), 4096)
        self.bench.go_on(process, code=3)
        print(f"{mib} MiB for {MANY} lines ", end="", flush=True)
        if not lib.sanitized():
            self.assertLess(mib, MEMORY_MIB, f"MiB for {MANY} lines")
        self.settle()


if __name__ == "__main__":
    lib.outcome.main()
