#!/usr/bin/env python3
"""The whole program under faults of its surroundings: disk, files, server, schema, other runs, users who go on writing.

    e2e_faults.py [--only WORD]... [--list] [--seed N]

Each test runs on its own clone of a small world.  After it nothing is lost, the exit code is the one of the design, and the next
run without the fault comes to the oracle's end.  MMRETAIN names the binary; tests that stop the program half-way need one
built with -DMMR_FAULTS=ON.  The last line is `N passed, N failed, N skipped`.
"""
import argparse
import contextlib
import copy
import gzip
import json
import os
import pwd
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from unittest import SkipTest as Skip

import psycopg2

import e2e_lib as lib
import oracle
from e2e_lib import DAY

import schema  # noqa: E402  (tests/support, found by e2e_lib)
import seed as seeding  # noqa: E402

OLD = [{"name": "all", "match": {}, "keep": {"for": "500d"}, "spare": {"pinned": "thread", "flagged": True}}]
ONE = [{"name": "one", "match": {"team": "accelerator", "channel": "town-square"}, "keep": {"for": "500d"}}]  # a single bundle
NOBODY = pwd.getpwnam("nobody")
TESTS = {}


def test(function):
    TESTS[function.__name__.removeprefix("test_")] = function
    return function


class Bench:
    """What a test works with: a clone, its policy, the verdict, shorthands."""

    def __init__(self, world, where, name, now):
        self.world, self.pg, self.now, self.problems, self.name = world, world.pg, now, [], name
        self.copy = world.clone(name, os.path.join(where, name))
        self.user, self.env, self.now_tables = {}, {}, None

    def policy(self, rules=None, **more):
        self.path, self.parsed = self.copy.write_policy(rules or OLD, **more)
        return self.path

    def expect(self, **more):
        self.want = lib.Expected(self.copy, self.parsed, self.now, **more)
        if not self.want.roots and not more:
            self.problems.append("the test has nothing due")
        return self.want

    def begin(self, rules=None, **more):
        """Policy, verdict, archive: ready to run."""
        self.policy(rules, **more)
        self.expect()
        self.call("init", code=0)

    def call(self, *args, code=None, env=None, **more):
        done = lib.call(self.copy, self.path, *args, now_ms=self.now, env=dict(self.env, **(env or {})), **{**self.user, **more})
        if code is not None and done.code not in (code if isinstance(code, tuple) else (code,)):
            self.problems.append(f"{' '.join(args)}: exit code {done.code}, wanted {code}\n{lib.tail(done.err)}")
        return done

    def run(self, code=None, **more):
        return self.call("run", "--yes", "--json", code=code, **more)

    def start(self, fault=None, *args):
        env = dict(self.env, **({"MMR_FAULT": fault} if fault else {}))
        return lib.start(self.copy, self.path, *(args or ("run", "--yes", "--json")), now_ms=self.now, env=env, **self.user)

    def halt(self, fault):
        """A run that stops itself at a fault point."""
        process = self.start(f"{fault}:stop")
        if not lib.stopped(process):
            done = lib.finish(process)
            raise AssertionError(f"the run did not stop at {fault} (built with -DMMR_FAULTS=ON?), exit code {done.code}\n{lib.tail(done.err)}")
        return process

    def halt_of(self, faults):
        """The same with more to come afterwards."""
        process = self.start(faults)
        if not lib.stopped(process):
            done = lib.finish(process)
            raise AssertionError(f"the run did not stop at {faults}, exit code {done.code}\n{lib.tail(done.err)}")
        return process

    def go_on(self, process, code=None):
        os.kill(process.pid, signal.SIGCONT)
        done = lib.finish(process)
        if code is not None and done.code not in (code if isinstance(code, tuple) else (code,)):
            self.problems.append(f"the stopped run: exit code {done.code}, wanted {code}\n{lib.tail(done.err)}")
        return done

    def fail(self, text):
        self.problems.append(text)

    def says(self, done, *words):
        for w in words:
            if w.lower() not in (done.err + done.out).lower():
                self.fail(f"'{w}' is not said:\n{lib.tail(done.err)}")

    def sql(self, text):
        return self.pg.psql(text, db=self.name)

    def untouched(self, word="after the fault"):
        """Database and attachments as before."""
        before, after = self.now_tables or self.want.db.tables, self.copy.load()
        for name, table in before.items():
            if sorted(table.lines) != sorted(after[name].lines):
                self.fail(f"{word}: {name} has changed")
        if self.copy.files() != self.want.files:
            self.fail(f"{word}: the attachment folder has changed")
        for p in lib.bundles(self.copy.archive) if os.path.isdir(self.copy.archive) else ():
            self.fail(f"{word}: there is a bundle {os.path.basename(p)}")

    def safe(self, word="after the fault"):
        self.problems += [f"{word}: {p}" for p in lib.nowhere(self.want, self.copy)]

    def done(self, exact=True):
        self.problems += lib.compare(self.want, self.copy, exact)

    def converge(self, exact=True):
        """The next run without the fault comes to the end."""
        self.run(code=self.want.code)
        self.done(exact)

    def roots(self, *needs):
        """Due threads for which every need holds, oldest first; plain ones when there is a choice."""
        found = [t for t in self.want.db.threads.values() if t.root.id in self.want.roots and all(n(t) for n in needs)]
        return sorted(found, key=lambda t: (t.root.createat, t.root.id))


class Prepared:
    """A bench after `prepare(bench)`, which is done once: bench() gives that state again.  An archive knows its database and its place, so
    there is one at a time, always of the same name."""

    def __init__(self, world, where, name, now, prepare):
        self.made = Bench(world, where, name, now)
        prepare(self.made)
        self.kept, self.template = self.made.copy.where + ".kept", name + "_kept"
        shutil.copytree(self.made.copy.where, self.kept, symlinks=True)
        world.pg.createdb(self.template, template=name, strategy="file_copy")
        self.made.copy.remove()

    def bench(self):
        shutil.copytree(self.kept, self.made.copy.where, symlinks=True)
        self.made.pg.createdb(self.made.name, template=self.template, strategy="file_copy")
        bench = copy.copy(self.made)
        bench.problems, bench.user, bench.env = list(self.made.problems), {}, {}
        return bench


def replies(t):
    return len(t.posts) > 1 and t.root.live


def attached(bench):
    """(root, fileinfo id, path) of due threads whose attachment nobody else uses."""
    files = bench.want.db.tables["fileinfo"]
    paths = [files.get(r, "path") for r in files.rows]
    return sorted((root, i, files.get(row, "path")) for i, (root, row) in bench.want.attachments.rows.items()
                  if root in bench.want.roots and paths.count(files.get(row, "path")) == 1 and os.path.isfile(os.path.join(bench.copy.data, files.get(row, "path"))))


def new_id(n):
    return f"new{n:023}"


