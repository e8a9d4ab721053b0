"""What the rows of the benchmark share: databases, the program and its timing lines, statistics."""
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support")]
sys.dont_write_bytecode = True

import cluster  # noqa: E402
import seed as seeding  # noqa: E402

DAY = 86_400_000
SERVER = {"shared_buffers": "2GB", "max_wal_size": "16GB", "checkpoint_timeout": "60min", "autovacuum": "off"}
FULL_SPEED = "throttle: {target: 10ms, pause_factor: 0, export_pause_factor: 0}"
TIMING = re.compile(r"mmretain: debug: time (\w+) ([\d.]+) ms (\d+) posts (\S+)")
# table, column, further condition: the closure of a post, as the plain statements name it
CHILDREN = (
    ("threads", "postid", ""), ("threadmemberships", "postid", ""), ("reactions", "postid", ""), ("fileinfo", "postid", ""),
    ("postspriority", "postid", ""), ("postacknowledgements", "postid", ""), ("persistentnotifications", "postid", ""),
    ("preferences", "name", "AND t.category = 'flagged_post'"), ("postreminders", "postid", ""), ("drafts", "rootid", ""),
    ("readreceipts", "postid", ""), ("temporaryposts", "postid", ""),
    ("translations", "objectid", "AND t.objecttype = 'post'"), ("propertyvalues", "targetid", "AND t.targettype = 'post'"),
)
CHILDREN_AND_POSTS = (("posts", "id", ""),) + CHILDREN


def binary():
    path = os.environ.get("MMRETAIN")
    if path:
        return os.path.abspath(path)
    for build in ("build/release", "build/dev", "build/asan"):
        path = os.path.join(HERE, "..", "..", build, "engine", "cli", "mmretain")
        if os.path.exists(path):
            return os.path.abspath(path)
    raise SystemExit("no mmretain: build it (cmake --preset release) or set MMRETAIN")


def median(values):
    return statistics.median(values) if values else None


class Cpu:
    """CPU seconds of the server's backends (schedstat: ticks lie on virtual machines) and of our own children, while it is open."""

    def __init__(self, postmaster):
        self.postmaster, self.seen, self.first, self.seconds = postmaster, {}, {}, 0.0
        self.done = threading.Event()

    def look(self):
        try:
            with open(f"/proc/{self.postmaster}/task/{self.postmaster}/children", encoding="ascii") as f:
                pids = f.read().split()
        except OSError:
            return
        for pid in pids:
            try:
                with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
                    self.seen[pid] = int(f.read().split()[0]) / 1e9
                self.first.setdefault(pid, self.seen[pid] if not self.thread else 0.0)
            except OSError:
                pass

    def watch(self):
        while not self.done.wait(0.02):
            self.look()

    def __enter__(self):
        self.thread = None
        self.look()
        self.before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.look()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = after.ru_utime + after.ru_stime - self.before.ru_utime - self.before.ru_stime
        self.seconds = own + sum(v - self.first.get(k, 0.0) for k, v in self.seen.items())


class Run:
    """What one call of the program cost: wall seconds, peak memory, and the steps that it timed itself."""

    def __init__(self, wall, rss_kib, status, stdout, steps):
        self.wall, self.rss_kib, self.status, self.stdout, self.steps = wall, rss_kib, status, stdout, steps

    def step(self, name):
        return sum(s["ms"] for s in self.steps if s["step"] == name) / 1000

    def posts(self, name):
        return sum(s["posts"] for s in self.steps if s["step"] == name)

    def spans(self, name):
        """(begin, end) in seconds since the epoch of every step of that name."""
        return [(s["at"] - s["ms"] / 1000, s["at"]) for s in self.steps if s["step"] == name]

    def json(self):
        return json.loads(self.stdout)


