#!/usr/bin/env python3
"""Databases that may be read and not written: a standby, a read-only database, a role without INSERT.  A plan works, and what would
write says why it does not, with the right status, and leaves everything as it was.  And databases whose texts are not UTF-8: nothing works.

usage: MMRETAIN=BINARY unfit_test.py [-k NAME]
"""
import os
import subprocess
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle

CASE = ("--case", "17/26", "--reason", "deleted by mistake")
ROLE = "keeper"
PG = STANDBY = BENCH = None
SETTINGS = dict(lib.QUICK, wal_level="replica", max_wal_senders="4", hot_standby="on")


def setUpModule():
    """A run that took something, so that there is something to restore; then older posts, so that something is due."""
    global PG, STANDBY, BENCH, WHERE
    WHERE = lib.folder("unfit")
    PG = lib.cluster.Cluster(settings=SETTINGS).start()
    world = lib.World(PG, "world", 500, 5)
    BENCH = faults.Bench(world, WHERE, "mm", int(time.time()) * 1000)
    BENCH.begin()
    BENCH.run(code=BENCH.want.code)
    BENCH.gone = sorted(BENCH.want.roots - set(oracle.Db(BENCH.copy.load()).posts))
    BENCH.policy([{"name": "all", "match": {}, "keep": {"for": "90d"}}])
    PG.psql(f"CREATE ROLE {ROLE} LOGIN")
    BENCH.policy([{"name": "all", "match": {}, "keep": {"for": "90d"}}], user=ROLE)
    PG.psql(BENCH.call("grants", ROLE, code=(0, 13)).out, db="mm")
    BENCH.policy([{"name": "all", "match": {}, "keep": {"for": "90d"}}])
    STANDBY = standby()


def standby():
    """A streaming copy of the server."""
    folder = os.path.join(WHERE, "standby")
    os.makedirs(folder)
    identity = lib.cluster._identity()
    if identity:
        os.chmod(WHERE, 0o755)
        os.chown(folder, identity["user"], identity["group"])
    subprocess.run([os.path.join(lib.cluster.pg_bin(), "pg_basebackup"), "-D", os.path.join(folder, "data"), "-h", PG.socket_dir, "-p", str(PG.port),
                    "-U", PG.user, "-X", "stream", "-c", "fast"], check=True, cwd="/", capture_output=True, **identity)
    with open(os.path.join(folder, "data", "standby.signal"), "w", encoding="ascii"):
        pass
    upstream = f"'host={PG.socket_dir} port={PG.port} user={PG.user}'"
    return lib.cluster.Cluster(folder, settings=dict(SETTINGS, primary_conninfo=upstream)).start()


def tearDownModule():
    lib.clear(WHERE, STANDBY, PG)


class Unfit(unittest.TestCase):
    def setUp(self):
        self.before = self.state()

    def state(self):
        with open(os.path.join(BENCH.copy.archive, "ledger", "entries.jsonl"), "rb") as f:
            lines = f.read()
        return {name: sorted(t.lines) for name, t in BENCH.copy.load().items()}, BENCH.copy.files(), sorted(lib.bundles(BENCH.copy.archive)), lines

    def policy(self, url=None, user=None):
        BENCH.policy([{"name": "all", "match": {}, "keep": {"for": "90d"}}], url=url, user=user)

    def refused(self, code, *words):
        """Neither a run nor a restore does anything, and both say why; a plan is made."""
        for args in (("run", "--yes"), ("restore", BENCH.gone[0], "--yes", *CASE), ("restore", BENCH.gone[0], "-n", *CASE)):
            done = BENCH.call(*args)
            self.assertEqual(done.code, code, done.err)
            for w in words:
                self.assertIn(w, done.err)
        self.assertIn("due", BENCH.call("plan", code=0).out)
        now = self.state()
        self.assertEqual(now[:3], self.before[:3])
        self.assertNotIn(b'"type":"hold"', now[3][len(self.before[3]):])
        self.assertNotIn(b'"type":"published"', now[3][len(self.before[3]):])

    def test_standby(self):
        self.policy(url=f"postgresql:///mm?host={STANDBY.socket_dir}&port={STANDBY.port}&user={STANDBY.user}")
        self.refused(12, "a standby", "primary")

    def test_hold_on_a_standby(self):
        """Only a look: a thread that a standby knows can be held."""
        root = min(oracle.Db(BENCH.copy.load()).threads)
        self.policy(url=f"postgresql:///mm?host={STANDBY.socket_dir}&port={STANDBY.port}&user={STANDBY.user}")
        for word in ("add", "release"):
            self.assertEqual(BENCH.call("hold", word, root, "--case", "17/26").code, 0)

    def test_read_only_database(self):
        self.policy()
        PG.psql("ALTER DATABASE mm SET default_transaction_read_only = on")
        try:
            self.refused(19, "is read-only (default_transaction_read_only)")
        finally:
            PG.psql("ALTER DATABASE mm SET default_transaction_read_only = off")

    def test_no_insert(self):
        self.policy(user=ROLE)
        PG.psql(f"REVOKE INSERT ON posts, reactions FROM {ROLE}", db="mm")
        try:
            self.refused(19, "lacks", "INSERT ON posts, INSERT ON reactions", "mmretain grants")
            script = BENCH.call("grants", ROLE, code=0).out
        finally:
            PG.psql(script, db="mm")
        self.assertEqual(BENCH.call("restore", BENCH.gone[0], "-n", *CASE).code, 0)

    def test_encoding(self):
        """Texts of another encoding are neither planned nor archived nor written over, and the words say what can be done."""
        for encoding in ("LATIN1", "SQL_ASCII"):
            PG.psql(f"CREATE DATABASE other ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
            try:
                self.policy(url=f"postgresql:///other?host={PG.socket_dir}&port={PG.port}&user={PG.user}")
                for args in (("plan",), ("run", "--yes"), ("restore", BENCH.gone[0], "--yes", *CASE), ("check", "--db"), ("grants",), ("doctor",)):
                    done = BENCH.call(*args)
                    self.assertEqual(done.code, 12, f"{args}: {done.err}")
                    self.assertIn(f"database encoding is {encoding}, only UTF8 is safe to archive", done.out + done.err)
                    self.assertIn("ENCODING 'UTF8'", done.out + done.err)
            finally:
                PG.psql("DROP DATABASE other")
            self.assertEqual(self.state(), self.before)


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
