#!/usr/bin/env python3
"""What an export leaves when it fails, is stopped or is killed: nothing under the names that it would have had, and nothing in its own way.

usage: audit_leavings.py MMRETAIN AUDIT_ARCHIVE
"""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import outcome  # noqa: E402
import scratch  # noqa: E402

MMRETAIN, MAKER = (os.path.abspath(p) for p in sys.argv[1:3])
del sys.argv[1:3]
FORMATS = ("html", "jsonl", "csv", "eml", "mattermost", "zip")
ENV = dict(os.environ, TZ="UTC", ASAN_OPTIONS="detect_leaks=0")
WORK_NAME = r"\A\.page\.\w+\.[0-9a-f]{12}\.partial\Z"


def content(folder):
    """Path to bytes of every file, None of a folder."""
    found = {}
    for place, folders, names in os.walk(folder):
        for n in folders + names:
            path = os.path.join(place, n)
            with open(os.devnull if n in folders else path, "rb") as f:
                found[os.path.relpath(path, folder)] = f.read() if n in names else None
    return found


class Leavings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = scratch.folder("leavings", scratch.memory())
        cls.root = os.path.join(cls.tmp, "archive")
        subprocess.run([MAKER, cls.root, "1", "1200", "9", "reindex"], capture_output=True, check=True)
        cls.whole = {form: cls.made(form) for form in FORMATS}

    @classmethod
    def tearDownClass(cls):
        scratch.remove(cls.tmp)

    @classmethod
    def command(cls, folder, form):
        form = ("--as", form) if form != "zip" else ("--as", "csv", "--pack", "zip")
        return [MMRETAIN, "export", "--archive", cls.root, "--case", "1", "--reason", "test", "--after", "2000-01-01", "--now", "2026-11-28T10:00:00Z", *form,
                "--out", os.path.join(folder, "page" + (".html" if form[1] == "html" else ".out"))]

    @classmethod
    def made(cls, form):
        folder = os.path.join(cls.tmp, "whole-" + form)
        os.mkdir(folder)
        subprocess.run(cls.command(folder, form), env=ENV, capture_output=True, check=True)
        return content(folder)

    def setUp(self):
        self.folder = os.path.join(self.tmp, "here")
        os.mkdir(self.folder)
        self.addCleanup(shutil.rmtree, self.folder)

    def fresh(self):
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)

    def export(self, form, status=0, before=(), **env):
        done = subprocess.run([*before, *self.command(self.folder, form)], env=dict(ENV, **env), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def again(self, form):
        """The same command does it all, as if nothing had been."""
        done = self.export(form)
        self.assertEqual(content(self.folder), self.whole[form])
        return done

    def begun(self, form):
        """A process that has made its first file."""
        process = subprocess.Popen(self.command(self.folder, form), env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        while not any(names for _, _, names in os.walk(self.folder)) and process.poll() is None:
            time.sleep(0.001)
        return process

    def killed(self, fault, status=-signal.SIGKILL):
        """At a fault point."""
        self.export("html", status, MMR_FAULT=fault)
        return os.listdir(self.folder)

    def test_whole(self):
        self.assertIn("page-0002.html", self.whole["html"])
        self.assertIn("page_files", self.whole["html"])
        self.assertGreater(len(self.whole["eml"]), 1000)

    def test_file_size_limit(self):
        for form in FORMATS:
            for kib in (0, 40, 2000):
                with self.subTest(form=form, kib=kib):
                    process = subprocess.run(self.command(self.folder, form), env=ENV, capture_output=True, text=True, check=False,
                                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kib << 10, kib << 10)))
                    if form == "eml" and kib == 2000:  # no mail is as large
                        self.assertEqual(process.returncode, 0)
                        shutil.rmtree(os.path.join(self.folder, "page.out"))
                        continue
                    self.assertNotEqual(process.returncode, 0)
                    self.assertIn("File too large", process.stderr)
                    self.assertEqual(os.listdir(self.folder), [])
            self.again(form)
            self.fresh()

    def test_stopped(self):
        for form in FORMATS:
            for number in (signal.SIGTERM, signal.SIGINT):
                with self.subTest(form=form, signal=number):
                    process = self.begun(form)
                    process.send_signal(number)
                    err = process.communicate(timeout=600)[1]
                    self.assertEqual(process.returncode, 128 + number, err)
                    self.assertIn("\n  hint: Nothing was exported. Give the same command again.\n", err)
                    self.assertEqual(os.listdir(self.folder), [])
            self.again(form)
            self.fresh()

    def test_killed(self):
        """The work folder stays, under a name that nobody takes for a result, until the same export is made."""
        for form in FORMATS:
            with self.subTest(form=form):
                for _ in range(2):
                    process = self.begun(form)
                    process.kill()
                    process.communicate()
                    self.assertEqual(process.returncode, -signal.SIGKILL)
                    left, = os.listdir(self.folder)
                    self.assertRegex(left, WORK_NAME)
                self.assertIn(f'removing "{left}", which an export left that was killed', self.again(form).stderr)
                self.fresh()

    def test_killed_between_names(self):
        """Pages and attachments whose index is missing go before the next one comes."""
        self.assertRegex(" ".join(self.killed("EXPORT_COMPLETE:kill")), WORK_NAME)
        self.again("html")
        for n in range(1, len(os.listdir(self.folder))):
            with self.subTest(n=n):
                self.fresh()
                left = self.killed(f"EXPORT_BETWEEN:kill:{n}")
                self.assertEqual((len(left), "page.html" in left), (n + 1, False))
                self.again("html")

    def test_failed_between_names(self):
        for fault in ("EXPORT_COMPLETE:EIO", "EXPORT_BETWEEN:EIO", "EXPORT_BETWEEN:ENOSPC:2"):
            with self.subTest(fault=fault):
                self.assertEqual(self.killed(fault, status=1), [])
        self.again("html")

    def test_what_somebody_changed_stays(self):
        page, = (n for n in self.killed("EXPORT_BETWEEN:kill") if not n.startswith("."))
        path = os.path.join(self.folder, page)
        for write in (lambda: os.utime(path), lambda: (os.unlink(path), os.symlink("/etc/passwd", path))):
            write()
            self.killed("EXPORT_COMPLETE:kill", status=2)
            self.assertEqual(os.listdir(self.folder), [page])

    def finished(self):
        """An export that was killed when it had all its names and had not cleared away yet. Returns its work folder."""
        work, = (n for n in self.killed("EXPORT_BETWEEN:kill:3") if n.startswith("."))
        work = os.path.join(self.folder, work)
        for rest in os.listdir(os.path.join(work, "out")):
            os.rename(os.path.join(work, "out", rest), os.path.join(self.folder, rest))
        return work

    def test_whose_index_stands_stays(self):
        """An export that was killed when it had all its names is whole."""
        self.finished()
        self.export("html", status=2)
        self.assertEqual(content(self.folder), self.whole["html"])

    def test_whose_index_was_renamed_stays(self):
        """So it is when somebody has given the index another name since, or has written to it; also when half of the work folder was cleared away."""
        names = {n.split("/")[0] for n in self.whole["html"]}
        index, moved = os.path.join(self.folder, "page.html"), os.path.join(self.folder, "case-17.html")
        for cleared in (False, True):
            for change, wanted in ((lambda: os.rename(index, moved), names - {"page.html"} | {"case-17.html"}), (lambda: os.utime(index), names)):
                with self.subTest(cleared=cleared, wanted=wanted):
                    work = self.finished()
                    if cleared:
                        os.rmdir(os.path.join(work, "out"))
                    change()
                    self.export("html", status=2)
                    self.assertEqual(set(os.listdir(self.folder)), wanted)
                    self.fresh()

    def test_parts_that_are_taken(self):
        """Somebody else's file or folder under the name of a part: it stays, and nothing else does."""
        for name in ("page-0001.html", "page-0002.html", "page_files"):
            with self.subTest(name=name):
                path = os.path.join(self.folder, name)
                os.mkdir(path)
                done = self.export("html", status=2)
                self.assertRegex(done.stderr, rf'cannot write "[^"]*/{name}": File exists\n  hint: What is there is never overwritten')
                self.assertEqual(content(self.folder), {name: None})
                os.rmdir(path)

    def test_two_at_once(self):
        """The work folder of one that is at it is not taken away, and whoever comes second does not overwrite."""
        first = self.begun("html")
        first.send_signal(signal.SIGSTOP)
        done = self.export("html")
        self.assertNotIn("removing", done.stderr)
        first.send_signal(signal.SIGCONT)
        err = first.communicate(timeout=600)[1]
        self.assertEqual(first.returncode, 2, err)
        self.assertEqual(content(self.folder), self.whole["html"])

    def strace(self, *words):
        if not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
            self.skipTest("no strace, or not permitted")
        return ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "4096", "-o", os.path.join(self.tmp, "calls"), *words]

    def test_without_the_careful_rename(self):
        """A file system that cannot rename without overwriting (NFS): by link, a folder by the plain rename."""
        for form in FORMATS:
            with self.subTest(form=form):
                self.export(form, before=self.strace("-e", "trace=renameat2", "-e", "inject=renameat2:error=EINVAL"))
                self.assertEqual(content(self.folder), self.whole[form])
                self.fresh()

    def test_folder_that_cannot_be_listed(self):
        """A pack has every file or is none, wherever the kernel fails to tell what there is."""
        for form in ("html", "zip"):
            failed, n = 0, 0
            while True:
                n += 1
                done = subprocess.run(self.strace("-e", "trace=getdents64", "-e", f"inject=getdents64:error=EIO:when={n}", *self.command(self.folder, form)),
                                      env=ENV, capture_output=True, text=True, check=False)
                with open(os.path.join(self.tmp, "calls"), encoding="utf-8") as f:
                    if "(INJECTED)" not in f.read():
                        break
                failed += done.returncode != 0
                left = {p: c for p, c in content(self.folder).items() if not p.startswith(".page.") or "remove it by hand" not in done.stderr}
                self.assertTrue(left == ({} if done.returncode else self.whole[form]), (form, n, sorted(left), done.stderr))
                self.fresh()
            self.assertGreater(failed, 1)
            self.fresh()

    def test_durable(self):
        """Each file and folder is on disk before the first name stands, and the names are when the command ends."""
        for form in FORMATS:
            with self.subTest(form=form):
                self.export(form, before=self.strace("-e", "trace=fsync,fdatasync,renameat2,openat"))
                with open(os.path.join(self.tmp, "calls"), encoding="utf-8") as f:
                    calls = [c for c in f.read().split("\n") if self.folder in c]
                first = next(i for i, c in enumerate(calls) if "renameat2(" in c)
                last = max(i for i, c in enumerate(calls) if "renameat2(" in c)
                self.assertRegex("\n".join(calls[last:]), rf"fsync\(\d+<{self.folder}>\) += 0")
                synced = set(re.findall(r"sync\(\d+<([^>]+)>\) += 0", "\n".join(calls[:first])))
                made = set(re.findall(r"openat\([^)]*O_CREAT[^)]*\) = \d+<([^>]+)>", "\n".join(calls)))
                if form == "zip":
                    made = {p for p in made if p.endswith(".partial/pack")}
                else:
                    made |= {os.path.dirname(p) for p in made}
                self.assertTrue(made)
                self.assertEqual(made - synced, set())
                self.fresh()


if __name__ == "__main__":
    outcome.main(verbosity=1)
