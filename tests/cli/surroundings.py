#!/usr/bin/env python3
"""The program in surroundings that an administrator or an attacker makes: limits, signals, owners, clocks, an archive that moves.

usage: MMRETAIN=BINARY surroundings.py [TEST...]
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exit_codes  # noqa: E402
from exit_codes import lib  # noqa: E402

LOOK_S = 1.5  # standing still for so long, a run looks at replicas and the server first, on the session of its lock
ON_LOCK_SESSION = r"was lost \((db_lock_check|db_plan_mode|purge_wait|busy)\)"
LOCK_SESSION = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"


def setUpModule():
    exit_codes.setUpModule()


def tearDownModule():
    exit_codes.tearDownModule()


class Base(exit_codes.Base):
    def setUp(self):
        super().setUp()
        self.pg = exit_codes.PG

    def go_on(self, process, code, err=None):
        os.kill(process.pid, signal.SIGCONT)
        done = lib.finish(process)
        self.check(done, code, err)
        return done

    def posts(self):
        return self.pg.psql("SELECT count(*) FROM posts", db=self.name)

    def safe(self, word):
        self.assertEqual(lib.nowhere(self.want, self.copy), [], word)


class Limits(Base):
    LIMITS = (  # the limit, its values, what a run says
        ("FSIZE", (0, 4096, 20000), (14,), r"File too large"),
        ("NOFILE", (6, 10, 16), (12, 14), r"Too many open files"),
    )

    def test_limits(self):
        """Files that may not grow, and few descriptors: an error with a reason, and the next run has all."""
        self.begin()
        for name, values, codes, words in self.LIMITS:
            for value in values:
                def limit():
                    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
                with self.subTest(name=name, value=value):
                    done = lib.call(self.copy, self.policy, "run", "--yes", now_ms=None, preexec_fn=limit)
                    self.assertIn(done.code, codes, done.err)
                    self.assertRegex(done.err, words)
                    self.assertNotIn("back from a copy", done.err)  # nothing is missing
                    self.safe(f"{name} {value}")
        self.call(0, "run", "--yes")
        self.finished()


class Signals(Base):
    def test_ignored_stays_ignored(self):
        """Below nohup the end of a session does not end the run; a mask from outside does not make it deaf."""
        self.begin()
        process = self.halt("BUNDLE_BEFORE_RENAME", preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]))
        process.send_signal(signal.SIGTERM)
        self.go_on(process, 143, err="stopped by SIGTERM")
        process = self.halt("PURGE_AFTER_INTENT", preexec_fn=lambda: [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGHUP, signal.SIGINT)])
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        self.go_on(process, 0)
        self.finished()


class Trigger(Base):
    def begun_by(self):
        return next(e for e in reversed(self.ledger()) if e["type"] == "run-begin")["trigger"]

    def test_trigger(self):
        """systemd, cron, a terminal, or none of them; the protocol names the user in any case."""
        self.begin()
        run, bare = ("run", "--yes", "--no-purge"), {k: v for k, v in self.copy.env().items() if k != "INVOCATION_ID"}
        here = lib.command_line(self.policy, run, None)
        cron = os.path.join(self.copy.where, "crond")
        shutil.copy("/bin/sh", cron)
        leader, follower = pty.openpty()
        self.addCleanup(lambda: [os.close(fd) for fd in (leader, follower)])
        for want, command, env, stdin in (
                ("script", here, bare, subprocess.DEVNULL),
                ("timer", here, dict(bare, INVOCATION_ID="0" * 32), subprocess.DEVNULL),
                ("timer", [cron, "-c", 'sh -c \'"$@"; exit\' - "$@"; exit', "-", *here], bare, subprocess.DEVNULL),
                ("person", here, dict(bare, INVOCATION_ID="0" * 32), follower)):
            done = subprocess.run(command, env=env, stdin=stdin, capture_output=True, text=True, timeout=lib.TIMEOUT, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.begun_by(), want, command)
            words = {"person": "a person", "script": "a script"}.get(want, want)
            self.call(0, "report", "last", out=rf"trigger +{words}, uid {os.getuid()}\n")


class Place(Base):
    def away(self, how):
        """Another folder lies where the archive was; returns the way back."""
        archive = self.copy.archive
        if how == "mounted over":
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", archive], check=True)
            self.addCleanup(lambda: subprocess.run(["umount", "-l", archive], stderr=subprocess.DEVNULL, check=False))  # of a test that fails
            return lambda: subprocess.run(["umount", "-l", archive], check=True)
        os.rename(archive, archive + ".old")
        self.call(0, "init")

        def back():
            self.assertFalse(os.path.exists(os.path.join(archive, "catalog.sqlite")))
            lib.remove(archive)
            os.rename(archive + ".old", archive)
        return back

    def moved(self, how):
        self.begin()
        for point in ("BUNDLE_BEFORE_RENAME", "PURGE_AFTER_BATCHES"):
            process = self.halt(point)
            before = self.posts()
            try:
                back = self.away(how)
            except subprocess.CalledProcessError:
                process.kill()
                self.skipTest("mounting is not permitted here")
            self.go_on(process, 14, err=r"archive \"\S+\" is not the folder any more that it was")
            back()
            self.assertEqual(self.posts(), before, point)
            self.safe(point)
        self.call(0, "run", "--yes")
        self.finished()

    def test_replaced(self):
        self.moved("replaced")

    def test_mounted_over(self):
        self.moved("mounted over")


class Lock(Base):
    def sweeps(self):
        return [e for e in self.ledger() if e["type"] == "sweep"]

    def test_lost(self):
        """Whoever has lost the lock, for he stood still for hours, neither deletes nor sweeps nor removes attachments: another run may be at work."""
        self.begin()
        points = ("PURGE_AFTER_INTENT", "PURGE_AFTER_COMMIT", "SWEEP_BEFORE", "SWEEP_AFTER")
        for point, s in ((point, s) for point in points for s in (0, LOOK_S)):
            process = self.halt(point)
            files, posts, sweeps = self.copy.files(), self.posts(), self.sweeps()
            self.assertEqual(self.pg.psql(LOCK_SESSION, db=self.name), "1")
            time.sleep(s)
            self.go_on(process, 12, err=ON_LOCK_SESSION)
            self.assertEqual((self.copy.files(), self.posts()), (files, posts), point)
            if point == "SWEEP_BEFORE":
                self.assertEqual(self.sweeps(), sweeps)
        self.call(0, "run", "--yes")
        self.call(0, "run", "--yes")
        self.finished()


class Busy(Base):
    def later(self, seconds, action):
        timer = threading.Timer(seconds, action)
        timer.start()
        self.addCleanup(timer.join)

    def test_no_connection_free(self):
        """A server that has no room now is asked again for some seconds."""
        self.begin()
        held = []
        self.addCleanup(lambda: [c.close() for c in held])
        while True:
            try:
                held.append(self.pg.connect("postgres"))
            except psycopg2.OperationalError:
                break
        self.call(12, "plan", err=r"too many clients already\n  hint: The server takes no more connections now")
        self.later(1, lambda: [c.close() for c in held])
        self.call(0, "run", "--yes")
        self.finished()

    def test_table_locked(self):
        """A lock on a table for a second does not end the night; one that stays ends it with a word on it, and the next run goes on."""
        self.begin()
        for seconds, code, err in ((None, 12, r"canceling statement due to lock timeout .*\n  hint: Another session holds a lock"), (1, 0, None)):
            process = self.halt("PURGE_AFTER_COMMIT")
            other = self.pg.connect(self.name)
            other.cursor().execute("SET lock_timeout = '2s'; LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
            if seconds:
                self.later(seconds, other.close)
            self.go_on(process, code, err)
            other.close()
            self.safe(str(seconds))
        self.finished()


class Room(Base):
    """The archive on a small file system."""

    def mount(self, size):
        os.makedirs(self.copy.archive, exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", self.copy.archive], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", self.copy.archive], check=True))

    def test_too_small(self):
        """What may not fit is not begun: whoever else lives on that disk needs it too."""
        self.mount("8m")
        self.begin(bundle_size="64MiB")
        done = lib.call(self.copy, self.policy, "doctor", now_ms=None)
        self.assertEqual((done.code, "1 failure" in done.err), (14, True), done.err)
        self.assertRegex(done.out, r"fail  space +[78]\.\d MiB free, less than the 25\.\d MiB with which a bundle is begun\n +Make room, or")
        self.call(14, "run", "--yes", err=r"has [78]\.\d MiB of space left, and the next bundle may take 25\.\d MiB\n  hint: Make room")
        self.untouched()
        self.assertEqual(os.listdir(os.path.join(self.copy.archive, "partial")), [])

    def test_large_attachment(self):
        self.mount("8m")
        self.begin()
        paths = sorted(os.path.join(self.copy.data, p) for p, _ in self.want.files.items())
        for path in paths:
            os.truncate(path, 16 << 20)
        self.want = lib.Expected(self.copy, {"rules": [exit_codes.RULE]}, self.now)
        self.call(14, "run", "--yes", err=r"of space left, and the next bundle may take \d+\.\d MiB\n  hint: Make room")
        self.safe("large")
        self.assertEqual(os.listdir(os.path.join(self.copy.archive, "partial")), [])


class PowerCut(Base):
    """The archive's file system loses what was not made durable, at once and for good, as when the power goes."""
    SHUTDOWN, NO_FLUSH = 0x8004587D, struct.pack("I", 2)  # EXT4_IOC_SHUTDOWN

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.copy.archive], check=True, stderr=subprocess.DEVNULL)

    def cut(self):
        folder = os.open(self.copy.archive, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, self.SHUTDOWN, self.NO_FLUSH)
        finally:
            os.close(folder)

    def test_power(self):
        """Nothing that was deleted is lost, at whatever point, and the next run comes to the end."""
        os.makedirs(self.copy.archive)
        self.image = os.path.join(self.copy.where, "image")
        with open(self.image, "wb") as f:
            f.truncate(96 << 20)
        try:
            subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
            self.mount()
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("no file system can be made and mounted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", self.copy.archive], check=True))
        os.chmod(self.copy.archive, 0o700)
        self.begin()
        for point in ("BUNDLE_SYNC", "BUNDLE_AFTER_RENAME", "LEDGER_SYNC", "PURGE_AFTER_INTENT", "PURGE_BEFORE_COMMIT", "PURGE_AFTER_COMMIT", "SWEEP_AFTER"):
            process = self.halt(point)
            self.cut()
            self.go_on(process, 14, err="Input/output error")
            subprocess.run(["umount", self.copy.archive], check=True)
            self.mount()
            self.safe(point)
        self.call(0, "run", "--yes")
        self.call(0, "run", "--yes")
        self.call(0, "verify")
        self.assertEqual(lib.compare(self.want, self.copy, exact=False), [])


