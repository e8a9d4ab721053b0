#!/usr/bin/env python3
"""What must be on the disk before what: the system calls of a run, of one after it was killed, of a restore and a hold, in the order in which they happened.

A power cut loses what was written and not synced, and names of files whose folder was not synced.  So whenever a COMMIT is sent that
deletes or brings back, and whenever the ledger says that a bundle is published, nothing of the archive but its indexes, and no
attachment, may be in that state.  Needs strace.

usage: MMRETAIN=BINARY durable_test.py [-k NAME]
"""
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

CASE = ("--case", "17/26", "--reason", "deleted by mistake")
CALLS = "write,pwrite64,writev,fsync,fdatasync,syncfs,sync,rename,renameat,renameat2,link,linkat,openat,mkdir,mkdirat,unlink,unlinkat,sendto,ftruncate,copy_file_range,fadvise64"
PG = WORLD = WHERE = None
LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(<[^>]*>)?(?: .*)?$")


def setUpModule():
    global PG, WORLD, WHERE
    if not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True).returncode:
        raise unittest.SkipTest("needs strace, and the right to trace")
    WHERE = lib.scratch.folder("durable")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 400, 9)


def tearDownModule():
    lib.clear(WHERE, PG)


def joined(text):
    """Lines of strace -f with what was unfinished put together, where it ended."""
    begun = {}
    for line in text.splitlines():
        thread = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>")
        elif "<... " in line and " resumed>" in line:
            yield begun.pop(thread, "") + line.split(" resumed>", 1)[1]
        else:
            yield line


def at(text):
    """The paths that a call names, by descriptor or below one: 3</a>, "b" is /a/b."""
    for m in re.finditer(r'(?:AT_FDCWD|\d+)<([^>]*)>(?:, "((?:[^"\\]|\\.)*)")?|"((?:[^"\\]|\\.)*)"', text):
        folder, name, alone = m.groups()
        yield os.path.normpath(os.path.join(folder, name)) if name is not None and folder is not None else folder if folder is not None else alone


class Disk:
    """What a power cut would lose now: content of files, names in folders."""

    def __init__(self, *roots):
        self.roots, self.content, self.names, self.there, self.syncs = roots, {}, {}, set(), 0  # there: names that are on the disk

    def ours(self, path):
        return any(path == r or path.startswith(r + "/") for r in self.roots) and "/partial" not in path and not path.endswith((".idx", ".tmp")) and "catalog.sqlite" not in path

    def lost(self):
        return sorted([p for p in self.content if self.ours(p)] + [p for folder, names in self.names.items() for p in names if self.ours(p)])

    def name(self, path):
        self.there.discard(path)
        self.names.setdefault(os.path.dirname(path), set()).add(path)

    def gone(self, path):
        self.there.discard(path)
        self.names.get(os.path.dirname(path), set()).discard(path)

    def call(self, what, args, ret):
        by_name = what.endswith(("at", "at2")) or what in ("rename", "link", "mkdir", "unlink")
        paths = list(at(args)) if by_name else re.findall(r"\d+<([^>]*)>", args.split('"', 1)[0])
        if what in ("write", "pwrite64", "writev", "ftruncate", "copy_file_range") and paths:
            self.content[paths[-1]] = True
        elif what in ("fsync", "fdatasync") and paths:
            self.syncs += 1
            self.content.pop(paths[0], None)
            self.there |= self.names.pop(paths[0], set())
        elif what in ("syncfs", "sync"):
            self.there = self.there.union(*self.names.values())
            self.content, self.names = {}, {}
        elif what in ("rename", "renameat", "renameat2", "link", "linkat") and len(paths) > 1:
            if self.content.pop(paths[0], None):
                self.content[paths[1]] = True
            self.gone(paths[0])
            self.name(paths[1])
        elif what in ("mkdir", "mkdirat") and paths:
            self.name(paths[0])
        elif what == "openat" and "O_CREAT" in args and paths:
            if paths[0] not in self.there:  # it may have been there before the trace began: then this asks for more than is needed
                self.name(paths[0])
        elif what in ("unlink", "unlinkat") and paths:
            self.content.pop(paths[0], None)
            self.gone(paths[0])


