#!/usr/bin/env python3
"""A private PostgreSQL 15 for tests: own folder, Unix socket only, own pid, gone afterwards.

Library:
    with Cluster() as pg:                      # temporary folder, removed at the end; Standby(pg) is a replica of it
        pg.createdb("mm")
        pg.psql("SELECT 1", db="mm")
        subprocess.run(["prog"], env=pg.env("mm"))

Command line:
    cluster.py start DIR [--locale L] [--set NAME=VALUE]...     prints shell exports
    cluster.py stop DIR [--mode fast|immediate|smart] [--keep]
    cluster.py run [--db NAME] [--set NAME=VALUE]... -- CMD...   PGHOST, PGPORT, PGUSER, PGDATABASE set for CMD

PostgreSQL refuses to run as root; as root the server runs as user `postgres`, otherwise as the caller.
"""
import argparse
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import scratch  # noqa: E402

PORT = 5432
SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0777",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "work_mem": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    "log_line_prefix": "'%m [%p] %a '",
    "log_checkpoints": "off",
}


class ClusterError(RuntimeError):
    pass


def literal(text):
    """The text as a literal of SQL: names of files and of people have quotes in them."""
    return "'" + text.replace("'", "''") + "'"


def pg_bin():
    """The folder with initdb and postgres, PostgreSQL 15 first."""
    places = [os.environ.get("PGBIN"), "/usr/lib/postgresql/15/bin", "/usr/pgsql-15/bin"]
    found = shutil.which("postgres")
    if found:
        places.append(os.path.dirname(os.path.realpath(found)))
    for place in places:
        if place and os.path.exists(os.path.join(place, "initdb")):
            return place
    raise ClusterError("no PostgreSQL server programs found: set PGBIN to the folder that holds initdb")