class Suspended(Base):
    @unittest.skipUnless(os.environ.get("CLOCK_AHEAD"), "CLOCK_AHEAD is not set")
    def test_deadline(self):
        """A laptop's lid was closed over a run: its time is used up when the host wakes, whatever it did in it."""
        for when in (("--run-time", "6h"), ("--until", time.strftime("%H:%M", time.localtime(time.time() + 6 * 3600)))):
            with self.subTest(when=when):
                self.begin(init=not os.path.exists(self.copy.archive))
                slept = os.path.join(self.copy.where, "slept" + when[0])
                process = self.halt("RUN_AFTER_PUBLISHED", *when, env={"LD_PRELOAD": os.environ["CLOCK_AHEAD"], "CLOCK_SUSPEND_FILE": slept})
                pathlib.Path(slept).touch()
                self.go_on(process, 4, err="time budget used up")
                self.safe("suspended")
        self.call(0, "run", "--yes")
        self.finished()


class Clock(Base):
    @unittest.skipUnless(os.environ.get("CLOCK_AHEAD"), "CLOCK_AHEAD is not set")
    def test_long_run(self):
        """What the database's clock said when the run began is not what it says at its end."""
        self.begin()
        later = os.path.join(self.copy.where, "later")
        process = self.halt("RUN_AFTER_PUBLISHED", env={"LD_PRELOAD": os.environ["CLOCK_AHEAD"], "CLOCK_LATER_FILE": later})
        pathlib.Path(later).touch()
        done = self.go_on(process, 0)
        self.assertNotIn("the clock here says", done.err)
        self.assertRegex(done.out, r"(?m)^run \S+: complete, 10 min \d+ s; `mmretain report last`")
        self.finished()

    def test_before_the_last_run(self):
        """A clock that has gone back since the last run is wrong now, or was wrong then."""
        self.begin()
        self.call(0, "run", "--yes", "--no-purge", now=self.now + 40 * lib.DAY)
        lines = len(self.ledger())
        self.call(16, "run", "--yes", err=r"the clock says \S+, but the last run wrote its last line at \S+\n  hint: .*--now", out=r"\A\Z")
        self.assertEqual(len(self.ledger()), lines)
        self.untouched()
        self.call(0, "run", "--yes", now=self.now)
        self.call(0, "run", "--yes")
        self.assertEqual(lib.compare(self.want, self.copy, exact=False), [])


