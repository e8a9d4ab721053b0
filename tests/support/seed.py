#!/usr/bin/env python3
"""Fill a database with a Mattermost server's five years, the same for the same seed and size.

    seed.py --db CONNINFO --posts 10000 --seed 1 [--data DIR] [--blobs none|all|N] [--now MS] [--legacy] [--hostile]

`--posts` counts roots and replies; edit copies (about 3 %) come in addition. Rows are made thread by thread, go to temporary
tables by COPY, and from there in order of time, set-based, into the real ones, with every index in place (`--fast`, the default
above 200,000 posts, builds the full text indexes last). Library: seed(conninfo, posts=…, seed=…, data_dir=…, now_ms=…).
"""
import argparse
import base64
import hashlib
import io
import json
import os
import random
import shutil
import sys
import time

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import schema  # noqa: E402
import threads  # noqa: E402
from words import Text  # noqa: E402
from world import World  # noqa: E402

NOW = 1_793_491_200_000  # 2026-11-01T00:00:00Z
ALPHABET = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"ybndrfg8ejkmcpqxot1uwisza345h769")
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
ORDER = {"posts": '"order", id', "audits": "createat, id", "channelmemberhistory": "jointime, channelid, userid",
         "threadmemberships": "lastupdated, postid, userid",
         "reactions": "createat, postid, userid, emojiname", "fileinfo": "createat, id",
         "threads": "lastreplyat, postid", "recapchannels": "id"}
LAST = ("recapchannels",)  # has a foreign key
CHUNK = 4 << 20


class Out:
    """Collects rows as COPY text and sends them to temporary tables in chunks."""

    def __init__(self, conn, seed):
        self.conn, self.seed = conn, seed
        self.columns, self.empty, self.buffers, self.sizes = {}, {}, {}, {}
        for row in schema.rows("columns"):
            self.columns.setdefault(row["table_name"], []).append(row["column_name"])
            kind = row["type"]
            empty = {"bigint": "0", "integer": "0", "smallint": "0", "boolean": "f", "jsonb": "{}", "bytea": "\\\\x",
                     "real": "0"}.get(kind, "")
            self.empty.setdefault(row["table_name"], []).append(empty)
        self.columns["posts"].insert(0, "order")
        self.empty["posts"].insert(0, "0")

    def id(self, kind, number):
        """26 characters of Mattermost's alphabet, from seed, kind and number."""
        digest = hashlib.sha256(f"{self.seed}:{kind}:{number}".encode()).digest()[:16]
        return base64.b32encode(digest)[:26].translate(ALPHABET).decode()

    def hash(self, kind, number):
        return hashlib.sha256(f"{self.seed}:{kind}:{number}:hash".encode()).hexdigest()

    @staticmethod
    def escape(text):
        return text.translate(ESCAPES) if "\\" in text or "\n" in text or "\t" in text or "\r" in text else text

    def row(self, table, **values):
        """One row; columns not named get the empty value that the server writes ('' and 0, not NULL)."""
        fields = []
        for name, empty in zip(self.columns[table], self.empty[table]):
            if name not in values:
                fields.append(empty)
                continue
            value = values.pop(name)
            if value is None:
                fields.append("\\N")
            elif value is True or value is False:
                fields.append("t" if value else "f")
            elif isinstance(value, bytes):
                fields.append("\\\\x" + value.hex())
            elif isinstance(value, str):
                fields.append(self.escape(value))
            else:
                fields.append(str(value))
        if values:
            raise KeyError(f"{table}: no such columns: {sorted(values)}")
        self.fast(table, fields)

    def fast(self, table, fields):
        """One row whose fields are escaped already, in the order of the table."""
        line = "\t".join(fields)
        if table not in self.buffers:
            self.buffers[table], self.sizes[table] = [], 0
            self._stage(table)
        self.buffers[table].append(line)
        self.sizes[table] += len(line)
        if self.sizes[table] > CHUNK:
            self.flush(table)

    def _stage(self, table):
        with self.conn.cursor() as cur:
            extra = '"order" bigint, ' if table == "posts" else ""
            cur.execute(f'CREATE TEMP TABLE "stage_{table}" ({extra}LIKE public."{table}")')

    def flush(self, table):
        if not self.buffers[table]:
            return
        text = "\n".join(self.buffers[table]) + "\n"
        with self.conn.cursor() as cur:
            cur.copy_expert(f'COPY pg_temp."stage_{table}" FROM STDIN', io.StringIO(text))
        self.buffers[table], self.sizes[table] = [], 0

    def pour(self, progress):
        """From the temporary tables into the real ones, in the order a server would have written them."""
        with self.conn.cursor() as cur:
            for table in sorted(self.buffers, key=lambda t: (t in LAST, t)):
                self.flush(table)
                names = ", ".join(f'"{c}"' for c in self.columns[table] if (table, c) != ("posts", "order"))
                order = ORDER.get(table)
                progress(table)
                cur.execute(f'INSERT INTO public."{table}" ({names}) SELECT {names} FROM pg_temp."stage_{table}"' + (f" ORDER BY {order}" if order else ""))
                cur.execute(f'DROP TABLE pg_temp."stage_{table}"')