def _identity():
    """Popen arguments that make a child run as a user PostgreSQL accepts."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": os.getgrouplist("postgres", user.pw_gid)}


def _alive(pid, data):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return data.encode() in f.read()
    except OSError:
        return False


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


class Cluster:
    """One server. `directory=None` makes a temporary folder that stop() removes, in memory where there is room unless `on_disk`."""

    def __init__(self, directory=None, locale="C.UTF-8", settings=None, die_with_parent=True, encoding="UTF8", on_disk=False, initdb=()):
        self.on_disk = on_disk
        self.locale = locale
        self.encoding = encoding
        self.initdb = list(initdb)  # more words for it
        self.settings = dict(SETTINGS, **(settings or {}))
        self.die_with_parent = die_with_parent  # tied to the thread that calls start()
        self.temporary = directory is None
        self.directory = os.path.abspath(directory) if directory else None
        self.port = PORT
        self.user = SUPERUSER
        self.process = None

    # -- places ------------------------------------------------------------------------------------------------
    @property
    def data(self):
        return os.path.join(self.directory, "data")

    @property
    def log(self):
        return os.path.join(self.directory, "server.log")

    @property
    def socket_dir(self):
        """A socket path must stay below 108 bytes; a long folder gets a short one in /tmp (recorded in `socket`)."""
        note = os.path.join(self.directory, "socket")
        if os.path.islink(note):
            return os.readlink(note)
        if os.path.isdir(note) or len(os.fsencode(note)) < 88:
            return note
        return None

    @property
    def pid(self):
        """The postmaster's pid, or None when it does not run."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as f:
                pid = int(f.readline())
        except (OSError, ValueError):
            return None
        return pid if _alive(pid, self.data) else None

    # -- life --------------------------------------------------------------------------------------------------
    def start(self, timeout=300):
        """Make the folder and the cluster if they are not there, start the server, wait until it answers."""
        if self.directory is None:
            self.directory = scratch.folder("pg", None if self.on_disk else scratch.memory())
        os.makedirs(self.directory, exist_ok=True)
        identity = _identity()
        self._own(self.directory, identity)
        os.chmod(self.directory, 0o755)
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._initdb(identity)
        if self.socket_dir is None:
            os.symlink(self._short_folder(), os.path.join(self.directory, "socket"))
        os.makedirs(self.socket_dir, exist_ok=True)
        self._own(self.socket_dir, identity)
        os.chmod(self.socket_dir, 0o755)
        self._configure()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(pg_bin(), "postgres"), "-D", self.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, start_new_session=True,
                preexec_fn=_die_with_parent if self.die_with_parent else None, env=self._clean_env(), **identity)
        if self.die_with_parent:
            scratch.at_end(self._at_exit)
        self._wait(timeout)
        return self

    def _short_folder(self):
        """Of a server that outlives this process it must stay, too."""
        return scratch.folder("s", "/tmp") if self.die_with_parent else tempfile.mkdtemp(prefix="mmr-s-", dir="/tmp")

    def _own(self, path, identity):
        if identity:
            os.chown(path, identity["user"], identity["group"])

    def _clean_env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG") and not k.startswith("LC_")}
        env["LANG"] = "C"
        return env

    def _initdb(self, identity):
        done = subprocess.run(
            [os.path.join(pg_bin(), "initdb"), "-D", self.data, "-U", SUPERUSER, "-A", "trust", "-E", self.encoding,
             f"--locale={self.locale}", "--no-instructions", *self.initdb],
            cwd=self.directory, capture_output=True, text=True, env=self._clean_env(), **identity)
        if done.returncode:
            raise ClusterError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _configure(self):
        path = os.path.join(self.data, "postgresql.auto.conf")
        with open(path, "w", encoding="utf-8") as f:
            for name, value in self.settings.items():
                f.write(f"{name} = {value}\n")
            f.write(f"unix_socket_directories = '{self.socket_dir}'\nport = {self.port}\n")
        self._own(path, _identity())

    def _wait(self, timeout):
        end = time.monotonic() + timeout
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg2.OperationalError as problem:
                if self.process and self.process.poll() is not None:
                    raise ClusterError(f"server ended at once:\n{self.tail()}") from problem
                if time.monotonic() > end:
                    raise ClusterError(f"server does not answer:\n{self.tail()}") from problem
                time.sleep(0.03)

    def tail(self, lines=20):
        """The end of the server log."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def stop(self, mode="fast", timeout=300):
        """End the server by its own pid. `immediate` is a crash: the next start recovers from the log."""
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self._signal(number, timeout)

    def kill(self, timeout=300):
        """SIGKILL to the postmaster: the hardest crash. Backends notice by themselves."""
        self._signal(signal.SIGKILL, timeout)

    def _signal(self, number, timeout):
        pid = self.pid
        if pid:
            os.kill(pid, number)
        end = time.monotonic() + timeout
        while pid and (self.process.poll() is None if self.process else _alive(pid, self.data)):
            if time.monotonic() > end:
                raise ClusterError(f"server {pid} did not end:\n{self.tail()}")
            time.sleep(0.02)
        self.process = None

    def restart(self, mode="fast"):
        """stop(mode), then start again on the same data."""
        self.stop(mode)
        return self.start()

    def remove(self):
        """Remove the folder (server must be stopped)."""
        if self.directory is None:
            return
        link = os.path.join(self.directory, "socket")
        if os.path.islink(link):
            scratch.remove(os.readlink(link))
        scratch.remove(self.directory)

    def _at_exit(self):
        if self.process and self.process.poll() is None:
            self.stop("immediate")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop("immediate" if self.temporary else "fast")
        if self.temporary:
            self.remove()

    # -- use ---------------------------------------------------------------------------------------------------
    def conninfo(self, db="postgres", user=None):
        """libpq key=value text."""
        return f"host={self.socket_dir} port={self.port} dbname={db} user={user or self.user}"

    def url(self, db="postgres", user=None):
        """The same as a URL, as Mattermost's SqlSettings.DataSource has it."""
        host = self.socket_dir.replace("/", "%2F")
        return f"postgres://{user or self.user}@{host}:{self.port}/{db}?sslmode=disable"

    def env(self, db="postgres", **more):
        """os.environ with PGHOST, PGPORT, PGUSER and PGDATABASE."""
        return dict(os.environ, PGHOST=self.socket_dir, PGPORT=str(self.port), PGUSER=self.user, PGDATABASE=db, **more)

    def connect(self, db="postgres", user=None, **options):
        """A psycopg2 connection."""
        return psycopg2.connect(self.conninfo(db, user), **options)

    def psql(self, sql, db="postgres", user=None):
        """Run SQL in psql, stop at the first error; the result unaligned, without headers."""
        done = subprocess.run(
            [os.path.join(pg_bin(), "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(db, user)],
            input=sql, capture_output=True, text=True, env=self._clean_env())
        if done.returncode:
            raise ClusterError(f"psql: {done.stderr.strip()}")
        return done.stdout.rstrip("\n")

    def createdb(self, name, template=None, strategy=None, locale=None):
        """CREATE DATABASE; with a template a clone (strategy `file_copy` costs half of `wal_log`, the default).
        locale: of the C library, or with `icu:` before it of ICU, whatever this machine has installed."""
        sql = f'CREATE DATABASE "{name}"'
        if template:
            sql += f' TEMPLATE "{template}"'
        elif locale:
            kind, _, icu = locale.partition(":")
            sql += " TEMPLATE template0 ENCODING 'UTF8' LOCALE " + (f"'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE '{icu}'" if icu else f"'{kind}'")
        if strategy:
            sql += f" STRATEGY {strategy}"
        self.psql(sql + ";")

    def has_icu(self):
        """Whether the server can have locales of ICU."""
        return self.psql("SELECT count(*) > 0 FROM pg_collation WHERE collprovider = 'i'") == "t"

    def dropdb(self, name):
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')


class Standby(Cluster):
    """A replica that streams from a running Cluster, made by pg_basebackup when it starts for the first time."""

    def __init__(self, primary, name="standby1", settings=None, **more):
        follow = f"{primary.conninfo('replication')} application_name={name}"
        super().__init__(settings={**primary.settings, "primary_conninfo": literal(follow), **(settings or {})}, **more)
        self.primary, self.name = primary, name

    def _initdb(self, identity):
        done = subprocess.run(
            [os.path.join(pg_bin(), "pg_basebackup"), "-D", self.data, "-d", self.primary.conninfo(), "-X", "stream", "-c", "fast", "--no-sync"],
            cwd=self.directory, capture_output=True, text=True, env=self._clean_env(), **identity)
        if done.returncode:
            raise ClusterError(f"pg_basebackup failed:\n{done.stdout}{done.stderr}")
        path = os.path.join(self.data, "standby.signal")
        with open(path, "w", encoding="ascii"):
            pass
        self._own(path, identity)

    def follow(self, timeout=300):
        """Wait until it streams and has replayed all that there is."""
        self._until(f"SELECT count(*) FROM pg_stat_replication WHERE application_name = {literal(self.name)} AND state = 'streaming' AND replay_lsn >= '{self._written()}'", timeout)

    def pause(self, timeout=300):
        """Replay stops; it goes on receiving."""
        self.psql("SELECT pg_wal_replay_pause()")
        end = time.monotonic() + timeout
        while self.psql("SELECT pg_get_wal_replay_pause_state()") != "paused":
            if time.monotonic() > end:
                raise ClusterError("replay does not pause")
            time.sleep(0.02)

    def resume(self):
        self.psql("SELECT pg_wal_replay_resume()")

    def _written(self):
        return self.primary.psql("SELECT pg_current_wal_lsn()")

    def _until(self, sql, timeout):
        end = time.monotonic() + timeout
        while self.primary.psql(sql) != "1":
            if time.monotonic() > end:
                raise ClusterError(f"the standby does not follow:\n{self.tail()}")
            time.sleep(0.02)


def _main(argv):
    parser = argparse.ArgumentParser(description="A private PostgreSQL for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "run"):
        sub = commands.add_parser(name)
        sub.add_argument("--locale", default="C.UTF-8")
        sub.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
        if name == "start":
            sub.add_argument("dir")
        else:
            sub.add_argument("--db", default="postgres", help="made when it is not there")
            sub.add_argument("cmd", nargs=argparse.REMAINDER)
    sub = commands.add_parser("stop")
    sub.add_argument("dir")
    sub.add_argument("--mode", default="fast", choices=["fast", "immediate", "smart"])
    sub.add_argument("--keep", action="store_true", help="keep the data folder")
    args = parser.parse_args(argv)

    if args.command == "stop":
        cluster = Cluster(args.dir)
        cluster.stop(args.mode)
        if not args.keep:
            cluster.remove()
        return 0
    settings = dict(pair.split("=", 1) for pair in args.set)
    if args.command == "start":
        cluster = Cluster(args.dir, args.locale, settings, die_with_parent=False).start()
        print(f"export PGHOST={cluster.socket_dir} PGPORT={cluster.port} PGUSER={cluster.user}")
        return 0
    command = args.cmd[1:] if args.cmd[:1] == ["--"] else args.cmd
    if not command:
        parser.error("run needs a command after --")
    with Cluster(None, args.locale, settings) as cluster:
        if args.db != "postgres":
            cluster.createdb(args.db)
        return subprocess.run(command, env=cluster.env(args.db)).returncode


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