def insert_reply(bench, t, n, at):
    bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
      VALUES ('{new_id(n)}', {at}, {at}, 0, 0, '{t.root.user}', '{t.channel}', '{t.root.id}', '', 'late reply', '', '{{}}', '', '[]', '[]', false, false, '');""")


# ---- files and disks ----------------------------------------------------------------------------------------------------
@test
def test_archive_disk_full(bench):
    """A small tmpfs as archive: what did not fit stays in the database."""
    bench.policy(bundle_size="64KiB")  # more than that must be free before a bundle is begun
    bench.expect()
    os.makedirs(bench.copy.archive, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", bench.copy.archive], capture_output=True).returncode:
        raise Skip("mounting a tmpfs is not permitted here")
    try:
        bench.call("init", code=0)
        filler = os.path.join(bench.copy.archive, "..", "filler")
        del filler
        for left in (8, 40, 96, 160, 220):
            free = os.statvfs(bench.copy.archive)
            used = (free.f_blocks - free.f_bfree) * free.f_frsize
            size = used + left * 1024
            subprocess.run(["mount", "-o", f"remount,size={size // 1024}k", bench.copy.archive], check=True)
            done = bench.run()
            bench.safe(f"{left} KiB left")
            if done.code == 0:
                break
            if done.code != 14:
                bench.fail(f"{left} KiB left: exit code {done.code}, wanted 14\n{lib.tail(done.err)}")
        else:
            bench.says(done, "space")
        subprocess.run(["mount", "-o", "remount,size=64m", bench.copy.archive], check=True)
        bench.converge()
    finally:
        subprocess.run(["umount", "-l", bench.copy.archive], check=False)


@test
def test_archive_missing(bench):
    """An archive that was never made, or whose mark is gone (not mounted): exit 14."""
    bench.policy()
    bench.expect()
    done = bench.run(code=14)
    bench.untouched("no archive")
    bench.call("init", code=0)
    mark = [n for n in os.listdir(bench.copy.archive) if n.startswith("0=")]
    if not mark:
        return bench.fail("init made no 0= mark")
    os.rename(os.path.join(bench.copy.archive, mark[0]), os.path.join(bench.copy.where, mark[0]))
    bench.run(code=14)
    bench.untouched("no mark")
    os.rename(os.path.join(bench.copy.where, mark[0]), os.path.join(bench.copy.archive, mark[0]))
    bench.converge()


@test
def test_blob_missing(bench):
    """Gone, a folder, a FIFO, links instead of attachments: those threads stay, everything else goes, exit 3."""
    bench.policy()
    bench.expect()
    data, found = bench.copy.data, attached(bench)
    if len({r for r, _, _ in found}) < 6:
        return bench.fail("too few attachments")
    outside = os.path.join(bench.copy.where, "outside")
    os.mkdir(outside)
    with open(os.path.join(outside, "secret"), "w", encoding="utf-8") as f:
        f.write("not an attachment")
    paths = [os.path.join(data, p) for _, _, p in found]
    os.unlink(paths[0])
    for full, make in zip(paths[1:6], (os.mkdir, os.mkfifo, lambda p: os.symlink("/nowhere", p), lambda p: os.symlink(os.path.join(outside, "secret"), p), None)):
        os.unlink(full)
        if make:
            make(full)
        else:  # its folder is a link to another place with a file of that name
            folder = os.path.dirname(full)
            shutil.copy(os.path.join(outside, "secret"), os.path.join(outside, os.path.basename(full)))
            for other in os.listdir(folder):
                os.unlink(os.path.join(folder, other))
            os.rmdir(folder)
            os.symlink(outside, folder)
    bench.expect()
    bench.call("init", code=0)
    bench.run(code=3)
    bench.done()
    bench.run(code=3)
    bench.done()
    if sorted(os.listdir(outside)) != sorted({"secret", os.path.basename(paths[5])}):
        bench.fail("something outside the attachment folder was touched")


@test
def test_blob_unlisted(bench):
    """Attachments from before the table fileinfo, which nothing but their post names: they could be neither archived nor removed, so
    their threads stay and say so; a rule with `files: keep` lets them go and leaves the files.  An edit copy repeats its post."""
    bench.begin()
    plain = [t for t in bench.roots() if not any(root == t.root.id for root, _ in bench.want.attachments.rows.values())]
    with_reply = next(t for t in plain if any(p.root == t.root.id and p.live for p in t.posts))
    named = [plain[0].root.id, plain[1].root.id, next(p.id for p in with_reply.posts if p.root == with_reply.root.id and p.live)]
    listed = bench.sql(f"SELECT postid FROM fileinfo WHERE id = '{attached(bench)[0][1]}'")
    for post in named + [listed]:
        bench.sql(f"""UPDATE posts SET filenames = '["/{'c' * 26}/{'u' * 26}/{'n' * 26}/scan.png"]' WHERE id = '{post}'""")
    path = os.path.join(bench.copy.data, "teams", "t" * 26, "channels", "c" * 26, "users", "u" * 26, "n" * 26, "scan.png")
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as f:
        f.write("of 2016")
    kept = {plain[0].root.id, plain[1].root.id, with_reply.root.id}
    due = set(bench.want.roots)
    bench.expect(db=oracle.Db(bench.copy.load()))
    if due - bench.want.roots != kept:
        bench.fail(f"wanted {sorted(kept)} to stay, not {sorted(due - bench.want.roots)}")
    bench.run(code=(0, 3))
    bench.done()
    told = json.loads(bench.call("report", "last", "--json", code=0).out)["totals"]["kept"]
    unlisted = sum(why == {"file_missing"} for why in bench.want.verdict.kept.values())
    if told.get("file_missing") != unlisted + len(bench.want.lost) or unlisted < len(kept):
        bench.fail(f"the report says {told}, wanted {unlisted} without a row of their file")
    told = json.loads(bench.call("explain", with_reply.root.id, "--json", code=0).out)["post"]
    if told["due"] or told["reason"] != "file_missing":
        bench.fail(f"explain says {told}")
    bench.policy([dict(OLD[0], files="keep")])
    bench.run(code=0)
    if kept & set(oracle.Db(bench.copy.load()).posts):
        bench.fail("with `files: keep` they stay")
    if not os.path.isfile(path):
        bench.fail("the file is gone")


@test
def test_blob_unreadable(bench):
    """As a plain user: an attachment without permission keeps its thread, exit 3."""
    as_nobody(bench)
    bench.policy()
    whole = bench.expect()
    root, ident, path = attached(bench)[0]
    full = os.path.join(bench.copy.data, path)
    state = bench.want.files[path]
    aside = os.path.join(bench.copy.where, "aside")
    os.rename(full, aside)
    bench.expect()
    os.rename(aside, full)
    bench.want.files[path] = state
    os.chown(full, 0, 0)
    os.chmod(full, 0)
    hand_over(bench)
    bench.call("init", code=0)
    bench.run(code=3)
    bench.done()
    os.chown(full, NOBODY.pw_uid, NOBODY.pw_gid)
    os.chmod(full, 0o600)
    bench.want = whole
    bench.converge()


@test
def test_blob_contents(bench):
    """Attachments of sizes around powers of two, and one that would unpack to a thousand times its size: each byte for byte."""
    bench.policy()
    bench.expect()
    rng, sizes = random.Random(70), [0, 1, 2] + [(1 << n) + d for n in (9, 16, 18, 22) for d in (-1, 0, 1)]
    contents = [gzip.compress(bytes(64 << 20))] + [rng.randbytes(n) for n in sizes]
    paths = sorted({path for _, _, path in attached(bench)})[:len(contents)]
    if len(paths) < len(contents):
        return bench.fail(f"too few attachments: {len(paths)}")
    for path, content in zip(paths, contents):
        with open(os.path.join(bench.copy.data, path), "wb") as f:
            f.write(content)
    bench.expect()
    bench.call("init", code=0)
    bench.run(code=bench.want.code)
    bench.done()


@test
def test_blob_stays(bench):
    """As a plain user: a folder that may not be written keeps its blob in the journal, exit 3, until it may."""
    as_nobody(bench)
    bench.policy()
    bench.expect()
    root, ident, path = attached(bench)[0]
    folder = os.path.dirname(os.path.join(bench.copy.data, path))
    hand_over(bench)
    os.chown(folder, 0, 0)
    os.chmod(folder, 0o555)
    bench.call("init", code=0)
    bench.run(code=3)
    if not os.path.exists(os.path.join(bench.copy.data, path)):
        bench.fail("the blob went although its folder is read-only")
    bench.problems += lib.compare_database(bench.want, bench.copy.load())
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    os.chmod(folder, 0o755)
    bench.run(code=0)
    bench.done()


def as_nobody(bench):
    """Run the program as a plain user from a place he can reach."""
    if os.geteuid() != 0:
        raise Skip("needs root to become a plain user")
    program = os.path.join(bench.copy.where, "mmretain")
    shutil.copy(lib.binary(), program)
    os.chmod(program, 0o755)
    bench.user = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": [], "cwd": "/"}
    bench.program = program
    lib.PROGRAM = [program]


def hand_over(bench):
    """Everything but what the test keeps from him is his."""
    for folder, dirs, names in os.walk(bench.copy.where):
        for n in dirs + names + ["."]:
            full = os.path.join(folder, n)
            if os.lstat(full).st_mode & 0o777 or os.path.islink(full):
                os.lchown(full, NOBODY.pw_uid, NOBODY.pw_gid)
    os.chmod(bench.copy.where, 0o755)


@test
def test_root_at_work(bench):
    """Whatever root makes in the archive of another account belongs to that account, which goes on afterwards."""
    if os.geteuid() != 0:
        raise Skip("needs root to make files of others")
    bench.policy()
    bench.expect()
    os.makedirs(bench.copy.archive, mode=0o750)
    for folder, _, names in os.walk(bench.copy.data):
        for n in names + ["."]:
            os.lchown(os.path.join(folder, n), NOBODY.pw_uid, NOBODY.pw_gid)
    os.chown(bench.copy.archive, NOBODY.pw_uid, NOBODY.pw_gid)

    def owned(word):
        for folder, dirs, names in os.walk(bench.copy.archive):
            for n in dirs + names:
                st = os.lstat(os.path.join(folder, n))
                if (st.st_uid, st.st_gid) != (NOBODY.pw_uid, NOBODY.pw_gid):
                    bench.fail(f"{word}: {os.path.relpath(os.path.join(folder, n), bench.copy.archive)} belongs to {st.st_uid}:{st.st_gid}")

    bench.call("init", code=0)
    owned("init")
    root = bench.roots()[0].root.id
    bench.call("hold", "add", root, "--case", "17/26", code=0)
    owned("hold add")
    bench.call("hold", "release", root, "--case", "17/26", code=0)
    # killed with every kind of file in the ledger's folder, then to the end
    for fault in ("RUN_AFTER_PUBLISHED:kill", "SWEEP_AFTER:kill", "UNLINK_BEFORE:kill"):
        lib.finish(bench.start(fault))
        owned(fault)
    bench.run(code=(0, 3))
    owned("run")
    gone = sorted(bench.want.roots - set(oracle.Db(bench.copy.load()).posts))
    access = ("--case", "17/26", "--reason", "test")
    bench.call("show", gone[0], *access, code=0)
    owned("show")
    os.unlink(os.path.join(bench.copy.archive, "catalog.sqlite"))
    for path in lib.bundles(bench.copy.archive):
        if os.path.exists(side := path.removesuffix(".tar.zst") + ".idx"):
            os.unlink(side)
    bench.call("find", "the", *access, code=0)
    owned("find")
    bench.call("reindex", code=0)
    owned("reindex")
    bench.call("restore", gone[0], "--yes", *access, code=(0, 3))
    owned("restore")
    as_nobody(bench)
    os.chmod(bench.copy.where, 0o755)
    bench.call("hold", "release", gone[0], "--case", "17/26", code=0)
    bench.run(code=(0, 3))
    bench.call("show", gone[0], *access, code=0)
    bench.call("verify", code=0)


@test
def test_odd_channels(bench):
    """Channels whose ids no server makes, with signs that a bundle cannot name: their threads stay, whole and named, and hold up nobody."""
    bench.begin(bundle_size="64MiB")
    places = [("channels", "id")] + [(name, "channelid") for name, t in bench.copy.load().items() if "channelid" in t.columns]
    by_channel = {}
    for t in bench.roots(lambda t: True):
        by_channel.setdefault(t.root.channel, []).append(t)
    odd = (26 * "ü", "with a blank" + 14 * "x", "tab\there" + 18 * "y", "nl\nhere" + 19 * "z", 13 * "é", "a" + 25 * "ü")
    kept = set()
    for new, old in zip(odd, sorted(by_channel)):
        literal = "E'" + "".join(f"\\u{ord(c):04x}" for c in new) + "'"
        bench.sql("".join(f"UPDATE {t} SET {c} = {literal} WHERE {c} = '{old}';" for t, c in places))
        kept |= {p.id for t in by_channel[old] for p in t.posts}
    before = oracle.Db(bench.copy.load())
    if not kept or not kept <= set(before.posts):
        bench.fail("not made")
    for word in ("first", "second"):
        bench.run(code=(0, 3))
        here = set(oracle.Db(bench.copy.load()).posts)
        if gone := kept - here:
            bench.fail(f"{word} night: posts of channels with odd ids are gone: {sorted(gone)[:5]}")
        if left := {t.root.id for old in sorted(by_channel)[len(odd):] for t in by_channel[old]} & here:
            bench.fail(f"{word} night: {len(left)} other threads are still there")
        told = json.loads(bench.call("report", "last", "--json", code=0).out)["totals"]["kept"]
        if not told.get("damaged"):
            bench.fail(f"{word} night: nothing is called damaged: {told}")
    root = by_channel[sorted(by_channel)[0]][0].root.id
    told = json.loads(bench.call("explain", root, "--json", code=0).out)["post"]
    if told["due"] or told["reason"] != "damaged":
        bench.fail(f"explain does not say that it is damaged: {told}")
    bench.call("verify", code=0)
    for more in ({"guard": {"percent": 40}}, {"limit": {"per": "channel", "posts": 5, "bytes": "1MiB"}}, {"match": {"type": ["public", "private", "direct", "group"]}}):
        bench.policy([dict(OLD[0], **more)], purge_after="30d")
        bench.call("plan", "-v", code=0)


@test
def test_channel_gone(bench):
    """Posts whose channel has no row, or that name none: they stay, and `explain` does not call them unknown."""
    bench.begin(OLD)
    t = bench.roots()[0]
    bench.sql(f"DELETE FROM channels WHERE id = '{t.channel}'; UPDATE posts SET channelid = '' WHERE id = '{bench.roots()[-1].root.id}'; UPDATE channels SET name = '' WHERE id = (SELECT max(id) FROM channels)")
    for post, channel in ((t.root.id, t.channel), (bench.roots()[-1].root.id, "")):
        told = json.loads(bench.call("explain", post, "--json", code=0).out)
        if (told["channel"], told["channel_id"], told["type"], told["rule"], told["post"]["due"], told["post"]["reason"]) != (None, channel, None, None, False, "damaged"):
            bench.fail(f"explain: {told}")
    bench.says(bench.call("explain", t.root.id, code=0), f"channel {t.channel} is gone: its posts are kept", f"post {t.root.id} belongs to no sound thread: it is kept")
    bench.run(code=(0, 3))
    if t.root.id not in oracle.Db(bench.copy.load()).posts:
        bench.fail("it is gone")


@test
def test_unknown_type(bench):
    """A channel of a type of a newer server: no rule takes it that does not name it, and the plan warns of it."""
    rule = {"name": "all", "match": {}, "keep": {"for": "30d"}}
    bench.sql("ALTER TYPE channel_type ADD VALUE 'BX'")
    channel = bench.copy.load()["posts"]
    channel = max(c := [channel.get(r, "channelid") for r in channel.rows], key=c.count)
    bench.sql(f"UPDATE channels SET type = 'BX' WHERE id = '{channel}'")
    bench.policy([rule])
    bench.expect(db=oracle.Db(bench.copy.load()))
    bench.call("init", code=0)
    due = {t.root.id for t in bench.roots()}
    mine = {p.id for p in bench.want.db.posts.values() if p.channel == channel}
    if not mine or mine & due:
        bench.fail("the oracle takes it")
    bench.says(bench.call("plan", code=0), "1 channel is of a type that this version does not know")
    told = json.loads(bench.call("explain", channel, "--json", code=0).out)
    if told["rule"] is not None or told["type"] != "other":
        bench.fail(f"explain: {told}")
    bench.run(code=bench.want.code)
    bench.done()
    bench.policy([rule, {"name": "named", "match": {"channel": channel}, "keep": {"for": "30d"}}])
    done = bench.call("plan", "--json", code=0)
    if json.loads(done.out)["due"]["threads"] == 0 or "does not know" in done.err:
        bench.fail(f"the rule that names it takes nothing: {lib.tail(done.err)}")


@test
def test_odd_ids(bench):
    """Ids that no server makes, with signs that JSON or COPY escapes, or more bytes than 26: their threads stay, whole and named, and hold up nobody."""
    bench.begin(bundle_size="64MiB")
    pointing = (("threads", "postid"), ("reactions", "postid"), ("threadmemberships", "postid"), ("fileinfo", "postid"))
    kept = set()

    def rename(old, new):
        literal = "E'" + "".join(f"\\u{ord(c):04x}" for c in new) + "'"
        bench.sql("".join(f"UPDATE posts SET {c} = {literal} WHERE {c} = '{old}';" for c in ("id", "rootid", "originalid")) +
                  "".join(f"UPDATE {t} SET {c} = {literal} WHERE {c} = '{old}';" for t, c in pointing))

    threads = sorted(bench.roots(replies), key=lambda t: not any(p.root == t.root.id for p in t.posts))
    odd = (26 * '"', 26 * "\\", 'a"b\\c' + 21 * "x", 26 * "\x07", "tab\there" + 18 * "y", "nl\nhere" + 19 * "z", 26 * "ü", "a" + 25 * "ü", 26 * "%")
    for new, t in zip(odd, threads):
        rename(t.root.id, new)
        kept |= {p.id for p in t.posts} - {t.root.id} | {new}
    plain = [t for t in threads[len(odd):] if any(p.root == t.root.id for p in t.posts)]
    for new, t in zip(odd[:-1], plain):
        rename(next(p.id for p in t.posts if p.root == t.root.id), new[:-1] + "r")
        kept |= {t.root.id, new[:-1] + "r"}
    before = oracle.Db(bench.copy.load())
    if not kept <= set(before.posts):
        bench.fail(f"not made: {sorted(kept - set(before.posts))}")
    for word in ("first", "second"):
        done = bench.run(code=(0, 3))  # 0: the plan knew of all
        here = set(oracle.Db(bench.copy.load()).posts)
        if gone := kept - here:
            bench.fail(f"{word} night: posts of threads with odd ids are gone: {sorted(gone)[:5]}")
        told = json.loads(bench.call("report", "last", "--json", code=0).out)["totals"]["kept"]
        if not told.get("damaged"):
            bench.fail(f"{word} night: nothing is called damaged: {told}")
        if left := {t.root.id for t in plain[len(odd) - 1:]} & here:
            bench.fail(f"{word} night: {len(left)} other threads are still there")
        archived = {row["id"] for b in lib.read_bundles(bench.copy.archive, bench.problems) for table, row in b.rows() if table == "posts"}
        if kept & archived:
            bench.fail(f"{word} night: threads that cannot go were archived: {sorted(kept & archived)[:5]}")
        if word == "second" and json.loads(done.out)["bundles"]:
            bench.fail("second night: something was archived again")
    reply = plain[0]
    told = json.loads(bench.call("explain", reply.root.id, "--json", code=0).out)["post"]
    if told["due"] or told["reason"] != "damaged":
        bench.fail(f"explain does not say that it is damaged: {told}")
    for new, t in zip(odd, threads):
        for reply in [p.id for p in t.posts if p.root == t.root.id][:1]:
            done = bench.call("explain", reply, "--json", code=0)
            if done.code == 0 and json.loads(done.out)["post"]["reason"] != "damaged":
                bench.fail(f"explain of a reply to {new!r} does not say that it is damaged: {done.out}")
    bench.call("verify", code=0)


@test
def test_odd_file_ids(bench):
    """Three attachments of one thread with ids that no server makes, every post's id being sound: that thread stays, and is counted once."""
    bench.sql("DELETE FROM posts c USING posts r WHERE c.originalid = r.id AND r.rootid <> '' AND coalesce(c.rootid, '') = ''")  # the export looks at all ids where it has such copies
    bench.begin(bundle_size="64MiB")
    root = bench.roots(replies)[0].root.id
    planned = json.loads(bench.call("plan", "--json", code=0).out)["rules"][0]["reasons"].get("damaged", 0)
    columns = ", ".join(c for c in bench.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'fileinfo'").split()
                        if c not in ("id", "postid"))
    for odd in (26 * '"', 26 * "\\", 26 * "ü"):
        literal = "".join(f"\\u{ord(c):04x}" for c in odd)
        bench.sql(f"INSERT INTO fileinfo (id, postid, {columns}) SELECT E'{literal}', '{root}', {columns} FROM fileinfo LIMIT 1")
    bench.run(code=(0, 3))
    if root not in oracle.Db(bench.copy.load()).posts:
        bench.fail("the thread is gone")
    told = json.loads(bench.call("report", "last", "--json", code=0).out)["totals"]["kept"]
    if told.get("damaged") != planned + 1:
        bench.fail(f"one thread more than the {planned} of the plan is damaged, told was {told}")
    ends = [line for line in lib.ledger(bench.copy.archive) if line["type"] == "run-end"]
    if ends[-1].get("gone_threads"):
        bench.fail(f"threads are called gone that are there: {ends[-1]}")