class Files(Base):
    @unittest.skipUnless(os.geteuid() == 0, "needs root to give a file away")
    def test_policy_of_another(self):
        """Whose file it is decides what is deleted: only root's and one's own is read."""
        self.begin()
        os.chown(self.policy, 12345, 12345)
        for args in (("plan",), ("run", "--yes"), ("check",)):
            self.call(19, *args, err=r"policy file \"\S+\" belongs to user 12345\n  hint: Run: chown root '\S+'")
        self.untouched()
        os.chown(self.policy, 0, 12345)
        self.call(0, "plan")

    def test_plan_of_another(self):
        """A plan file is an order, so the same goes for it; a FIFO keeps nobody waiting."""
        self.begin()
        plan = os.path.join(self.copy.where, "plan.jsonl")
        self.call(0, "plan", "--out", plan)
        os.chmod(plan, 0o664)
        self.call(19, "run", "--plan", plan, err=r"plan file \"\S+\" can be changed by others \(mode 0664\)\n  hint: Run: chmod go-w '")
        os.chmod(plan, 0o640)
        if os.geteuid() == 0:
            os.chown(plan, 12345, -1)
            self.call(19, "run", "--plan", plan, err=r"plan file \"\S+\" belongs to user 12345\n  hint: Run: chown root '")
            os.chown(plan, 0, -1)
        fifo = os.path.join(self.copy.where, "fifo")
        os.mkfifo(fifo)
        self.call(2, "run", "--plan", fifo, err="is not a regular file", timeout=120)
        self.untouched()
        self.call(0, "run", "--plan", plan)
        self.finished()

    def test_list_of_everybody(self):
        people = pathlib.Path(self.copy.where, "departed.txt")
        people.write_text("somebody\n", encoding="utf-8")
        people.chmod(0o646)
        self.begin(more=f"departed_users: {{after: 90d, only_listed: {people}}}\n")
        self.call(19, "run", "--yes", err=r"departed.txt\" may be changed by everybody\n  hint: Run: chmod o-w '")
        self.untouched()

    def test_policy_gone(self):
        """A run goes on with the policy that it has read."""
        self.begin()
        process = self.halt("BUNDLE_WRITE")
        os.unlink(self.policy)
        self.go_on(process, 0)
        self.finished()

    def test_newer_archive(self):
        self.begin()
        os.rename(os.path.join(self.copy.archive, "0=mmretain_archive_1"), os.path.join(self.copy.archive, "0=mmretain_archive_2"))
        for args in (("run", "--yes"), ("status",)):
            self.call(14, *args, err=r"is an archive of format 2, and this program knows format 1\n  hint: Use the newer mmretain")
        self.untouched()

    def test_doctor_warns(self):
        """Of a role that may do too much, and of an archive beside the attachments."""
        self.begin()
        self.call(0, "doctor", out=r"warn  rights +the role is a superuser(?s:.*)warn  space +the archive and the attachments share a file system")

    def test_doctor_attachments(self):
        """A folder that is not there, none at all, another driver: which and why, and what to do about that."""
        self.begin()
        gone = os.path.join(self.copy.where, "nowhere")
        stay = ": threads that have some stay\\n"
        for env, words in (
                ({"MM_FILESETTINGS_DIRECTORY": gone}, f"attachment folder: [^\\n]*{re.escape(gone)}[^\\n]*: No such file or directory{stay} +It is named by database.files of the policy, FileSettings.Directory"),
                ({"MM_FILESETTINGS_DIRECTORY": ""}, f"no attachment folder is configured{stay} +Name the server's config.json"),
                ({"MM_FILESETTINGS_DRIVERNAME": "azure"}, f'the attachments are with file driver "azure", not in a local folder or a bucket{stay} +Only a local folder or a bucket can be read'),
                ({"MM_FILESETTINGS_DRIVERNAME": "amazons3"}, f'attachments in a bucket: FileSettings.AmazonS3Bucket names no bucket{stay} +FileSettings.AmazonS3')):
            self.call(0, "doctor", env=env, out="warn  attachments  " + words)
        done = self.call(3, "run", "--yes", env={"MM_FILESETTINGS_DRIVERNAME": "amazons3"}, err="names no bucket[^\\n]*stay. FileSettings.AmazonS3")
        self.assertNotIn("config.json", done.err)

    def test_files_of_policy(self):
        """The attachment folder that the policy names is it, whatever the environment says; without either threads with attachments stay."""
        self.begin()
        self.call(0, "doctor", env={"MM_FILESETTINGS_DIRECTORY": ""}, out="warn  attachments  no attachment folder is configured")
        text = pathlib.Path(self.policy).read_text(encoding="utf-8")
        pathlib.Path(self.policy).write_text(text.replace("database:\n", f"database:\n  files: {self.copy.data}\n"), encoding="utf-8")
        env = {"MM_FILESETTINGS_DIRECTORY": "/nowhere", "MM_FILESETTINGS_DRIVERNAME": "amazons3"}
        self.call(0, "doctor", env=env, out=rf"ok    attachments  {re.escape(self.copy.data)}: \d+ attachments looked at")
        self.call(0, "run", "--yes", env=env)
        self.finished()

    def test_doctor_foresees(self):
        """What a run would be refused for: a clock behind the ledger."""
        self.begin()
        self.call(0, "doctor", out=r"(?s)\A(?!.*still to come)")
        self.assertIn(lib.call(self.copy, self.policy, "run", "--yes", "--no-purge", now_ms=4000000000000).code, (0, 3))
        self.call(16, "run", "--yes", err=r"the clock says \S+, but the last run wrote its last line at 2096-")
        self.call(0, "doctor", out=r"warn  ledger +the last run wrote its last line at 2096-\S+, which is still to come\n +A run is refused; set the clock right")

    def test_config_in_database(self):
        """A server that keeps its configuration in the database: its MM_CONFIG is what the policy names; no message has the password."""
        self.begin(init=False)
        config = {"SqlSettings": {"DriverName": "postgres", "DataSource": ""}, "FileSettings": {"DriverName": "local", "Directory": self.copy.data}}
        self.pg.psql(f"""CREATE TABLE configurations (id varchar(26) PRIMARY KEY, value text NOT NULL, createat bigint NOT NULL, active boolean UNIQUE);
            INSERT INTO configurations VALUES ('a', '{{', 1, NULL), ('b', '{json.dumps(config)}', 2, true)""", db=self.name)
        text = pathlib.Path(self.policy).read_text(encoding="utf-8")
        url = self.copy.url()
        bare = {"MM_FILESETTINGS_DIRECTORY": "", "MM_FILESETTINGS_DRIVERNAME": ""}
        far = "postgres://mm@localhost:1/mm?sslmode=disable"
        for word in (url, far, far.replace("mm@", "mm:s3cret@")):
            pathlib.Path(self.policy).write_text(re.sub(r"(?m)^  url: .*$", f"  mattermost_config: {json.dumps(word)}", text), encoding="utf-8")
            if word == url:
                self.call(0, "check")
                self.call(0, "init", env=bare)
                self.call(0, "doctor", env={**bare, "MM_CONFIG": far.replace("@", ":s3cret@")}, out=re.escape(self.copy.data))
                self.call(0, "run", "--yes", env={**bare, "MM_CONFIG": url})
                self.call(10, "plan", env={"MM_CONFIG": "/opt/config.json"}, err="another kind of configuration store")
            elif word == far:
                self.call(12, "plan", err="Mattermost configuration in the database: cannot connect", env=bare)
        self.pg.psql("DROP TABLE configurations", db=self.name)
        self.assertEqual(lib.compare(self.want, self.copy), [])
        for args in (("check", "-v"), ("check", "--json"), ("doctor", "-v"), ("run", "--yes", "-v")):
            done = lib.call(self.copy, self.policy, *args, now_ms=None)
            self.assertEqual(done.code, 10, done.err)
            self.assertIn("`mattermost_config` holds a password", done.out + done.err)
            self.assertNotIn("s3cret", done.out + done.err)

    def test_errors_say_what_to_do(self):
        """Also those that come from deep below: a hint for each (`call` looks for it)."""
        self.begin()
        case = ("--case", "1", "--reason", "test")
        self.call(0, "run", "--yes", "--no-purge")
        root = sorted(self.want.roots)[0]
        self.call(1, "run", "--plan", "/nonexistent.plan", err=r"cannot open plan file \S+ No such file or directory\n  hint: Name a file that `mmretain plan --out FILE`")
        self.call(2, "plan", "--out", "/nonexistent/plan", err=r"cannot write \"/nonexistent/plan\": No such file .*\n  hint: Make its folder first, or name another place")
        self.call(2, "export", root, "--out", "/nonexistent/page.html", *case, err=r"\n  hint: Make its folder first, or name another place")
        self.call(2, "find", "--regex", "[", *case, err=r"regular expression makes no sense: .*\n  hint: It is a POSIX")
        self.call(1, "export", "--words", "nosuchwordanywhere", "--out", "/tmp/none.html", *case, err=r"answers that\n  hint: Nothing was written")

    def outputs(self, root):
        """Every command that takes the name of an output, without it."""
        case = ("--case", "1", "--reason", "test")
        formats = [(*(("--as", form) if form else ()), *pack) for form in ("html", "jsonl", "csv", "eml", "mattermost") for pack in ((), ("--pack", "zip"), ("--pack", "tar"))]
        return [("plan", "--out"), *(("export", root, *case, *form, "--out") for form in formats)]

    def whole(self, path):
        """The whole name as it was given, or that of a part of it, is in the message."""
        return re.escape(f'cannot write "{path}') + '[^" ]*"'

    def test_output_names(self):
        """A place that takes no output: the same status from every command, and the whole name."""
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        root = sorted(self.want.roots)[0]
        folder, file = (os.path.join(self.copy.where, n) for n in ("folder", "file"))
        os.mkdir(folder)
        pathlib.Path(file).write_text("mine", encoding="utf-8")
        for command in self.outputs(root):
            with self.subTest(command=command):
                for out in (f"{folder}/none/out", f"{file}/out", folder + "/" + "x" * 300):
                    self.call(2, *command, out, err=self.whole(out))
                for out in (folder, file):
                    self.call(2, *command, out, err=r'"' + re.escape(out) + r'"')
                self.call(2, *command, f"{folder}/..", err=r"is not a name for a file|is there and is not a plan")
        self.assertEqual((os.listdir(folder), pathlib.Path(file).read_text(encoding="utf-8")), ([], "mine"))

    def on_terminal(self, *args, **env):
        """What a terminal gets of a command, with its colours and its bar."""
        leader, follower = pty.openpty()
        process = subprocess.Popen(lib.command_line(self.policy, args, None), env=self.copy.env(**env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower)
        os.close(follower)
        text = b""
        try:
            while piece := os.read(leader, 65536):
                text += piece
        except OSError:  # the other end is closed
            pass
        os.close(leader)
        self.assertEqual(process.wait(lib.TIMEOUT), 0)
        return text.decode()

    def test_progress(self):
        """A line that is said while a bar is drawn takes its place; a terminal that cannot do that gets lines alone."""
        self.begin()
        text = self.on_terminal("run", "--yes", "-v", TERM="xterm")
        bars = re.findall(r"\r\033\[K[^\r\n]*(?:archive|delete|plan)[^\r\n]*", text)
        self.assertTrue(bars)
        said = [line.rpartition("\r\033[K")[2] for line in text.split("\n") if "mmretain: debug" in line]
        self.assertGreater(len(said), 10)
        self.assertEqual([s for s in said if not s.startswith("mmretain: ")], [])
        self.assertNotIn("\033", self.on_terminal("verify", TERM="dumb"))

    def test_output_full(self):
        """A disk that is full, or may not be written, under the output and not under the archive."""
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        root = sorted(self.want.roots)[0]
        small = os.path.join(self.copy.where, "small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", small], capture_output=True, check=False).returncode:
            self.skipTest("mounting a tmpfs is not permitted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", small], check=False))
        with open(os.path.join(small, "filler"), "wb") as f:
            f.write(b"x" * 4096)
        out = os.path.join(small, "out")
        for command in self.outputs(root):
            with self.subTest(command=command):
                self.call(1, *command, out, err=self.whole(out) + r": No space left on device\n  hint: Make room on its disk")
                self.assertEqual([n for n in os.listdir(small) if n.endswith(".tmp") or n.startswith(".")], [])
                subprocess.run(["rm", "-rf", *(os.path.join(small, n) for n in os.listdir(small) if n != "filler")], check=True)
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        for command in self.outputs(root):
            with self.subTest(command=command, readonly=True):
                self.call(19, *command, out, err=self.whole(out) + r": Read-only file system\n  hint: Mount its file system for writing")

    def test_output_forbidden(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become a plain user")
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        root = sorted(self.want.roots)[0]
        who = self.plain_user()
        closed = os.path.join(self.copy.where, "closed")
        os.mkdir(closed, 0o755)
        for command in self.outputs(root):
            with self.subTest(command=command):
                out = os.path.join(closed, "out")
                done = lib.call(self.copy, self.policy, *command, out, now_ms=None, **who)
                self.check(done, 19, self.whole(out) + ": Permission denied")
        self.assertEqual(os.listdir(closed), [])

    def test_journal_of_just_now(self):
        """Attachments that the run before had no time for, a moment ago, go at the end of a run that waits anyhow."""
        self.begin(blob_grace="600s")
        self.call(0, "run", "--yes", "--run-time", "500s", err=None)
        journals = [n for n in os.listdir(os.path.join(self.copy.archive, "ledger")) if n.startswith("unlink-")]
        self.assertTrue(journals)
        self.policy, _ = self.copy.write_policy([dict(exit_codes.RULE, keep={"for": "100d"})], blob_grace="4s")
        self.call(0, "run", "--yes")
        self.assertEqual([n for n in os.listdir(os.path.join(self.copy.archive, "ledger")) if n.startswith("unlink-")], [])

    def test_metrics(self):
        """Whoever reads the file of metrics while it is written anew has all of it, of then or of now."""
        self.begin()
        self.call(0, "run", "--yes", "--no-purge")
        path, seen, missed, over = pathlib.Path(self.copy.where, "mmretain.prom"), set(), [], threading.Event()

        def read():
            while not over.is_set():
                try:
                    seen.add(path.read_text(encoding="utf-8"))
                except (OSError, UnicodeError) as problem:
                    missed.append(problem)

        self.call(0, "status", "--metrics", str(path))
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for n in range(40):
                self.call(0, "status", "--metrics", str(path), now=self.now + (1 + n) * 1000)
        finally:
            over.set()
            reader.join()
        names = {tuple(re.findall(r"(?m)^# TYPE (\w+) ", text)) for text in seen}
        self.assertEqual(missed, [])
        self.assertGreater(len(seen), 1)
        self.assertEqual(len(names), 1, names)
        self.assertTrue(all(text.endswith("\n") for text in seen))

    def test_archived_twice(self):
        """Threads that a run archived and a later one archived again and deleted: one answer each, one thread of an export each."""
        self.begin()
        case = ("--case", "1", "--reason", "test", "--after", "1970-01-01")
        self.call(0, "run", "--yes", "--no-purge")
        hits = json.loads(self.call(0, "find", "--limit", "0", "--json", *case).out)["hits"]
        # A thread that has one more reply is another one then; its old posts did not change.
        changed = sorted(self.want.roots)[0]
        self.pg.psql(f"UPDATE posts SET message = message || ' anders', updateat = updateat + 1 WHERE id = '{changed}'", db=self.name)
        self.call(0, "run", "--yes")
        again = json.loads(self.call(0, "find", "--limit", "0", "--json", *case).out)["hits"]
        self.assertEqual(len(again), len(hits) + 1)
        paged = [json.loads(self.call(0, "find", "--limit", "50", "--offset", str(n), "--json", *case).out)["hits"] for n in range(0, len(again), 50)]
        self.assertEqual([h for page in paged for h in page], again)
        out = os.path.join(self.copy.where, "all.jsonl")
        self.assertEqual(json.loads(self.call(0, "export", "--json", "--as", "jsonl", "--out", out, *case).out)["threads"], len(self.want.roots))
        rows = pathlib.Path(out).read_text(encoding="utf-8").rstrip("\n").split("\n")
        self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual(sum(f'"id":"{changed}"' in row and " anders" in row for row in rows), 1)

    def test_work_files(self):
        self.begin()
        for place in ("/nowhere", "/proc", "/etc/passwd"):
            self.call(14, "plan", err=r"cannot make a work file in %s: .*\n  hint: .*TMPDIR" % place, env={"TMPDIR": place})

    def test_work_files_full(self):
        """It is not the archive's disk, and the message says which."""
        self.begin()
        place = os.path.join(self.copy.where, "tmp")
        os.mkdir(place)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False).returncode:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", place], check=True))
        with open(os.path.join(place, "full"), "wb") as f:
            f.write(b"x" * (64 << 10))
        for args in (("plan",), ("run", "--yes")):
            self.call(14, *args, err=re.escape(f"cannot write work file in {place}: No space left on device\n  hint: Make room there, or set TMPDIR"), env={"TMPDIR": place})
        self.untouched()


