#!/usr/bin/env python3
"""Runs beside a real standby whose replay is paused or delayed, and beside a server that is slow to read: they wait, go on, and end in time.

usage: MMRETAIN=BINARY replica_test.py [-k NAME]       the binary is built with -DMMR_FAULTS=ON
"""
import contextlib
import json
import os
import select
import signal
import threading
import time
import unittest

import archive_faults as archive
import e2e_faults as faults
import e2e_lib as lib

PG = STANDBY = WORLD = WHERE = None
FULL_SPEED = "pause_factor: 0, export_pause_factor: 0, blob_grace: 1ms"
LIMITS = "{%s, replica_lag_bytes: 64KiB}" % FULL_SPEED
# sessions of a run in a transaction, or with a snapshot
HELD = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mmretain' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)"

LOOKED = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mmretain' AND query LIKE '-- How far each replica is behind%' AND query_start > '{}'"


def setUpModule():
    global PG, STANDBY, WORLD, WHERE
    WHERE = lib.folder("replica")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 1500, 3)
    STANDBY = lib.cluster.Standby(PG).start()


def tearDownModule():
    lib.clear(WHERE, STANDBY, PG)


class Far(archive.Proxy):
    """Between the program and the server: the session that looks at replicas waits for each answer."""

    def __init__(self, pg, folder):
        super().__init__(pg, folder, 0, False)
        self.answers = 0

    def forward(self, client, server):
        looks = False
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for at, to in ((client, server), (server, client)):
                if at not in ready:
                    continue
                data = at.recv(1 << 16)
                if not data:
                    return self.end(client, server)
                looks = looks or b"LEFT JOIN pg_stat_replication" in data
                if looks and at is server:
                    self.answers += 1
                    time.sleep(0.2)
                to.sendall(data)


def give_turns(process):
    """Not behind everybody else: on a busy host an export that is gets no turn, and ends its snapshot instead of waiting with it, which other tests are about."""
    threads = f"/proc/{process.pid}/task"
    while os.path.isdir(threads):
        with contextlib.suppress(OSError):  # a thread has ended
            for thread in os.listdir(threads):
                os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))
        time.sleep(0.01)


class Base(unittest.TestCase):
    since = "-infinity"  # when the run went on

    def begin(self, rules=None, throttle=LIMITS, **more):
        bench = faults.Bench(WORLD, WHERE, self._testMethodName, lib.NOW)
        self.addCleanup(bench.copy.remove)
        bench.begin(rules, throttle=throttle, **more)
        STANDBY.follow()
        self.addCleanup(STANDBY.resume)
        return bench

    def write(self, bench, kib=1024):
        """So much write-ahead log, of nothing."""
        bench.sql(f"SELECT pg_logical_emit_message(true, 'test', repeat('x', 1024)) FROM generate_series(1, {kib})")

    def fall_behind(self, bench):
        STANDBY.pause()
        self.write(bench)

    @contextlib.contextmanager
    def stopped(self, bench, point="PURGE_AFTER_INTENT"):
        """A run that stands still there; it goes on when its last look is too old to count."""
        process = bench.start(point + ":stop")
        self.addCleanup(lambda: process.poll() is None and process.kill())
        threading.Thread(target=give_turns, args=(process,), daemon=True).start()
        self.assertTrue(lib.stopped(process), f"the run did not stop at {point}")
        yield process
        time.sleep(1.1)
        self.since = PG.psql("SELECT clock_timestamp()")
        os.kill(process.pid, signal.SIGCONT)

    def tables(self, bench):
        return {name: sorted(t.lines) for name, t in bench.copy.load().items()}

    def waits(self, bench, process, seconds=1.5, held="0"):
        """Nothing is deleted meanwhile, and so many transactions are open."""
        before = self.tables(bench)
        end, seen = time.monotonic() + lib.TIMEOUT, []
        while PG.psql(LOOKED.format(self.since)) == "0":
            self.assertIsNone(process.poll(), "the run does not look")
            self.assertLess(time.monotonic(), end, "the run does not look")
            time.sleep(0.02)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen.append(PG.psql(HELD))
            time.sleep(0.05)
        self.assertIsNone(process.poll(), "the run does not wait")
        self.assertEqual(self.tables(bench), before)
        self.assertGreater(seen.count(held), len(seen) * 0.8, f"sessions of the run in a transaction: {seen}")

    def finish(self, process, code):
        done = lib.finish(process, 60)
        self.assertEqual(done.code, code, done.err)
        return json.loads(done.out), done.err

    def settled(self, bench):
        bench.done()
        self.assertEqual(bench.problems, [])