@test
def test_reply_swapped(bench):
    """Between plan and export one reply of a thread is removed and another comes, dated back: the number of posts and all times are as planned.
    What comes is archived with its thread, or keeps it where it is pinned, spared or held; what was removed is in no bundle."""
    tag = "#stay"
    bench.sql("INSERT INTO users (id, username, email, createat, updateat, deleteat, roles) SELECT 'heldheldheldheldheldheldhe', 'swap.held', 'swap@example.org', 1, 1, 0, 'system_user'")
    bench.begin([dict(OLD[0], spare={"pinned": "thread", "hashtags": [tag]})], holds=[{"name": "case-1", "match": {"users": ["swap.held"]}, "because": "x"}], bundle_size="64MiB")
    found = [t for t in bench.roots(replies) if [p for p in t.posts if p.root == t.root.id and p.live and not p.original]][:8]
    process = bench.start("LEDGER_WRITE:stop:2")  # the line of the plan
    if not lib.stopped(process):
        raise AssertionError(f"the run did not stop\n{lib.tail(lib.finish(process).err)}")
    stay, go, removed = {}, {}, set()
    for n, t in enumerate(found):
        old = next(p for p in t.posts if p.root == t.root.id and p.live and not p.original)
        kind = ("plain", "pinned", "hashtag", "held")[n % 4]
        bench.sql(f"DELETE FROM posts WHERE id = '{old.id}'")
        insert_reply(bench, t, 300 + n, old.createat)
        bench.sql({"plain": "SELECT 1", "pinned": f"UPDATE posts SET ispinned = true WHERE id = '{new_id(300 + n)}'",
                   "hashtag": f"UPDATE posts SET hashtags = '{tag}' WHERE id = '{new_id(300 + n)}'",
                   "held": f"UPDATE posts SET userid = 'heldheldheldheldheldheldhe' WHERE id = '{new_id(300 + n)}'"}[kind])
        (go if kind == "plain" else stay)[new_id(300 + n)] = (t.root.id, kind)
        removed.add(old.id)
    bench.go_on(process, code=(0, 3))
    here = set(oracle.Db(bench.copy.load()).posts)
    archived = {row["id"] for b in lib.read_bundles(bench.copy.archive, bench.problems) for table, row in b.rows() if table == "posts"}
    for reply, (root, kind) in stay.items():
        if reply not in here or root not in here:
            bench.fail(f"a reply that came dated back ({kind}) does not keep its thread")
    for reply, (root, kind) in go.items():
        if reply not in here and reply not in archived:
            bench.fail("a reply that came dated back is in no bundle and not in the database")
        if (reply in here) != (root in here):
            bench.fail("a thread was torn apart")
    if removed & archived:
        bench.fail("a reply that was removed before the export is in a bundle")
    bench.call("verify", code=0)


# ---- the server -----------------------------------------------------------------------------------------------------------
@test
def test_wrong_password(bench):
    """Exit 12, the password is not repeated, nothing happens; the right one works."""
    bench.pg.psql("DROP ROLE IF EXISTS guarded; CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'right-word'")
    hba = os.path.join(bench.pg.data, "pg_hba.conf")
    with open(hba, encoding="utf-8") as f:
        text = f.read()
    with open(hba, "w", encoding="utf-8") as f:
        f.write("local all guarded scram-sha-256\n" + text)
    try:
        bench.pg.psql("SELECT pg_reload_conf()")
        end = time.monotonic() + lib.TIMEOUT
        while lets_in(bench.pg, "guarded"):
            if time.monotonic() > end:
                raise AssertionError("the server wants no password: the test does not test")
            time.sleep(0.02)
        url = bench.copy.url("guarded")
        bench.policy(url=url)
        bench.expect()
        bench.call("init", code=0)
        for word in ("wrong-word", "right-word"):
            done = bench.call("plan", "--json", code=12 if word == "wrong-word" else 0, env={"HOME": home(bench, word)})
            if word in done.err + done.out:
                bench.fail("the password is repeated")
        bench.run(code=12, env={"HOME": home(bench, "wrong-word")})
        bench.untouched()
    finally:
        with open(hba, "w", encoding="utf-8") as f:
            f.write(text)
        bench.pg.psql("SELECT pg_reload_conf()")


def lets_in(pg, user):
    """The server, without a password."""
    try:
        pg.connect("postgres", user=user, passfile="/nonexistent").close()
    except psycopg2.OperationalError:
        return False
    return True


def home(bench, word):
    """A home folder with a password file."""
    folder = os.path.join(bench.copy.where, f"home{len(os.listdir(bench.copy.where))}")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, ".pgpass")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"*:*:*:guarded:{word}\n")
    os.chmod(path, 0o600)
    return folder


@test
def test_no_server(bench):
    """A server that is not there and a database that is not there: exit 12 within seconds."""
    for url in (f"postgresql:///{bench.name}?host={bench.copy.where}&port=1&user=postgres", bench.copy.url().replace(bench.name, "no_such_database")):
        bench.policy(url=url)
        bench.call("init", code=(0, 14))
        begin = time.monotonic()
        bench.run(code=12)
        bench.call("plan", "--json", code=12)
        if time.monotonic() - begin > 60:
            bench.fail("it took more than a minute")


@test
def test_read_only_role(bench):
    """A role that may only read can plan; run says what is missing before anything is done."""
    bench.sql(f"""DROP ROLE IF EXISTS reader_{bench.name}; CREATE ROLE reader_{bench.name} LOGIN; GRANT USAGE ON SCHEMA public TO reader_{bench.name};
                  GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{bench.name};""")
    bench.policy(user=f"reader_{bench.name}")
    bench.expect()
    bench.call("init", code=0)
    bench.call("plan", "--json", code=0)
    done = bench.run(code=19)
    bench.says(done, "delete", "posts", "reactions")
    bench.untouched()
    bench.sql(f"GRANT DELETE, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO reader_{bench.name}")
    bench.converge()
    bench.sql(f"DROP OWNED BY reader_{bench.name}")


@test
def test_read_only_database(bench):
    """default_transaction_read_only: an error, not a loss."""
    bench.begin()
    bench.sql(f"ALTER DATABASE {bench.name} SET default_transaction_read_only = on")
    done = bench.run()
    if done.code not in (0, 12, 13, 19):
        bench.fail(f"exit code {done.code}\n{lib.tail(done.err)}")
    bench.safe()
    bench.pg.psql(f"ALTER DATABASE {bench.name} RESET default_transaction_read_only")
    bench.converge()


@test
def test_adopted(bench):
    """Killed between the rename of a bundle and its line, and while one bundle is finished and the next one written: the line that is made up for
    it names the bundle before, as it does itself."""
    bench.begin(bundle_size="1MiB")
    for fault in ("BUNDLE_AFTER_RENAME:kill:3", "BUNDLE_SYNC:kill:2", "BUNDLE_SYNC:EIO:2"):
        code = lib.finish(bench.start(fault)).code
        if code not in (-signal.SIGKILL, 14):
            bench.fail(f"{fault}: exit code {code}")
        bench.safe(fault)
    bench.converge()
    if not any(e.get("adopted") for e in lib.ledger(bench.copy.archive)):
        bench.fail("no bundle was adopted")
    with contextlib.closing(sqlite3.connect(os.path.join(bench.copy.archive, "catalog.sqlite"))) as db:
        listed = {os.path.basename(path) for path, in db.execute("SELECT rel_path FROM bundle")}
    for path in lib.bundles(bench.copy.archive):
        if os.path.basename(path) not in listed:
            bench.fail(f"{path} is not in the catalog")


@test
def test_server_crash(bench):
    """The server goes down hard in the middle of a delete: exit 12, nothing lost, the next run goes on."""
    bench.begin()
    for point in ("PURGE_AFTER_DELETE", "PURGE_BEFORE_COMMIT", "PURGE_AFTER_COMMIT", "RUN_AFTER_PUBLISHED", "SWEEP_BEFORE"):
        try:
            process = bench.halt(point)
        except AssertionError as e:
            if "exit code 0" in str(e):
                continue
            raise
        bench.pg.restart("immediate")
        done = bench.go_on(process)
        if done.code not in (0, 12):
            bench.fail(f"{point}: exit code {done.code}, wanted 12\n{lib.tail(done.err)}")
        bench.safe(point)
    bench.converge()


