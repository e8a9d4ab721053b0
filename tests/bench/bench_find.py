"""Rows about finding: one thread, and one person's month, out of an archive, against decompressing and grepping all of it."""
import json
import os
import random
import subprocess
import time

from bench_lib import Row, binary, median

BUNDLES = 20
POSTS_A_THREAD = 6.2   # of audit_archive
LOOK_UPS = 20          # a round


class Archive:
    """Made by tests/cli/audit_archive, without a database."""

    def __init__(self, b):
        maker = os.path.join(os.path.dirname(binary()), "..", "..", "tests", "cli", "audit_archive")
        self.root = os.path.join(b.where, "find-archive")
        threads = max(50, int(b.args.posts * 1.5 / BUNDLES / POSTS_A_THREAD))
        if not os.path.isdir(self.root):
            subprocess.run([maker, self.root, str(BUNDLES), str(threads), "7", "reindex"], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, env=dict(os.environ, AUDIT_ARCHIVE="quiet"))
        self.bundles = sorted(os.path.join(d, f) for d, _, names in os.walk(os.path.join(self.root, "bundles")) for f in names if f.endswith(".zst"))
        rng = random.Random(5)
        self.samples, self.posts = [], 0
        for path in self.bundles:
            rows = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout.split(b"\n")
            posts = [r for r in rows if r.startswith(b'{"k":"post"')]
            self.posts += len(posts)
            self.samples += [json.loads(r) for r in rng.sample(posts, min(len(posts), 4 * LOOK_UPS))]
        rng.shuffle(self.samples)

    def grep_seconds(self, text):
        begin = time.monotonic()
        zstd = subprocess.Popen(["zstd", "-dcq", *self.bundles], stdout=subprocess.PIPE)
        subprocess.run(["grep", "-aF", text], stdin=zstd.stdout, stdout=subprocess.DEVNULL, check=False, env=dict(os.environ, LC_ALL="C"))
        zstd.stdout.close()
        zstd.wait()
        return time.monotonic() - begin

    def find_seconds(self, *question):
        begin = time.monotonic()
        done = subprocess.run([binary(), "find", "--archive", self.root, "--case", "bench", "--reason", "measuring", *question], capture_output=True, text=True)
        seconds = time.monotonic() - begin
        if done.returncode or not done.stdout:
            raise SystemExit(f"find {' '.join(question)}: {done.returncode} {done.stderr}")
        return seconds


def one_thread(post):
    return ("--thread", post["id"]), post["id"]


def one_month(post):
    word = next((w for w in post.get("message", "").split() if len(w) > 5 and w.isalpha()), None)
    if not word:
        return None, None
    at, half = post["createat"], 15 * 86_400_000
    return ("--user", post["userid"], "--channel", post["channelid"], "--after", f"{at - half}ms", "--before", f"{at + half}ms", word), word


def find_row(b, archive, name, what, must_ms, aim_ms, must_times, question):
    row = Row(name, what, must_ms, aim_ms, "ms")
    asked = [q for q in map(question, archive.samples) if q[0]]
    for i in range(b.args.rounds):
        part = [asked[(i * LOOK_UPS + k) % len(asked)] for k in range(LOOK_UPS)]
        base = archive.grep_seconds(part[0][1])
        row.add(median([archive.find_seconds(*q) for q, _ in part]) * 1000, base * 1000)
    row.fixed = median(row.tool)
    times = median(row.base) / row.fixed
    row.notes.append(f"{archive.posts} posts in {len(archive.bundles)} bundles; {times:.0f} times as fast as zstd -dc | grep ({must_times} must be), "
                     f"{median(row.base):.0f} ms; rounds {', '.join(f'{t:.1f}' for t in row.tool)}")
    plain = row.verdict
    row.verdict = lambda: "MISSED" if times < must_times and b.args.posts >= 2_000_000 else plain()
    return row


def find_rows(b, rows, wanted):
    archive = Archive(b)
    if "F1" in wanted:
        rows.append(find_row(b, archive, "F1", "a thread by the id of a post, whole command", 15, 5, 200, one_thread))
    if "F2" in wanted:
        rows.append(find_row(b, archive, "F2", "user, channel, month and word, whole command", 50, 15, 100, one_month))
