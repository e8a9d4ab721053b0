#!/usr/bin/env python3
"""What the main job archived and deleted is found again: by id, word, author and file, every row equal to the one that was deleted.

    audit_roundtrip.py [--posts N] [--seed N]

The world is the hostile one of the property tests. The database is dropped before the questions are asked. MMRETAIN names the binary; the last line is
`N passed, N failed, N skipped`.
"""
import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import unicodedata

import e2e_lib as lib

SAMPLE = 60   # questions of each kind


def fold(text):
    return re.findall(r"[^\W_]+", "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).lower())


class Archive:
    def __init__(self, root):
        self.root = root
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "MM_", "MMR_"))}

    def call(self, command, *args, codes=(0,)):
        case = [] if command in ("verify", "reindex") else ["--case", "17/26", "--reason", "round trip"]
        done = subprocess.run([*lib.program(), command, "--archive", self.root, *case, *args], capture_output=True, env=self.env)
        if done.returncode not in codes:
            raise AssertionError(f"{command} {' '.join(args)}: {done.returncode} {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode("utf-8", "surrogateescape")

    def hits(self, *args):
        return json.loads(self.call("find", "--json", "--limit", "0", *args))["hits"]


class Check:
    def __init__(self, want, archive, rng):
        self.want, self.archive, self.rng = want, archive, rng
        self.bundle = lib.Bundle(lib.bundles(archive.root)[0])
        self.posts, self.files, self.of_root = {}, {}, collections.defaultdict(collections.Counter)
        for table, rows in want.rows.items():
            columns = want.db.tables[table].columns
            for _, row, root in rows:
                self.of_root[root][lib.as_record(table, columns, row)] += 1
                if table in ("posts", "fileinfo"):
                    {"posts": self.posts, "fileinfo": self.files}[table][dict(zip(columns, row))["id"]] = dict(zip(columns, row), thread=root)

    def some(self, items):
        items = sorted(items, key=str)
        return self.rng.sample(items, min(len(items), SAMPLE))

    def every_row(self):
        """show --json of every thread: exactly the rows that were deleted with it, every value equal."""
        problems = []
        for root, want in self.of_root.items():
            found = collections.Counter()
            *rows, last = self.archive.call("show", "--json", root).rstrip("\n").split("\n")
            said = json.loads(last)
            if said["k"] != "deletion" or not said["deleted"] or said["stayed"]:
                problems.append(f"thread {root}: is gone, and the ledger is said to tell: {lib.short(said)}")
            for line in rows:
                table, row = self.bundle.row(line)
                found[(table,) + tuple(sorted(row.items()))] += 1
            for r in list((want - found).elements())[:2]:
                problems.append(f"thread {root}: not shown: {lib.short(r)}")
            for r in list((found - want).elements())[:2]:
                problems.append(f"thread {root}: shown, but not deleted with it: {lib.short(r)}")
        return problems

    def by_id(self):
        problems = []
        for what, rows in (("post", self.posts), ("file", self.files)):
            for i in self.some(rows):
                if not re.fullmatch(r"[A-Za-z0-9]{26}", i):
                    continue
                hit = self.archive.hits("--thread", i)
                if [h["thread"] for h in hit] != [rows[i]["thread"]]:
                    problems.append(f"{what} {i}: found {hit}, its thread is {rows[i]['thread']}")
        return problems

    def by_word(self):
        problems = []
        for i in self.some(self.posts):
            words = [w for w in fold(self.posts[i]["message"] or "") if len(w) > 3 and w.isascii()]
            if words:
                word = self.rng.choice(words)
                if i not in {h["post"] for h in self.archive.hits(word)}:
                    problems.append(f"post {i} is not found by its word {word}")
        return problems

    def by_author(self):
        problems = []
        authors = collections.defaultdict(set)
        for i, p in self.posts.items():
            if p["userid"]:
                authors[p["userid"]].add(i)
        for user in self.some(authors):
            hits = [h for h in self.archive.hits("--user", user) if not h["file"]]
            found = {h["post"] for h in hits}
            problems += [f"post {h['post']} is said to be of thread {h['thread']}" for h in hits if h["post"] in self.posts and h["thread"] != self.posts[h["post"]]["thread"]]
            if found != authors[user]:
                problems.append(f"author {user}: {len(authors[user] - found)} posts not found, {len(found - authors[user])} too many")
        return problems

    def by_file(self):
        problems = []
        for i in self.some(self.files):
            f = self.files[i]
            if f["name"] and "\n" not in f["name"] and f["postid"] not in {h["post"] for h in self.archive.hits("--file-name", glob_safe(f["name"]))}:
                problems.append(f"file {i} is not found by its name {f['name']!r}")
        return problems

    def exports(self):
        """Everything at once in every format: nothing stumbles over a row, every thread is there."""
        problems = []
        for form in ("html", "jsonl", "csv", "eml", "mattermost"):
            out = os.path.join(os.path.dirname(self.archive.root), f"all-{form}.zip")
            doc = json.loads(self.archive.call("export", "--json", "--as", form, "--after", "1970-01-01", "--out", out))
            threads = doc["threads"] + doc["left_out"]["threads"]
            if threads != len(self.of_root):
                problems.append(f"{form}: {threads} threads exported or left out, {len(self.of_root)} were deleted")
        return problems

    def without_indexes(self):
        """The same answers when every index is gone, and by --scan."""
        question = ("--has", "file")
        before = sorted(h["post"] for h in self.archive.hits(*question))
        scan = sorted(h["post"] for h in self.archive.hits("--scan", *question))
        for folder, _, names in os.walk(self.archive.root):
            for n in names:
                if n.endswith((".idx", ".sqlite")):
                    os.unlink(os.path.join(folder, n))
        after = sorted(h["post"] for h in self.archive.hits(*question))
        return [] if before == scan == after else [f"{len(before)} with, {len(scan)} by --scan, {len(after)} without indexes"]


def glob_safe(name):
    return name.translate({ord(c): "?" for c in "*[]\\"})


# What is asked for: whole threads; and parts of threads that stay, beside whole ones.
VARIANTS = {"threads": ("300d", None), "parts": ("900d", "30d")}


def one(pg, world, where, name, seed, tally):
    keep, purge_after = VARIANTS[name]
    copy = world.clone(name, os.path.join(where, name))
    path, policy = copy.write_policy([{"name": "all", "match": {}, "keep": {"for": keep}}], purge_after=purge_after)
    want = lib.Expected(copy, policy, lib.NOW)
    lib.call(copy, path, "init")
    done = lib.call(copy, path, "run", "--yes")
    tally.check(f"{name}: run", [] if done.code == want.code else [f"exit {done.code}, expected {want.code}: {lib.tail(done.err)}"])
    pg.dropdb(name)
    parts = [b for b in map(lib.Bundle, lib.bundles(copy.archive)) if json.loads(b.members["data/bundle.json"]).get("parts")]
    tally.check(f"{name}: bundles of parts", [] if bool(parts) == bool(purge_after) else [f"{len(parts)} bundles hold parts"])
    check = Check(want, Archive(copy.archive), random.Random(seed))
    print(f"{len(check.of_root)} threads, {len(check.posts)} posts, {len(check.files)} files were deleted")
    for what in ("every_row", "by_id", "by_word", "by_author", "by_file", "exports", "without_indexes"):
        try:
            tally.check(f"{name}: {what}", lib.minimal(getattr(check, what)()))
        except (AssertionError, lib.Damage) as e:
            tally.check(f"{name}: {what}", [str(e)])


def main(argv):
    parser = argparse.ArgumentParser(description="Everything archived is found again.")
    parser.add_argument("--posts", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=23)
    args = parser.parse_args(argv)
    tally, where = lib.Tally(), lib.folder("roundtrip")
    try:
        with lib.cluster.Cluster(settings=lib.QUICK) as pg:
            world = lib.World(pg, "world", args.posts, args.seed)
            for name in VARIANTS:
                one(pg, world, where, name, args.seed, tally)
    finally:
        lib.remove(where)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