class Bench:
    def __init__(self, args):
        self.args = args
        self.keep = args.keep is not None
        where = os.path.abspath(args.keep) if self.keep else None
        self.pg = cluster.Cluster(where and os.path.join(where, "pg"), settings=SERVER, die_with_parent=not self.keep, on_disk=True)
        if not self.pg.directory or not self.pg.pid:
            self.pg.start()
        self.where = where or os.path.join(self.pg.directory, "work")
        os.makedirs(self.where, exist_ok=True)
        self.binary = binary()
        self.numbers = 0
        self.memory = {}           # row -> KiB
        self.clones = set()        # databases that nobody has dropped yet
        self.now_ms = None         # of the big database: all cut-offs count from it

    def close(self):
        if self.keep:
            return
        self.pg.stop("immediate")
        self.pg.remove()

    def say(self, text):
        print(f"bench {time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)

    def attempt(self, rows, names, work):
        """work() adds to rows what it has finished. When it fails, those of the names that are missing are added as failed."""
        try:
            work()
        except (Exception, SystemExit) as e:  # pylint: disable=broad-except
            self.say(str(e) if isinstance(e, SystemExit) else traceback.format_exc())
            done = {r.name for r in rows}
            rows += [Row.failure(name, e) for name in names if name not in done]
            self.drop_clones()

    def drop_clones(self):
        """Those of a row that failed; whoever is still at work in one loses his connection."""
        for name in sorted(self.clones):
            try:
                self.drop(name)
            except Exception as e:  # pylint: disable=broad-except
                self.say(f"{name} stays: {e}")

    # -- databases -----------------------------------------------------------------------------------------------
    def database(self, posts):
        """The seeded database of that size, made once."""
        name = f"bench{posts}"
        if self.pg.psql(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == "0":
            self.say(f"making {posts} posts")
            self.pg.createdb(name + "_new")
            now = int(time.time()) // 3600 * 3_600_000
            seeding.seed(self.pg.conninfo(name + "_new"), posts=posts, seed=7, blobs="none", now_ms=now, quiet=not self.args.verbose)
            self.pg.psql(f'ALTER DATABASE "{name}_new" RENAME TO "{name}"')
        return name

    def clone(self, template):
        self.numbers += 1
        name = f"work{self.numbers}"
        self.pg.dropdb(name)
        self.clones.add(name)
        self.pg.createdb(name, template, "file_copy")
        self.warm(name)
        self.pg.psql("CHECKPOINT")
        return name

    def drop(self, name):
        self.pg.dropdb(name)
        self.clones.discard(name)

    def warm(self, name):
        """Every table and index of the closure once through the cache, so that neither side pays for it."""
        self.pg.psql("CREATE EXTENSION IF NOT EXISTS pg_prewarm SCHEMA pg_catalog;"
                     "SELECT sum(pg_prewarm(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i')", db=name)

    def cut_days(self, name, share):
        """Days such that about that share of the posts is older."""
        ms = int(self.pg.psql(f"SELECT percentile_disc({share}) WITHIN GROUP (ORDER BY createat) FROM posts", db=name))
        return max(1, round((time.time() * 1000 - ms) / DAY))

    def victims(self, name, days, schema="bench"):
        """Table bench.victims: ids of all posts of the threads that an age rule of so many days takes. Returns how many."""
        cut = f"(extract(epoch FROM now()) * 1000)::bigint - {days} * {DAY}::bigint"
        self.pg.psql(
            f"CREATE SCHEMA IF NOT EXISTS {schema}; DROP TABLE IF EXISTS {schema}.victims;"
            f"CREATE TABLE {schema}.victims AS WITH t AS (SELECT coalesce(nullif(rootid, ''), nullif(originalid, ''), id) AS root FROM posts GROUP BY 1 HAVING max(createat) < {cut})"
            " SELECT p.id, coalesce(nullif(p.rootid, ''), nullif(p.originalid, ''), p.id) AS root FROM posts p JOIN t ON t.root = coalesce(nullif(p.rootid, ''), nullif(p.originalid, ''), p.id)"
            f" ORDER BY p.createat; ALTER TABLE {schema}.victims ALTER id TYPE varchar(26); CREATE UNIQUE INDEX ON {schema}.victims (id); ANALYZE {schema}.victims", db=name)
        return int(self.pg.psql(f"SELECT count(*) FROM {schema}.victims", db=name))

    def sql_seconds(self, sql, db):
        """Wall time of psql with that text."""
        begin = time.monotonic()
        self.pg.psql(sql, db=db)
        return time.monotonic() - begin

    def wal_bytes(self, since=None):
        if since is None:
            return self.pg.psql("SELECT pg_current_wal_insert_lsn()")
        return int(self.pg.psql(f"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{since}')::bigint"))

    # -- the program ---------------------------------------------------------------------------------------------
    def policy(self, db, rule, throttle=FULL_SPEED, archive="archive", extra="", fresh=True, files="keep"):
        """A policy file with one rule for the whole server, and an empty archive."""
        store = os.path.join(self.where, archive)
        path = os.path.join(self.where, f"{archive}.yaml")
        if fresh:
            shutil.rmtree(store, ignore_errors=True)
        lines = ["version: 1", "database:", f'  url: "postgresql:///{db}?host={self.pg.socket_dir}&port={self.pg.port}&user={self.pg.user}"',
                 "archive:", f"  store: {store}"] + ([f"  {extra}"] if extra else []) + [throttle, "rules:", "  - name: all", "    match: {}",
                 f"    files: {files}", "    guard: {threads: 1000000000, percent: 100}"] + [f"    {line}" for line in rule]
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(line for line in lines if line) + "\n")
        if fresh:
            self.tool("init", path)
        return path

    def store(self, archive="archive"):
        return os.path.join(self.where, archive)

    def tool(self, command, policy, *options, row=None, ok=(0,), data=None):
        """Run the program; the `-v` lines of a run are stamped as they come (a plan with -v would read the whole table for damage).
        data: the folder of the attachments."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "MM_", "MMR_"))}
        if data:
            env |= {"MM_FILESETTINGS_DIRECTORY": data, "MM_FILESETTINGS_DRIVERNAME": "local"}
        begin = time.monotonic()
        p = subprocess.Popen([self.binary, command, "-c", policy, *{"init": (), "run": ("-v", "--json")}.get(command, ("--json",)), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=env)
        steps, talk = [], []

        def listen():
            for line in p.stderr:
                m = TIMING.search(line)
                if m:
                    steps.append({"step": m[1], "ms": float(m[2]), "posts": int(m[3]), "bundle": m[4], "at": time.time()})
                else:
                    talk.append(line)
        peak = [0]

        def watch():
            """The peak of the program alone: what wait4 tells counts this process too, from before the exec."""
            try:
                while True:
                    with open(f"/proc/{p.pid}/status", encoding="ascii", errors="replace") as f:
                        found = re.search(r"^Name:\s*mmretain$.*^VmHWM:\s*(\d+) kB", f.read(), re.M | re.S)
                    peak[0] = max(peak[0], int(found[1]) if found else 0)
                    time.sleep(min(0.1, max(0.01, (time.monotonic() - begin) / 50)))  # the mark only rises; looking costs the program's time
            except OSError:
                pass
        ear, eye = threading.Thread(target=listen), threading.Thread(target=watch)
        ear.start()
        eye.start()
        out = p.stdout.read()
        p.wait()
        ear.join()
        eye.join()
        wall = time.monotonic() - begin
        if p.returncode not in ok:
            raise SystemExit(f"mmretain {command} ended with {p.returncode}:\n{''.join(talk)[-3000:]}")
        if row:
            self.memory[row] = max(self.memory.get(row, 0), peak[0])
        return Run(wall, peak[0], p.returncode, out, steps)

    def bundles(self, archive="archive"):
        found = []
        for folder, _, names in os.walk(os.path.join(self.store(archive), "bundles")):
            found += [os.path.join(folder, n) for n in names if n.endswith(".tar.zst")]
        return sorted(found)


class Row:
    """One row of the table: pairs of (tool, baseline), measured in turn."""

    def __init__(self, name, what, must, aim, unit="x"):
        self.name, self.what, self.must, self.aim, self.unit = name, what, must, aim, unit
        self.tool, self.base, self.notes = [], [], []
        self.fixed = None
        self.enough = False        # the other way to reach the goal is reached
        self.failed = False

    @classmethod
    def failure(cls, name, why):
        row = cls(name, "failed", 0, 0)
        row.failed = True
        row.notes.append(" ".join(str(why).split())[:300] or type(why).__name__)
        return row

    def add(self, tool, base):
        self.tool.append(tool)
        self.base.append(base)

    @property
    def value(self):
        if self.fixed is not None:
            return self.fixed
        if not self.tool or not median(self.base):
            return None
        return median(self.tool) / median(self.base)

    def verdict(self):
        v = self.value
        return "FAILED" if self.failed else "-" if v is None or not self.must else "aim" if v <= self.aim else "must" if v <= self.must or self.enough else "MISSED"

    def as_json(self):
        return {"row": self.name, "what": self.what, "must": self.must, "aim": self.aim, "unit": self.unit, "value": self.value,
                "verdict": self.verdict(), "tool": self.tool, "baseline": self.base, "notes": self.notes}
