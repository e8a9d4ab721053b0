#!/usr/bin/env python3
"""The archive under the hands of others while it is needed: bundles that go or change during a delete, damaged bundles beside sound ones, hostile
indexes, a case log that takes no record, attachments that are all gone, a COMMIT that nobody answers.

    archive_faults.py [--only WORD]... [--list] [--seed N]

MMRETAIN names a binary built with -DMMR_FAULTS=ON.  The last line is `N passed, N failed, N skipped`.
"""
import argparse
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

import e2e_lib as lib
from e2e_faults import OLD, ONE, Bench, Skip, attached, held_up_in_export
from listener import Listener

CASE = ("--case", "17/26", "--reason", "test")
TESTS = {}


def test(function):
    TESTS[function.__name__.removeprefix("test_")] = function
    return function


def untouched(bench, word):
    """Database and attachments as before; the archive may be anything."""
    after = bench.copy.load()
    bench.problems += [f"{word}: {name} has changed" for name, t in bench.want.db.tables.items() if sorted(t.lines) != sorted(after[name].lines)]
    if bench.copy.files() != bench.want.files:
        bench.fail(f"{word}: the attachment folder has changed")


# ---- bundles during a delete ----------------------------------------------------------------------------------------------
def gone(path):
    os.unlink(path)


def moved(path):
    os.rename(path, os.path.join(path.partition("/archive/")[0], "old"))


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def replaced(path):
    """By a file of the same length, as a copy that went wrong leaves one."""
    size = os.path.getsize(path)
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(b"\0" * size)


def overwritten(path):
    with open(path, "r+b") as f:
        f.write(b"\0" * os.path.getsize(path))


@test
def test_bundle_in_place(bench):
    """A bundle that is gone or another one when its rows are deleted: the delete stops, nothing is lost, the next run says what is missing."""
    bench.begin(ONE)
    for harm in (gone, moved, cut, replaced, overwritten):
        for point in ("PURGE_AFTER_DELETE", "PURGE_AFTER_INTENT"):
            what = f"{harm.__name__} at {point}"
            process = bench.halt(point)
            path, = lib.bundles(bench.copy.archive)
            with open(path, "rb") as f:
                content = f.read()
            harm(path)
            bench.says(bench.go_on(process, (14, 15)), os.path.basename(path), "from a copy")
            # Its damage is what the test did; no row may be gone.
            untouched(bench, what)
            bench.says(bench.run(code=(14, 15)), os.path.basename(path), "from a copy")
            with open(path, "wb") as f:
                f.write(content)
    bench.converge()


