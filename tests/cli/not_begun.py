#!/usr/bin/env python3
"""A run that ends before its first line in the ledger: `status` tells of it, in words, as JSON and in numbers, until a run begins.

usage: MMRETAIN=BINARY not_begun.py [TEST...]
"""
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exit_codes  # noqa: E402
from exit_codes import LOCK_KEY, lib  # noqa: E402


def setUpModule():
    exit_codes.setUpModule()


def tearDownModule():
    exit_codes.tearDownModule()


class NotBegun(exit_codes.Base):
    def begin(self, **more):
        super().begin(**more)
        self.file = pathlib.Path(self.copy.archive, "ledger", "attempt.json")
        self.book = pathlib.Path(self.copy.archive, "ledger", "entries.jsonl")

    def lines(self):
        return self.book.read_bytes() if self.book.exists() else b""

    def fails(self, code, error, message, *args, **more):
        """A run that ends so; the archive is told, and its ledger is as before."""
        before = self.lines()
        self.call(code, "run", "--yes", *args, err="mmretain: error: ", **more)
        self.assertEqual(self.lines(), before)
        self.told(code, error, message)

    def told(self, code, error, message, *where):
        doc = json.loads(self.call(0, "status", "--json", *where).out)
        self.assertEqual((doc["not_begun"]["exit"], doc["not_begun"]["error"]), (code, error))
        self.assertRegex(doc["not_begun"]["message"], message)
        self.assertRegex(doc["not_begun"]["ended"], r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
        self.assertIn(f"with status {code} ({error})", doc["warnings"][0])
        text = self.call(0, "status", *where).out
        self.assertRegex(text, rf"(?m)^not begun: a run \(script\) ended at \S+ with status {code}, before its first step: .*{message}")
        self.assertRegex(text, rf"(?m)^warning: the last run ended before it began, at \S+, with status {code} \({error}\)")
        numbers = self.numbers(*where)
        self.assertEqual(numbers["last_run_exit_status"], code)
        self.assertGreater(numbers["not_begun_timestamp_seconds"], 1e9)
        self.assertGreaterEqual(numbers["warnings"], 1)
        self.assertEqual(sorted(p.name for p in self.file.parent.glob("attempt*")), ["attempt.json"])

    def numbers(self, *where):
        text = self.call(0, "status", "--metrics", "-", *where).out
        return {name: float(value) for name, value in re.findall(r"(?m)^mmretain_(\w+)\{archive=\"[^\"]*\"\} (\S+)$", text)}

    def silent(self, code):
        self.assertFalse(self.file.exists())
        self.assertIsNone(json.loads(self.call(0, "status", "--json").out)["not_begun"])
        numbers = self.numbers()
        self.assertEqual(numbers.get("last_run_exit_status"), code)
        self.assertNotIn("not_begun_timestamp_seconds", numbers)

    def good(self):
        self.call(0, "run", "--yes")
        self.silent(0)

    def sql(self, text):
        return self.copy.world.pg.psql(text, db=self.name)

    def test_10(self):
        """By the archive's folder alone: the policy cannot be read by `status` either."""
        self.begin()
        good = pathlib.Path(self.policy).read_text(encoding="utf-8")
        pathlib.Path(self.policy).write_text(good + "rulez: []\n", encoding="utf-8")
        for args in (("run", "-n"), ("run",), ("plan",), ("check",)):
            self.call(10, *args, err="mmretain: error: ")
            self.assertFalse(self.file.exists(), args)
        self.call(10, "run", "--yes", err="mmretain: error: ")
        self.call(10, "status", err="mmretain: error: ")
        self.told(10, "POLICY", r"policy.yaml: 1 error", "--archive", self.copy.archive)
        pathlib.Path(self.policy).write_text(good, encoding="utf-8")
        self.good()

    def test_11(self):
        """What holds the lock is a run: it is not disturbed, and its end settles it."""
        self.begin()
        process = self.halt("PURGE_AFTER_COMMIT")
        self.fails(11, "LOCKED", "another run holds the lock")
        os.kill(process.pid, signal.SIGCONT)
        self.check(lib.finish(process, 60), 0)
        self.finished()
        self.silent(0)

    def test_11_stays(self):
        """Kept from beginning by something else: the next run tells that it has passed."""
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        with open(self.book, "a", encoding="utf-8") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.fails(11, "LOCKED", "another process writes the ledger")
        with self.copy.world.pg.connect(self.name) as other, other.cursor() as cur:
            cur.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
            self.fails(11, "LOCKED", "another run holds the lock")
        other.close()
        self.good()

    def test_12(self):
        """No password gets into the archive."""
        self.begin(url=self.copy.url().replace(f"port={exit_codes.PG.port}", "port=1") + "&password=pass-word-7")
        self.fails(12, "DATABASE", r"\.s\.PGSQL\.1|port 1")
        self.assertNotIn("pass-word-7", self.file.read_text(encoding="utf-8"))

    def test_13(self):
        """A new installation, then one with a good run before it; what only looks, and what was named wrongly, is no run."""
        self.begin()
        self.sql("CREATE TABLE notes_on (id text, about varchar(26) REFERENCES posts(id))")
        for code, args in ((0, ("plan",)), (0, ("check",)), (0, ("run", "-n")), (2, ("run",))):
            self.call(code, *args, err="error" if code else None)
            self.assertFalse(self.file.exists(), args)
        self.silent(None)
        self.fails(13, "SCHEMA", "notes_on")
        self.assertIn("\nno run yet\nnot begun: ", self.call(0, "status").out)
        self.assertNotIn("last_good_run_end_timestamp_seconds", self.numbers())
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o640)
        self.sql("DROP TABLE notes_on")
        self.good()
        for args in (("--rule", "none"), ("--team", "none")):
            self.call(2, "run", "--yes", *args, err="mmretain: error: ")
        self.call(1, "run", "--plan", os.path.join(self.copy.where, "none"), err="mmretain: error: ")
        self.silent(0)
        self.sql("CREATE TABLE notes_on (id text, about varchar(26) REFERENCES posts(id))")
        self.fails(13, "SCHEMA", "notes_on")
        self.assertIn("last_good_run_end_timestamp_seconds", self.numbers())
        self.sql("DROP TABLE notes_on")
        self.good()

    def test_14(self):
        """The mirror does not answer."""
        self.begin()
        keys = pathlib.Path(self.copy.where, "s3.keys")
        keys.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n", encoding="utf-8")
        keys.chmod(0o600)
        good = pathlib.Path(self.policy).read_text(encoding="utf-8")
        mirror = f"  mirror: {{bucket: s3://mirrored/x, endpoint: http://127.0.0.1:1, region: r, credentials: {keys}}}\n"
        pathlib.Path(self.policy).write_text(good.replace("\nthrottle:", "\n" + mirror + "throttle:"), encoding="utf-8")
        self.fails(14, "STORE", "mirror|127.0.0.1")
        pathlib.Path(self.policy).write_text(good, encoding="utf-8")
        self.good()

    def test_15(self):
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        kept = self.lines()
        self.book.unlink()
        self.call(15, "run", "--yes", err="mmretain: error: ")
        self.told(15, "VERIFY", "has bundles and an empty ledger")
        self.book.write_bytes(kept)
        self.good()

    def test_16(self):
        """The ledger's last line lies ahead: no time in the file is compared with it."""
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        lines = self.ledger()
        ahead = dict(lines[-1], at="2099-01-01T00:00:00Z")
        self.rewrite(lines[:-1] + [ahead])
        self.fails(16, "GUARD", "the clock says")

    def rewrite(self, lines):
        maker = pathlib.Path(__file__).resolve().parent / "make_ledger.py"
        text = "".join(json.dumps({k: v for k, v in line.items() if k not in ("seq", "prev", "hash")}) + "\n" for line in lines)
        lib.subprocess.run([sys.executable, maker, self.book], input=text, text=True, check=True)

    def test_18(self):
        self.begin()
        secret = pathlib.Path(self.copy.archive, "keys", "salt-secret")
        kept = secret.read_bytes()
        secret.unlink()
        self.fails(18, "KEY", "keys/salt-secret")
        secret.write_bytes(kept)
        secret.chmod(0o600)
        self.good()

    def test_19(self):
        self.sql("DROP ROLE IF EXISTS begun_reader; CREATE ROLE begun_reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO begun_reader")
        self.begin(user="begun_reader")
        self.fails(19, "PERMISSION", "lacks DELETE ON")
        self.sql("DROP OWNED BY begun_reader; DROP ROLE begun_reader")

    def test_143(self):
        """Stopped while it connects to a server that does not answer."""
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        self.begin(url=f"postgres://keeper@127.0.0.1:{silent.getsockname()[1]}/m")
        process = lib.start(self.copy, self.policy, "run", "--yes", now_ms=None)
        client, _ = silent.accept()
        self.addCleanup(client.close)
        client.recv(8)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(lib.finish(process, 60).code, 143)
        self.told(143, "INTERRUPTED", "SIGTERM")

    def test_damaged(self):
        """A file that nobody can read keeps nothing else from being told, and goes with the next run."""
        self.begin()
        for text in ("", "{", '{"attempt":1}', '{"attempt":1,"at":"yesterday","exit":13}'):
            self.file.write_text(text, encoding="utf-8")
            done = self.call(0, "status", "--json")
            self.assertIn("attempt.json", done.err)
            self.assertIsNone(json.loads(done.out)["not_begun"])
        self.good()


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