def seed(conninfo, posts=10_000, seed=1, data_dir=None, now_ms=NOW, blobs="all", legacy=False, hostile=False, fast=None,
         analyze=True, quiet=True):
    """Fill the database (schema installed when missing). Returns figures: posts, copies, threads, files, seconds."""
    begin = time.monotonic()

    def say(text):
        if not quiet:
            print(f"seed {time.monotonic() - begin:6.1f} s  {text}", file=sys.stderr, flush=True)

    if not schema.installed(conninfo):
        schema.install(conninfo)
        say("schema installed")
    fast = posts > 200_000 if fast is None else fast
    rng = random.Random(f"mattermost {seed}")
    conn = psycopg2.connect(conninfo)
    with conn.cursor() as cur:
        cur.execute("SET client_min_messages = error; SET synchronous_commit = off; SET timezone = 'UTC'; SET"
                    " client_encoding = 'UTF8'; SET work_mem = '128MB'; SET temp_buffers = '64MB'")
        cur.execute("SELECT EXISTS (SELECT FROM posts)")
        if cur.fetchone()[0]:
            raise SystemExit("seed: the database already has posts")
    out = Out(conn, seed)
    store = None
    if data_dir and blobs != "none":
        store = threads.Blobs(data_dir, sys.maxsize if blobs == "all" else int(blobs), seed)
    world = World(out, rng, seed, posts, now_ms, hostile)
    say(f"{len(world.users)} users, {len(world.teams)} teams, {len(world.channels)} channels")
    text = Text(rng)
    maker = threads.Threads(world, out, rng, text, posts, store)
    shown = [0]

    def progress(made):
        if made - shown[0] >= max(20_000, posts // 20):
            shown[0] = made
            say(f"{made} posts made")

    maker.run(progress)
    threads.extras(world, out, text, store)
    if legacy:
        threads.legacy(world, out)
    world.write()
    say(f"{maker.made} posts, {maker.copies} edit copies, {maker.threads} threads, {maker.files} files made")
    with conn.cursor() as cur:
        indexes = {name: ddl for name,
                   ddl in schema.gin_indexes().items() if "posts" in name or "fileinfo" in name} if fast else {}
        for name in indexes:
            cur.execute(f'DROP INDEX "{name}"')
        out.pour(lambda table: say(f"insert {table}") if table in ("posts", "fileinfo", "reactions") else None)
        for ddl in indexes.values():
            cur.execute(ddl)
        say("rows inserted")
        if not legacy:  # the largest createat is no date, so the statistics of a damaged database stay empty
            for view in schema.VIEWS:
                cur.execute(f"REFRESH MATERIALIZED VIEW {view}")
    conn.commit()
    if analyze:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("VACUUM (ANALYZE)")
    conn.close()
    seconds = time.monotonic() - begin
    say("done")
    return {"posts": maker.made, "copies": maker.copies, "threads": maker.threads, "files": maker.files,
            "users": len(world.users), "channels": len(world.channels), "seconds": round(seconds, 1)}


def legal_hold(conninfo, users, name="case", starts_at=0, ends_at=0, public=False, done=0):
    """A hold as the legal hold plugin keeps it: JSON in the plugin's key-value store."""
    number = hashlib.sha256(name.encode()).hexdigest()[:26]
    value = {"id": number, "name": name, "display_name": name.title(), "create_at": starts_at or 1,
             "update_at": starts_at or 1,
             "user_ids": list(users), "group_ids": [], "starts_at": starts_at, "ends_at": ends_at,
             "include_public_channels": public,
             "last_execution_ended_at": done, "execution_length": 86_400_000, "secret": "must-never-appear",
             "has_messages": True}
    conn = psycopg2.connect(conninfo)
    with conn, conn.cursor() as cur:
        cur.execute("INSERT INTO pluginkeyvaluestore VALUES ('com.mattermost.plugin-legal-hold', %s, %s, 0)",
                    (f"kvstore_legal_hold_{number}", psycopg2.Binary(json.dumps(value).encode())))
    conn.close()
    return number


def clone(cluster, name, data_dir=None, **options):
    """A seeded database `name` on a cluster, cloned from a template that is made once per set of options: quick for many tests.
    With data_dir the attachments are copied there. Returns the connection text."""
    key = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:12]
    template, files = f"seed_{key}", os.path.join(cluster.directory, f"files_{key}")
    if cluster.psql(f"SELECT count(*) FROM pg_database WHERE datname = '{template}'") == "0":
        cluster.createdb(template)
        seed(cluster.conninfo(template), data_dir=files, **options)
    cluster.createdb(name, template, "file_copy")
    if data_dir:
        shutil.copytree(files, data_dir, dirs_exist_ok=True)
    return cluster.conninfo(name)


def main(argv):
    parser = argparse.ArgumentParser(description="Fill a database like a Mattermost server.")
    parser.add_argument("--db", required=True, help="libpq connection text")
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", help="attachment folder (FileSettings.Directory)")
    parser.add_argument("--blobs", default="all", help="none, all, or how many attachments get a file")
    parser.add_argument("--now", type=int, default=NOW, help="ms since the epoch")
    parser.add_argument("--legacy", action="store_true", help="add damaged and ancient rows")
    parser.add_argument("--hostile", action="store_true", help="names of people, channels, files that attack")
    parser.add_argument("--fast", action="store_true", default=None, help="build full text indexes last")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args(argv)
    figures = seed(args.db, args.posts, args.seed, args.data, args.now, args.blobs, args.legacy, args.hostile,
                   args.fast, quiet=args.quiet)
    print(" ".join(f"{k}={v}" for k, v in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