# ---- reading beside damage ------------------------------------------------------------------------------------------------
def flipped(path):
    with open(path, "r+b") as f:
        data = bytearray(f.read())
        for i in range(len(data) // 4, len(data) * 3 // 4, 7):
            data[i] ^= 255
        f.seek(0)
        f.write(data)


def emptied(path):
    os.truncate(path, 0)


def indexes(archive):
    return [os.path.join(d, n) for d, _, names in os.walk(archive) for n in names if n.endswith(".idx") or n == "catalog.sqlite"]


def find(bench, *words, code=0):
    done = bench.call("find", "--json", "--limit", "0", *CASE, *words, code=code)
    return json.loads(done.out)["hits"] if done.out else [], done


def beside(bench):
    """An archive; the path and the name of one of its bundles, and what is found in it and in the others."""
    bench.begin()
    bench.run(code=0)
    victim = lib.bundles(bench.copy.archive)[2]
    name = os.path.relpath(victim, bench.copy.archive)
    before, _ = find(bench, "--after", "2001-01-01")
    return victim, name, before, [h for h in before if h["bundle"] == name], [h for h in before if h["bundle"] != name]


@test
def test_damage_beside(bench):
    """One bundle is damaged: the others answer, with and without indexes; what is missing is named, and the status is 15.  An export is whole or is not made."""
    victim, name, before, (inside, *_), outside = beside(bench)
    rest = [h["post"] for h in outside]
    with open(victim, "rb") as f:
        content = f.read()
    for indexed in (True, False):
        for harm in (flipped, emptied, cut):
            what = f"{harm.__name__}, {'with' if indexed else 'without'} indexes"
            harm(victim)
            hits, done = find(bench, "--after", "2001-01-01", code=15)
            if [h["post"] for h in hits if h["bundle"] != name] != rest:
                bench.fail(f"{what}: find gives {len(hits)} of {len(rest)}")
            bench.says(done, name, "it is passed over", "1 bundle cannot be read")
            hits, _ = find(bench, "--after", "2001-01-01", "--user", outside[0]["user"], code=15)
            if not {h["post"] for h in hits} >= {h["post"] for h in outside if h["user"] == outside[0]["user"]}:
                bench.fail(f"{what}: find by author misses posts of sound bundles")
            for h in (outside[0], outside[-1]):
                done = bench.call("show", h["thread"], *CASE, code=(0, 15))
                if h["thread"] not in done.out:
                    bench.fail(f"{what}: thread {h['thread']} of a sound bundle is not shown\n{lib.tail(done.err)}")
            bench.says(bench.call("show", inside["thread"], *CASE, code=15), name)
            out = os.path.join(bench.copy.where, "export.jsonl")
            bench.says(bench.call("export", "--after", "2001-01-01", "--out", out, "--as", "jsonl", *CASE, code=15), name, "mmretain verify")
            if os.path.exists(out):
                bench.fail(f"{what}: half an export is there")
            with open(victim, "wb") as f:
                f.write(content)
        for path in indexes(bench.copy.archive):
            os.unlink(path)
    if find(bench, "--after", "2001-01-01")[0] != before:
        bench.fail("the archive put back answers otherwise")


@test
def test_missing_beside(bench):
    """One bundle is not there: what it may hold gets no answer that looks whole, and nobody is told that its threads were never archived; what the others hold is answered."""
    victim, name, before, (inside, *_), outside = beside(bench)
    out = os.path.join(bench.copy.where, "export.jsonl")
    os.rename(victim, victim + ".away")
    for indexed in (True, False):
        hits, done = find(bench, "--after", "2001-01-01", code=15)
        if hits != outside:
            bench.fail(f"find gives {len(hits)} hits")
        bench.says(done, f'bundle "{name}" is missing; it is passed over', "1 bundle is missing")
        for args in (("show", inside["thread"]), ("find", "--thread", inside["post"])):
            bench.says(bench.call(*args, *CASE, code=15), "no archived post or file that can be read has the id")
        for args in (("export", "--after", "2001-01-01", "--out", out), ("export", inside["thread"], "--out", out), ("restore", inside["thread"])):
            bench.says(bench.call(*args, *CASE, code=15), f'bundle "{name}" is missing', "mmretain fetch")
        bench.says(bench.call("show", outside[0]["thread"], *CASE, code=0 if indexed else 15), "")
        for command, words in (("status", "warning: "), ("doctor", "")):
            if f"{words}1 bundle is missing: {name}" not in bench.call(command, code=0).out:
                bench.fail(f"{command} does not warn")
        if os.path.exists(out):
            bench.fail("half an export is there")
        for path in indexes(bench.copy.archive) if indexed else ():
            os.unlink(path)
    os.rename(victim + ".away", victim)
    if find(bench, "--after", "2001-01-01")[0] != before:
        bench.fail("the archive put back answers otherwise")
    bench.call("export", inside["thread"], "--out", out, *CASE, code=0)


@test
def test_month_behind_a_link(bench):
    """A folder that is a link is not followed: its bundles are missing, for every command alike."""
    victim, name, before, (inside, *_), _ = beside(bench)
    month, away = os.path.dirname(victim), os.path.join(bench.copy.where, "month")
    count = len([n for n in os.listdir(month) if n.endswith(".tar.zst")])
    os.rename(month, away)
    os.symlink(away, month)
    for indexed in (True, False):
        hits, done = find(bench, "--after", "2001-01-01", code=15)
        if hits != [h for h in before if os.path.dirname(h["bundle"]) != os.path.dirname(name)]:
            bench.fail(f"find gives {len(hits)} hits")
        bench.says(done, f'bundle "{name}" is missing; it is passed over', f"{count} bundles are missing")
        bench.says(bench.call("show", inside["thread"], *CASE, code=15), "no archived post or file that can be read has the id")
        bench.says(bench.call("restore", inside["thread"], *CASE, code=15), "is missing", "mmretain fetch")
        if f"warning: {count} bundles are missing: " not in bench.call("status", code=0).out:
            bench.fail("status does not warn")
        for path in indexes(bench.copy.archive) if indexed else ():
            os.unlink(path)
    os.unlink(month)
    os.rename(away, month)
    if find(bench, "--after", "2001-01-01")[0] != before:
        bench.fail("the archive put back answers otherwise")


@test
def test_case_log_full(bench):
    """The case log takes no record: nothing is shown, found or exported, and the message says so."""
    bench.begin(ONE)
    bench.run(code=0)
    thread = find(bench, "--after", "2001-01-01")[0][0]["thread"]
    folder = os.path.join(bench.copy.archive, "ledger", "access")
    shutil.rmtree(folder)
    os.mkdir(folder, 0o750)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=0750", "tmpfs", folder], capture_output=True).returncode:
        raise Skip("mounting a tmpfs is not permitted here")
    try:
        with open(os.path.join(folder, "fill"), "wb") as f:
            f.write(b"x" * 4096)
        out = os.path.join(bench.copy.where, "page.html")
        for args in (("show", thread), ("find", "--thread", thread), ("find", "--after", "2001-01-01"), ("export", thread, "--out", out), ("restore", thread)):
            done = bench.call(*args, *CASE, code=14)
            bench.says(done, "nothing is shown, the record of this access cannot be written", "hint:")
            if done.out or os.path.exists(out):
                bench.fail(f"{args[0]} shows something")
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


# ---- attachments ----------------------------------------------------------------------------------------------------------
@test
def test_all_attachments_gone(bench):
    """The folder of attachments is empty, as when it is not mounted: a few lines name some of them, one tells how many more there are."""
    bench.begin()
    for n in os.listdir(bench.copy.data):
        shutil.rmtree(os.path.join(bench.copy.data, n))
    bench.expect()
    done = bench.run(code=3)
    bench.done()
    named = done.err.count(" cannot be archived (")
    more = re.search(r"warning: (\d+) more attachments cannot be archived", done.err)
    lost = len({i for i, (root, _) in bench.want.attachments.rows.items() if root in bench.want.verdict.due})
    if named != 20 or not more or named + int(more.group(1)) != lost:
        bench.fail(f"{named} named, more: {more and more.group(1)}, {lost} of them are gone\n{lib.tail(done.err)}")
    bench.says(bench.call("run", "--yes", "-v", code=3), *([] if lost <= 20 else ["debug: attachment"]))


@test
def test_attachments_stay(bench):
    """Attachments that cannot be unlinked: another file in its place, a folder, a mount over their folder.  Each is told with its reason, stays, and goes
    when it can; another file never can, and is told once."""
    bench.begin(OLD)
    process = bench.halt("SWEEP_BEFORE")
    found = [(ident, os.path.join(bench.copy.data, path)) for _, ident, path in attached(bench) if os.path.isfile(os.path.join(bench.copy.data, path))]
    (first, replaced_by), (second, folder), (third, mounted) = found[:3]
    with open(replaced_by, "wb") as f:
        f.write(b"new upload")
    os.rename(folder, folder + ".aside")
    os.mkdir(folder)
    other = os.path.join(bench.copy.where, "other")
    shutil.copytree(os.path.dirname(mounted), other)
    bound = subprocess.run(["mount", "--bind", other, os.path.dirname(mounted)], capture_output=True).returncode == 0
    try:
        done = bench.go_on(process, 3)
        bench.says(done, f"attachment {first} stays", "another file", f"attachment {second} stays", "not a regular file", *([f"attachment {third} stays"] if bound else []))
        again = bench.run(code=3)
        bench.says(again, f"attachment {second} stays")
        if f"attachment {first} stays" in again.err:
            bench.fail("what stays for good is told again")
        if bound and sorted(os.listdir(other)) != sorted(os.listdir(os.path.dirname(mounted))):
            bench.fail("something was removed through a mount")
    finally:
        if bound:
            subprocess.run(["umount", "-l", os.path.dirname(mounted)], check=False)
    with open(replaced_by, "rb") as f:
        if f.read() != b"new upload":
            bench.fail("a new upload has changed")
    os.rmdir(folder)
    os.rename(folder + ".aside", folder)
    done = bench.run(code=0)
    if os.path.exists(folder) or os.path.exists(mounted) or not os.path.exists(replaced_by):
        bench.fail("what can go stays, or what must stay went")
    os.unlink(replaced_by)
    bench.converge()


# ---- a COMMIT that nobody answers -----------------------------------------------------------------------------------------
def standby_is_missed(pg):
    """Waits until a COMMIT waits for a standby: the server takes its settings when it comes to it."""
    with contextlib.closing(pg.connect("postgres")) as other:
        other.autocommit = True
        end, waits = time.monotonic() + lib.TIMEOUT, False
        while not waits:
            if time.monotonic() > end:
                raise AssertionError("no COMMIT waits for a standby: the test does not test")
            commit = threading.Thread(target=lambda: other.cursor().execute("SELECT pg_logical_emit_message(true, '', '')"))
            commit.start()
            while commit.is_alive() and not waits:
                waits = pg.psql(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {other.get_backend_pid()} AND wait_event = 'SyncRep'") == "1"
            if waits:
                other.cancel()
            commit.join()


@test
def test_commit_without_standby(bench):
    """The settings name a synchronous standby that is not there: the run ends instead of waiting for ever, says why, and the next one settles it."""
    bench.begin(ONE)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'mmretain%' AND wait_event = 'SyncRep'"

    def wait(process, count, seconds):
        end = time.monotonic() + seconds
        while process.poll() is None and bench.pg.psql(waiting) != count:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    try:
        for signum in (signal.SIGTERM, *((None,) if lib.outcome.LONG else ())):
            bench.pg.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            bench.pg.psql("SELECT pg_reload_conf()")
            standby_is_missed(bench.pg)
            process = bench.start()
            if not wait(process, "1", lib.TIMEOUT):
                bench.fail("the run does not come to its COMMIT")
            if signum:
                process.send_signal(signum)
                if not wait(process, "0", 25):  # without the signal it would be half a minute
                    bench.fail("the COMMIT still waits although a stop was asked for")
            done = lib.finish(process)
            if done.code != 12:
                bench.fail(f"exit code {done.code}, wanted 12\n{lib.tail(done.err)}")
            bench.says(done, "no synchronous standby confirmed", "synchronous_standby_names")
            bench.safe()
            if any(e["type"] == "purged" for e in lib.ledger(bench.copy.archive)):
                bench.fail("the ledger says that a delete is over which no standby has")
            bench.problems += lib.compare_files(bench.want, bench.copy) if bench.copy.files() != bench.want.files else []
    finally:
        bench.pg.psql("ALTER SYSTEM RESET synchronous_standby_names")
        bench.pg.psql("SELECT pg_reload_conf()")
    bench.converge()


class Proxy(Listener):
    """Between the program and the server: cuts the connection at the Nth COMMIT, before it arrives or when it was answered."""

    def __init__(self, pg, folder, nth, after):
        at = socket.socket(socket.AF_UNIX)
        at.bind(os.path.join(folder, f".s.PGSQL.{pg.port}"))
        at.listen()
        super().__init__(at)
        self.target, self.nth, self.after, self.seen, self.lock = f"{pg.socket_dir}/.s.PGSQL.{pg.port}", nth, after, 0, threading.Lock()

    def serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.target)
        self.forward(client, server)

    def forward(self, client, server):
        data, started, muted = b"", False, False
        while True:
            ready, _, _ = select.select([client, server], [], [])
            if server in ready:
                answer = server.recv(1 << 16)
                if not answer or muted:
                    break
                client.sendall(answer)
            if client in ready:
                more = client.recv(1 << 16)
                if not more:
                    break
                data += more
                while len(data) >= (5 if started else 4):
                    size = struct.unpack_from("!i", data, 1 if started else 0)[0] + started
                    if len(data) < size:
                        break
                    message, data = data[:size], data[size:]
                    if started and message[:1] == b"Q" and message[5:-1] == b"COMMIT" and self.hit():
                        if not self.after:
                            return self.end(client, server)
                        muted = True
                    started = True
                    server.sendall(message)
        self.end(client, server)

    def hit(self):
        with self.lock:
            self.seen += 1
            return self.seen == self.nth

    @staticmethod
    def end(client, server):
        client.close()
        server.close()


@test
def test_second_session_waits(bench):
    """At full speed the second session has found its rows long before the first: it gives a sign of life every second, however long sleeps take, so that the
    server does not end it meanwhile."""
    bench.begin(OLD)
    sessions = f"FROM pg_stat_activity WHERE datname = '{bench.name}' AND application_name = 'mmretain'"
    if os.environ.get("CLOCK_AHEAD"):
        bench.env.update(LD_PRELOAD=os.environ["CLOCK_AHEAD"], CLOCK_SLEEP_MS="200")
    with held_up_in_export(bench, ("threads",), 1) as (process, _):
        if (count := bench.sql(f"SELECT count(*) {sessions}")) != "3":
            bench.fail(f"{count} sessions in place of three")
        signs = set()
        while len(signs) < 2 and process.poll() is None:  # the first one waits for ten seconds
            signs.update(bench.sql(f"SELECT query_start {sessions} AND query = 'SELECT 1' AND state = 'idle in transaction'").splitlines())
            time.sleep(0.1)
        if len(signs) < 2:
            bench.fail(f"{len(signs)} signs of life until the first session gave up")
    done = lib.finish(process)
    if done.code != bench.want.code:
        bench.fail(f"exit code {done.code}\n{lib.tail(done.err)}")
    bench.done()


BESIDE_CHAT = "{preset: fast, pause_factor: 0, export_pause_factor: 1, blob_grace: 1ms}"


def threads(process):
    """The main thread comes first."""
    return sorted((int(t) for t in os.listdir(f"/proc/{process.pid}/task")), key=lambda t: (t != process.pid, t))


def gives_way(process):
    """Of every thread of a program: has it a lower priority?"""
    return [os.getpriority(os.PRIO_PROCESS, t) > os.getpriority(os.PRIO_PROCESS, 0) for t in threads(process)]


@test
def test_gives_way_to_the_chat(bench):
    """Not at full speed, whoever is at work on an export gives way, and nobody at a delete, which has locks."""
    bench.begin(OLD, throttle=BESIDE_CHAT)
    for point, others in (("BUNDLE_SYNC", True), ("PURGE_AFTER_DELETE", False)):
        process = bench.halt(point)
        seen = gives_way(process)
        if seen[0] or not all(seen[1:]) or others != (len(seen) > 1):
            bench.fail(f"{point}: threads that give way, the main one first: {seen}")
        process.terminate()
        done = bench.go_on(process, code=143)
        bench.safe(f"{point}, exit code {done.code}")
    bench.converge()


@contextlib.contextmanager
def busy_processor():
    """Yields the number of a processor that has something else to do all the time, for whoever has only that one."""
    cpu = max(os.sched_getaffinity(0))
    text = f"import os\nos.sched_setaffinity(0, [{cpu}])\nprint('busy', flush=True)\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for b in busy:
            b.stdout.readline()
        yield cpu
    finally:
        for b in busy:
            b.kill()
            b.communicate()


@test
def test_gives_way_for_ever(bench):
    """Behind everybody else, on a processor that is never idle: after a while the export takes a small share of it, and comes to its end."""
    bench.begin(OLD, throttle=BESIDE_CHAT)
    ways, end = [], time.monotonic() + lib.TIMEOUT
    with busy_processor() as cpu:
        process = bench.start("", "run", "--yes", "--json", "-v")
        os.sched_setaffinity(process.pid, [cpu])
        while process.poll() is None and ways[-2:] != [os.SCHED_IDLE, os.SCHED_OTHER] and time.monotonic() < end:
            for t in threads(process)[1:]:
                with contextlib.suppress(OSError):
                    way = os.sched_getscheduler(t)
                    ways += [way] if ways[-1:] != [way] else []
            time.sleep(0.005)
    done = lib.finish(process)
    bench.says(done, "it gives way less from now on")
    if os.SCHED_IDLE not in ways or ways[ways.index(os.SCHED_IDLE):] != [os.SCHED_IDLE, os.SCHED_OTHER]: # a new thread is not there at once
        bench.fail(f"policies of the export's threads, one after the other: {ways}")
    if done.code != bench.want.code:
        bench.fail(f"exit code {done.code}\n{lib.tail(done.err)}")
    bench.done()


@test
def test_gives_way_as_it_was_told(bench):
    """Whoever started the program behind everybody else (chrt -i 0) has all of it there: nothing of it comes forward."""
    bench.begin(OLD, throttle=BESIDE_CHAT)
    process = bench.halt_of("LEDGER_WRITE:stop,BUNDLE_SYNC:stop")
    os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.1)
    if not lib.stopped(process):
        raise AssertionError("the run did not stop at BUNDLE_SYNC: the test does not test")
    seen = [os.sched_getscheduler(t) for t in threads(process)]
    if len(seen) < 2 or set(seen) != {os.SCHED_IDLE}:
        bench.fail(f"policies of the threads: {seen}, wanted {os.SCHED_IDLE}")
    process.terminate()
    bench.go_on(process, code=143)
    bench.converge()