@test
def test_server_forgets(bench):
    """The server goes down before its disk has the commit of a batch that others follow: the batch is back, and the next run takes it again."""
    bench.begin([{"name": "all", "match": {}, "keep": {"for": "1d"}}], bundle_size="64MiB")
    count, forgotten = "SELECT count(*) FROM posts", 0
    bench.pg.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    bench.pg.psql("SELECT pg_reload_conf()")
    try:
        for _ in range(6):  # a bundle of one batch waits for the disk
            process = bench.halt("PURGE_AFTER_COMMIT")
            meanwhile = int(bench.sql(count))
            bench.pg.restart("immediate")
            forgotten = max(forgotten, int(bench.sql(count)) - meanwhile)
            bench.go_on(process, code=12)
            bench.safe("after the crash")
            if forgotten:
                break
        if not forgotten:
            bench.fail("the server forgot nothing: the test does not test")
    finally:
        bench.pg.psql("ALTER SYSTEM RESET wal_writer_delay")
        bench.pg.psql("SELECT pg_reload_conf()")
    bench.converge()


@test
def test_backend_killed(bench):
    """Every session of the run ended by the server at several points: exit 12, nothing lost."""
    bench.begin()
    for point in ("PURGE_AFTER_INTENT", "PURGE_AFTER_DELETE", "PURGE_BEFORE_COMMIT"):
        process = bench.halt(point)
        bench.pg.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{bench.name}' AND pid <> pg_backend_pid()")
        done = bench.go_on(process)
        if done.code != 12:
            bench.fail(f"{point}: exit code {done.code}, wanted 12\n{lib.tail(done.err)}")
        bench.safe(point)
    bench.converge()


@test
def test_no_snapshot_while_deleting(bench):
    """What keeps the server's vacuum from its work, an old snapshot or transaction, is over when the rows are read: no session of the run has one then."""
    bench.begin(bundle_size="64KiB")
    held = f"""SELECT string_agg(pid || ' ' || state || ' ' || left(query, 60), '; ') FROM pg_stat_activity
      WHERE datname = '{bench.name}' AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"""
    points = ("PURGE_AFTER_INTENT", "PURGE_AFTER_COMMIT", "PURGE_AFTER_BATCHES", "SWEEP_BEFORE", "SWEEP_AFTER", "UNLINK_BEFORE")
    process = bench.start(",".join(f"{p}:stop" for p in points))
    for point in points:
        if not lib.stopped(process):
            return bench.fail(f"the run did not stop at {point}\n{lib.tail(lib.finish(process).err)}")
        if bench.sql(held):
            bench.fail(f"{point}: {bench.sql(held)}")
        os.kill(process.pid, signal.SIGCONT)
    done = lib.finish(process)
    if done.code:
        bench.fail(f"exit code {done.code}\n{lib.tail(done.err)}")
    bench.done()


class Peak(threading.Thread):
    """The largest size that the kernel has noted for a process, in MiB.  What it says of children at their end counts what they were before they became
    the program: as large as this one."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path, self.mib = f"/proc/{pid}/status", 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError, StopIteration):  # it has ended
            while True:
                with open(self.path, encoding="ascii") as f:
                    self.mib = int(next(line.split()[1] for line in f if line.startswith("VmHWM:"))) >> 10
                time.sleep(0.005)


def night_within(bench, mib, *args):
    """A night that takes no more memory than that, or the command that is given."""
    process = bench.start(None, *args)
    peak = Peak(process.pid)
    done = lib.finish(process)
    if done.code:
        bench.fail(f"exit code {done.code}\n{lib.tail(done.err)}")
    if not 5 < peak.mib <= mib and not lib.sanitized():
        bench.fail(f"it took {peak.mib} MiB of memory")


def small_files(bench, many):
    """So many more attachments of the due threads: their rows."""
    due = ", ".join(f"'{t.root.id}'" for t in bench.roots())
    bench.sql(f"""WITH due AS (SELECT id, userid, channelid, createat, row_number() OVER (ORDER BY id) - 1 AS k, count(*) OVER () AS roots FROM posts WHERE id IN ({due}))
      INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, width, height, haspreviewimage, channelid)
      SELECT 'many' || lpad(n::text, 22, '0'), userid, id, createat, createat, 0, '20200101/teams/noteam/channels/' || channelid || '/users/' || COALESCE(userid, 'nobody') || '/many' || n || '/name.txt', '', '',
             'name.txt', 'txt', 10, 'text/plain', 0, 0, false, channelid FROM generate_series(1, {many}) n JOIN due ON k = n % roots; ANALYZE fileinfo""")


@test
def test_many_attachments(bench):
    """However many attachments one bundle has: what is to be noted of them lies on disk, and a few posts with very many of them are no small transaction."""
    bench.begin([dict(ONE[0], files="keep")], bundle_size="256MiB")
    many, mib = (1000000, 64) if lib.outcome.LONG else (60000, 36)
    small_files(bench, many)
    night_within(bench, mib)
    gone = many - int(bench.sql("SELECT count(*) FROM fileinfo WHERE id LIKE 'many%'"))
    if gone < many // 2:
        bench.fail(f"{gone} of {many} attachments were due: the test does not test")
    batches = sum(e["batches"] for e in lib.ledger(bench.copy.archive) if e["type"] == "purged")
    if batches < gone // 10000:
        bench.fail(f"{gone} attachments went in {batches} transactions: users of the chat wait for each")
    bench.call("verify", code=0)


@test
def test_many_small_files(bench):
    """The same whose content goes into the archive: a bundle has so many of them, for who writes and reads it has memory for each."""
    bench.begin([dict(ONE[0], files="archive")], bundle_size="256MiB")
    small_files(bench, 45000)
    for path in bench.sql("SELECT path FROM fileinfo WHERE id LIKE 'many%'").splitlines():
        full = os.path.join(bench.copy.data, path)
        os.makedirs(os.path.dirname(full))
        with open(full, "w", encoding="ascii") as f:
            f.write(path[-19:-9])
    night_within(bench, 90)
    if bench.sql("SELECT count(*) FROM fileinfo WHERE id LIKE 'many%'") != "0":
        bench.fail("some of the attachments are left")
    n = sum(e["type"] == "purged" for e in lib.ledger(bench.copy.archive))
    if not 3 <= n <= 4:
        bench.fail(f"{n} bundles of 45000 attachments")
    bench.call("verify", code=0)


@test
def test_many_channels(bench):
    """A server has a channel for each two people who have ever talked: they cost little memory, with an age or with a limit for each."""
    bench.begin(ONE)
    many, age, limit, rules, check = (100000, 80, 90, 75, 40) if lib.outcome.LONG else (40000, 40, 42, 38, 22)  # and MiB
    bench.sql(f"""INSERT INTO channels SELECT (jsonb_populate_record(NULL::channels, to_jsonb(c) || jsonb_build_object('id', lpad(i::text, 26, 'd'), 'type', 'D', 'teamid', '', 'displayname', '',
      'name', lpad(i::text, 26, 'u') || '__' || lpad((i * 7)::text, 26, 'v')))).* FROM (SELECT * FROM channels LIMIT 1) c, generate_series(1, {many}) i; ANALYZE channels""")
    night_within(bench, age)
    bench.policy([{"name": "all", "match": {}, "keep": "forever", "limit": {"per": "channel", "posts": 1000}, "files": "drop"}])
    night_within(bench, limit)
    names = bench.sql("SELECT c.name FROM channels c JOIN teams t ON t.id = c.teamid WHERE t.name = 'accelerator' AND c.name ~ '^[a-z][a-z0-9-]+$' ORDER BY c.id LIMIT 12").split()
    bench.policy([{"name": f"rule{n}", "match": {"team": "accelerator", "channel": name}, "keep": {"for": "3000d"}} for n, name in enumerate(names)],
                 holds=[{"name": f"hold{n}", "match": {"teams": ["*"], "channels": ["*"]}} for n in range(2)])
    night_within(bench, rules)
    night_within(bench, check, "check", "--db")


@test
def test_long_thread(bench):
    """A thread of very many replies goes as a whole, and the program's memory does not grow with it."""
    bench.begin(ONE)
    many, mib = (100000, 128) if lib.outcome.LONG else (12000, 40)
    t = bench.roots(replies)[0]
    bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
      SELECT 'long' || lpad(n::text, 22, '0'), {t.root.createat} + n, {t.root.createat} + n, 0, 0, '{t.root.user}', '{t.channel}', '{t.root.id}', '', repeat('words of a reply ', 12) || n, '', '{{}}', '', '[]', '[]',
             false, false, '' FROM generate_series(1, {many}) n; ANALYZE posts""")
    night_within(bench, mib)
    if bench.sql(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}' OR rootid = '{t.root.id}'") != "0":
        bench.fail("some of the thread is left")
    if not any(e["type"] == "purged" and e["posts"] > many for e in lib.ledger(bench.copy.archive)):
        bench.fail("no bundle has it all")
    bench.call("verify", code=0)


def wide_replies(bench, n, since, size):
    """n replies of the first due thread with props of that size."""
    t = bench.roots(replies)[0]
    bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
      SELECT 'wide' || lpad(({since} + n)::text, 22, '0'), {t.root.createat} + {since} + n, {t.root.createat} + {since} + n, 0, 0, '{t.root.user}', '{t.channel}', '{t.root.id}', '', n, '',
             jsonb_build_object('k', repeat('x', {size})), '', '[]', '[]', false, false, '' FROM generate_series(1, {n}) n; ANALYZE posts""")


def wide_export(bench):
    night_within(bench, 64)
    if bench.sql("SELECT (SELECT count(*) FROM posts WHERE id LIKE 'wide%') + (SELECT count(*) FROM fileinfo WHERE id LIKE 'wide%')") != "0":
        bench.fail("some of the wide rows are left")
    bench.call("verify", code=0)


@test
def test_wide_posts(bench):
    """Posts as wide as the server lets them be, after many small ones and before others: a page is bounded by its bytes, not by its rows."""
    bench.begin(ONE)
    wide_replies(bench, 700, 0, 100)
    wide_replies(bench, 400, 1000, 384 << 10)
    wide_replies(bench, 700, 2000, 100)
    wide_export(bench)


@test
def test_wide_files(bench):
    """The same of what the server has read out of attachments.  A word that long is none to the index over it."""
    bench.begin([dict(ONE[0], files="keep")])
    bench.sql(f"""INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, width, height, haspreviewimage, channelid, content)
      SELECT 'wide' || lpad(n::text, 22, '0'), userid, id, createat, createat, 0, '20200101/teams/noteam/channels/' || channelid || '/users/' || userid || '/wide' || n || '/name.txt', '', '',
             'name.txt', 'txt', 10, 'text/plain', 0, 0, false, channelid, repeat('x', 1048576) FROM generate_series(1, 150) n, posts WHERE id = '{bench.roots()[0].root.id}'; ANALYZE fileinfo""")
    wide_export(bench)


@test
def test_row_too_wide(bench):
    """A row that no bundle takes ends the nights, and the message says what lets them go on without its thread."""
    bench.begin(ONE)
    root = bench.roots()[0].root.id
    bench.sql(f"UPDATE posts SET props = jsonb_build_object('k', repeat('x', 40000000)) WHERE id = '{root}'")
    bench.says(bench.run(code=14), f"row of thread {root} is larger than 32 MiB", f"mmretain hold add {root}")
    bench.call("hold", "add", root, "--case", "too wide", code=0)
    bench.expect(db=oracle.Db(bench.copy.load()), stay={root})
    bench.run(code=(0, 3))
    bench.done(exact=False)


@test
def test_long_journal(bench):
    """One thread with very many attachments goes in one transaction: what is journalled of them has no ceiling."""
    bench.begin([dict(ONE[0], files="drop")])
    many, folder = 45000, "20200101/" + "f" * 240 + "/" + "g" * 220
    root = bench.roots()[0].root.id
    bench.sql(f"""INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, width, height, haspreviewimage, channelid, content)
      SELECT 'many' || lpad(n::text, 22, '0'), userid, id, createat, createat, 0, '{folder}/' || n || '.jpg', '{folder}/' || n || '_thumb.jpg', '{folder}/' || n || '_preview.jpg',
             n || '.jpg', 'jpg', 10, 'image/jpeg', 0, 0, true, channelid, '' FROM generate_series(1, {many}) n, posts WHERE id = '{root}'; ANALYZE fileinfo""")
    bench.run(code=0)
    if bench.sql("SELECT count(*) FROM fileinfo WHERE id LIKE 'many%'") != "0":
        bench.fail("some of the rows are left")
    if left := [n for n in os.listdir(os.path.join(bench.copy.archive, "ledger")) if n.startswith("unlink-")]:
        bench.fail(f"{left} has not been carried out")


