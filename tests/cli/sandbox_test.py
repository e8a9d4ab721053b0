#!/usr/bin/env python3
"""The systemd units of docs/systemd: they are sound, and all that a night and an audit need goes on in their sandbox.

usage: MMRETAIN=BINARY sandbox_test.py [TEST...]
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exit_codes  # noqa: E402
from exit_codes import lib  # noqa: E402

import s3  # noqa: E402 (tests/support, found by e2e_lib)

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DOCS = SOURCE / "docs"
UNIT = DOCS / "systemd/mmretain.service"
PRISON = ("unshare", "--mount", "--propagation", "private", "/usr/bin/python3", str(SOURCE / "tests/support/sandbox.py"))
SANDBOX = (*PRISON, str(UNIT))
CASE = ("--case", "DPO-2026-7", "--reason", "a test")


def setUpModule():
    exit_codes.setUpModule()


def tearDownModule():
    exit_codes.tearDownModule()


def permitted():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode == 0


class Units(unittest.TestCase):
    def test_sound(self):
        where = lib.folder("units")
        self.addCleanup(lib.remove, where)
        for unit in UNIT.parent.iterdir():
            with open(os.path.join(where, unit.name), "w", encoding="utf-8") as f:
                f.write(unit.read_text(encoding="utf-8").replace("/usr/local/bin/mmretain", lib.binary()))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *(os.path.join(where, u.name) for u in UNIT.parent.iterdir())], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_install(self):
        """Everything comes below the prefix, and the units start the program that is there."""
        where = lib.folder("install")
        self.addCleanup(lib.remove, where)
        subprocess.run(["cmake", "--install", str(pathlib.Path(lib.binary()).parents[2]), "--prefix", where], capture_output=True, check=True)
        there = {str(p.relative_to(where)) for p in pathlib.Path(where).rglob("*") if p.is_file()}
        self.assertLessEqual({"bin/mmretain", "share/man/man1/mmretain.1", "lib/systemd/system/mmretain.service", "lib/systemd/system/mmretain.timer", "share/doc/mmretain/policies/institute.yaml",
                              *(f"share/doc/mmretain/{page.name}" for kind in ("md", "svg") for page in DOCS.glob(f"*.{kind}") if page.name != "developing.md"),
                              "share/bash-completion/completions/mmretain", "share/zsh/site-functions/_mmretain", "share/fish/vendor_completions.d/mmretain.fish"}, there)
        self.assertNotIn("share/doc/mmretain/developing.md", there)  # for whoever has the source
        unit = pathlib.Path(where, "lib/systemd/system/mmretain.service").read_text(encoding="utf-8")
        self.assertIn(f"\nExecStart={where}/bin/mmretain run ", unit)
        self.assertNotIn("/usr/local", unit)
        self.assertIn("complete", pathlib.Path(where, "share/bash-completion/completions/mmretain").read_text(encoding="utf-8"))

    def test_options(self):
        """What the units start is what the program knows."""
        starts = [line.split("=", 1)[1].lstrip("-").split() for line in UNIT.read_text(encoding="utf-8").split("\n") if line.startswith("Exec")]
        self.assertEqual(len(starts), 2)
        for _, *args in starts:
            done = subprocess.run([lib.binary(), *args, "-c", "/nonexistent/policy.yaml"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 10, done.stderr)


@unittest.skipUnless(permitted(), "needs root, and the right to make mount namespaces")
class Sandbox(exit_codes.Base):
    def setUp(self):
        super().setUp()
        self.metrics = os.path.join(self.copy.where, "metrics")
        self.tmp = os.path.join(self.copy.where, "tmp")
        os.mkdir(self.metrics)
        os.mkdir(self.tmp)

    def inside(self, code, *args, prison=SANDBOX, program=None, **more):
        """In the sandbox, with the folders that the unit lets it write into."""
        real = lib.PROGRAM
        lib.PROGRAM = [*prison, self.copy.archive, self.copy.data, self.metrics, self.tmp, "--", program or lib.binary()]
        try:
            return self.call(code, *args, env={"TMPDIR": self.tmp}, **more)
        finally:
            lib.PROGRAM = real

    def test_it_is_one(self):
        """What the unit forbids is refused: otherwise the rest here says nothing."""
        self.begin()
        forbidden = (f"touch {self.copy.where}/no", "touch /etc/no", "unshare -n true", "setpriv --reuid 1 true", "chrt -f 1 true", "setarch -R true",
                     "/usr/bin/python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)'", "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_PACKET)'",
                     "/usr/bin/python3 -c 'import ctypes; import sys; sys.exit(ctypes.CDLL(None).reboot(0) != 0)'", "mount -t tmpfs tmpfs /mnt")
        for command in (f"touch {self.tmp}/yes", "chrt -i 0 true", "true", *forbidden):
            done = subprocess.run([*SANDBOX, self.copy.archive, self.tmp, "--", "sh", "-c", command], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode != 0, command in forbidden, f"{command}: {done.stderr}")

    def test_night(self):
        """A whole night, its metrics, and a look at what it made."""
        self.begin()
        self.inside(0, "run", "--yes", "--run-time", "2h")
        self.finished()
        self.inside(0, "status", "--metrics", os.path.join(self.metrics, "mmretain.prom"))
        self.assertEqual(os.listdir(self.metrics), ["mmretain.prom"])
        self.assertEqual(os.stat(os.path.join(self.metrics, "mmretain.prom")).st_mode & 0o777, 0o644, "the umask of the unit closes it to whoever collects it")
        self.inside(0, "verify")
        self.assertEqual(os.listdir(self.tmp), [])

    def test_no_openat2(self):
        """A setting that takes the system call away ends each command before it says of a bundle that it is missing."""
        self.begin()
        drop_in = pathlib.Path(self.copy.where, "drop-in")
        drop_in.write_text("[Service]\nRestrictSUIDSGID=yes\n", encoding="utf-8")
        prison = (*PRISON, f"--drop-in={drop_in}", str(UNIT))
        done = subprocess.run([*prison, self.copy.archive, self.tmp, "--", "chmod", "u+s", self.tmp], capture_output=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        for args in (("run", "--yes"), ("status",), ("verify",)):
            self.inside(14, *args, prison=prison, err=r"openat2 is refused(?s:.*)RestrictSUIDSGID=")
        self.inside(14, "doctor", prison=prison, err="1 failure", out=r"fail  archive [^\n]*openat2 is refused")

    def give(self, uid, *roots):
        for root in roots:
            for folder, _, names in os.walk(root):
                for path in (folder, *(os.path.join(folder, n) for n in names)):
                    os.lchown(path, uid, uid)
                    if not os.path.islink(path):
                        os.chmod(path, 0o750 if path == folder else 0o600)

    def test_account(self):
        """Attachments as the server leaves them, and the two ways of operating.md: its own account, or another with the drop-in of that page."""
        self.begin()
        program, drop_in, server, own = os.path.join(self.copy.where, "mmretain"), os.path.join(self.copy.where, "drop-in"), 12345, 23456
        shutil.copy(lib.binary(), program)
        os.chmod(program, 0o755)
        os.chmod(self.copy.where, 0o755)
        os.chmod(exit_codes.WHERE, 0o755)
        text = next(t for t in re.findall(r"(?s)```ini\n(.*?)```", (DOCS / "operating.md").read_text(encoding="utf-8")) if "AmbientCapabilities" in t)
        pathlib.Path(drop_in).write_text(text, encoding="utf-8")
        alone, with_drop_in = (*PRISON, f"--uid={own}", str(UNIT)), (*PRISON, f"--uid={own}", f"--drop-in={drop_in}", str(UNIT))
        self.give(server, self.copy.data)
        self.give(own, self.copy.archive, self.tmp)
        os.chown(self.policy, 0, 0)
        self.inside(0, "doctor", prison=alone, program=program, out=r"warn  attachments [^\n]*Permission denied")
        self.inside(0, "doctor", prison=with_drop_in, program=program, out=r"ok    attachments [^\n]* looked at, which can be read and removed")
        self.inside(0, "run", "--yes", "--no-purge", prison=with_drop_in, program=program)
        self.give(server, self.copy.archive, self.tmp)
        self.inside(0, "run", "--yes", prison=(*PRISON, f"--uid={server}", str(UNIT)), program=program)
        self.assertEqual(lib.compare(self.want, self.copy, exact=False), [])

    def test_group_of_auditors(self):
        """Folders that hand on their group, as audit.md has them, go on doing so."""
        self.begin()
        for folder, _, names in os.walk(self.copy.archive):
            os.chown(folder, 0, 34567)
            os.chmod(folder, 0o2750)
            for n in names:
                os.chown(os.path.join(folder, n), 0, 34567)
        self.inside(0, "run", "--yes")
        for folder, folders, names in os.walk(self.copy.archive):
            self.assertEqual(os.stat(folder).st_mode & 0o7777, 0o2750, folder)
            self.assertEqual([n for n in folders + names if os.lstat(os.path.join(folder, n)).st_gid != 34567], [], folder)

    def test_audit(self):
        """Beside the timer's: what admins and auditors may want to give a unit, too."""
        self.begin()
        self.inside(0, "run", "--yes")
        root = sorted(self.want.roots)[0]
        self.inside(0, "show", root, *CASE)
        self.inside(0, "export", root, "-o", os.path.join(self.tmp, "page.html"), *CASE)
        self.inside(0, "restore", root, "--yes", *CASE)
        self.inside(0, "hold", "list")
        self.inside(0, "expire", "--yes")
        self.inside(0, "reindex", "--all")

    def test_mirror(self):
        """Threads of libcurl, names looked up, with the address families that are left."""
        store = s3.S3(os.path.join(exit_codes.WHERE, "s3")).start()
        self.addCleanup(store.stop)
        keys = store.credentials(os.path.join(self.copy.where, "keys"))
        mirror = {"bucket": f"s3://{s3.BUCKET}/one", "endpoint": store.endpoint.replace("127.0.0.1", "localhost"), "region": s3.REGION, "credentials": keys}
        self.begin(archive=["  mirror:", *(f"    {k}: {lib.flow(v)}" for k, v in mirror.items())])
        self.inside(0, "run", "--yes")
        self.finished()
        self.assertGreater(len([k for k in store.objects() if k.endswith(".tar.zst")]), 0)
        self.inside(0, "verify", "--mirror", "read")


if __name__ == "__main__":
    lib.outcome.main()
