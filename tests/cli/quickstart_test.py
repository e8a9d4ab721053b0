#!/usr/bin/env python3
"""docs/quickstart.sh from its beginning to its end, and what tests/install.sh leaves behind.

usage: MMRETAIN=BINARY quickstart_test.py [TEST...]
"""
import os
import pathlib
import re
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "tests/support")]
import cluster  # noqa: E402
import outcome  # noqa: E402
import scratch  # noqa: E402

BINARY = os.path.abspath(os.environ.get("MMRETAIN") or SOURCE / "build/dev/engine/cli/mmretain")
CLUSTER = ("/usr/bin/python3", str(SOURCE / "tests/support/cluster.py"))
ENV = {**{k: v for k, v in os.environ.items() if not k.startswith(("PG", "MM_"))}, "MMRETAIN": BINARY}


class Quickstart(unittest.TestCase):
    def setUp(self):
        self.where = scratch.folder("quickstart", scratch.memory())
        self.addCleanup(scratch.remove, self.where)
        self.folder = os.path.join(self.where, "q")
        self.addCleanup(subprocess.run, [*CLUSTER, "stop", os.path.join(self.folder, "pg")], capture_output=True, check=False)

    def sh(self, *words):
        return subprocess.run(words, env=ENV, cwd="/", capture_output=True, text=True, timeout=600, check=False)

    def test_whole(self):
        done = self.sh(str(SOURCE / "docs/quickstart.sh"), self.folder)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said)
        self.assertNotRegex(said, r"(?i)error|Traceback|No such file|command not found")
        before, after, planned = map(int, re.search(r"posts in the database: (\d+) before, (\d+) now; the plan said (\d+)\n", done.stdout).groups())
        self.assertTrue(1000 < planned == before - after, (before, after, planned))
        for words in ("every file has the digest of the manifest", "every bundle and the ledger verify", "every file of the pack has the digest of its manifest"):
            self.assertIn(words, done.stdout)
        self.assertRegex(done.stdout, r"jq: the first three messages in it\S*\n(\d{4}-\d\d-\d\dT[0-9:]+Z  .+\n){3}\n")
        # What it names at its end is there and has something in it.
        look, again = done.stdout.split("\nLook at:\n")[1].split("The server stops now; to go on in the folder:\n")
        paths = re.findall(r"^  (/\S+)", look, re.M)
        self.assertEqual(len(paths), 7)
        for path in paths:
            self.assertTrue(path.startswith(self.folder + "/"), path)
            self.assertTrue(os.listdir(path) if os.path.isdir(path) else os.path.getsize(path), path)
        self.assertIn("<!doctype html>", pathlib.Path(self.folder, "thread.html").read_text(encoding="utf-8")[:100])
        # The server is stopped, and goes on and stops again by the lines that were printed.
        self.assertIsNone(cluster.Cluster(os.path.join(self.folder, "pg")).pid)
        self.assertIn("&& mmretain doctor -c policy.yaml\n", again)
        done = self.sh("bash", "-euc", again)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^ok +database ")
        self.assertIsNone(cluster.Cluster(os.path.join(self.folder, "pg")).pid)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "pg", "data", "PG_VERSION")))
        self.assertEqual(self.sh(str(SOURCE / "docs/quickstart.sh"), self.folder).returncode, 2, "a folder that was used before")


APT = """#!/bin/sh
echo "$@" >>"$LOG"
case "$*" in
  *postgresql-15*) cat /etc/postgresql-common/createcluster.conf >"$LOG.conf"; exit "${APT_STATUS:-0}" ;;
  *postgresql-common*) [ -z "${SHIPPED:-}" ] || echo "#create_main_cluster = true" >/etc/postgresql-common/createcluster.conf ;;
esac
"""


class Install(unittest.TestCase):
    """With an apt-get of ours, and another folder mounted in the place of PostgreSQL's."""

    def setUp(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode:
            self.skipTest("needs root, and the right to make mount namespaces")
        self.where = scratch.folder("install")
        self.addCleanup(scratch.remove, self.where)
        self.conf = pathlib.Path(self.where, "etc", "createcluster.conf")
        self.conf.parent.mkdir()
        for name, text in (("apt-get", APT), ("dpkg-query", "#!/bin/sh\ncase \"$3\" in postgresql-15|jq) ;; *) echo install ok installed ;; esac\n")):
            pathlib.Path(self.where, name).write_text(text, encoding="ascii")
            os.chmod(os.path.join(self.where, name), 0o755)

    def install(self, **env):
        script = f'[ -d /etc/postgresql-common ] || {{ echo "no folder" >&2; exit 99; }}; mount --bind {self.where}/etc /etc/postgresql-common && exec "{SOURCE}/tests/install.sh" build'
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], capture_output=True, text=True, check=False,
                              env=dict(ENV, PATH=self.where + ":" + os.environ["PATH"], LOG=os.path.join(self.where, "log"), **env))

    def test_leaves_nothing(self):
        """No cluster is made, and the file that says so is afterwards as it was, also when the installation fails."""
        for before, env, after in (("", {}, None), ("", {"SHIPPED": "1"}, "#create_main_cluster = true\n"), ("create_main_cluster = true\n", {}, "create_main_cluster = true\n"),
                                   ("own\n", {"APT_STATUS": "7"}, "own\n")):
            with self.subTest(before, **env):
                self.conf.unlink(missing_ok=True)
                if before:
                    self.conf.write_text(before, encoding="ascii")
                done = self.install(**env)
                self.assertEqual(done.returncode, int(env.get("APT_STATUS", 0)), done.stderr)
                self.assertEqual(done.stderr, "installing: postgresql-15 jq\n")
                self.assertEqual(pathlib.Path(self.where, "log.conf").read_text(encoding="ascii").splitlines()[-1], "create_main_cluster = false")
                self.assertEqual(self.conf.read_text(encoding="ascii") if self.conf.exists() else None, after)


if __name__ == "__main__":
    outcome.main(verbosity=2)