@contextlib.contextmanager
def held_up_in_export(bench, tables, waiting):
    """A run at full speed that waits for tables which others hold, and their sessions: when so many sessions wait.  Afterwards it may go on."""
    process = bench.halt("LEDGER_WRITE")
    others = {}
    with contextlib.ExitStack() as locks:
        for t in tables:
            others[t] = locks.enter_context(contextlib.closing(bench.pg.connect(bench.name)))
            others[t].cursor().execute(f"LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE")
        os.kill(process.pid, signal.SIGCONT)
        end = time.monotonic() + lib.TIMEOUT
        while bench.pg.psql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{bench.name}' AND wait_event_type = 'Lock' AND query LIKE '%mmr_dep%'") != str(waiting):
            if time.monotonic() > end or process.poll() is not None:
                raise AssertionError(f"no {waiting} sessions wait for {', '.join(tables)}: the test does not test")
            time.sleep(0.02)
        yield process, others


@contextlib.contextmanager
def halted_in_export(bench, tables, waiting):
    """The same for a run that ends there: nothing was deleted, and the next run comes to the end."""
    with held_up_in_export(bench, tables, waiting) as held:
        yield held
    bench.untouched()
    bench.converge()


def ended(bench, process, code):
    """The run ends, and like that, although the locks are held for ever."""
    done = lib.finish(process, 60)
    if done.code != code:
        bench.fail(f"exit code {done.code}, wanted {code}\n{lib.tail(done.err)}")


@test
def test_second_session_killed(bench):
    """At full speed a second session joins and gives a part of the rows; the server ends it while it waits for a table: exit 12, nothing is deleted."""
    bench.begin()
    with halted_in_export(bench, ("reactions",), 1) as (process, _):
        waits = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{bench.name}' AND state = 'idle in transaction' AND query LIKE '%mmr_few%'"
        end = time.monotonic() + lib.TIMEOUT
        while bench.pg.psql(waits) != "1":
            if time.monotonic() > end or process.poll() is not None:
                raise AssertionError("the first session does not wait for the other with all its rows: the test does not test")
            time.sleep(0.02)
        bench.pg.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{bench.name}' AND query LIKE '%mmr_dep%' AND wait_event_type = 'Lock'")
        ended(bench, process, 12)


