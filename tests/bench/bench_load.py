"""Rows about the chat's users: latency of a live load alone, beside a delete and beside an export at the default throttle.

The load is pgbench at a fixed rate, scheduled arrivals, so that waiting in the queue counts: 40 % a channel's page, 25 % a thread, 12 % a new
post, 15 % a reply, 8 % a reaction, on newest channels and threads. Latencies are taken only inside the tool's own steps of that kind.
"""
import glob
import os
import shutil
import subprocess
import time

from bench_lib import Row, cluster, median
from bench_rows import age, any_delete

RATE, CLIENTS = 200, 4
ID = "substr(md5(random()::text || clock_timestamp()::text), 1, 26)"
NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
INSERT = ("INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames,"
          f" fileids, hasreactions, editat, ispinned, remoteid) SELECT {ID}, {NOW}, {NOW}, 0, userid, channelid, {{root}}, '', 'a message of a live server', '', '{{{{}}}}', '', '[]', '[]', false, 0, false, ''"
          " FROM bench.live WHERE n = :n;\n")
SCRIPTS = {
    "page": (40, "SELECT * FROM posts WHERE channelid = (SELECT channelid FROM bench.live WHERE n = :n) AND deleteat = 0 ORDER BY createat DESC LIMIT 60;\n"),
    "thread": (25, "SELECT * FROM posts WHERE rootid = (SELECT id FROM bench.live WHERE n = :n) AND deleteat = 0 ORDER BY createat;\n"),
    "root": (12, INSERT.format(root="''")),
    "reply": (15, "BEGIN;\n" + INSERT.format(root="id") + f"UPDATE threads SET replycount = replycount + 1, lastreplyat = {NOW} WHERE postid = (SELECT id FROM bench.live WHERE n = :n);\nEND;\n"
                  f"UPDATE posts SET updateat = {NOW} WHERE id = (SELECT id FROM bench.live WHERE n = :n);\n"),
    "react": (8, f"BEGIN;\nINSERT INTO reactions (userid, postid, emojiname, createat, updateat, deleteat, remoteid, channelid) SELECT {ID}, id, 'eyes', {NOW}, {NOW}, 0, '', channelid FROM bench.live WHERE n = :n;\n"
                 f"UPDATE posts SET updateat = {NOW}, hasreactions = true WHERE id = (SELECT id FROM bench.live WHERE n = :n);\nEND;\n"),
}


class Load:
    """pgbench for so many seconds; afterwards .p99(spans)."""

    def __init__(self, b, db, seconds):
        self.folder = os.path.join(b.where, "load")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        b.pg.psql("CREATE SCHEMA IF NOT EXISTS bench; DROP TABLE IF EXISTS bench.live;"
                  "CREATE TABLE bench.live AS SELECT (row_number() OVER ())::int AS n, id, channelid, userid FROM"
                  " (SELECT id, channelid, userid FROM posts WHERE rootid = '' AND originalid = '' AND deleteat = 0 ORDER BY createat DESC LIMIT 20000) x;"
                  "ALTER TABLE bench.live ADD PRIMARY KEY (n); ANALYZE bench.live", db=db)
        most = int(b.pg.psql("SELECT max(n) FROM bench.live", db=db))
        files = []
        for name, (weight, text) in SCRIPTS.items():
            path = os.path.join(self.folder, name + ".sql")
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"\\set n random_exponential(1, {most}, 5)\n" + text)
            files += ["-f", f"{path}@{weight}"]
        self.begin = time.time()
        self.process = subprocess.Popen(
            [os.path.join(cluster.pg_bin(), "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-R", str(RATE), "-T", str(seconds), "-l",
             "--log-prefix", os.path.join(self.folder, "log"), *files], env=b.pg.env(db), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=self.folder)

    def end(self, now=False):
        if now:
            self.process.terminate()
        _, talk = self.process.communicate()
        if self.process.returncode not in (0, -15):
            raise SystemExit(f"pgbench: {talk[-2000:]}")
        self.samples = []
        for path in glob.glob(os.path.join(self.folder, "log*")):
            with open(path, encoding="ascii") as f:
                for line in f:
                    p = line.split()
                    if len(p) >= 6 and p[2].isdigit():
                        self.samples.append((int(p[4]) + int(p[5]) / 1e6, int(p[2]) / 1000))
        return self

    def p99(self, spans=None):
        """(p99 in ms, how many) of the transactions that ended inside the spans."""
        ms = sorted(v for at, v in self.samples if at - self.begin > 2 and (spans is None or any(a <= at <= e for a, e in spans)))
        return (ms[int(len(ms) * 0.99)] if ms else None), len(ms)


def alone(b, db):
    return Load(b, db, b.args.seconds).end().p99()[0]


def beside_tool(b, db, days):
    """The load while a whole run at the default throttle is at work; stopped after three windows."""
    load = Load(b, db, 40 * b.args.seconds)
    time.sleep(3)
    run = b.tool("run", b.policy(db, age(days), throttle=""), "--yes", "--run-time", f"{3 * b.args.seconds}s", ok=(0, 3, 4), row="L1")
    load.end(now=True)
    return load, run


def beside_any(b, db):
    """The server's own shape: 3000 ids, 100 ms pause, children included. Returns posts a second."""
    load = Load(b, db, 3 * b.args.seconds)
    time.sleep(2)
    seconds, done = any_delete(b, db, pause=0.1, until=time.monotonic() + b.args.seconds)
    load.end(now=True)
    return done / seconds, load.p99()[0]


def load_rows(b, rows):
    seed = b.database(b.args.posts)
    days = b.cut_days(seed, 0.2)
    b.victims(seed, days)
    l1 = Row("L1", "p99 of a live load beside a delete, default throttle", 1.25, 1.10)
    l2 = Row("L2", "posts deleted a second meanwhile, against the server's shape", 1.5, 2.0)
    l3 = Row("L3", "p99 of a live load beside an export, default throttle", 1.5, 1.2)
    counts = []
    for _ in range(min(3, b.args.rounds)):
        db = b.clone(seed)
        base = alone(b, db)
        load, run = beside_tool(b, db, days)
        again = alone(b, db)
        for row, step in ((l1, "delete"), (l3, "export")):
            p99, n = load.p99(run.spans(step))
            counts.append(f"{step} {n}")
            if p99:
                row.add(p99, (base + again) / 2)
        b.drop(db)
        db = b.clone(seed)
        speed, _ = beside_any(b, db)
        b.drop(db)
        if run.step("delete"):
            l2.add(run.posts("delete") / run.step("delete"), speed)
    for row in (l1, l3):
        row.notes.append(f"p99 {', '.join(f'{t:.1f}/{a:.1f}' for t, a in zip(row.tool, row.base))} ms beside/alone; samples {', '.join(counts)}")
        if row.tool and median(row.tool) - median(row.base) <= (1 if row is l1 else 2):
            row.notes.append(f"within +{1 if row is l1 else 2} ms, which is enough too")
            row.enough = True
    l2.notes.append(f"{', '.join(f'{t:.0f}/{a:.0f}' for t, a in zip(l2.tool, l2.base))} posts a second")
    l2.verdict = lambda: "-" if l2.value is None else "aim" if l2.value >= l2.aim else "must" if l2.value >= l2.must else "MISSED"
    rows += [l1, l2, l3]
