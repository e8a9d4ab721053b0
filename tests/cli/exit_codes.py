#!/usr/bin/env python3
"""Each exit status of a run, provoked: the status, what is said on stderr, what is on stdout, and that nothing was lost.

usage: MMRETAIN=BINARY [CLOCK_AHEAD=LIBRARY] exit_codes.py [TEST...]
"""
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "db"))
import e2e_lib as lib  # noqa: E402

RULE = {"name": "all", "match": {}, "keep": {"for": "500d"}}
LOCK_KEY = 0x6D6D72657461696E
RUN_LINE = r"run \d{8}T\d{6}Z-[0-9a-f]{8}: %s, [0-9][0-9a-z. ]*; `mmretain report last` has the protocol\n\Z"


def setUpModule():
    global PG, WORLD, WHERE
    WHERE = lib.folder("exit")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 400, 5)


def tearDownModule():
    PG.stop()
    lib.remove(WHERE)


def direct_beginning(name):
    """How the name of a direct channel begins, and no other's."""
    return PG.psql("SELECT left(name, 8) FROM channels WHERE type = 'D' ORDER BY id LIMIT 1", db=name).strip()


class Base(unittest.TestCase):
    def setUp(self):
        name = self.id().rpartition(".")[2].lower()
        self.now = int(time.time() * 1000)
        self.copy = WORLD.clone(name, os.path.join(WHERE, name))
        self.name = name

    def tearDown(self):
        self.copy.remove()

    def begin(self, rule=None, init=True, throttle=None, more="", **options):
        self.policy, parsed = self.copy.write_policy([dict(RULE, **(rule or {}))], **options)
        text = pathlib.Path(self.policy).read_text(encoding="utf-8")
        if throttle:
            text = re.sub(r"throttle: .*", "throttle: " + throttle, text)
        pathlib.Path(self.policy).write_text(text + more, encoding="utf-8")
        self.want = lib.Expected(self.copy, parsed, self.now)
        self.assertGreater(len(self.want.roots), 20)
        if init:
            self.call(0, "init")

    def plain_user(self):
        """Everything of the copy belongs to a plain user, who runs the program: root may read whatever there is."""
        program = os.path.join(self.copy.where, "mmretain")
        shutil.copy(lib.binary(), program)
        os.chmod(program, 0o755)
        self.addCleanup(setattr, lib, "PROGRAM", lib.PROGRAM)
        lib.PROGRAM = [program]
        for folder, _, names in os.walk(self.copy.where):
            for n in names + ["."]:
                os.lchown(os.path.join(folder, n), 65534, 65534)
        os.chmod(self.copy.where, 0o755)
        return {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/"}

    def call(self, code, *args, err=None, out=None, now=None, **more):
        """Run; stderr and stdout must match the patterns somewhere (None: stderr has no error, stdout is not looked at)."""
        done = lib.call(self.copy, self.policy, *args, now_ms=now, **more)
        self.check(done, code, err, out)
        return done

    def halt(self, fault, *args, env=None, **popen):
        """A run that stops itself at a fault point."""
        spec = fault if ":" in fault else fault + ":stop"
        process = lib.start(self.copy, self.policy, "run", "--yes", *args, now_ms=None, env=dict(env or {}, MMR_FAULT=spec), **popen)
        if not lib.stopped(process):
            self.fail(f"the run did not stop at {fault}: {lib.finish(process).err}")
        return process

    def check(self, done, code, err=None, out=None):
        self.assertEqual(done.code, code, f"{done.args}\n{done.out}\n{done.err}")
        if err is None:
            self.assertNotIn("mmretain: error:", done.err)
        else:
            self.assertRegex(done.err, err, done.err)
            self.assertEqual(done.err.count("mmretain: error:"), 1, done.err)
            self.assertIn("\n  hint: ", done.err)
        if out is not None:
            self.assertRegex(done.out, out)

    def untouched(self):
        after = self.copy.load()
        for table, before in self.want.db.tables.items():
            self.assertEqual(sorted(before.lines), sorted(after[table].lines), table)
        self.assertEqual(self.copy.files(), self.want.files)

    def finished(self):
        self.assertEqual(lib.compare(self.want, self.copy), [])

    def ledger(self):
        return lib.ledger(self.copy.archive)


class Done(Base):
    def test_0(self):
        self.begin()
        self.call(0, "run", "--yes", out=r"(?s)\ABUNDLE .*\ndue .*\narchived .*\ndeleted .*\n" + RUN_LINE % "complete")
        self.finished()
        self.assertEqual((self.ledger()[-1]["outcome"], self.ledger()[-1]["exit"]), ("complete", 0))
        bundle = next(pathlib.Path(self.copy.archive).rglob("*.tar.zst"))
        info = subprocess.run(["tar", "--zstd", "-xOf", bundle, "--wildcards", "*/bag-info.txt"], capture_output=True, text=True, check=True).stdout
        self.assertRegex(info, r"(?m)^Bag-Software-Agent: mmretain \d")
        self.call(0, "run", "--yes", out=r"\Adue       0 threads, 0 posts\narchived  0 threads, 0 posts, 0 B\ndeleted   0 threads, 0 posts; 0 files, 0 B\n" + RUN_LINE % "complete")
        self.finished()

    def test_0_warnings(self):
        """A hold or a rule that matches nothing is said by the run too, not only by the plan."""
        self.begin(more='holds:\n  - {name: case, match: {users: [nobody.at.all], channels: [no-such-channel]}, because: "file 17"}\n')
        done = self.call(0, "run", "--yes", "-q", "--json")
        # -q: no progress and no remarks, but warnings.
        for words in ("rule `all` deletes without a guard", 'hold case: channel "no-such-channel"', 'hold case: user "nobody.at.all" does not exist'):
            self.assertIn(words, done.err)
        self.assertEqual(len(json.loads(done.out)["warnings"]), 2)

    def test_0_rule_words(self):
        """A channel of a rule that is none of the rule's teams, or that it hits among names of ids by chance only, has no effect: plan and check --db say so."""
        direct = direct_beginning(self.name)
        self.begin(init=False)
        here, there = (PG.psql(f"SELECT name FROM teams WHERE name ~ '^[a-z-]+$' ORDER BY id LIMIT 1 OFFSET {n}", db=self.name).strip() for n in (0, 1))
        text = pathlib.Path(self.policy).read_text(encoding="utf-8")
        PG.psql(f"UPDATE channels SET name = 'lonely' WHERE id = (SELECT min(c.id) FROM channels c JOIN teams t ON t.id = c.teamid WHERE t.name = '{there}' AND c.name NOT IN ('town-square', 'off-topic'))", db=self.name)
        pathlib.Path(self.policy).write_text(text.replace("rules:\n", f"rules:\n  - {{name: team, match: {{team: {here}, channel: [town-square, lonely]}}, keep: forever}}\n"
                                             f"  - {{name: chance, match: {{channel: [\"{direct}*\", town-square]}}, priority: -1, keep: forever}}\n"), encoding="utf-8")
        done = self.call(0, "plan")
        for words in ('rule team: channel "lonely"', f'rule chance: channel "{direct}*"'):
            self.assertRegex(done.err, re.escape(words) + r" \(line \d+\) matches nothing")
        self.assertNotRegex(done.err, 'channel "town-square"')
        done = self.call(0, "check", "--db")
        for words in ('rule "team": no channel matches "lonely"', f'rule "chance": no channel matches "{direct}*"'):
            self.assertIn(words, done.err)
        self.assertNotIn('matches "town-square"', done.err)

    def test_1(self):
        self.begin()
        done = lib.call(self.copy, self.policy, "report", "20200101T000000Z-00000000", now_ms=None)
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertRegex(done.err, r"\Ammretain: error: the ledger has no run ")

    def test_2(self):
        self.begin()
        self.call(2, "run", err=r"nothing was done: `run` acts only with --yes or on a plan file", out=r"\Aplan of \S+ for database test_2\n")
        self.call(2, "run", "--yes", "--fast", err=r"--fast", out=r"\A\Z")
        self.untouched()

    def test_3(self):
        self.begin()
        files = self.want.db.tables["fileinfo"]
        paths = [files.get(r, "path") for r in files.rows]
        found = sorted((i, files.get(row, "path")) for i, (root, row) in self.want.attachments.rows.items() if root in self.want.roots)
        path = next(p for _, p in found if paths.count(p) == 1 and os.path.isfile(os.path.join(self.copy.data, p)))
        os.unlink(os.path.join(self.copy.data, path))
        self.want = lib.Expected(self.copy, self.want.policy, self.now)
        self.assertEqual(len(self.want.lost), 1)
        self.call(3, "run", "--yes", err=r"\A(?s:.*)mmretain: error: done, but some items were kept back\n  hint: `mmretain report ", out=r"(?s)kept      file_missing 1\n" + RUN_LINE % "partial")
        self.finished()
        planned = sum(why == {"file_missing"} for why in self.want.verdict.kept.values())  # whose attachments only a post names
        told = {e["rule"]: e["threads"] for e in self.ledger() if e["type"] == "kept" and e["reason"] == "file_missing"}
        self.assertEqual(told, {"": 1, **({"all": planned} if planned else {})})

    def test_3_no_folder(self):
        """Where the folder of the attachments is not known, as under cron, their threads stay, and that is said once."""
        self.begin()
        with_files = {root for root, _ in self.want.attachments.rows.values() if root in self.want.roots}
        self.assertGreater(len(with_files), 1)
        done = self.call(3, "run", "--yes", env={"MM_FILESETTINGS_DIRECTORY": ""}, err=r"no attachment folder is configured.*MM_FILESETTINGS_DIRECTORY", out="kept      file_missing %d\n" % len(with_files))
        self.assertEqual(done.err.count("no attachment can be archived or removed"), 1)
        self.assertNotIn("cannot be archived (", done.err)
        left = self.copy.load()["posts"]
        self.assertEqual({left.get(r, "id") for r in left.rows} & self.want.roots, with_files)
        self.begin(init=False)
        self.call(0, "run", "--yes")
        self.assertEqual(lib.compare_database(self.want, self.copy.load()), [])

    def test_4(self):
        self.begin(throttle="{target: 1ms, pause_factor: 50, export_pause_factor: 0, blob_grace: 1ms}")
        self.call(4, "run", "--yes", "--run-time", "5ms", err="time budget used up", out=RUN_LINE % "partial")
        self.assertEqual((self.ledger()[-1]["outcome"], self.ledger()[-1]["exit"], self.ledger()[-1]["error"]), ("partial", 4, "WORK_LEFT"))
        self.assertEqual(lib.nowhere(self.want, self.copy), [])
        self.begin(init=False)
        self.call(0, "run", "--yes")
        self.assertEqual(lib.compare_database(self.want, self.copy.load()), [])


class Refused(Base):
    def test_10(self):
        self.begin()
        with open(self.policy, "a", encoding="utf-8") as f:
            f.write("rulez: []\n")
        self.call(10, "run", "--yes", err=r"policy.yaml:\d+:1: .*rulez", out=r"\A\Z")
        self.untouched()

    def test_11_database(self):
        self.begin()
        with PG.connect(self.name) as other, other.cursor() as cur:
            cur.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
            holder = "another run holds the lock of database .*server process %d" % other.get_backend_pid()
            self.call(11, "run", "--yes", err=holder, out=r"\A\Z")
            # No protocol is promised of a run that the ledger does not know.
            self.assertEqual([json.loads(self.call(11, "run", "--yes", "--json", err=holder).out)[k] for k in ("run", "outcome")], [None, "failed"])
        other.close()
        self.untouched()

    def test_11_archive(self):
        self.begin()
        with open(os.path.join(self.copy.archive, "ledger", "entries.jsonl"), "a", encoding="utf-8") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.call(11, "run", "--yes", err="another process writes the ledger")
        self.untouched()
        self.call(0, "run", "--yes")
        self.finished()

    def test_12(self):
        self.begin(url=self.copy.url().replace(f"port={PG.port}", "port=1"))
        for args in (("run", "--yes"), ("plan",)):
            self.call(12, *args, err=r"mmretain: error: .*port 1|mmretain: error: .*\.s\.PGSQL\.1")
        self.untouched()

    def test_13(self):
        self.begin()
        PG.psql("CREATE TABLE notes_on (id text, about varchar(26) REFERENCES posts(id))", db=self.name)
        self.call(13, "run", "--yes", err=r"that a delete could break: .*notes_on")
        self.call(13, "doctor", err=r"(?s)", out=r"fail  schema [^\n]*notes_on[^\n]*\n +`plan` works; [^\n]*Upgrades and plugins")
        self.call(0, "plan")
        PG.psql("DROP TABLE notes_on", db=self.name)
        self.untouched()

    def test_14(self):
        self.begin()
        os.rename(os.path.join(self.copy.archive, "0=mmretain_archive_1"), os.path.join(self.copy.where, "mark"))
        for args in (("run", "--yes"), ("verify",), ("status",), ("report", "last")):
            self.call(14, *args, err=r"mmretain: error: ")
        self.untouched()

    def test_15(self):
        self.begin()
        self.call(0, "run", "--yes")
        path = lib.bundles(self.copy.archive)[-1]
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 4]))
        rest = len(lib.bundles(self.copy.archive)) - 1
        done = self.call(15, "verify", err=r"mmretain: error: bundles: 1 damaged, 0 missing, 0 unknown", out=r"(?s)\Aledger: \d+ lines, chain whole")
        self.assertEqual(len(re.findall(r" ok$", done.out, re.M)), rest)
        # A damaged ledger hides nothing of that.
        book = os.path.join(self.copy.archive, "ledger", "entries.jsonl")
        text = pathlib.Path(book).read_text(encoding="utf-8").replace('"outcome":"complete"', '"outcome":"partial"')
        pathlib.Path(book).write_text(text, encoding="utf-8")
        done = self.call(15, "verify", err=r"ledger line \d+ is damaged: its hash .*; bundles: 1 damaged, 0 missing", out=r"lines, then damage")
        self.assertEqual(len(re.findall(r" ok$", done.out, re.M)), rest)
        self.call(15, "run", "--yes", err=r"ledger line \d+ is damaged")

    def test_15_sector(self):
        """A bundle that the disk cannot read is a finding, and the others are still looked at."""
        if not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
            self.skipTest("no strace, or not permitted")
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        path, *rest = lib.bundles(self.copy.archive)
        self.assertTrue(rest)
        real, lib.PROGRAM = lib.PROGRAM, ["strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull, "-P", path, "-e", "trace=read,pread64", "-e", "inject=read,pread64:error=EIO", lib.binary()]
        try:
            done = self.call(15, "verify", err=r"mmretain: error: bundles: 1 damaged, 0 missing, 0 unknown", out=r"Input/output error\n")
        finally:
            lib.PROGRAM = real
        self.assertEqual(len(re.findall(r" ok$", done.out, re.M)), len(rest))

    def test_15_ledger_lost(self):
        """Bundles without a ledger: the proof is gone, and a run must not begin another as if nothing had been."""
        self.begin()
        self.call(0, "run", "--yes")
        book, kept = pathlib.Path(self.copy.archive, "ledger", "entries.jsonl"), pathlib.Path(self.copy.where, "kept")
        os.rename(book, kept)
        posts = PG.psql("SELECT count(*) FROM posts", db=self.name)
        self.call(15, "run", "--yes", err=r"has bundles and an empty ledger\n  hint: Put ledger/ back", out=r"\A\Z")
        self.call(15, "verify", err="unknown to the ledger")
        self.assertEqual(PG.psql("SELECT count(*) FROM posts", db=self.name), posts)
        os.rename(kept, book)
        self.call(0, "run", "--yes")
        self.finished()

    def test_16_guard(self):
        self.begin({"guard": {"threads": 5}})
        self.call(16, "run", "--yes", err=r"rule all: \d+ threads are due, more than its guard of 5\n  hint: .*guard: \{threads: \.\.\.\}", out=RUN_LINE % "refused")
        self.assertEqual((self.ledger()[-1]["outcome"], self.ledger()[-1]["error"]), ("refused", "GUARD"))
        self.untouched()

    def test_16_database(self):
        """An archive belongs to one database; the move of it is said once, and journals of the old one are set aside."""
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        journal = pathlib.Path(self.copy.archive, "ledger", "unlink-20200101T000000Z-00000000-1.jsonl")
        journal.write_text('{"journal":1,"system":"1","database":"old"}\n', encoding="utf-8")
        os.utime(journal, (0, 0))
        PG.psql(f'ALTER DATABASE "{self.name}" RENAME TO "{self.name}_new"')
        try:
            self.policy, _ = self.copy.write_policy([RULE], url=self.copy.url().replace(f"/{self.name}?", f"/{self.name}_new?"))
            lines = len(self.ledger())
            self.call(16, "run", "--yes", err=rf"last run into this archive was with database {self.name} of system \d+, not with {self.name}_new of", out=r"\A\Z")
            self.call(0, "doctor", out="warn  ledger .*last run into this archive was with database")
            self.call(16, "restore", sorted(self.want.roots)[0], "--yes", "--case", "1", "--reason", "test", err="(?s)last run into this archive.*hint: .*restored from a backup, `mmretain run --moved-database --no-purge --yes` comes first")
            self.assertEqual(len(self.ledger()), lines)
        finally:
            PG.psql(f'ALTER DATABASE "{self.name}_new" RENAME TO "{self.name}"')
        self.untouched()
        PG.psql(f'ALTER DATABASE "{self.name}" RENAME TO "{self.name}_new"')
        try:
            self.call(0, "run", "--yes", "--moved-database")
            self.call(0, "run", "--yes")
            self.assertEqual((journal.exists(), journal.with_name("moved-" + journal.name).exists()), (False, True))
        finally:
            PG.psql(f'ALTER DATABASE "{self.name}_new" RENAME TO "{self.name}"')
        self.assertEqual(lib.compare_database(self.want, self.copy.load()), [])

    def test_0_now_ahead(self):
        """A present that lies ahead is for tests: whoever gives it to a real run is told what that means."""
        self.begin(init=True)
        done = self.call(0, "run", "--yes", "--no-purge", now=self.now + 86_400_000)
        self.assertEqual(done.err.count("warning: --now says "), 1, done.err)
        done = self.call(0, "run", "--yes", "--no-purge", now=self.now)
        self.assertNotIn("--now", done.err)

    @unittest.skipUnless(os.environ.get("CLOCK_AHEAD"), "CLOCK_AHEAD is not set")
    def test_16_clock(self):
        self.begin()
        self.call(16, "run", "--yes", err=r"the clock here says \S+, the database's says ", env={"LD_PRELOAD": os.environ["CLOCK_AHEAD"]})
        self.untouched()

    def test_17(self):
        self.begin()
        PG.psql("INSERT INTO pluginkeyvaluestore (pluginid, pkey, pvalue) VALUES ('com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_x', 'no json')", db=self.name)
        for args in (("plan",), ("run", "--yes")):
            self.call(17, *args, err=r"record kvstore_legal_hold_x of the legal-hold plugin cannot be read")
        PG.psql("DELETE FROM pluginkeyvaluestore WHERE pkey = 'kvstore_legal_hold_x'", db=self.name)
        self.untouched()

    def test_18(self):
        self.begin()
        secret = os.path.join(self.copy.archive, "keys", "salt-secret")
        kept = pathlib.Path(secret).read_bytes()
        os.unlink(secret)
        hint = r"\n  hint: Put keys/salt-secret back from a copy"
        self.call(18, "run", "--yes", err=r"mmretain: error: .*keys/salt-secret.*No such file or directory" + hint, out=r"\A\Z")
        self.call(18, "doctor", err=r"(?s)", out=r"fail  archive .*keys/salt-secret")
        for length in (0, 31, 33):
            pathlib.Path(secret).write_bytes((kept + b"x")[:length])
            os.chmod(secret, 0o600)
            self.call(18, "run", "--yes", err=r"keys/salt-secret\" does not hold 32 bytes" + hint)
        self.untouched()
        # What reads needs no secret.
        self.call(0, "verify")
        self.call(0, "status")
        self.call(0, "plan")
        pathlib.Path(secret).write_bytes(kept)
        self.call(0, "run", "--yes")
        self.finished()
        os.unlink(secret)
        self.call(0, "find", "--case", "1", "--reason", "a test", "word")
        self.call(0, "reindex", "--all")

    def test_19(self):
        PG.psql("DROP ROLE IF EXISTS exit_reader; CREATE ROLE exit_reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO exit_reader", db=self.name)
        self.begin(user="exit_reader")
        self.call(0, "plan")
        self.call(19, "run", "--yes", err=r"the database role lacks DELETE ON threads, DELETE ON posts, .*\n  hint: Run `mmretain grants`")
        self.untouched()
        PG.psql("DROP OWNED BY exit_reader; DROP ROLE exit_reader", db=self.name)


class Stopped(Base):
    """A signal ends a run between two batches: 128 and its number, what is left goes the next night."""

    def stop(self, signum, fault, deletes=True):
        """The run has stopped itself and finds the signal when it goes on."""
        self.begin()
        before = self.posts()
        process = self.halt(fault)
        process.send_signal(signum)
        os.kill(process.pid, signal.SIGCONT)
        self.stopped(process, signum, before, deletes)
        # The interrupted bundle is finished first under the same policy.
        self.call(0, "run", "--yes", out=RUN_LINE % "complete")
        self.finished()
        self.assertEqual(self.told(), before - self.posts())

    def stopped(self, process, signum, before, deletes):
        done = lib.finish(process, 60)
        self.check(done, 128 + signum, err=r"mmretain: error: (rule all: )?stopped by %s\n  hint: " % signal.Signals(signum).name, out=RUN_LINE % "partial")
        self.assertEqual({k: self.ledger()[-1][k] for k in ("outcome", "exit", "error")}, {"outcome": "partial", "exit": 128 + signum, "error": "INTERRUPTED"})
        self.assertEqual(lib.nowhere(self.want, self.copy), [])
        # What it had deleted is in its protocol, whatever comes after it.
        gone = before - self.posts()
        self.assertEqual(json.loads(self.call(0, "report", "last", "--json").out)["totals"]["deleted"]["posts"], gone)
        self.assertEqual(deletes, gone > 0)

    def posts(self):
        return int(PG.psql("SELECT count(*) FROM posts", db=self.name))

    def told(self):
        return sum(e["posts"] for e in self.ledger() if e["type"] in ("purged", "purge-stopped"))

    def test_130(self):
        self.stop(signal.SIGINT, "PURGE_AFTER_COMMIT")

    def test_129(self):
        self.stop(signal.SIGHUP, "PURGE_AFTER_COMMIT")

    def test_twice(self):
        """Asked a second time it ends at once, in the middle of a delete: it rolls back, and the next run goes on."""
        self.begin()
        process = self.halt("PURGE_BEFORE_COMMIT")
        before = self.posts()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            process.send_signal(signum)
        self.assertIn(lib.finish(process, 60).code, (130, 143))  # of the second; which one that is, the system decides
        self.assertEqual((self.posts(), self.ledger()[-1]["type"]), (before, "purging"))
        self.assertEqual(lib.nowhere(self.want, self.copy), [])
        self.call(0, "run", "--yes", out=RUN_LINE % "complete")
        self.finished()

    def test_143_early(self):
        self.stop(signal.SIGTERM, "LEDGER_WRITE:stop:2", deletes=False)

    def test_143(self):
        """Nobody waits for the end of a pause: here of two minutes at least."""
        self.begin(throttle="{target: 1ms, pause_factor: 100, export_pause_factor: 0, blob_grace: 1ms}")
        before = self.posts()
        process = self.halt("PURGE_AFTER_COMMIT")
        time.sleep(1.2)  # for the run its batch takes so long
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.5)  # the pause has begun then; if not, it does not begin
        process.send_signal(signal.SIGTERM)
        self.stopped(process, signal.SIGTERM, before, True)
        # Under another policy what is left of the bundle is planned anew.
        want = self.want
        self.begin(init=False)
        self.call(0, "run", "--yes", out=RUN_LINE % "complete")
        self.assertEqual(lib.compare(want, self.copy, exact=False), [])
        self.assertEqual(self.told(), before - self.posts())


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