@test
def test_second_session_done(bench):
    """The server ends it when it has given all its rows and the first has some left: nothing more is needed of it, and the run goes on."""
    bench.begin()
    process = bench.halt("BUNDLE_WRITE")
    killed = bench.pg.psql(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{bench.name}' AND query LIKE 'FETCH FORWARD % FROM mmr_reaction_rows'")
    if killed != "1":
        bench.fail(f"{killed} sessions have given reactions: the test does not test")
    bench.go_on(process, code=bench.want.code)
    bench.done()


@test
def test_dropped_beside_second_session(bench):
    """Threads that were written to a moment ago leave the export after the second session has opened its cursors: none of their rows is in a bundle, they
    stay whole, and all rows of the others are there."""
    bench.begin()
    roots = {root for table in ("reactions", "threadmemberships") for root in sorted({r for _, _, r in bench.want.rows[table]})[1::3]}
    for root in roots:
        bench.sql(f"UPDATE posts SET updateat = (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE id = '{root}'")
    bench.expect(db=oracle.Db(bench.copy.load()), stay=roots)
    bench.run(code=3)
    bench.done()


@test
def test_first_session_killed(bench):
    """At full speed the server ends the first session while the second one has long to do: the run ends at once."""
    bench.begin()
    with halted_in_export(bench, ("threads", "reactions"), 2) as (process, _):
        bench.pg.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{bench.name}' AND query LIKE '%mmr_dep%' AND query LIKE '%fileinfo%'")
        ended(bench, process, 12)


@test
def test_stop_before_long_statement(bench):
    """A stop comes while a short statement of the export is under way, and a long one would follow: that one is not begun."""
    bench.begin()
    with halted_in_export(bench, ("threads", "sharedchannelattachments"), 1) as (process, others):
        process.terminate()
        time.sleep(0.5)
        others["threads"].close()
        ended(bench, process, 143)


@test
def test_no_second_session(bench):
    """A role with as many sessions as a run cannot do without: an export at full speed finds all rows by one.  The run asks for another once."""
    bench.begin([{"name": "all", "match": {}, "keep": {"for": "1d"}}], user="few")  # the plan would like one, too
    bench.pg.psql("CREATE ROLE few LOGIN CONNECTION LIMIT 2")
    try:
        bench.sql(bench.call("grants", "few", env={"PGUSER": bench.pg.user}).out)
        done = bench.call("run", "--yes", "--json", "-v", code=bench.want.code)
        if done.err.count("no second session: ") != 1:
            bench.fail(f"a second session was not asked for once\n{lib.tail(done.err)}")
        bench.done()
    finally:
        bench.sql("DROP OWNED BY few; DROP ROLE few")


@test
def test_rows_locked(bench):
    """A session of somebody else holds rows of a due thread: that thread is kept, exit 3, the others go."""
    bench.begin(ONE)
    t = bench.roots()[0]
    other = bench.pg.connect(bench.name)
    try:
        other.cursor().execute("SELECT 1 FROM posts WHERE id = %s FOR UPDATE", (t.root.id,))
        begin = time.monotonic()
        bench.run(code=(3, 4), timeout=300)
        if time.monotonic() - begin > 150:
            bench.fail(f"it took {time.monotonic() - begin:.0f} s for one bundle")
    finally:
        other.close()
    if bench.sql(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}'") != "1":
        bench.fail("the locked thread is gone")
    bench.safe()
    bench.converge(exact=False)


# ---- the schema -----------------------------------------------------------------------------------------------------------
def schema_test(name):
    def body(bench):
        schema.release(bench.pg.conninfo(bench.name), name)
        bench.policy()
        bench.expect(db=oracle.Db(bench.copy.load()))
        bench.call("init", code=0)
        bench.call("plan", "--json", code=0)
        bench.converge()
    body.__doc__ = f"The schema of release {name}: the same result."
    TESTS["schema_" + name.replace(".", "_")] = body


for release in list(schema.OLDER) + list(schema.NEWER):
    schema_test(release)


@test
def test_schema_extra_columns(bench):
    """Columns that nobody knows are archived with the rest."""
    bench.sql("""ALTER TABLE posts ADD zusatz text NOT NULL DEFAULT 'nothing', ADD "Größe in m" integer; ALTER TABLE reactions ADD weight bigint DEFAULT 7;
                 UPDATE posts SET zusatz = 'wert ' || id, "Größe in m" = 5 WHERE ascii(id) % 2 = 0; UPDATE reactions SET weight = NULL WHERE ascii(postid) % 3 = 0;
                 CREATE TABLE somebodys_notes (id bigint, text text);""")
    bench.policy()
    bench.expect(db=oracle.Db(bench.copy.load()))
    bench.call("init", code=0)
    bench.converge()


UNKNOWN = {
    "column_name": ('ALTER TABLE posts ADD "Odd ""name" integer', "posts"),
    "table_postid": ("CREATE TABLE plugin_votes (id text, postid varchar(26))", "plugin_votes"),
    "table_post_id": ("CREATE TABLE plugin_marks (id text, post_id text)", "plugin_marks"),
    "table_rootid": ("CREATE TABLE plugin_roots (rootid varchar(26), n int)", "plugin_roots"),
    "foreign_key": ("CREATE TABLE notes_on (id text, about varchar(26) REFERENCES posts(id))", "notes_on"),
    "foreign_key_file": ("CREATE TABLE scans (id text, what varchar(26) REFERENCES fileinfo(id) ON DELETE CASCADE)", "scans"),
    "agents_old": ("CREATE TABLE llm_threads (rootpostid text NOT NULL REFERENCES posts(id) PRIMARY KEY, title text NOT NULL)", "llm_threads"),
    "trigger": ("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$; CREATE TRIGGER stop BEFORE DELETE ON posts FOR EACH ROW EXECUTE FUNCTION no()", "stop"),
    "rule": ("CREATE RULE keep_them AS ON DELETE TO reactions DO INSTEAD NOTHING", "keep_them"),
    "row_policy": ("ALTER TABLE fileinfo ENABLE ROW LEVEL SECURITY; CREATE POLICY hide ON fileinfo USING (true)", "fileinfo"),
    "migration_running": ("INSERT INTO db_lock VALUES ('migration-lock', 9999999999)", "migration"),
    "own_job": ("INSERT INTO jobs (id, type, priority, createat, startat, lastactivityat, status, progress, data) VALUES ('retentionretentionretention', 'data_retention', 0, 1, 1, 1, 'in_progress', 0, '{}')", "retention"),
    "column_gone": ("ALTER TABLE posts DROP COLUMN rootid CASCADE", "rootid"),
    "column_retyped": ("ALTER TABLE reactions ALTER createat TYPE text", "reactions"),
    "table_gone": ("DROP TABLE reactions CASCADE", "reactions"),
}


def unknown_test(name, sql, word):
    def body(bench):
        bench.policy()
        bench.expect()
        try:
            bench.sql(sql.replace("retentionretentionretention", "retentionretentionretentio"))
        except lib.cluster.ClusterError as e:
            return bench.fail(f"the test's own SQL: {e}")
        bench.now_tables = bench.copy.load()
        bench.call("init", code=0)
        bench.says(bench.run(code=13), word)
        bench.untouched()
        bench.call("plan", "--json", code=(0, 13))
    body.__doc__ = f"{name}: run refuses with exit 13 and names it."
    TESTS["unknown_" + name] = body


for unknown_name, (unknown_sql, unknown_word) in UNKNOWN.items():
    unknown_test(unknown_name, unknown_sql, unknown_word)


# ---- odd data -------------------------------------------------------------------------------------------------------------
@test
def test_nested_reply(bench):
    """A reply to a reply: the outer thread may not go and leave it without its root."""
    bench.policy()
    t = bench.expect() and bench.roots(replies)[0]
    reply = max(p.id for p in t.posts if p.root)
    bench.sql(f"UPDATE posts SET rootid = '{reply}' WHERE id = (SELECT min(id) FROM posts WHERE channelid = '{t.channel}' AND rootid = '' AND originalid = '' AND id <> '{t.root.id}' AND id NOT IN (SELECT rootid FROM posts))")
    bench.expect(db=oracle.Db(bench.copy.load()))
    bench.call("init", code=0)
    bench.converge()


@test
def test_other_property(bench):
    """A property of another group with the value "pending" is no content flag."""
    bench.policy()
    t = bench.expect() and bench.roots()[0]
    bench.sql(f"INSERT INTO propertyvalues VALUES ('{new_id(5)}', '{t.root.id}', 'post', '{new_id(6)}', '{new_id(7)}', '\"pending\"', 1, 1, 0)")
    bench.expect(db=oracle.Db(bench.copy.load()))
    bench.call("init", code=0)
    bench.converge()


# ---- policy, guards, other runs -------------------------------------------------------------------------------------------------
@test
def test_tie(bench):
    """Two rules on one rung: exit 10, both named, nothing done."""
    bench.policy([{"name": "eins", "match": {"team": "a*"}, "keep": {"for": "500d"}}, {"name": "zwei", "match": {"team": "acc*"}, "keep": {"for": "900d"}}])
    try:
        bench.expect()
        bench.fail("the oracle sees no tie")
    except oracle.PolicyError:
        pass
    bench.want = lib.Expected(bench.copy, {"rules": OLD}, bench.now)
    bench.call("init", code=0)
    for args in (("plan", "--json"), ("run", "--yes", "--json")):
        bench.says(bench.call(*args, code=10), "eins", "zwei")
    bench.untouched()


@test
def test_guard(bench):
    """More than the guard allows, in threads or percent: exit 16 before anything; just enough passes."""
    bench.policy()
    threads = len(bench.expect().verdict.due)
    for guard, code in (({"threads": threads - 1}, 16), ({"percent": 1}, 16), ({"threads": threads}, 0)):
        bench.policy([dict(OLD[0], guard=guard)])
        if not os.path.exists(bench.copy.archive):
            bench.call("init", code=0)
        bench.call("plan", "--json", code=(0, 16) if code else 0)
        done = bench.run(code=code)
        if code:
            bench.says(done, "guard")
            bench.untouched()
    bench.done()


@test
def test_two_runs(bench):
    """A second run, also from another archive, ends at once with exit 11; the first is not disturbed."""
    bench.begin()
    process = bench.halt("RUN_AFTER_PUBLISHED")
    bench.run(code=11, timeout=60)  # who waited for the first one would wait for ever
    first = bench.path
    elsewhere = os.path.join(bench.copy.where, "elsewhere")
    os.rename(first, first + ".first")
    bench.policy(store=elsewhere)
    bench.call("init", code=0)
    bench.run(code=11, timeout=60)
    os.rename(first + ".first", first)
    bench.go_on(process, code=0)
    bench.done()


@test
def test_many_runs(bench):
    """Eight at once: each is done or refused with 11, and the end is right."""
    bench.begin()
    people = [bench.start() for _ in range(8)]
    codes = sorted(lib.finish(p).code for p in people)
    if set(codes) - {0, 11} or 0 not in codes:
        bench.fail(f"exit codes {codes}")
    bench.converge()


@test
def test_signals(bench):
    """SIGTERM gives 143, SIGINT 130, both leave a clean state at every point."""
    bench.begin()
    for n, (point, number, code) in enumerate((("BUNDLE_WRITE", signal.SIGTERM, 143), ("RUN_AFTER_PUBLISHED", signal.SIGTERM, 143), ("RUN_AFTER_PUBLISHED", signal.SIGINT, 130),
                                              ("PURGE_AFTER_INTENT", signal.SIGTERM, 143), ("PURGE_AFTER_DELETE", signal.SIGTERM, 143), ("PURGE_AFTER_COMMIT", signal.SIGTERM, 143))):
        try:
            process = bench.halt(point)
        except AssertionError as e:
            if n > 3 and "exit code 0" in str(e):
                continue
            raise
        os.kill(process.pid, number)
        done = bench.go_on(process)
        if done.code != code and not (done.code == 0 and point == "PURGE_AFTER_COMMIT"):
            bench.fail(f"{point}: exit code {done.code}, wanted {code}\n{lib.tail(done.err)}")
        if "cannot index" in done.err or done.err.count("not indexed") > 1:
            bench.fail(f"{point}: more than one word about indexes\n{lib.tail(done.err)}")
        bench.safe(point)
    bench.converge()


# ---- people who go on writing ---------------------------------------------------------------------------------------------------
@test
def test_changes_while_archiving(bench):
    """Between export and delete: a reply, an edit, a deletion, a pin, a reaction, a file, a flag.  Those threads stay whole, the rest goes."""
    bench.begin()
    process = bench.halt("RUN_AFTER_PUBLISHED")
    exported = {row["id"] for b in lib.read_bundles(bench.copy.archive, bench.problems) for table, row in b.rows() if table == "posts"}
    threads = bench.roots(lambda t: t.root.live and t.root.user and t.root.id in exported)
    if len(threads) < 7:
        process.kill()
        return bench.fail(f"too few threads: {len(threads)} in bundles")
    at = int(time.time() * 1000)
    a, b, c, d, e, f, g = threads[:7]
    user = b.root.user
    insert_reply(bench, a, 1, at)
    bench.sql(f"""
      UPDATE posts SET message = message || ' (edited)', editat = {at}, updateat = {at} WHERE id = '{b.root.id}';
      UPDATE posts SET deleteat = {at}, updateat = {at} WHERE id = '{max(p.id for p in c.posts)}';
      UPDATE posts SET ispinned = true, updateat = {at} WHERE id = '{d.root.id}';
      INSERT INTO reactions VALUES ('{user}', '{e.root.id}', 'tada', {at}, {at}, 0, '', '{e.channel}');
      UPDATE posts SET hasreactions = true, updateat = {at} WHERE id = '{e.root.id}';
      INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, width, height, haspreviewimage, content, remoteid, archived, channelid)
       VALUES ('{new_id(2)}', '{user}', '{f.root.id}', {at}, {at}, 0, 'new/file.txt', '', '', 'file.txt', 'txt', 3, 'text/plain', 0, 0, false, '', '', false, '{f.channel}');
      UPDATE posts SET fileids = '["{new_id(2)}"]', updateat = {at} WHERE id = '{f.root.id}';
      INSERT INTO preferences VALUES ('{user}', 'flagged_post', '{g.posts[-1].id}', 'true') ON CONFLICT DO NOTHING;""")
    os.makedirs(os.path.join(bench.copy.data, "new"))
    with open(os.path.join(bench.copy.data, "new/file.txt"), "w", encoding="utf-8") as out:
        out.write("new")
    changed = oracle.Db(bench.copy.load())
    bench.go_on(process, code=3)
    stay = {t.root.id for t in (a, b, c, d, e, f, g)}
    first = bench.want
    bench.expect(db=changed, stay=stay)
    # attachments of what went are on disk no more, so they are taken from the first look
    for i, content in first.attachments.stored.items():
        if i in bench.want.attachments.rows:
            bench.want.attachments.stored[i] = content
    bench.want.lost, bench.want.roots = set(), first.roots - stay
    bench.want.rows = oracle.closure(changed, bench.want.roots)
    gone = {p for i, (root, row) in first.attachments.rows.items() if root not in stay for p in first.attachments.gone if p in row}
    kept = {p for i, (root, row) in first.attachments.rows.items() if root in stay for p in row if p}
    bench.want.attachments.gone = gone - kept
    bench.want.files = dict(first.files, **{"new/file.txt": bench.copy.files().get("new/file.txt")})
    bench.problems += [f"first night: {p}" for p in lib.compare_database(bench.want, bench.copy.load()) + lib.compare_files(bench.want, bench.copy)]
    # the next night takes those that are still due, in their new versions; what was written to less than ten seconds before a plan waits
    time.sleep(11)
    bench.expect(db=oracle.Db(bench.copy.load()))
    bench.run(code=0)
    bench.done(exact=False)


WAITING = {
    "reply": None,
    "pin": "UPDATE posts SET ispinned = true, updateat = {at} WHERE id = '{root}'",
    "flag": "INSERT INTO preferences VALUES ('{user}', 'flagged_post', '{root}', 'true')",
    "report": """INSERT INTO propertyvalues SELECT 'newvaluenewvaluenewvaluene', '{root}', 'post', f.groupid, f.id, '"Pending"', {at}, {at}, 0 FROM propertyfields f
                 JOIN propertygroups g ON g.id = f.groupid WHERE g.name = 'content_flagging' AND f.name = 'status'
                 ON CONFLICT (groupid, targetid, fieldid) WHERE deleteat = 0 DO UPDATE SET value = excluded.value, updateat = excluded.updateat""",
    "moved": "UPDATE posts SET channelid = '{elsewhere}', updateat = {at} WHERE id = '{root}' OR rootid = '{root}' OR originalid = '{root}'",
}


def waiting_test(name, change, planned):
    def body(bench):
        rules = OLD + [{"name": "kept", "match": {"channel": "off-topic"}, "keep": "forever"}]
        bench.begin(rules)
        exported, process = set(), None
        plan = os.path.join(bench.copy.where, "plan.jsonl")
        if planned:
            bench.call("plan", "--out", plan, code=0)
        else:
            process = bench.halt("RUN_AFTER_PUBLISHED")
            exported = {row["id"] for b in lib.read_bundles(bench.copy.archive, bench.problems) for table, row in b.rows() if table == "posts"}
        waiting = bench.roots(lambda t: t.root.live and t.root.user and len(t.posts) == 1 and t.root.id not in exported)
        if not waiting:
            process.kill()
            return bench.fail("no thread waits for its export")
        t, at = waiting[len(waiting) // 2], int(time.time() * 1000)
        if change:
            elsewhere = next(s.id for s in bench.want.db.channels.values() if s.name == "off-topic" and s.id != t.channel)
            bench.sql(change.format(at=at, root=t.root.id, user=t.root.user, elsewhere=elsewhere))
        else:
            insert_reply(bench, t, 4, at)
        if planned:
            bench.call("run", "--plan", plan, "--json", code=(0, 3))
        else:
            bench.go_on(process, code=(0, 3))
        count = bench.sql(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}' OR rootid = '{t.root.id}'")
        if count != ("1" if change else "2"):
            bench.fail(f"the thread is gone although it is due no more ({count} posts left)")
        rest = set(bench.sql("SELECT string_agg(id, ' ') FROM posts").split())
        left = sorted(r for r in bench.want.roots - {t.root.id} if r in rest)
        if left:
            bench.fail(f"{len(left)} other due threads are still there: {left[0]}")
    body.__doc__ = f"A thread that {'was planned' if planned else 'waits for its export'} gets a {name} that protects it: it stays."
    TESTS[("planned_" if planned else "waiting_") + name] = body


for waiting_name, waiting_sql in WAITING.items():
    waiting_test(waiting_name, waiting_sql, False)
    waiting_test(waiting_name, waiting_sql, True)


@test
def test_late_reply(bench):
    """A large delete: the sweep looks at threads that a row names although they are gone, and here a few such rows are old ones."""
    late_reply(bench, "rows name")


@test
def test_late_reply_among_many_orphans(bench):
    """More rows of posts that are gone than a sweep can tell one from another: it looks at every thread that was deleted."""
    bench.sql(f"""INSERT INTO reactions SELECT (SELECT min(id) FROM users), lpad(n::text, 26, 'o'), 'old', 1, 1, 0, '', (SELECT min(id) FROM channels)
                  FROM generate_series(1, 100001) n""")
    late_reply(bench, "more than")


@test
def test_late_reply_of_a_small_delete(bench):
    """A few posts beside a table that the planner holds for large: every one is looked at, by index."""
    bench.sql("UPDATE pg_class SET reltuples = 1e9 WHERE oid = 'posts'::regclass")
    late_reply(bench, None)


def late_reply(bench, way):
    """A reply that was written while its thread was deleted: the thread comes back from the bundle, whole; late reactions go.
    way: what the run says of how it looked."""
    bench.begin()
    threads = bench.roots(replies)
    process = bench.start("SWEEP_BEFORE:stop", "run", "--yes", "--json", "-v")
    if not lib.stopped(process):
        return bench.fail(f"the run did not stop before its sweep:\n{lib.tail(lib.finish(process).err)}")
    gone = {i for i in bench.sql("SELECT string_agg(id, ' ') FROM posts").split()}
    threads = [t for t in threads if t.root.id not in gone]
    if len(threads) < 2:
        os.kill(process.pid, signal.SIGCONT)
        lib.finish(process)
        return bench.fail("no thread with replies was deleted before the sweep")
    at = int(time.time() * 1000)
    t, other = threads[0], threads[1]
    insert_reply(bench, t, 3, at)
    bench.sql(f"""INSERT INTO reactions VALUES ('{t.root.user}', '{other.root.id}', 'late', {at}, {at}, 0, '', '{other.channel}');
                  INSERT INTO preferences VALUES ('{t.root.user}', 'flagged_post', '{other.posts[-1].id}', 'true') ON CONFLICT DO NOTHING;
                  INSERT INTO threadmemberships VALUES ('{other.root.id}', '{t.root.user}', true, {at}, {at}, 0) ON CONFLICT DO NOTHING;""")
    done = bench.go_on(process, code=(0, 3))
    said = [line for line in done.err.splitlines() if "posts that are gone" in line]
    if bool(said) != bool(way) or not all((way or "") in line and ("more" in way) == ("more than" in line) for line in said):
        bench.fail(f"the sweep looked in another way: {said}")
    bench.sql("DELETE FROM reactions WHERE emojiname = 'old'")
    after = bench.copy.load()
    db = oracle.Db(after)
    back = db.threads.get(t.root.id)
    if not back:
        return bench.fail("the thread did not come back")
    if {p.id for p in back.posts} != {p.id for p in t.posts} | {new_id(3)}:
        bench.fail(f"the thread came back with {len(back.posts)} of {len(t.posts) + 1} posts")
    was, now = oracle.closure(bench.want.db, [t.root.id]), oracle.closure(db, [t.root.id])
    for table in was:
        a, b = sorted(line for line, _, _ in was[table]), sorted(line for line, row, _ in now[table])
        if table == "threads":
            continue  # recomputed: one reply more
        if [x for x in a if x not in b] or len(b) - len(a) != (table == "posts"):
            bench.fail(f"{table}: {len(b)} rows came back, {len(a)} went")
    if table := [name for name in ("reactions", "preferences", "threadmemberships") if any(other.root.id in line for line in after[name].lines)]:
        bench.fail(f"late rows of a deleted thread are left: {table}")
    earlier = oracle.orphans(bench.want.db)
    for place, ids in oracle.orphans(db).items():
        for ident in ids - earlier[place]:
            bench.fail(f"{'.'.join(place)}: new orphan {ident}")
    files = db.tables["fileinfo"]
    for p in back.posts:
        for _, row in db.pointing["fileinfo"].get(p.id, ()):
            if oracle.regular(bench.copy.data, files.get(row, "path")) is None:
                bench.fail(f"the attachment {files.get(row, 'path')} of the restored thread is gone")
    bench.run(code=(0, 3))


# A row that names a post, in every table; {p}: the post, {u} a user, {c} its channel, {n} 26 characters of its own, {r} its root
LATE_ROWS = {
    "reactions": "VALUES ('{u}', '{p}', 'late', 1, 1, 0, '', '{c}')",
    "threads": "VALUES ('{p}', 1, 1, '[]', '{c}', NULL, '')",
    "threadmemberships": "VALUES ('{p}', '{u}', true, 1, 1, 0)",
    "postspriority": "VALUES ('{p}', '{c}', 'urgent', NULL, NULL)",
    "postacknowledgements": "VALUES ('{p}', '{u}', 1, '', '{c}')",
    "persistentnotifications": "VALUES ('{p}', 1, 1, 0, 1)",
    "preferences": "VALUES ('{u}', 'flagged_post', '{p}', 'true')",
    "postreminders": "VALUES ('{p}', '{u}', 1)",
    "drafts": "(createat, updateat, deleteat, userid, channelid, rootid, message, props, fileids) VALUES (1, 1, 0, '{u}', '{c}', '{r}', 'x', '{{}}', '[]')",
    "readreceipts": "VALUES ('{p}', '{u}', 1)",
    "temporaryposts": "VALUES ('{p}', 'x', 1, 'm', '[]')",
    "translations": "VALUES ('{p}', 'de', 'post', 'x', repeat('0', 64), 't', NULL, NULL, 1, 'ready', '{c}')",
    "propertyvalues": "VALUES ('{n}', '{p}', 'post', '{n}', '{n}', '1', 1, 1, 0)",
}


def late_rows(bench, rows, orphans=0):
    """Rows of every table come late, on a root and on a reply of threads that were deleted: all go, and are kept beside the ledger.  Such rows of posts
    that others removed long ago stay.  rows: posts in the planner's book."""
    for i, (table, values) in enumerate(LATE_ROWS.items()):
        old = f"{'oldorphan' + str(i):x<26}"
        bench.sql(f"INSERT INTO {table} {values.format(p=old, r=old, u=old, c='', n=old)}")
    if orphans:
        bench.sql(f"INSERT INTO reactions SELECT 'u', lpad(n::text, 26, 'o'), 'old', 1, 1, 0, '', '' FROM generate_series(1, {orphans}) n")
    bench.sql(f"UPDATE pg_class SET reltuples = {rows} WHERE oid = 'posts'::regclass")
    bench.begin()
    before = bench.copy.load()
    process = bench.halt("SWEEP_BEFORE")
    here = set(bench.sql("SELECT string_agg(id, ' ') FROM posts").split())
    gone = [t for t in bench.roots(replies) if not any(p.id in here for p in t.posts)]
    written = 0
    for i, (table, values) in enumerate(LATE_ROWS.items()):
        for j, t in enumerate(gone[i::len(LATE_ROWS)][:4]):  # no other table has a row of them
            p = t.root.id if j % 2 or table == "threads" else next(p.id for p in t.posts if p.id != t.root.id)
            bench.sql(f"INSERT INTO {table} {values.format(p=p, r=t.root.id, u='late', c=t.channel, n=f'late{i:02}{j:020}')}")
            written += 1
    bench.go_on(process, code=(0, 3))
    after = bench.copy.load()
    for table in LATE_ROWS:
        late = set(after[table].lines) - set(before[table].lines)
        if late:
            bench.fail(f"{table}: {len(late)} late rows are left")
        old = [line for line in before[table].lines if "oldorphan" in line]
        if len(old) != 1 or old[0] not in after[table].lines:
            bench.fail(f"{table}: a row of a post that others removed is gone")
    folder = os.path.join(bench.copy.archive, "ledger")
    kept = sum(open(os.path.join(folder, n), encoding="utf-8").read().count("\n") for n in os.listdir(folder) if n.startswith("late-"))
    if len(gone) < 2 * len(LATE_ROWS) or kept != written:
        bench.fail(f"{kept} of {written} late rows of {len(gone)} threads are beside the ledger")


@test
def test_late_rows(bench):
    late_rows(bench, 1)


@test
def test_late_rows_of_a_small_delete(bench):
    late_rows(bench, 1e9)


@test
def test_late_rows_among_many_orphans(bench):
    late_rows(bench, 1, 100_001)


def settled(bench, t, late):
    """The thread is back, whole, with its late reply, and stays so: the ledger names it, and when the server removes it for good, with
    copies left behind as it leaves them, no sweep brings it back."""
    bench.run(code=(0, 3))
    back = oracle.Db(bench.copy.load()).threads.get(t.root.id)
    if not back or {p.id for p in back.posts} != {p.id for p in t.posts} | {late}:
        bench.fail("the thread is not back as it was, with its late reply")
    if not any(t.root.id in e.get("roots", ()) for e in lib.ledger(bench.copy.archive) if e["type"] == "stayed"):
        bench.fail("no line names the thread that was put back")
    bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
      SELECT '{new_id(77)}', createat, {bench.now}, {bench.now}, 0, userid, channelid, '', id, 'before', '', '{{}}', '', '[]', '[]', false, false, '' FROM posts WHERE id = '{t.root.id}';
      DELETE FROM posts WHERE id = '{t.root.id}' OR rootid = '{t.root.id}'""")
    other = next(o for o in bench.roots(replies) if o.root.id != t.root.id and o.root.id not in oracle.Db(bench.copy.load()).posts)
    insert_reply(bench, other, 78, int(time.time() * 1000))  # so that the next run sweeps once more
    bench.run(code=(0, 3))
    here = oracle.Db(bench.copy.load()).posts
    if other.root.id not in here:
        bench.fail("the late reply of another thread did not bring that back")
    if t.root.id in here:
        bench.fail("what the server removed for good came back")
    bench.call("verify", code=0)


@test
def test_crash_after_sweep(bench):
    """Killed between the commit of a sweep that put a thread back and the line that says so."""
    bench.begin(bundle_size="64MiB")
    process = bench.halt_of("SWEEP_BEFORE:stop,SWEEP_AFTER_COMMIT:kill")
    t = next(t for t in bench.roots(replies) if t.root.id not in oracle.Db(bench.copy.load()).posts)
    insert_reply(bench, t, 3, int(time.time() * 1000))
    bench.go_on(process, code=-9)
    settled(bench, t, new_id(3))


@test
def test_crash_after_sweep_again(bench):
    """The same of a later run, which looks once more after what an earlier one deleted."""
    bench.begin(bundle_size="64MiB")
    bench.run(code=bench.want.code)
    t = next(t for t in bench.roots(replies) if t.root.id not in oracle.Db(bench.copy.load()).posts)
    insert_reply(bench, t, 3, int(time.time() * 1000))
    holds = {b.name: {row["id"] for table, row in b.rows() if table == "posts"} for b in lib.read_bundles(bench.copy.archive, bench.problems)}
    swept = [e["bundle"] for e in lib.ledger(bench.copy.archive) if e["type"] == "sweep"]
    nth = 1 + next(i for i, name in enumerate(swept) if t.root.id in holds[name])
    done = lib.finish(bench.start(f"SWEEP_AFTER_COMMIT:kill:{nth}"))
    if t.root.id not in oracle.Db(bench.copy.load()).posts:
        bench.fail("the run died before the thread was put back")
    if done.code != -9:
        bench.fail(f"the run did not die in its sweep: {done.code}\n{lib.tail(done.err)}")
    settled(bench, t, new_id(3))


def late_copy(bench, rows, orphans=0):
    """The root was edited while its thread was deleted: the server found no row to change and wrote what it took for the earlier version.  The thread comes
    back with it, and goes whole another night; what the server left of roots that it removed itself stays."""
    row = """INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
             VALUES ('{}', {}, 2, {}, 0, '{}', '{}', '', '{}', 'before', '', '{{}}', '', '[]', '[]', false, false, '')"""
    bench.sql(row.format(new_id(5), 1, 2, "u", "c", f"{'oldroot':x<26}"))
    if orphans:
        bench.sql(f"INSERT INTO reactions SELECT 'u', lpad(n::text, 26, 'o'), 'old', 1, 1, 0, '', '' FROM generate_series(1, {orphans}) n")
    bench.sql(f"UPDATE pg_class SET reltuples = {rows} WHERE oid = 'posts'::regclass")
    bench.begin()
    process = bench.halt("SWEEP_BEFORE")
    here = set(bench.sql("SELECT string_agg(id, ' ') FROM posts").split())
    t = next(t for t in bench.roots(replies) if t.root.user and not any(p.id in here for p in t.posts))
    bench.sql(row.format(new_id(4), t.root.createat, int(time.time() * 1000), t.root.user, t.channel, t.root.id))
    bench.go_on(process, code=(0, 3))
    back = oracle.Db(bench.copy.load()).threads.get(t.root.id)
    if not back or {p.id for p in back.posts} != {p.id for p in t.posts} | {new_id(4)}:
        bench.fail(f"{len(back.posts) if back else 0} of {len(t.posts) + 1} posts are there")
    bench.run(code=(0, 3))
    left = bench.sql(f"SELECT string_agg(id, ' ') FROM posts WHERE id = '{t.root.id}' OR rootid = '{t.root.id}' OR originalid = '{t.root.id}' OR id = '{new_id(5)}'")
    if left != new_id(5):
        bench.fail(f"left after the second night: {left}")


@test
def test_late_copy(bench):
    late_copy(bench, 1)


@test
def test_late_copy_of_a_small_delete(bench):
    late_copy(bench, 1e9)


@test
def test_late_copy_among_many_orphans(bench):
    late_copy(bench, 1, 100_001)


@test
def test_late_commit(bench):
    """A reply in a transaction that was open during the whole run and is committed after it: the next run leaves no orphan."""
    bench.begin(ONE)
    t, at = bench.roots(lambda t: t.root.live and t.root.user)[0], int(time.time() * 1000)
    earlier = oracle.orphans(bench.want.db)
    other = bench.pg.connect(bench.name)
    try:
        other.cursor().execute(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
          VALUES ('{new_id(8)}', {at}, {at}, 0, 0, '{t.root.user}', '{t.channel}', '{t.root.id}', '', 'late', '', '{{}}', '', '[]', '[]', false, false, '')""")
        bench.run(code=(0, 3), timeout=300)
        other.commit()
    finally:
        other.close()
    bench.run(code=(0, 3))
    db = oracle.Db(bench.copy.load())
    if new_id(8) not in db.posts:
        bench.fail("the late reply is gone")
    for place, ids in oracle.orphans(db).items():
        for ident in ids - earlier[place]:
            bench.fail(f"{'.'.join(place)}: new orphan {ident}")


@test
def test_many_bundles_beside_a_long_transaction(bench):
    """Somebody else's open transaction, such as a backup, does not hold up each of many bundles."""
    bench.begin([dict(OLD[0], archive={"keep_for": "10y"})])
    other = bench.pg.connect("postgres")
    try:
        other.cursor().execute("SELECT txid_current()")
        begin = time.monotonic()
        bench.run(code=0, timeout=240)
        if time.monotonic() - begin > 60:
            bench.fail(f"{time.monotonic() - begin:.0f} s for {len(lib.bundles(bench.copy.archive))} bundles")
    finally:
        other.close()
    bench.safe()


@test
def test_live_load(bench):
    """A chat server goes on writing at full speed during runs: nothing is lost, no orphans."""
    import live
    bench.begin()
    stop = live.Live(bench.pg.conninfo(bench.name), rate=300, seed=1)
    earlier = oracle.orphans(bench.want.db)
    with stop:
        for n in range(40):  # as many as it takes to meet it
            done = bench.run()
            if done.code not in (0, 3):
                bench.fail(f"exit code {done.code}\n{lib.tail(done.err)}")
            if n >= 2 and sum(stop.counts.values()) >= 150:
                break
    for what, state, text in stop.errors[:3]:  # who meets us in a deadlock would be one
        bench.fail(f"the chat server's {what} failed: {state} {text}")
    if sum(stop.counts.values()) < 100:
        bench.fail(f"only {stop.counts} while the runs were on: the test does not test")
    db = oracle.Db(bench.copy.load())
    for place, ids in oracle.orphans(db).items():
        for ident in list(ids - earlier[place])[:3]:
            bench.fail(f"{'.'.join(place)}: new orphan {ident}")
    # what was written to less than ten seconds before a plan waits for another night
    time.sleep(11)
    bench.expect(db=db)
    bench.run(code=0)
    bench.problems += lib.compare_database(bench.want, bench.copy.load())


@test
def test_hold_while_archiving(bench):
    """A legal hold set between export and delete wins: its threads stay, exit 3."""
    bench.begin()
    process = bench.halt("RUN_AFTER_PUBLISHED")
    scope = next(s.id for s in bench.want.db.channels.values() if s.type == "private" and sum(t.channel == s.id for t in bench.roots()) > 3)
    user = bench.sql(f"SELECT min(userid) FROM channelmemberhistory WHERE channelid = '{scope}'")
    seeding.legal_hold(bench.pg.conninfo(bench.name), [user])
    changed = oracle.Db(bench.copy.load())
    done = bench.go_on(process, code=3)
    if "must-never-appear" in done.err + done.out:
        bench.fail("the hold's secret is printed")
    files = bench.want.files
    held = {r for r in bench.want.roots if any(bench.want.db.threads[r].channel in c for _, _, c in changed.plugin_holds)}
    if not held:
        bench.fail("the hold covers nothing")
    now = oracle.Db(bench.copy.load())
    for r in sorted(held):
        if r not in now.threads or len(now.threads[r].posts) != len(bench.want.db.threads[r].posts):
            bench.fail(f"held thread {r} is not whole")
    for r in sorted(bench.want.roots - held)[:5]:
        if r in now.threads:
            bench.fail(f"thread {r} is not held and still there")
    del files


@test
def test_export_while_archiving(bench):
    """The server's first compliance export begins between export and delete: what it has to write stays, exit 3."""
    bench.begin()
    process = bench.halt("RUN_AFTER_PUBLISHED")
    bench.sql("INSERT INTO jobs (id, type, status, createat) VALUES ('first', 'message_export', 'pending', 1)")
    before = oracle.Db(bench.copy.load())
    bench.go_on(process, code=3)
    here = oracle.Db(bench.copy.load()).posts
    spoken = {p.id for r in bench.want.roots for p in bench.want.db.threads[r].posts if any(not q.type.startswith("system_") for q in bench.want.db.threads[r].posts)}
    if not spoken <= set(before.posts):
        bench.fail("something was deleted before")
    if gone := spoken - set(here):
        bench.fail(f"{len(gone)} posts that are still to be exported are gone")
    told = json.loads(bench.call("report", "last", "--json", code=0).out)["totals"]["kept"]
    if not told.get("compliance"):
        bench.fail(f"nothing is kept for the export: {told}")


@test
def test_hold_after_plan(bench):
    """A hold set after `plan --out` wins over `run --plan`."""
    bench.begin()
    plan = os.path.join(bench.copy.where, "plan.jsonl")
    bench.call("plan", "--json", "--out", plan, code=0)
    scope = next(s.id for s in bench.want.db.channels.values() if s.type == "private" and sum(t.channel == s.id for t in bench.roots()) > 3)
    user = bench.sql(f"SELECT min(userid) FROM channelmemberhistory WHERE channelid = '{scope}'")
    seeding.legal_hold(bench.pg.conninfo(bench.name), [user])
    bench.call("run", "--plan", plan, "--json", code=(0, 3))
    bench.expect(db=bench.want.db)
    changed = oracle.Db({**bench.want.db.tables, "pluginkeyvaluestore": bench.copy.load()["pluginkeyvaluestore"]})
    now = oracle.Db(bench.copy.load())
    verdict = oracle.judge(changed, bench.parsed, bench.now)
    for r in bench.want.db.threads:
        if (r in now.threads) == (r in verdict.due):
            bench.fail(f"thread {r}: {'still there' if r in now.threads else 'gone, but held'}")


@test
def test_plan_file(bench):
    """run --plan touches nothing outside the plan; a tampered one, one of another policy or database is refused."""
    bench.begin()
    plan = os.path.join(bench.copy.where, "plan.jsonl")
    bench.call("plan", "--json", "--out", plan, code=0)
    with open(plan, encoding="utf-8") as f:
        lines = f.readlines()
    for n, change in enumerate((lambda x: x[:-1], lambda x: x[:len(x) // 2] + x[len(x) // 2 + 1:], lambda x: x[:-2] + [x[-2].replace("age", "posts", 1)] + x[-1:], lambda x: x + x[-1:])):
        bad = os.path.join(bench.copy.where, f"bad-{n}.jsonl")
        with open(bad, "w", encoding="utf-8") as f:
            f.writelines(change(list(lines)))
        if change(list(lines)) != lines:
            done = bench.call("run", "--plan", bad, "--json", code=15)
            bench.untouched(f"damaged plan {n}, exit code {done.code}")
    with open(bench.path, "a", encoding="utf-8") as f:
        f.write("# another policy\n")
    bench.call("run", "--plan", plan, "--json", code=10)
    bench.untouched("another policy")
    with open(bench.path, encoding="utf-8") as f:
        text = f.read().replace("# another policy\n", "")
    with open(bench.path, "w", encoding="utf-8") as f:
        f.write(text)
    # a thread that falls due after the plan is not touched
    late = next(t for t in bench.want.db.threads.values() if not t.damage and t.root.id not in bench.want.verdict.due and len(t.posts) == 1 and t.newest > bench.now - 300 * DAY and not t.flags)
    bench.sql(f"UPDATE posts SET createat = {bench.now - 900 * DAY} WHERE id = '{late.root.id}'")
    changed = oracle.Db(bench.copy.load())
    bench.expect(db=changed, stay={late.root.id})
    bench.call("run", "--plan", plan, "--json", code=0)
    bench.done()


@test
def test_archive_only(bench):
    """run --no-purge archives and deletes nothing; the next run deletes and loses nothing."""
    bench.begin()
    bench.call("run", "--yes", "--no-purge", "--json", code=0)
    after = bench.copy.load()
    for name, table in bench.want.db.tables.items():
        if sorted(table.lines) != sorted(after[name].lines):
            bench.fail(f"{name} has changed")
    if not lib.bundles(bench.copy.archive):
        bench.fail("no bundle was made")
    bench.problems += lib.compare_archive(bench.want, lib.read_bundles(bench.copy.archive, bench.problems))
    bench.run(code=0)
    bench.safe()
    bench.done(exact=False)


@test
def test_needs_yes(bench):
    """run without --yes and without a plan does nothing."""
    bench.begin()
    done = bench.call("run", "--json")
    if done.code not in (2, 0):
        bench.fail(f"exit code {done.code}\n{lib.tail(done.err)}")
    bench.untouched()
    bench.run(code=0, env={})
    bench.done()


@test
def test_surroundings(bench):
    """Time zone, locale, PG variables and PGOPTIONS of the caller change nothing."""
    bench.begin()
    digests = set()
    for n, env in enumerate(({}, {"TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8"}, {"TZ": "nonsense", "LANG": "C"},
                             {"PGDATABASE": "postgres", "PGHOST": "/nowhere", "PGPORT": "1", "PGUSER": "root", "PGOPTIONS": "-c search_path=pg_catalog -c DateStyle=German -c bytea_output=escape -c IntervalStyle=sql_standard"})):
        plan = os.path.join(bench.copy.where, f"plan-{n}")
        bench.call("plan", "--json", "--out", plan, code=0, env=env)
        if os.path.exists(plan):
            with open(plan, encoding="utf-8") as f:
                roots = re.findall(r'"root":\s*"(\w+)"', f.read())
            digests.add(tuple(roots))
    if len(digests) != 1:
        bench.fail(f"{len(digests)} different plans")
    bench.run(code=0, env=env)
    bench.done()


@test
def test_server_settings(bench):
    """Odd defaults of the database: search_path look-alikes, DateStyle, bytea_output, extra_float_digits, short timeouts."""
    bench.begin()
    bench.sql(f"""CREATE SCHEMA evil; CREATE TABLE evil.posts (LIKE public.posts); CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT '2099-01-01'::timestamptz$$;
      ALTER DATABASE {bench.name} SET bytea_output = 'escape'; ALTER DATABASE {bench.name} SET datestyle = 'German'; ALTER DATABASE {bench.name} SET extra_float_digits = -10;
      ALTER DATABASE {bench.name} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {bench.name} SET default_transaction_isolation = 'serializable';
      ALTER DATABASE {bench.name} SET standard_conforming_strings = off; ALTER DATABASE {bench.name} SET session_replication_role = 'replica';
      ALTER DATABASE {bench.name} SET row_security = off; ALTER DATABASE {bench.name} SET client_encoding = 'LATIN1';
      ALTER DATABASE {bench.name} SET array_nulls = off; ALTER DATABASE {bench.name} SET transform_null_equals = on; ALTER DATABASE {bench.name} SET quote_all_identifiers = on;
      ALTER DATABASE {bench.name} SET enable_tidscan = off; ALTER DATABASE {bench.name} SET synchronous_commit = off; ALTER DATABASE {bench.name} SET work_mem = '64kB';
      ALTER DATABASE {bench.name} SET lock_timeout = '1ms'; ALTER DATABASE {bench.name} SET idle_in_transaction_session_timeout = '1ms'; ALTER DATABASE {bench.name} SET statement_timeout = '1s';""")
    bench.run(code=0)
    for name in ("bytea_output", "datestyle", "extra_float_digits", "timezone", "standard_conforming_strings", "client_encoding", "quote_all_identifiers", "lock_timeout",
                 "idle_in_transaction_session_timeout", "statement_timeout"):
        bench.pg.psql(f"ALTER DATABASE {bench.name} RESET {name}")
    bench.sql("DROP SCHEMA evil CASCADE")
    bench.done()


@test
def test_closed_streams(bench):
    """Descriptors 0, 1, 2 closed at the start are never used for the archive; a full stdout is an error, not a loss."""
    bench.begin()
    process = lib.start(bench.copy, bench.path, "run", "--yes", now_ms=bench.now)
    process.stdout.close()
    process.stderr.close()
    process.wait(lib.TIMEOUT)
    bench.safe("closed pipe")
    subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"] + lib.command_line(bench.path, ("run", "--yes"), bench.now), env=bench.copy.env(), timeout=lib.TIMEOUT, check=False)
    bench.converge()


@test
def test_stdout_is_json(bench):
    """With --json stdout is one JSON text, and no message, secret or name of a person is in it, in the ledger or on stderr."""
    bench.begin()
    canary = "Kanarienvogel-4711"
    bench.sql(f"UPDATE posts SET message = '{canary}' WHERE id = '{bench.roots()[0].root.id}'")
    bench.expect(db=oracle.Db(bench.copy.load()))
    texts = []
    for args in (("plan", "--json"), ("run", "--yes", "--json", "-v")):
        done = bench.call(*args, code=0)
        try:
            json.loads(done.out)
        except ValueError as e:
            bench.fail(f"{args[0]} --json: {e}")
        texts += [done.out, done.err]
    with open(os.path.join(bench.copy.archive, "ledger", "entries.jsonl"), encoding="utf-8") as f:
        texts.append(f.read())
    if any(canary in t for t in texts):
        bench.fail("message text in the output or the ledger")
    bench.done()


# ---- all --------------------------------------------------------------------------------------------------------------------
def main(argv):
    parser = argparse.ArgumentParser(description="The program under faults.")
    parser.add_argument("--only", action="append", help="tests whose name contains this")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args(argv)
    names = [n for n in TESTS if not args.only or any(w in n for w in args.only)]
    if args.list:
        for n in names:
            print(f"{n:28} {(TESTS[n].__doc__ or '').partition(chr(10))[0]}")
        return 0
    if lib.binary() is None:
        print("FAIL  no mmretain binary: set MMRETAIN\n0 passed, 1 failed")
        return 1
    tally = lib.Tally()
    where = lib.folder("faults")
    now = int(time.time()) * 1000
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
                except AssertionError as e:
                    tally.check(name, bench.problems + [str(e)])
                except Exception:
                    tally.check(name, bench.problems + [traceback.format_exc()])
                finally:
                    bench.copy.remove()
    finally:
        lib.remove(where)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
