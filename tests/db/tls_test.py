#!/usr/bin/env python3
"""The database by TLS, with certificates that openssl makes here: by the url of a policy and by the DataSource of Mattermost's config.json.  Whoever
cannot prove to be the server gets neither the password nor a word; what is wrong is said, and what to do.

usage: MMRETAIN=BINARY tls_test.py [-k NAME]
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import tls
from listener import TcpListener

HOST, WORD, ROLE = "db.example.org", "s3cret-word", "keeper"
PG = WORLD = WHERE = CA = OTHER = None


def setUpModule():
    global PG, WORLD, WHERE, CA, OTHER
    if not shutil.which("openssl"):
        raise unittest.SkipTest("needs openssl")
    WHERE = lib.folder("tls")
    CA, OTHER = tls.Authority(WHERE, "good"), tls.Authority(WHERE, "other")
    PG = lib.cluster.Cluster(settings=dict(lib.QUICK, listen_addresses="'127.0.0.1'", synchronous_commit="on"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        PG.port = free.getsockname()[1]
    PG.start()
    WORLD = lib.World(PG, "world", 400, 8)
    PG.psql(f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD '{WORD}'")
    hba = os.path.join(PG.data, "pg_hba.conf")
    with open(hba, encoding="utf-8") as f:
        text = f.read()
    with open(hba, "w", encoding="utf-8") as f:
        f.write(f"hostssl all {ROLE} all scram-sha-256\nhost all all all reject\n" + text)
    serve(*CA.sign("server", f"DNS:{HOST}"))


def tearDownModule():
    lib.clear(WHERE, PG)


def serve(cert, key):
    """The server shows this certificate from now on; None: it speaks no TLS."""
    identity = lib.cluster._identity()
    for name, path in (("server.crt", cert), ("server.key", key)):
        to = os.path.join(PG.data, name)
        if path:
            shutil.copy(path, to)
            os.chmod(to, 0o600)
            PG._own(to, identity)
    PG.psql(f"ALTER SYSTEM SET ssl = {'on' if cert else 'off'}")
    PG.psql("SELECT pg_reload_conf()")
    time.sleep(0.3)  # until the postmaster has


class Impostor(TcpListener):
    """Answers a request for TLS with `answer`, and keeps what else it was told."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.heard = answer, b""

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            client.settimeout(2)
            while data := client.recv(1 << 16):
                self.heard += data
                if data == tls.SSL_REQUEST:
                    client.sendall(self.answer)