class Durable(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName.removeprefix("test_"), int(time.time()) * 1000)
        self.addCleanup(self.bench.copy.remove)
        self.bench.begin(bundle_size="64MiB")
        self.disk = Disk(os.path.realpath(self.bench.copy.archive), os.path.realpath(self.bench.copy.data))

    def traced(self, *args, code=0, inject=None):
        """Calls of the program, each with what a power cut just before it would lose, also of what traced() before left so.  inject: what befalls a call."""
        out = os.path.join(self.bench.copy.where, "calls")
        bench, real = self.bench, lib.PROGRAM
        lib.PROGRAM = ["strace", "-f", "-y", "-qq", "-s", "300", "-o", out, "-e", "trace=" + CALLS, *(("-e", "inject=" + inject) if inject else ()), lib.binary()]
        bench.env["ASAN_OPTIONS"] = "detect_leaks=0"
        try:
            done = bench.call(*args)
        finally:
            lib.PROGRAM = real
        self.assertIn(done.code, code if isinstance(code, tuple) else (code,), done.err)
        disk, calls, syncs = self.disk, [], self.disk.syncs
        with open(out, encoding="utf-8", errors="replace") as f:
            for line in joined(f.read()):
                m = LINE.match(line)
                if m and int(m[3]) >= 0:
                    calls.append((m[1], m[2], disk.lost()))
                    disk.call(m[1], m[2], m[4])
        self.assertTrue(disk.syncs > syncs or inject)
        return calls

    def commits(self, calls):
        return [(i, lost) for i, (what, args, lost) in enumerate(calls) if what == "sendto" and "COMMIT" in args]

    def said(self, calls, kind):
        return [i for i, (what, args, _) in enumerate(calls) if what == "write" and "entries.jsonl" in args and f'\\"type\\":\\"{kind}\\"' in args]

    def ordered(self, calls):
        """Nothing that a delete or a line of the ledger relies on can be lost."""
        purging = self.said(calls, "purging")
        deleting = [(i, lost) for i, lost in self.commits(calls) if purging and i > purging[0]]
        for i, lost in deleting:
            self.assertEqual(lost, [], f"at call {i}, a COMMIT after `purging`")
        for kind in ("published", "purging", "purged", "bundle-done", "run-end"):
            for i in self.said(calls, kind):
                self.assertEqual(calls[i][2], [], f"before the line `{kind}`")
        return len(deleting)

    def test_run(self):
        calls = self.traced("run", "--yes", code=(0, 3))
        purged = self.said(calls, "purged")
        self.assertTrue(purged and self.said(calls, "published"))
        self.assertGreater(self.ordered(calls), 2)
        self.read_from_disk(calls)
        gone = [i for i, (what, args, _) in enumerate(calls) if what == "unlinkat" and self.bench.copy.data in args]
        self.assertTrue(gone)
        self.assertGreater(min(gone), max(purged))
        for i in gone:
            self.assertFalse([p for p in calls[i][2] if p.startswith(self.bench.copy.archive)], "before an attachment goes")

    def read_from_disk(self, calls):
        """Between the sync of a bundle and its rename the kernel is told to forget it: what is read back is what the disk has."""
        published = [i for i, (what, args, _) in enumerate(calls) if what == "renameat2" and "/partial>" in args]
        self.assertTrue(published)
        for i in published:
            part = re.search(r'/partial>, "([^"]+)"', calls[i][1])[1]
            steps = [what for what, args, _ in calls[:i] if f"/partial/{part}>" in args and what in ("write", "pwrite64", "fdatasync", "fadvise64")]
            self.assertEqual(steps[-2:], ["fdatasync", "fadvise64"], part)
            self.assertIn("POSIX_FADV_DONTNEED", [args for what, args, _ in calls[:i] if what == "fadvise64" and part in args][-1])

    def test_killed_while_publishing(self):
        """A run that is killed before the name of its bundle, or the folder for it, is on the disk: the next makes it durable before it relies on it."""
        archive = self.bench.copy.archive
        for n in range(1, 30):
            self.ordered(self.traced("run", "--yes", code=-signal.SIGKILL, inject=f"fsync:signal=KILL:when={n}"))
            if lib.bundles(archive):
                break
        bundle, = lib.bundles(archive)
        self.assertTrue([p for p in self.disk.lost() if os.path.realpath(bundle).startswith(p)])
        self.assertFalse([e for e in lib.ledger_state(archive)[0] if e["type"] == "published"])
        calls = self.traced("run", "--yes", code=(0, 3))
        self.assertGreater(self.ordered(calls), 0)
        self.assertIn(bundle, lib.bundles(archive))

    def test_lines_lost(self):
        """A ledger that lost its last lines to whatever: bundles without a line are taken in as they were published, each after the one before it."""
        self.bench.begin(bundle_size="64KiB")
        self.bench.call("run", "--yes", env={"MMR_FAULT": "RUN_AFTER_PUBLISHED:kill:5"}, code=-signal.SIGKILL)
        book = os.path.join(self.bench.copy.archive, "ledger", "entries.jsonl")
        with open(book, encoding="utf-8") as f:
            lines = f.readlines()
        self.assertEqual([json.loads(line)["type"] for line in lines[-4:]], ["published"] * 4)
        with open(book, "w", encoding="utf-8") as f:
            f.writelines(lines[:-4])
        self.bench.run(code=(0, 3))
        adopted = [e for e in self.lines("published") if e.get("adopted")]
        self.assertEqual([e["bundle"] for e in adopted], [json.loads(line)["bundle"] for line in lines[-4:]])
        for mine, line in zip(adopted, lines[-4:]):
            self.assertEqual({k: v for k, v in json.loads(line).items() if k not in ("seq", "at", "prev", "hash", "run", "snapshot_ms")},
                             {k: v for k, v in mine.items() if k not in ("seq", "at", "prev", "hash", "run", "snapshot_ms", "adopted")})
        self.bench.done(exact=False)

    def test_unknown_and_damaged(self):
        """Nothing hangs on it: whoever moves it away goes on."""
        self.bench.call("run", "--yes", env={"MMR_FAULT": "BUNDLE_AFTER_RENAME:kill"}, code=-signal.SIGKILL)
        bundle, = lib.bundles(self.bench.copy.archive)
        lib.flip(bundle)
        done = self.bench.run(code=15)
        self.assertIn("Move it out of the archive root", done.err)
        os.rename(bundle, os.path.join(self.bench.copy.where, "aside"))
        self.bench.run(code=(0, 3))
        self.bench.done(exact=False)

    def lines(self, *kinds):
        return [e for e in lib.ledger(self.bench.copy.archive) if e["type"] in kinds]

    def test_put_back(self):
        """A bundle that a person put back from a copy is made durable before anything is deleted that is in it."""
        self.bench.call("run", "--yes", env={"MMR_FAULT": "PURGE_AFTER_INTENT:kill"}, code=-signal.SIGKILL)
        name, = [e["bundle"] for e in lib.ledger(self.bench.copy.archive) if e["type"] == "purging"]
        bundle, = [os.path.realpath(p) for p in lib.bundles(self.bench.copy.archive) if os.path.basename(p) == name]
        shutil.copyfile(bundle, bundle + ".copy")
        os.rename(bundle + ".copy", bundle)
        self.disk.content[bundle] = True
        self.disk.name(bundle)
        self.assertGreater(self.ordered(self.traced("run", "--yes", code=(0, 3))), 0)

    def test_restore_and_hold(self):
        self.bench.run(code=(0, 3))
        here = set(oracle.Db(self.bench.copy.load()).posts)
        stored = {root for root, row in self.bench.want.attachments.rows.values()}
        roots = sorted(self.bench.want.roots - here)
        picked = [r for r in roots if r in stored][:3] + roots[:2]
        calls = self.traced("restore", "--yes", *picked, *CASE, code=(0, 3))
        self.assertTrue([1 for what, args, _ in calls if what.startswith("rename") and self.bench.copy.data in args], "no attachment came back")
        hold, restored = self.said(calls, "hold"), self.said(calls, "restored")
        self.assertTrue(hold and restored)
        i, lost = self.commits(calls)[-1]
        self.assertTrue(max(hold) < i < min(restored))
        self.assertEqual(lost, [])
        calls = self.traced("hold", "add", roots[-1], "--case", "17/26")
        told = [i for i, (what, args, _) in enumerate(calls) if what == "write" and "is held" in args]
        self.assertTrue(told)
        self.assertEqual(calls[told[0]][2], [], "before it is said that a thread is held")


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
