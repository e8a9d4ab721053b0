#!/usr/bin/env python3
"""A chat server's writes while something else runs: its statements, its transactions, its order.

Library:
    with Live(conninfo, rate=200, seed=1) as load:      # a thread of its own
        ...
    load.counts, load.latencies, load.errors, load.events   # events: (operation, post id, root id, time in ms)

    load = Live(conninfo).open()      no thread: load.reply(root_id), load.edit(id), … one at a time, for forced interleavings

Command line: live.py --db CONNINFO --rate 200 --seconds 10
"""
import argparse
import base64
import json
import os
import random
import sys
import threading
import time

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from seed import ALPHABET  # noqa: E402

INSERT = ("INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type,"
          " props, hashtags, filenames, fileids, hasreactions, editat, ispinned, remoteid)"
          " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '', '{}', '', '[]', %s, false, %s, %s, '')")
WEIGHTS = {"root": 45, "reply": 30, "edit": 8, "react": 12, "delete": 3, "unreact": 2}


class Live:
    """Writes at `rate` operations a second. Every operation commits as the server does; `old` is the share of operations
    that go to threads older than the newest ones (late replies, late reactions)."""

    def __init__(self, conninfo, rate=100, seed=1, old=0.3, weights=None, roots=2000, clock=None):
        self.conninfo, self.rate, self.old = conninfo, rate, old
        self.rng = random.Random(f"live {seed}")
        self.weights = dict(WEIGHTS, **(weights or {}))
        self.clock = clock or (lambda: int(time.time() * 1000))
        self.counts = dict.fromkeys(self.weights, 0)
        self.events, self.latencies, self.errors = [], [], []
        self.roots_wanted = roots
        self._stop = threading.Event()
        self._thread = None
        self.conn = None

    # -- thread ------------------------------------------------------------------------------------------------
    def start(self):
        self.open()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """End the load; raises the first error that was not an expected one."""
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        self.close()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def open(self):
        """Connect and learn roots, users, channels (no thread): enough for single operations."""
        self.conn = psycopg2.connect(self.conninfo)
        with self.conn, self.conn.cursor() as cur:
            cur.execute("SELECT id, channelid FROM posts WHERE rootid = '' AND originalid = '' AND deleteat = 0 AND"
                        " type = ''"
                        " ORDER BY hashtext(id), id LIMIT %s", (self.roots_wanted,))
            self.old_roots = cur.fetchall()
            cur.execute("SELECT id FROM users WHERE deleteat = 0 ORDER BY id LIMIT 500")
            self.users = [r[0] for r in cur.fetchall()]
            cur.execute("SELECT id FROM channels WHERE deleteat = 0 ORDER BY totalmsgcount DESC, id LIMIT 200")
            self.channels = [r[0] for r in cur.fetchall()]
        self.new_roots, self.mine = [], []
        return self

    def close(self):
        if self.conn:
            self.conn.close()
            self.conn = None

    def _run(self):
        names, weights = list(self.weights), list(self.weights.values())
        due = time.monotonic()
        while not self._stop.is_set():
            due += self.rng.expovariate(1.0) / self.rate
            wait = due - time.monotonic()
            if wait > 0 and self._stop.wait(wait):
                break
            name = self.rng.choices(names, weights)[0]
            begin = time.monotonic()
            try:
                getattr(self, name)()
                self.counts[name] += 1
            except psycopg2.Error as problem:
                self.errors.append((name, problem.pgcode, str(problem).strip()))
                if self.conn.closed:
                    break
                self.conn.rollback()
            self.latencies.append(time.monotonic() - begin)

    # -- operations, each usable alone -------------------------------------------------------------------------
    def id(self):
        return base64.b32encode(self.rng.randbytes(16))[:26].translate(ALPHABET).decode()

    def _root(self):
        pool = self.old_roots if not self.new_roots or self.rng.random() < self.old else self.new_roots
        return self.rng.choice(pool)

    def _note(self, name, post, root, at):
        self.events.append((name, post, root, at))

    def root(self, channel=None, message="Neue Nachricht"):
        """A new root: one transaction for the post, one for the channel's counters."""
        at, post, channel = self.clock(), self.id(), channel or self.rng.choice(self.channels)
        with self.conn, self.conn.cursor() as cur:
            cur.execute(INSERT, (post, at, at, 0, self.rng.choice(self.users), channel, "", "", f"{message} {at}", "[]",
                                 0, False))
        with self.conn, self.conn.cursor() as cur:
            cur.execute("UPDATE channels SET lastpostat = GREATEST(%s, lastpostat), totalmsgcount = totalmsgcount + 1,"
                        " lastrootpostat = GREATEST(%s, lastrootpostat),"
                        " totalmsgcountroot = totalmsgcountroot + 1 WHERE id = %s", (at, at, channel))
        self.new_roots.append((post, channel))
        self.mine.append(post)
        self._note("root", post, post, at)
        return post

    def reply(self, root=None, user=None):
        """INSERT posts and the threads row in one transaction; then, in another, the root's updateat and the counters."""
        if root is None:
            root, channel = self._root()
        else:
            channel = self._channel_of(root)
            if channel is None:
                return None  # the server reads the root first and refuses
        at, post, user = self.clock(), self.id(), user or self.rng.choice(self.users)
        with self.conn, self.conn.cursor() as cur:
            cur.execute("SELECT 1 FROM posts WHERE id = %s AND deleteat = 0", (root,))
            if not cur.fetchone():
                return None
        with self.conn, self.conn.cursor() as cur:
            self.reply_insert(cur, post, root, channel, user, at)
        with self.conn, self.conn.cursor() as cur:
            cur.execute("UPDATE posts SET updateat = %s WHERE id = %s", (at, root))
        with self.conn, self.conn.cursor() as cur:
            cur.execute("UPDATE channels SET lastpostat = GREATEST(%s, lastpostat), totalmsgcount = totalmsgcount + 1"
                        " WHERE id = %s", (at, channel))
        self.follow(root, user, at)
        self.mine.append(post)
        self._note("reply", post, root, at)
        return post

    def reply_insert(self, cur, post, root, channel, user, at):
        """The first transaction of a reply, on a cursor of the caller's: for forced interleavings."""
        cur.execute(INSERT, (post, at, at, 0, user, channel, root, "", f"Antwort {at}", "[]", 0, False))
        cur.execute("SELECT replycount, participants FROM threads WHERE postid = %s", (root,))
        row = cur.fetchone()
        if row:
            people = [p for p in row[1] or [] if p != user] + [user]
            cur.execute("UPDATE threads SET replycount = replycount + 1, lastreplyat = %s, participants = %s WHERE"
                        " postid = %s", (at, json.dumps(people), root))
        else:
            cur.execute("INSERT INTO threads (postid, channelid, lastreplyat, replycount, participants,"
                        " threaddeleteat, threadteamid)"
                        " VALUES (%s, %s, %s, 1, %s, 0, (SELECT teamid FROM channels WHERE id = %s)) ON CONFLICT"
                        " (postid) DO NOTHING", (root, channel, at, json.dumps([user]), channel))

    def follow(self, root, user, at):
        with self.conn, self.conn.cursor() as cur:
            cur.execute("INSERT INTO threadmemberships (postid, userid, following, lastviewed, lastupdated,"
                        " unreadmentions) VALUES (%s, %s, true, %s, %s, 0)"
                        " ON CONFLICT (postid, userid) DO UPDATE SET following = true, lastviewed ="
                        " EXCLUDED.lastviewed, lastupdated = EXCLUDED.lastupdated", (root, user, at, at))

    def edit(self, post=None, message=None):
        """The live row changes, the old content becomes a new row with originalid; one transaction."""
        post = post or self._any()
        at = self.clock()
        with self.conn, self.conn.cursor() as cur:
            cur.execute("SELECT createat, editat, userid, channelid, rootid, message, fileids, ispinned FROM posts"
                        " WHERE id = %s AND deleteat = 0", (post,))
            row = cur.fetchone()
            if not row:
                return None
            createat, editat, user, channel, root, old, files, pinned = row
            cur.execute("UPDATE posts SET message = %s, editat = %s, updateat = %s WHERE id = %s",
                        (message or old[:60000] + " (neu)", at, at, post))
            copy = self.id()
            cur.execute(INSERT, (copy, createat, at, at, user, channel, root, post, old, files, editat, pinned))
        self._note("edit", post, root or post, at)
        return copy

    def react(self, post=None, emoji="eyes"):
        """INSERT reactions, then UPDATE posts, in one transaction."""
        post = post or self._any()
        channel, at, user = self._channel_of(post), self.clock(), self.rng.choice(self.users)
        if channel is None:
            return None
        with self.conn, self.conn.cursor() as cur:
            cur.execute("INSERT INTO reactions (userid, postid, emojiname, createat, updateat, deleteat, remoteid,"
                        " channelid) VALUES (%s, %s, %s, %s, %s, 0, '', %s)"
                        " ON CONFLICT (postid, userid, emojiname) DO UPDATE SET updateat = EXCLUDED.updateat, deleteat"
                        " = 0", (user, post, emoji, at, at, channel))
            cur.execute("UPDATE posts SET hasreactions = true, updateat = %s WHERE id = %s", (at, post))
        self._note("react", post, "", at)
        return post

    def unreact(self, post=None):
        """A reaction is taken back: marked, not removed; hasreactions recomputed."""
        post = post or self._any()
        at = self.clock()
        with self.conn, self.conn.cursor() as cur:
            cur.execute("UPDATE reactions SET updateat = %s, deleteat = %s WHERE (postid, userid, emojiname) IN"
                        " (SELECT postid, userid, emojiname FROM reactions WHERE postid = %s AND deleteat = 0 LIMIT 1)",
                        (at, at, post))
            cur.execute("UPDATE posts SET updateat = %s, hasreactions = (SELECT count(*) > 0 FROM reactions WHERE"
                        " postid = %s AND deleteat = 0) WHERE id = %s", (at, post, post))
        return post

    def delete(self, post=None, user=None):
        """Soft delete: the post and every row with that rootid, then the threads row."""
        post = post or self._any()
        at = self.clock()
        with self.conn, self.conn.cursor() as cur:
            cur.execute("SELECT rootid, userid, channelid FROM posts WHERE id = %s AND deleteat = 0", (post,))
            row = cur.fetchone()
            if not row:
                return None
            root, author, _ = row
            cur.execute("UPDATE posts SET deleteat = %s, updateat = %s, props = jsonb_set(props, '{deleteBy}',"
                        " to_jsonb(%s::text)) WHERE id = %s OR rootid = %s",
                        (at, at, user or author, post, post))
            if root:
                self._recount(cur, root, author, at)
            else:
                cur.execute("UPDATE threads SET threaddeleteat = %s WHERE postid = %s", (at, post))
        with self.conn, self.conn.cursor() as cur:
            cur.execute("UPDATE fileinfo SET deleteat = %s WHERE postid = %s AND deleteat = 0", (at, post))
            cur.execute("DELETE FROM preferences WHERE category = 'flagged_post' AND name = %s", (post,))
        self._note("delete", post, root or post, at)
        return post

    def _recount(self, cur, root, author, at):
        cur.execute("SELECT count(*), COALESCE(max(createat), 0), bool_or(userid = %s) FROM posts WHERE rootid = %s"
                    " AND deleteat = 0", (author, root))
        count, last, still = cur.fetchone()
        cur.execute("UPDATE threads SET replycount = %s, lastreplyat = %s WHERE postid = %s AND replycount > 0",
                    (count, last, root))
        if not still:
            cur.execute("UPDATE threads SET participants = participants - %s WHERE postid = %s", (author, root))
        cur.execute("UPDATE posts SET updateat = %s WHERE id = %s", (at, root))

    def flag(self, post=None, user=None):
        """Save a message for later."""
        post = post or self._any()
        with self.conn, self.conn.cursor() as cur:
            cur.execute("INSERT INTO preferences (userid, category, name, value) VALUES (%s, 'flagged_post', %s,"
                        " 'true')"
                        " ON CONFLICT (userid, category, name) DO UPDATE SET value = 'true'",
                        (user or self.rng.choice(self.users), post))
        return post

    def pin(self, post=None, pinned=True):
        post, at = post or self._any(), self.clock()
        with self.conn, self.conn.cursor() as cur:
            cur.execute("UPDATE posts SET ispinned = %s, updateat = %s WHERE id = %s", (pinned, at, post))
        return post

    def _any(self):
        if self.mine and self.rng.random() > self.old:
            return self.rng.choice(self.mine)
        return self._root()[0]

    def _channel_of(self, post):
        with self.conn, self.conn.cursor() as cur:
            cur.execute("SELECT channelid FROM posts WHERE id = %s AND deleteat = 0", (post,))
            row = cur.fetchone()
        return row[0] if row else None


def main(argv):
    parser = argparse.ArgumentParser(description="Live load of a chat server.")
    parser.add_argument("--db", required=True)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    with Live(args.db, args.rate, args.seed) as load:
        time.sleep(args.seconds)
    times = sorted(load.latencies) or [0]
    print(" ".join(f"{k}={v}" for k, v in load.counts.items()), f"errors={len(load.errors)}",
          f"p50={times[len(times) // 2] * 1000:.2f}ms p99={times[int(len(times) * 0.99)] * 1000:.2f}ms")
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