class Tls(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, "db_" + self._testMethodName.removeprefix("test_"), int(time.time()) * 1000)
        self.addCleanup(self.bench.copy.remove)
        self.bench.env["HOME"] = self.bench.copy.where  # without certificates and passwords of whoever runs this
        self.bench.begin()

    def settings(self, **more):
        """The words of a connection that works, or with other ones in their place; None: left out."""
        words = {"sslmode": "verify-full", "sslrootcert": CA.crt, "hostaddr": "127.0.0.1", **more}
        return "&".join(f"{k}={v}" for k, v in words.items() if v)

    def by_url(self, host=HOST, word=WORD, port=None, **more):
        url = f"postgresql://{ROLE}:{word}@{host}:{port or PG.port}/{self.bench.name}?{self.settings(**more)}"
        self.bench.policy(url=url)

    def by_config(self, host=HOST, word=WORD, port=None, **more):
        """As Mattermost writes it, with a setting that only its own driver knows."""
        url = f"postgres://{ROLE}:{word}@{host}:{port or PG.port}/{self.bench.name}?{self.settings(**more)}&binary_parameters=yes"
        path = os.path.join(self.bench.copy.where, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"SqlSettings": {"DriverName": "postgres", "DataSource": url}, "FileSettings": {"DriverName": "local", "Directory": self.bench.copy.data}}, f)
        os.chmod(path, 0o600)
        self.bench.policy(url="postgres://x")
        with open(self.bench.path, encoding="utf-8") as f:
            text = f.read().replace('url: "postgres://x"', f"mattermost_config: {path}")
        with open(self.bench.path, "w", encoding="utf-8") as f:
            f.write(text)

    def refused(self, *words, by=None, **more):
        """By both ways and for every command that asks the database: exit 12, the words, never the password; and nothing happens."""
        for way in by or (self.by_url, self.by_config):
            way(**more)
            for args in (("plan",), ("run", "--yes"), ("check", "--db"), ("doctor",), ("grants",)):
                done = self.bench.call(*args)
                text = done.out + done.err
                self.assertEqual(done.code, 12, f"{way.__name__} {args}: {text}")
                for w in words:
                    self.assertIn(w, text, f"{way.__name__} {args}")
                self.assertNotIn(more.get("word", WORD), text)
                self.assertNotIn("to disable server certificate verification", text)
        self.bench.untouched()
        self.assertEqual(self.bench.problems, [])

    def whole_run(self):
        self.bench.call("plan", code=0)
        self.bench.call("doctor", code=0)
        self.bench.run(code=self.bench.want.code)
        self.bench.done()
        self.assertEqual(self.bench.problems, [])
        with open(os.path.join(self.bench.copy.archive, "ledger", "entries.jsonl"), encoding="utf-8") as f:
            self.assertNotIn(WORD, f.read())

    def test_url(self):
        self.by_url()
        self.whole_run()

    def test_mattermost_config(self):
        self.by_config()
        self.whole_run()

    def test_large_records(self):
        """By a front that makes records of 16 KiB."""
        front = tls.Front(os.path.join(PG.socket_dir, f".s.PGSQL.{PG.port}"), os.path.join(WHERE, "server.crt"), os.path.join(WHERE, "server.key"))
        front.start()
        self.addCleanup(front.close)
        self.bench.policy(url=f"postgresql://{PG.user}@{HOST}:{front.port}/{self.bench.name}?{self.settings()}")
        self.whole_run()

    def test_other_authority(self):
        self.refused("certificate verify failed", "sslrootcert=FILE", sslrootcert=OTHER.crt)

    def test_other_host(self):
        self.refused(f'server certificate for "{HOST}" does not match host name "chat.example.org"', "for the very host name", host="chat.example.org")

    def test_no_authority(self):
        """Neither named nor in the folder where libpq looks, and one that is not there; and a file that holds none."""
        self.refused("root.crt\" does not exist", "sslrootcert=FILE", sslrootcert=None)
        self.refused("nowhere.crt\" does not exist", "sslrootcert=FILE", sslrootcert=os.path.join(WHERE, "nowhere.crt"))
        self.refused("could not read root certificate file", "sslrootcert=FILE", sslrootcert=os.path.join(WHERE, "ca.cnf"))

    def test_expired(self):
        serve(*CA.sign("old", f"DNS:{HOST}", expired=True))
        try:
            self.refused("certificate verify failed", "that has not expired")
        finally:
            serve(os.path.join(WHERE, "server.crt"), os.path.join(WHERE, "server.key"))

    def test_weaker_mode(self):
        """Whatever would not prove who answers is not even tried."""
        listener = Impostor(b"N")
        listener.start()
        for mode in ("disable", "allow", "prefer", "require", "verify-ca"):
            self.refused(f'database host "{HOST}" is another machine and sslmode={mode} does not prove who answers', "Set sslmode=verify-full", sslmode=mode, port=listener.port)
        self.assertEqual(listener.heard, b"")
        listener.close()

    def test_no_tls(self):
        """A server without TLS, and somebody in its place who says so, wants the password, or answers anything else: nobody is told more than that TLS is wanted."""
        serve(None, None)
        try:
            self.refused("server does not support SSL, but SSL was required", "ssl = on")
        finally:
            serve(os.path.join(WHERE, "server.crt"), os.path.join(WHERE, "server.key"))
        for answer in (b"N", b"R\0\0\0\x08\0\0\0\x03", b"E\0\0\0\x10SFATAL\0Mno\0\0", b"S" + b"not a handshake" * 9):
            listener = Impostor(answer)
            listener.start()
            for way in (self.by_url, self.by_config):
                way(port=listener.port)
                self.assertEqual(self.bench.call("plan", env={"PGCONNECT_TIMEOUT": "3"}, timeout=60).code, 12, answer)
            self.assertIn(tls.SSL_REQUEST, listener.heard)
            self.assertNotIn(ROLE.encode(), listener.heard, answer)
            self.assertNotIn(WORD.encode(), listener.heard, answer)
            listener.close()
        self.bench.untouched()
        self.assertEqual(self.bench.problems, [])

    def test_password(self):
        self.refused("password authentication failed", "its password is wrong: look at the password file (passfile=FILE, or ~/.pgpass), with `mattermost_config` at the server's DataSource", word="another-w0rd")
        self.bench.policy(url=f"postgresql://{ROLE}@{HOST}:{PG.port}/{self.bench.name}?{self.settings()}")
        done = self.bench.call("plan", code=12)
        self.assertIn("The server wants a password", done.err)
        self.assertIn("PGPASSFILE and PGPASSWORD are not read", done.err)
        with open(os.path.join(self.bench.copy.where, ".pgpass"), "w", encoding="utf-8") as f:
            f.write(f"*:*:*:{ROLE}:{WORD}\n")
        os.chmod(f.name, 0o600)
        self.bench.call("plan", code=0)
        self.assertEqual(self.bench.problems, [])

    def test_not_by_tls(self):
        """A role that the server lets in by TLS only, asked without."""
        self.bench.policy(url=f"postgresql://{ROLE}:{WORD}@127.0.0.1:{PG.port}/{self.bench.name}?sslmode=disable")
        done = self.bench.call("plan")
        self.assertEqual(done.code, 12)
        self.assertIn("`hostssl` lines", done.err)
        self.assertNotIn(WORD, done.err)

    def test_ended(self):
        """The server ends all sessions of a run; a stop cancels a statement that waits."""
        self.by_url()
        process = self.bench.halt("PURGE_AFTER_DELETE")
        PG.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.bench.name}' AND pid <> pg_backend_pid()")
        done = self.bench.go_on(process, 12)
        self.assertIn("the connection to", done.err)
        self.bench.safe()
        with contextlib.closing(PG.connect(self.bench.name)) as other:
            other.cursor().execute("LOCK TABLE reactions")
            process = self.bench.start()
            waiting, end = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.bench.name}' AND wait_event_type = 'Lock'", time.monotonic() + 60
            while PG.psql(waiting) == "0" and time.monotonic() < end:
                time.sleep(0.05)
            begin = time.monotonic()
            process.send_signal(signal.SIGTERM)
            done = lib.finish(process)
            self.assertEqual(done.code, 143, done.err)
            self.assertLess(time.monotonic() - begin, 8)
        self.bench.converge()
        self.assertEqual(self.bench.problems, [])


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