@test
def test_commit_answer_lost(bench):
    """The connection breaks at each COMMIT in turn, before it arrives or before its answer does: the run ends, nothing is guessed, and the next one
    settles what became of it, without deleting or archiving anything twice."""
    bench.begin(OLD)
    n, cut_runs = 1, 0
    while True:
        for after in (False, True):
            folder = os.path.join(bench.copy.where, f"proxy{n}{after}")
            os.mkdir(folder)
            proxy = Proxy(bench.pg, folder, n, after)
            proxy.start()
            bench.path, _ = bench.copy.write_policy(OLD, url=bench.copy.url().replace(bench.pg.socket_dir, folder))
            done = bench.run()
            proxy.close()
            if done.code not in (12, bench.want.code) or (done.code == 12) != (proxy.seen >= n):
                bench.fail(f"COMMIT {n}, {'answered' if after else 'not sent'}: exit code {done.code}, {proxy.seen} seen\n{lib.tail(done.err)}")
            cut_runs += done.code == 12
            bench.safe(f"COMMIT {n}, {'answered' if after else 'not sent'}")
        if proxy.seen < n:
            break
        n = n + 1 if n < 4 else n + 3
    if cut_runs < 4:
        bench.fail(f"only {cut_runs} runs were cut")
    bench.path, _ = bench.copy.write_policy(OLD)
    bench.converge(exact=False)


def main(argv):
    parser = argparse.ArgumentParser(description="The archive under faults.")
    parser.add_argument("--only", action="append", help="tests whose name contains this")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seed", type=int, default=17)
    args = parser.parse_args(argv)
    names = [n for n in TESTS if not args.only or any(w in n for w in args.only)]
    if args.list:
        for n in names:
            print(f"{n:28} {(TESTS[n].__doc__ or '').splitlines()[0]}")
        return 0
    if lib.binary() is None:
        print("FAIL  no mmretain binary: set MMRETAIN\n0 passed, 1 failed")
        return 1
    tally, where, now = lib.Tally(), lib.scratch.folder("archive-faults"), int(time.time()) * 1000
    try:
        with lib.cluster.Cluster(settings=dict(lib.QUICK, synchronous_commit="on")) as pg:
            world = lib.World(pg, "world", 900, args.seed)
            for name in names:
                lib.PROGRAM = None
                bench = Bench(world, where, name, now)
                try:
                    TESTS[name](bench)
                    tally.check(name, bench.problems)
                except Skip as why:
                    tally.skip(name, why)
                except Exception:
                    tally.check(name, bench.problems + [traceback.format_exc()])
                finally:
                    bench.copy.remove()
    finally:
        lib.remove(where)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
