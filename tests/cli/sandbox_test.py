#!/usr/bin/env python3
"""The systemd units of docs/systemd: they are sound, and all that a night and an audit need goes on in their sandbox.

usage: MMRETAIN=BINARY sandbox_test.py [TEST...]
"""
import os
import pathlib
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
SANDBOX = ("unshare", "--mount", "--propagation", "private", "/usr/bin/python3", str(SOURCE / "tests/support/sandbox.py"), str(UNIT))
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
                              *(f"share/doc/mmretain/{page.name}" for kind in ("md", "svg") for page in DOCS.glob(f"*.{kind}")),
                              "share/bash-completion/completions/mmretain", "share/zsh/site-functions/_mmretain", "share/fish/vendor_completions.d/mmretain.fish"}, there)
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

    def inside(self, code, *args, **more):
        """In the sandbox, with the folders that the unit lets it write into."""
        real = lib.PROGRAM
        lib.PROGRAM = [*SANDBOX, self.copy.archive, self.copy.data, self.metrics, self.tmp, "--", lib.binary()]
        try:
            return self.call(code, *args, env={"TMPDIR": self.tmp}, **more)
        finally:
            lib.PROGRAM = real

    def test_it_is_one(self):
        """What the unit forbids is refused: otherwise the rest here says nothing."""
        self.begin()
        forbidden = (f"touch {self.copy.where}/no", "touch /etc/no", f"chmod u+s {self.tmp}", "unshare -n true", "setpriv --reuid 1 true", "chrt -f 1 true", "setarch -R true",
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
        self.inside(0, "verify")
        self.assertEqual(os.listdir(self.tmp), [])

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