@unittest.skipUnless(os.geteuid() == 0, "needs root to become another account")
class Account(Base):
    """Attachments as the server leaves them: files 0600 in folders 0750, of an account of its own."""
    SERVER, GROUP, OWN = 12345, 12346, 23456

    def setUp(self):
        super().setUp()
        self.begin(init=False)
        self.program = os.path.join(self.copy.where, "mmretain")
        shutil.copy(lib.binary(), self.program)
        os.chmod(self.program, 0o755)
        self.addCleanup(setattr, lib, "PROGRAM", lib.PROGRAM)
        for folder, folders, files in os.walk(self.copy.data):
            for path, mode in [(folder, 0o750), *((os.path.join(folder, n), 0o600) for n in files)]:
                os.lchown(path, self.SERVER, self.GROUP)
                if not os.path.islink(path):
                    os.chmod(path, mode)
        os.makedirs(self.copy.archive)
        os.chmod(self.copy.where, 0o755)
        os.chmod(os.path.dirname(self.copy.where), 0o755)

    def be(self, uid, capabilities="", group=None, owner=True):
        """The program as that account from now on, in the server's group, and with those capabilities alone; the archive and the policy are its own."""
        for folder, _, names in os.walk(self.copy.archive) if owner else ():
            for n in names + ["."]:
                os.lchown(os.path.join(folder, n), uid, group or self.GROUP)
        os.chown(self.policy, uid if owner else 0, -1)
        few = ",".join(["-all", *(f"+{c}" for c in capabilities.split())])
        lib.PROGRAM = ["setpriv", f"--reuid={uid}", f"--regid={group or self.GROUP}", "--clear-groups", f"--inh-caps={few}", f"--ambient-caps={few}", f"--bounding-set={few}",
                       "--no-new-privs", self.program]
        self.addCleanup(setattr, lib, "PROGRAM", None)

    def attachments(self, words):
        done = self.call(0, "doctor")
        self.assertRegex(done.out, words)
        self.assertEqual([p for p in self.want.files if "/" in p and os.path.basename(p) in done.out], [])  # people gave them their names

    def closed(self, uid, reason="read, and their threads stay: Permission denied"):
        self.be(uid)
        self.call(0, "init") if not os.listdir(self.copy.archive) else None
        self.attachments(rf"warn  attachments  {re.escape(self.copy.data)}: (\d+) of \1 attachments looked at cannot be {reason} in \d{{8}}/\S+\n"
                         rf" +It belongs to user {self.SERVER}: run as that account, or with CAP_DAC_OVERRIDE")

    def test_group(self):
        """In the group of the server's account, and as root without capabilities, nothing can be read: doctor says what a run would end with."""
        for uid in (self.OWN, 0):
            self.closed(uid)
        done = lib.call(self.copy, self.policy, "run", "--yes", now_ms=None)
        self.assertEqual(done.code, 3, done.err)
        self.assertEqual(self.copy.files(), self.want.files)

    def test_stranger(self):
        self.be(self.OWN, group=self.OWN)
        self.call(0, "init")
        self.attachments(rf"warn  attachments  attachment folder: [^\n]*: Permission denied; it belongs to user {self.SERVER}: threads that have some stay\n")

    def test_read_only(self):
        """Files that can be read, in folders that may not be written; then a file system that is mounted for reading."""
        for folder, _, names in os.walk(self.copy.data):
            for n in names:
                os.chmod(os.path.join(folder, n), 0o640)
        self.closed(self.OWN, "removed when their threads are gone: Permission denied")
        self.be(self.SERVER)
        if subprocess.run(["mount", "--bind", self.copy.data, self.copy.data], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", self.copy.data], check=True))
        subprocess.run(["mount", "-o", "remount,bind,ro", self.copy.data], check=True)
        self.attachments(r"warn  attachments .*: Read-only file system in [^\n]*\n +Mount its file system for writing; in a unit, `ReadWritePaths=` names the folder")

    def test_not_there(self):
        for name in os.listdir(self.copy.data):
            lib.remove(os.path.join(self.copy.data, name))
        self.be(self.SERVER)
        self.call(0, "init")
        self.attachments(r"warn  attachments .*: of \d+ attachments that the database names none is there, and their threads stay\n +Is it the server's folder")

    def test_auditor(self):
        """The group of audit.md: an auditor reads and is in the case log, before and after a night, and changes nothing else."""
        self.be(self.SERVER)
        self.call(0, "init")
        self.call(0, "run", "--yes", "--no-purge")
        steps = re.search(r"(?s)```sh\n(groupadd .*?)```", (pathlib.Path(__file__).resolve().parents[2] / "docs/audit.md").read_text(encoding="utf-8"))[1]
        steps = re.sub(r"(?m)^(groupadd .*|A=.*)$", "", steps).replace("chat-audit", str(self.GROUP + 1))
        auditor, find = self.OWN, ("find", "--archive", self.copy.archive, "--case", "17/26", "--reason", "test", "--after", "1970-01-01")

        def reads(code):
            self.be(auditor, group=self.GROUP + 1, owner=None)
            self.call(code, *find, err=None if code == 0 else "ledger/access")
            self.call(0, "verify", "--archive", self.copy.archive)
            self.call(0, "report", "last", "--archive", self.copy.archive)

        subprocess.run(["chgrp", "-R", str(self.GROUP + 1), self.copy.archive], check=True)
        reads(19)
        subprocess.run(["sh", "-ec", f"A={self.copy.archive} owner={self.SERVER}\n{steps}"], check=True)
        reads(0)
        self.be(self.SERVER, owner=None)
        self.call(0, "run", "--yes")
        self.call(0, *find)
        reads(0)
        uids = [json.loads(line)["uid"] for line in pathlib.Path(self.copy.archive, "ledger/access/entries.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual(uids, [auditor, self.SERVER, auditor])
        self.assertEqual(lib.compare(self.want, self.copy, exact=False), ["left over: ledger/access/entries.jsonl"])

    def test_part_of_root(self):
        """What is root's in an archive of the account is a matter of rights, and no other try or copy settles it."""
        self.be(self.SERVER)
        self.call(0, "init")
        self.call(0, "run", "--yes", "--no-purge")
        for part in ("partial", "ledger", "ledger/entries.jsonl", "bundles"):
            path = os.path.join(self.copy.archive, part)
            mode = os.stat(path).st_mode
            os.chown(path, 0, 0)
            os.chmod(path, 0o700)
            self.call(19, "run", "--yes", err=r": Permission denied\n  hint: Run as the user that the archive belongs to, and give all of it to that user\.")
            os.chmod(path, mode)
            os.chown(path, self.SERVER, self.GROUP)
        self.call(0, "run", "--yes")
        self.assertEqual(lib.compare(self.want, self.copy, exact=False), [])

    def of_another(self):
        """The archive is the server's from now on, and the program an account that reaches it by its capability alone, as access() does not."""
        self.be(self.SERVER)
        self.call(0, "init")
        self.be(self.OWN, "dac_override", group=self.OWN, owner=None)

    def test_capability_journals(self):
        """Attachments go in the night that deletes their rows."""
        self.of_another()
        self.call(0, "run", "--yes")
        self.finished()

    def test_capability_late(self):
        """What came late to a thread twice is kept twice: it is nowhere else."""
        self.of_another()
        self.call(0, "run", "--yes")
        answered, other = sorted(self.want.roots)[:2]
        for n in range(2):
            self.pg.psql(f"INSERT INTO posts SELECT (r).* FROM (SELECT jsonb_populate_record(p, jsonb_build_object('id', 'late{n}' || repeat('x', 21), 'rootid', '{answered}', "
                       f"'createat', (extract(epoch FROM now()) * 1000)::bigint, 'originalid', '', 'deleteat', 0)) AS r FROM posts p LIMIT 1) x", db=self.name)
            self.pg.psql(f"INSERT INTO reactions VALUES ('someone', '{other}', 'late{n}', 1, 1, 0, '', '')", db=self.name)
            self.call(0, "run", "--yes")
            self.pg.psql(f"DELETE FROM posts WHERE '{answered}' IN (id, rootid)", db=self.name)
        ledger = pathlib.Path(self.copy.archive, "ledger")
        late = [json.loads(line)["row"]["emojiname"] for path in sorted(ledger.glob("late-*")) for line in path.read_text(encoding="utf-8").splitlines() if '"k":"reaction"' in line]
        self.assertEqual(sorted(n for n in late if n.startswith("late")), ["late0", "late1"])

    def test_capability_export(self):
        self.of_another()
        self.call(0, "run", "--yes")
        out = os.path.join(self.copy.where, "closed")
        os.mkdir(out, 0o700)
        self.call(0, "export", sorted(self.want.roots)[0], "--out", os.path.join(out, "page.html"), "--case", "1", "--reason", "test")
        self.assertIn("page.html", os.listdir(out))

    def night(self, uid, capabilities=""):
        self.be(uid, capabilities)
        self.call(0, "init")
        self.attachments(r"ok    attachments .*: [1-9]\d* attachments looked at, which can be read and removed\n")
        self.call(0, "run", "--yes")
        self.finished()

    def test_server(self):
        self.night(self.SERVER)

    def test_capability(self):
        self.night(self.OWN, "dac_override")

    def test_root(self):
        self.night(0, "dac_override")


class LookAlikes(Base):
    BAD = "FUNCTION {s}.{n}({a}) RETURNS {r} LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hijacked'; END$$"

    def test_refused(self):
        """A function or operator of another role that PostgreSQL would take for its own runs with our rights: nothing is asked at all."""
        self.begin()
        self.pg.psql("DROP ROLE IF EXISTS mallory; CREATE ROLE mallory; GRANT CREATE ON SCHEMA public TO mallory", db=self.name)
        for sql, undo, words in (
                (f"CREATE {self.BAD.format(s='public', n='bad', a='varchar, varchar', r='boolean')}; CREATE OPERATOR public.= (FUNCTION = public.bad, LEFTARG = varchar, RIGHTARG = varchar)",
                 "DROP OPERATOR public.= (varchar, varchar); DROP FUNCTION public.bad", r"operator public\.= of role mallory"),
                (f"CREATE {self.BAD.format(s='public', n='length', a='varchar', r='int')}", "DROP FUNCTION public.length", r"function public\.length of role mallory")):
            self.pg.psql(f"SET ROLE mallory; {sql}", db=self.name)
            for args in (("plan",), ("run", "--yes")):
                self.call(13, *args, err=words)
            self.call(13, "doctor", out=words, err="1 failure")
            self.pg.psql(undo, db=self.name)
        # What a superuser made is his to answer for, and an extension is as it was shipped.
        self.pg.psql("CREATE EXTENSION citext; CREATE FUNCTION public.length(json) RETURNS int LANGUAGE sql AS 'SELECT 1'", db=self.name)
        self.call(0, "plan")
        self.pg.psql("DROP OWNED BY mallory; DROP ROLE mallory", db=self.name)
        self.untouched()


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