class Replica(Base):
    def test_paused(self):
        """It waits between two batches until the replica has caught up, and the protocol, the ledger and `status` say for how long."""
        bench = self.begin()
        with self.stopped(bench) as process:
            self.fall_behind(bench)
        self.waits(bench, process)
        STANDBY.resume()
        doc, _ = self.finish(process, bench.want.code)
        self.settled(bench)
        self.assertGreater(doc["waited"]["replicas_ms"], 900)
        self.assertEqual(doc["waited"]["server_ms"], 0)
        end = [e for e in lib.ledger(bench.copy.archive) if e["type"] == "run-end"][-1]
        self.assertEqual(int(end["waited_replicas_ms"]), doc["waited"]["replicas_ms"])
        self.assertNotIn("waited_server_ms", end)
        self.assertEqual(json.loads(bench.call("status", "--json", code=0).out)["runs"][-1]["waited"], doc["waited"])
        self.assertIn(f"waited: run {doc['run']} ", bench.call("status", code=0).out)
        self.assertRegex(bench.call("report", "last", code=0).out, r"of it waited: \d+\.\d s for replicas\n")
        self.assertEqual(bench.problems, [])

    def test_before_snapshot(self):
        """It does not begin an export while the replica is behind; --run-time ends the wait, and all is left for the next run."""
        bench = self.begin()
        self.fall_behind(bench)
        begin = time.monotonic()
        process = bench.start(None, "run", "--yes", "--json", "--run-time", "8s")
        self.waits(bench, process)
        doc, err = self.finish(process, 4)
        self.assertLess(time.monotonic() - begin, 30)
        self.assertIn("time budget used up", err)
        self.assertEqual(doc["archived"]["threads"], 0)
        bench.untouched()
        STANDBY.resume()
        bench.converge()
        self.assertEqual(bench.problems, [])

    def test_signal_in_delete(self):
        """A signal in the middle of a delete that waits: what was not deleted is left, and the next run goes on with the same bundles."""
        bench = self.begin()
        with self.stopped(bench, "PURGE_AFTER_COMMIT") as process:
            self.fall_behind(bench)
        self.waits(bench, process)
        process.terminate()
        begin = time.monotonic()
        doc, _ = self.finish(process, 143)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertGreater(doc["deleted"]["posts"], 0)
        self.assertLess(doc["deleted"]["threads"], len(bench.want.roots))
        self.assertGreater(doc["waited"]["replicas_ms"], 900)
        bench.safe("after the signal")
        bundles = set(lib.bundles(bench.copy.archive))
        STANDBY.resume()
        bench.run(code=(0, bench.want.code))
        self.assertLessEqual(bundles, set(lib.bundles(bench.copy.archive)))
        self.settled(bench)

    def test_lock_lost(self):
        """The session of the lock ends while the run waits: so does the run, at once."""
        bench = self.begin()
        with self.stopped(bench) as process:
            self.fall_behind(bench)
        self.waits(bench, process)
        self.assertEqual(bench.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), "1")
        self.finish(process, 12)
        bench.safe("without the lock")
        STANDBY.resume()
        bench.run(code=(0, bench.want.code))
        self.settled(bench)

    def test_export(self):
        """Beside a chat an export waits, too, with its snapshot open."""
        bench = self.begin(throttle="{pause_factor: 0, export_pause_factor: 1, blob_grace: 1ms, probe_latency: off, replica_lag_bytes: 64KiB}")
        with self.stopped(bench, "BUNDLE_WRITE") as process:
            self.fall_behind(bench)
        self.waits(bench, process, 1.5, held="1")
        STANDBY.resume()
        doc, _ = self.finish(process, bench.want.code)
        self.settled(bench)
        self.assertGreater(doc["waited"]["replicas_ms"], 900)

    def test_except_and_off(self):
        """A replica that is late on purpose is not waited for, nor is any where the limits are off."""
        for throttle in ("{%s, replica_lag_bytes: 64KiB, replica_except: [other, standby1]}" % FULL_SPEED, "{%s, replica_lag: off, replica_lag_bytes: off}" % FULL_SPEED):
            with self.subTest(throttle):
                bench = faults.Bench(WORLD, WHERE, "except", lib.NOW)
                STANDBY.follow()
                self.addCleanup(STANDBY.resume)
                bench.begin(throttle=throttle)
                self.fall_behind(bench)
                done = bench.run(code=bench.want.code)
                self.settled(bench)
                self.assertEqual(json.loads(done.out)["waited"], {"replicas_ms": 0, "server_ms": 0})
                STANDBY.resume()
                bench.copy.remove()

    def test_hidden(self):
        """A role that may not see the lag: told, with the right that is missing, and the run goes on; with the right it waits."""
        bench = self.begin(user="keeper")
        bench.sql("CREATE ROLE keeper LOGIN")
        self.addCleanup(lambda: PG.psql("DROP ROLE keeper"))
        self.addCleanup(lambda: bench.sql("DROP OWNED BY keeper"))
        script = bench.call("grants", code=0).out
        self.assertIn(": GRANT pg_read_all_stats TO keeper;\n", script)
        bench.sql(script)
        self.assertRegex(bench.call("doctor", code=0).out, r"warn  replicas +standby1 is connected, but the role may not see how far it is behind\n +As a superuser: GRANT pg_read_all_stats TO")
        self.fall_behind(bench)
        with self.stopped(bench) as process:
            PG.psql("GRANT pg_read_all_stats TO keeper")
        self.waits(bench, process)
        self.assertRegex(bench.call("doctor", code=0).out, r"warn  replicas +standby1 is 1\.\d MiB and \d+ ms behind\n +A run waits for it")
        STANDBY.resume()
        doc, err = self.finish(process, bench.want.code)
        self.assertEqual(err.count("GRANT pg_read_all_stats"), 1, err)
        self.assertGreater(doc["waited"]["replicas_ms"], 900)
        self.settled(bench)

    def test_delayed(self):
        """A standby that replays everything a while later, while others write: the run waits until they have stopped, and it has caught up."""
        bench = self.begin(throttle="{%s, replica_lag: 500ms, replica_lag_bytes: off}" % FULL_SPEED)
        STANDBY.psql("ALTER SYSTEM SET recovery_min_apply_delay = '1s'")
        STANDBY.psql("SELECT pg_reload_conf()")
        self.addCleanup(lambda: STANDBY.psql("ALTER SYSTEM RESET recovery_min_apply_delay") + STANDBY.psql("SELECT pg_reload_conf()"))
        enough, stop = time.monotonic() + lib.TIMEOUT, threading.Event()

        def others():
            with contextlib.closing(PG.connect(bench.name)) as conn:
                conn.autocommit = True
                while not stop.wait(0.05):
                    conn.cursor().execute("SELECT txid_current()")

        thread = threading.Thread(target=others)
        thread.start()
        try:
            while PG.psql("SELECT replay_lag > '0.8 s' FROM pg_stat_replication") != "t":
                self.assertLess(time.monotonic(), enough, "the standby is not late")
                time.sleep(0.05)
            process = bench.start()
            self.waits(bench, process, 2)
        finally:
            stop.set()
            thread.join()
        doc, _ = self.finish(process, bench.want.code)
        self.assertGreater(doc["waited"]["replicas_ms"], 900)
        self.settled(bench)


class Server(Base):
    def test_gone_replica(self):
        """A slot of a replica that is not there stops nobody; `doctor` tells what it keeps."""
        bench = self.begin()
        PG.psql("SELECT pg_create_physical_replication_slot('gone', true)")
        self.addCleanup(lambda: PG.psql("SELECT pg_drop_replication_slot('gone')"))
        self.write(bench)
        doc = json.loads(bench.run(code=bench.want.code).out)
        self.settled(bench)
        self.assertEqual(doc["waited"]["server_ms"], 0)
        self.assertRegex(bench.call("doctor", code=0).out, r"warn  replicas +nobody uses replication slot gone: \d+\.\d MiB of write-ahead log")

    def test_slow_to_read(self):
        """Somebody holds up every read of posts: beside a chat the run waits for the end of it, however long; batches would give up."""
        bench = self.begin(throttle="{preset: fast, export_pause_factor: 0, blob_grace: 1ms, replica_lag: off, replica_lag_bytes: off, probe_latency: 200ms}")
        with contextlib.closing(PG.connect(bench.name)) as other:
            with self.stopped(bench) as process:
                other.cursor().execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
            time.sleep(3)
            self.assertIsNone(process.poll(), "the run does not wait")
            with other.cursor() as cur:
                cur.execute("SELECT count(*) FROM posts")
                self.assertEqual(cur.fetchone()[0], len(bench.want.db.posts))
        doc, _ = self.finish(process, bench.want.code)
        self.settled(bench)
        self.assertGreater(doc["waited"]["server_ms"], 900)
        self.assertEqual(doc["waited"]["replicas_ms"], 0)

    def test_lock_wanted(self):
        """Somebody wants posts for himself, and everybody who reads them stands behind him: an export does not keep its snapshot until all is read."""
        bench = self.begin(throttle="{preset: fast, export_pause_factor: 1, blob_grace: 1ms, replica_lag: off, replica_lag_bytes: off, probe_latency: 200ms}")
        published = lambda: [e["bundle"] for e in lib.ledger(bench.copy.archive) if e["type"] == "published"]
        with contextlib.closing(PG.connect(bench.name)) as other:
            other.cursor().execute("SELECT 1")
            thread = threading.Thread(target=other.cursor().execute, args=("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE",))
            with self.stopped(bench, "BUNDLE_WRITE") as process:
                thread.start()
                while PG.psql("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'") == "0":
                    time.sleep(0.02)
                time.sleep(1.5)  # the next look is due
            thread.join(lib.TIMEOUT)
            self.assertFalse(thread.is_alive())
            self.assertIsNone(process.poll())
            early = published()
        doc, _ = self.finish(process, bench.want.code)
        self.settled(bench)
        self.assertLess(len(early), len(published()), "all was read before the lock was given")

    def test_slow_way(self):
        """A long way between the program and the server is not the server's slowness."""
        bench = self.begin(faults.ONE)
        folder = os.path.join(bench.copy.where, "far")
        os.mkdir(folder)
        far = Far(PG, folder)
        far.start()
        self.addCleanup(far.close)
        bench.policy(faults.ONE, url=bench.copy.url().replace(PG.socket_dir, folder), throttle="{preset: fast, blob_grace: 1ms, probe_latency: 100ms}")
        doc = json.loads(bench.run(code=bench.want.code).out)
        self.settled(bench)
        self.assertGreater(far.answers, 5)
        self.assertLess(doc["waited"]["server_ms"], 900, "one wait, or more")

    def test_one_look_a_second(self):
        """A replica that follows and a server at its ease: a run looks once a second on the session of its lock, and does all else as ever."""
        bench = self.begin(throttle="{preset: fast, blob_grace: 1ms, probe_latency: 10s}", bundle_size="64KiB")
        bench.sql(f'ALTER DATABASE "{bench.name}" SET log_statement = \'all\'')
        with open(PG.log, encoding="utf-8", errors="replace") as log:
            log.seek(0, os.SEEK_END)
            begin = time.monotonic()
            doc = json.loads(bench.run(code=bench.want.code).out)
            seconds = time.monotonic() - begin
            looks = log.read().count("LEFT JOIN pg_stat_replication")
        self.settled(bench)
        self.assertEqual(doc["waited"], {"replicas_ms": 0, "server_ms": 0})
        self.assertLessEqual(looks, seconds + 1)
        self.assertGreater(looks, 0)


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
