#!/usr/bin/env python3
"""Two years of an institute: one database and one archive, night after night, with all that people, administrators, crashes and full disks do in between.

    year_test.py [--lives N] [--nights N] [--seed N] [--posts N] [--late SHARE] [--more KIND]... [--fixed] [--keep FOLDER] [--verbose]

Between two nights, of which each is a day to some weeks after the one before, people write, edit, delete and attach; channels and teams are archived, renamed, moved and
removed for good; accounts are deactivated and come back; the policy changes; threads are held, released, restored; persons are erased; bundles expire; indexes vanish.
Nights are whole, killed at a fault point or at any moment, stopped, short of time or disk, restricted, from a plan file, without deletes, or people write in the midst of them.
After every step model.py's rules hold, and a whole night does what the oracle says.  The clocks of the program and of its database server are moved by a preloaded
library, CLOCK_AHEAD names it; without it, or with --fixed, --now says the time.  MMR_LONG=1 asks for longer and more lives.  The last line is `N passed, N failed, N skipped`.
"""
import argparse
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import time
import traceback

import e2e_lib as lib
import oracle
import year_model
from e2e_lib import DAY
from midnight_test import Clocked
from property import PLUGIN_HOLDS
from year_server import HOUR, Server

import seed as seeding  # (tests/support, found by e2e_lib)

BEGIN, FIXED = oracle.ms(2029, 11, 1), oracle.ms(2016, 11, 1)  # with a clock that is moved; with --now, which must not be ahead of the server's
LONG = lib.outcome.LONG
CASE = ("--reason", "a year in the life")
POINTS = ("BUNDLE_WRITE", "BUNDLE_SYNC", "BUNDLE_BEFORE_RENAME", "BUNDLE_AFTER_RENAME", "LEDGER_WRITE", "LEDGER_SYNC", "RUN_AFTER_PUBLISHED", "PURGE_AFTER_INTENT", "PURGE_AFTER_DELETE",
          "PURGE_BEFORE_COMMIT", "PURGE_AFTER_COMMIT", "PURGE_AFTER_BATCHES", "SWEEP_BEFORE", "SWEEP_AFTER_COMMIT", "SWEEP_AFTER", "UNLINK_BEFORE", "UNLINK_AFTER", "UNLINK_BEFORE_CLOSE",
          "UNLINK_AFTER_CLOSE", "RUN_AFTER_DONE", "PEOPLE_BEFORE_COMMIT", "PEOPLE_AFTER_COMMIT", "PEOPLE_BEFORE_PICTURE", "PEOPLE_AFTER_PICTURE", "EXPIRE_AFTER_INTENT", "EXPIRE_AFTER_UNLINK",
          "EXPIRE_AFTER_INDEX", "EXPIRE_AFTER_LATE", "EXPIRE_AFTER_CATALOG", "EXPIRE_AFTER_IDS")
MIDST = ("BUNDLE_BEFORE_RENAME", "RUN_AFTER_PUBLISHED", "PURGE_AFTER_INTENT", "PURGE_AFTER_DELETE", "PURGE_BEFORE_COMMIT", "PURGE_AFTER_COMMIT", "PURGE_AFTER_BATCHES", "SWEEP_BEFORE",
         "SWEEP_AFTER", "UNLINK_BEFORE")
IN_BETWEEN = {"restore": ("RESTORE_IN_FOLDER", "RESTORE_AFTER_FILE", "RESTORE_BEFORE_COMMIT", "RESTORE_AFTER_COMMIT", "LEDGER_WRITE"),
              "erase": ("ERASE_WRITTEN", "ERASE_AFTER_INTENT", "ERASE_AFTER_LATE", "ERASE_AFTER_LINE", "ERASE_BEFORE_UNLINK", "ERASE_AFTER_UNLINK", "ERASE_NAMES", "BUNDLE_AFTER_RENAME", "LEDGER_WRITE"),
              "expire": ("EXPIRE_AFTER_INTENT", "EXPIRE_AFTER_UNLINK", "EXPIRE_AFTER_INDEX", "EXPIRE_AFTER_LATE", "EXPIRE_AFTER_CATALOG", "EXPIRE_AFTER_IDS", "LEDGER_WRITE")}


class Policy:
    """Rules that change over the years."""

    def __init__(self, rng):
        self.rng = rng
        self.rules = [
            {"name": "all", "match": {}, "keep": {"for": "300d"}, "spare": {"pinned": "thread", "flagged": True}, "archive": {"keep_for": "500d"}, "floor": "20d"},
            {"name": "alarms", "match": {"channel": "alarm-*"}, "priority": 3, "keep": {"for": "60d"}, "files": "drop"},
            {"name": "square", "match": {"channel": "town-square"}, "keep": "forever", "limit": {"per": "channel", "posts": 12}, "floor": "30d", "priority": 2},
            {"name": "team", "match": {"team": "accelerator"}, "keep": {"for": "200d", "from": "root"}, "archive": {"keep_for": "300d"}},
            {"name": "private", "match": {"type": ["private"]}, "keep": {"for": "8mo"}, "priority": 1, "spare": {"hashtags": ["#keep"]}},
            {"name": "direct", "match": {"type": ["direct", "group"]}, "keep": {"for": "150d"}, "files": "keep", "floor": "20d", "archive": "none", "because": "ticket 17/26"},
        ]
        self.holds, self.purge_after, self.people = [], "30d", {"after": "60d"}
        self.cases = 0

    def change(self, people, channels):
        """One edit; what it was."""
        rng = self.rng
        rule, what = rng.choice(self.rules), rng.choice(("age", "age", "limit", "archive", "files", "spare", "deleted", "people", "hold", "unhold", "floor"))
        if what == "age":
            rule["keep"] = "forever" if rng.random() < 0.15 else {"for": rng.choice(("45d", "90d", "20w", "6mo", "9mo", "1y", "500d")), "from": rng.choice(("last_reply", "root", "last_edit"))}
        elif what == "limit":
            if rule.pop("limit", None) is None:
                rule["limit"] = {"per": "team" if rule["name"] == "team" else "channel", **rng.choice(({"posts": rng.randint(3, 30)}, {"bytes": f"{rng.randint(2, 60)}KiB"}))}
        elif what == "archive":
            for key in ("archive", "because"):
                rule.pop(key, None)
            draw = rng.random()
            if draw < 0.5:
                rule["archive"] = {"keep_for": rng.choice(("10w", "200d", "1y", "18mo"))}
            elif draw < 0.65:
                rule.update(archive="none", because="kept elsewhere", files=rng.choice(("drop", "keep")))
                rule.setdefault("floor", "20d")
        elif what == "files":
            rule["files"] = rng.choice(("drop", "keep") if rule.get("archive") == "none" else ("archive", "archive", "drop", "keep"))
        elif what == "spare":
            if rule.pop("spare", None) is None:
                rule["spare"] = rng.choice(({"pinned": "thread"}, {"flagged": True}, {"hashtags": ["#keep"]}, {"authors": [rng.choice(people)]}))
        elif what == "floor":
            rule["floor"] = rng.choice(("20d", "40d", "80d"))
        elif what == "deleted":
            self.purge_after = None if self.purge_after and rng.random() < 0.4 else rng.choice(("14d", "30d", "90d"))
        elif what == "people":
            self.people = None if self.people and rng.random() < 0.3 else {"after": rng.choice(("30d", "90d", "6mo")), "except": rng.sample(people, 1)}
        elif what == "hold":
            self.cases += 1
            match = rng.choice(({"users": rng.sample(people, 1)}, {"channels": rng.sample(channels, 1)}, {"users": rng.sample(people, 1), "channels": rng.sample(channels, 1)}, {"teams": ["admin"]},
                                {"channels": ["projekt-*"]}))
            span = rng.choice(({}, {}, {"since": f"20{rng.randint(26, 31)}-0{rng.randint(1, 9)}-15"}, {"since": "2027-01-01", "until": f"20{rng.randint(28, 32)}-0{rng.randint(1, 9)}-15"}))
            self.holds.append({"name": f"case-{self.cases}", "match": match, **span, "because": "file reference 17/26"})
        elif self.holds:
            self.holds.remove(rng.choice(self.holds))
        return f"{what} of {rule['name']}" if what in rule or what in ("age", "limit", "archive", "files", "spare", "floor") else what


class Life:
    def __init__(self, pg, where, seed, args):
        self.pg, self.seed, self.args, self.where = pg, seed, args, where
        self.rng = random.Random(f"life {seed}")
        self.moved = isinstance(pg, Clocked)
        self.name = f"life{seed}"
        self.problems, self.said, self.disturbed, self.case, self.count = [], [], 0, 0, {}
        self.last_due = {}
        self.gone = []  # (root, channel) of what the last night took
        self.late = set()  # threads that a reply came late to, and that are not back yet
        self.costs = []
        self.make()

    # ---- begin ----
    def make(self):
        now = self.now = BEGIN if self.moved else FIXED
        self.clock(now)
        self.world = World(self.pg, f"world{self.seed}", os.path.join(self.where, f"world{self.seed}"), self.args.posts, self.seed, now)
        self.copy = lib.Copy(self.world, self.name, os.path.join(self.where, self.name))
        self.pg.createdb(self.name, template=self.world.name, strategy="file_copy")
        self.age_files()
        self.model = year_model.Model(self.copy)
        self.server = Server(self.pg.conninfo(self.name), self.copy.data, self.rng, f"life {self.seed}")
        if not self.moved:
            self.server.file_ms = lambda: int(time.time() * 1000) - 7200_000
        self.policy = Policy(self.rng)
        self.write()
        self.call("init", code=0)

    def age_files(self):
        """Older than the first night, whatever clock counts."""
        for folder, _, names in os.walk(self.copy.data):
            for n in names:
                os.utime(os.path.join(folder, n), (int(time.time()) - 7200,) * 2)

    def write(self):
        p = self.policy
        more = ["departed_users: " + lib.flow(p.people)] if p.people else []
        self.path, self.parsed = self.copy.write_policy(p.rules, p.holds, bundle_size=self.rng.choice(("64KiB", "1MiB", "16MiB")), purge_after=p.purge_after, more=more)
        self.parsed["people"] = p.people

    def clock(self, now):
        self.now = now
        if self.moved:
            self.pg.move(now)

    def env(self, fault=None):
        return {**(self.pg.clock if self.moved else {}), **({"MMR_FAULT": fault} if fault else {})}

    def call(self, *args, code=None, fault=None):
        done = lib.call(self.copy, self.path, *args, now_ms=None if self.moved else self.now, env=self.env(fault))
        if code is not None and done.code not in (code if isinstance(code, tuple) else (code,)):
            self.fail(f"{' '.join(args)}: exit code {done.code}, wanted {code}\n{lib.tail(done.err)}")
        return done

    def fail(self, text):
        self.problems.append(text)

    def say(self, text):
        self.said.append(text)
        if self.args.verbose:
            print(f"        {lib.stamp(self.now)} {text}", flush=True)

    def snap(self):
        return year_model.Snap(self.copy)

    def holds(self, snap):
        return [oracle.Hold(snap.db, h) for h in self.parsed["holds"]] + [PluginHold(*h) for h in snap.db.plugin_holds]

    # ---- between two nights ----
    def day(self):
        """Time passes; people write, and administrators do something now and then."""
        rng = self.rng
        gap = rng.choice((1, 2, 3, 7, 14, 14, 21, 28, 29, 30)) if rng.random() > 0.02 else 45
        last, self.now = self.now, (self.now // DAY + gap) * DAY
        writes = rng.randint(6, 14 + 2 * gap)
        for n in range(writes):
            if n % 6 == 0:
                self.server.begin(min(last // DAY * DAY + DAY * (1 + n * (gap - 1) // writes) - rng.randint(1, 19) * HOUR, self.now - 2 * HOUR) if gap > 1 else self.now - rng.randint(2, 18) * HOUR)
            self.server.write()
        for what, odds in (("thread_gone", 0.15), ("channel_gone", 0.06), ("channel_archived", 0.15), ("channel_renamed", 0.1), ("channel_changed", 0.1), ("team_archived", 0.04),
                           ("user_left", 0.25), ("user_back", 0.1), ("user_renamed", 0.05), ("thread_moved", 0.1), ("blob_lost", 0.06)):
            if rng.random() < odds:
                whom = getattr(self.server, what)()
                self.say(f"server: {what} {whom}")
                if what == "blob_lost" and whom:
                    self.model.touched.add(whom)
        if self.gone and self.moved and rng.random() < self.args.late:  # a reply by a server that has not seen yet what the last night did
            root, channel = rng.choice([g for g in self.gone if g[0] in self.attached] or self.gone)
            if self.server.sql("SELECT FROM channels WHERE id = %s", channel) and not self.server.sql("SELECT FROM posts WHERE id = %s", root):
                self.server.at = last + 30_000
                self.server.late_reply(root, channel)
                self.late.add(root)
                self.say(f"server: late reply to {root}")
        if rng.random() < 0.3:
            people = sorted(r[0] for r in self.server.sql("SELECT username FROM users") if lib.PLAIN.fullmatch(r[0]))
            channels = sorted({r[0] for r in self.server.sql("SELECT name FROM channels WHERE type IN ('O', 'P')") if lib.PLAIN.fullmatch(r[0])})
            self.say(f"policy: {self.policy.change(people, channels)}")
            self.write()
        self.clock(self.now + rng.randint(1, 5000) * 1000)

    def commands(self, before):
        """What somebody does by day; the state after it."""
        rng = self.rng
        for what, odds in ((self.hold, 0.12), (self.release, 0.1), (self.restore, 0.15), (self.restore_all, 0.05), (self.erase, 0.04), (self.expire, 0.06), (self.lose_index, 0.08)):
            if rng.random() < odds:
                word = what(before)
                if word:
                    before = self.after(before, f"by day: {word}")
        return before

    def after(self, before, word, allowed=None):
        """The rules after a step by day, which deletes nothing."""
        after, problems = self.snap(), []
        self.say(word)
        self.model.read_archive(self.parsed, self.now, self.holds(after), problems)
        self.model.step(before, after, allowed or {}, set(), problems)
        self.model.attachments(before, after, problems, complete=False)
        self.model.safe(after, problems)
        self.problems += [f"{word}: {p}" for p in lib.minimal(problems)]
        return after

    def fault(self, command, odds=0.25):
        return f"{self.rng.choice(IN_BETWEEN[command])}:kill:{self.rng.choice((1, 1, 2, 3))}" if self.rng.random() < odds else None

    def hold(self, before):
        roots = self.rng.sample(sorted(before.db.threads), min(len(before.db.threads), self.rng.randint(1, 4)))
        self.case += 1
        asked = [self.rng.choice(sorted(p.id for p in before.db.threads[r].posts)) if before.db.threads[r].root.channel in before.db.channels else r for r in roots]
        asked = [a if len(a) == 26 and a.isalnum() and not before.db.threads[r].damage else None for a, r in zip(asked, roots)]
        roots, asked = [r for r, a in zip(roots, asked) if a], [a for a in asked if a]
        if not roots:
            return None
        self.call("hold", "add", *asked, "--case", f"H-{self.case}", code=0)
        self.model.holds[f"H-{self.case}"] |= set(roots)
        return f"hold {roots}"

    def release(self, before):
        cases = sorted(c for c, r in self.model.holds.items() if r)
        if not cases:
            return None
        case = self.rng.choice(cases)
        self.call("hold", "release", "--all", "--case", case, code=0)
        self.model.holds.pop(case)
        return f"release {case}"

    def archived(self, before):
        """Threads that are in a whole bundle and not in the database: {root: newest bundle's book}."""
        out = {}
        for path in sorted(self.model.books):
            b = self.model.books[path]
            if not b.parts:
                for root in b.roots:
                    if root and root not in before.db.posts:
                        out[root] = b
        return out

    def restore(self, before):
        found = self.archived(before)
        if not found:
            return None
        root, fault = self.rng.choice(sorted(found)), self.fault("restore")
        entries = self.model.ledger()
        unfinished, books = self.model.owing(entries) or self.model.unfinished(entries), [b for b in self.model.books.values() if root in b.threads()]
        self.case += 1
        done = self.call("restore", root, "--yes", "--case", f"R-{self.case}", *CASE, fault=fault)
        self.follow_restore(before, f"R-{self.case}", done, fault)
        channel = found[root].posts.get(root, {}).get("channelid")
        refused = unfinished or channel not in before.db.channels or any(b.erased for b in books)
        if not fault and done.code not in ((16, 1, 0, 3) if refused else (0, 3)):
            self.fail(f"restore {root}: exit code {done.code}\n{lib.tail(done.err)}")
        if not fault and done.code in (0, 3) and root not in oracle.Db(self.copy.load()).posts:
            self.fail(f"restore {root}: exit code {done.code}, and it is not there")
        if not fault and done.code in (0, 3):
            self.whole(before, root, found[root])
        return f"restore {root} {fault or ''} ({done.code})"

    def whole(self, before, root, book):
        """Each row of the thread is there, as it is in the bundle where nothing was there before."""
        after, posts = self.snap(), {p for p in book.posts if book.thread_of(p) == root}
        t = {name: {tuple(sorted((c, oracle_text(name, c, v)) for c, v in zip(table.columns, row))) for row in table.rows} for name, table in after.tables.items() if name in ("posts", "reactions", "fileinfo", "threadmemberships")}
        for r in book.records:
            row = dict(r[1:])
            if r[0] in t and (row.get("id") if r[0] == "posts" else row.get("postid")) in posts and r[1:] not in t[r[0]] and not before.db.posts.get(row.get("id")):
                self.fail(f"restore {root}: not back: {lib.short(r)}")

    def restore_all(self, before):
        names = [os.path.basename(p) for p, b in sorted(self.model.books.items()) if not b.parts]
        if not names:
            return None
        what, fault = self.rng.choice((("--run", "last"), ("--bundle", self.rng.choice(names)))), self.fault("restore")
        self.case += 1
        done = self.call("restore", *what, "--yes", "--case", f"A-{self.case}", *CASE, fault=fault)
        if not fault and done.code not in (0, 1, 3, 16):
            self.fail(f"restore {' '.join(what)}: exit code {done.code}\n{lib.tail(done.err)}")
        self.follow_restore(before, f"A-{self.case}", done, fault)
        return f"restore {' '.join(what)} {fault or ''} ({done.code})"

    def follow_restore(self, before, case, done, fault):
        """What came back is held; a crash may hold more."""
        after = oracle.Db(self.copy.load())
        held = self.model.ledger_holds(self.model.ledger()).get(case, set())
        back = set(after.threads) - set(before.db.threads)
        if back - held:
            self.fail(f"{case}: came back and is not held: {sorted(back - held)[:3]}")
        if held:
            self.model.holds[case] = held

    def erase(self, before):
        people = sorted({r["userid"] for b in self.model.books.values() for r in b.posts.values() if r["userid"]})
        if not people:
            return None
        user, fault = self.rng.choice(people), self.fault("erase")
        self.model.erased.add(user)
        self.case += 1
        done = self.call("erase", "--user", user, "--yes", "--case", f"E-{self.case}", *CASE, fault=fault)
        if not fault and done.code not in (0, 3, 17):
            self.fail(f"erase {user}: exit code {done.code}\n{lib.tail(done.err)}")
        if not fault and done.code == 0:
            for path in lib.bundles(self.copy.archive):
                b = year_model.Book(path)
                mine = [i for i, r in b.posts.items() if r["userid"] == user]
                if mine:
                    self.fail(f"erase {user}: {b.name} still has post {mine[0]}")
        return f"erase {user} {fault or ''} ({done.code})"

    def expire(self, before):
        fault = self.fault("expire", 0.4)
        done = self.call("expire", "--yes", fault=fault)
        if not fault and done.code not in (0, 3, 16):
            self.fail(f"expire: exit code {done.code}\n{lib.tail(done.err)}")
        return f"expire {fault or ''} ({done.code})"

    def lose_index(self, before):
        gone = [os.path.join(f, n) for f, _, names in os.walk(os.path.join(self.copy.archive, "bundles")) for n in sorted(names) if n.endswith(".idx")]
        gone = self.rng.sample(sorted(gone), min(len(gone), 3)) + [os.path.join(self.copy.archive, "catalog.sqlite")] * (self.rng.random() < 0.5)
        for path in gone:
            if os.path.exists(path):
                os.unlink(path)
        if self.rng.random() < 0.5:
            self.call("reindex", *["--all"] * (self.rng.random() < 0.3), code=0)
        return f"{len(gone)} indexes gone"

    # ---- nights ----
    def night(self, n):
        self.rng.seed(f"life {self.seed}, night {n}")  # what chance did to one night leaves the others as they are
        self.day()
        before = self.commands(self.snap())
        self.clock((self.now // DAY + 1) * DAY + HOUR + self.rng.randint(0, 3 * 3600) * 1000)
        self.parsed["held"] = sorted(self.model.held())
        kinds = {self.calm: 45, self.killed: 16, self.failing: 10, self.stopped: 6, self.signalled: 4 * LONG, self.short: 3, self.no_purge: 4, self.from_plan: 6, self.restricted: 4, self.midst: 12}
        for k in kinds:
            kinds[k] *= 10 if k.__name__ in self.args.more else 1
        kind = self.rng.choices(list(kinds), kinds.values())[0] if self.disturbed < 3 else self.calm
        self.disturbed = 0 if kind == self.calm else self.disturbed + 1
        self.count[kind.__name__] = self.count.get(kind.__name__, 0) + 1
        kind(before)

    def expected(self, before):
        return lib.Expected(self.copy, self.parsed, self.now, before.db)

    def allowed(self, before, want):
        """Lines that may go tonight: what is due, and what an unfinished night may still take."""
        out = {table: {line: root for line, _, root in rows} for table, rows in want.rows.items()}
        for table, root, column in (("posts", None, "rootid"), ("threads", None, "postid")):
            t = before.tables[table]
            out[table].update({line: t.get(row, column) for line, row in zip(t.lines, t.rows) if t.get(row, column) in self.late})
        for b in self.model.books.values() if self.late else ():  # it comes back with its attachments, and may go again the same night
            late = {p for p in b.posts if b.thread_of(p) in self.late}
            self.model.may_go.update({v["path"]: "archive" for v in (dict(r[1:]) for r in b.records if r[0] == "fileinfo") if v["postid"] in late})
        if self.unsettled():
            for table, rows in self.widest(before).items():
                for line, _, root in rows:
                    out[table].setdefault(line, root)
        owed = set().union(*(b.records for b in self.model.unfinished(self.model.ledger()))) if self.last_due else set()
        if owed:
            for root, (rule, part) in self.last_due.items():
                if root in want.verdict.due or root not in before.db.threads or self.protected(before, root, rule):
                    continue
                v = oracle.Verdict()
                v.due[root] = "age", rule
                if part:
                    v.part[root] = part
                for table, rows in oracle.closure(before.db, [root], v).items():
                    for line, _, _ in rows:
                        if self.model.record(before, table, line) in owed:
                            out[table].setdefault(line, root)
        return out

    def unsettled(self):
        """What comes back, or goes, before the plan is made changes what a limit takes."""
        return self.late or self.last_due

    def widest(self, before):
        """Whatever a limit may take."""
        rules = [dict(r, limit=dict(r["limit"], posts=0)) if "limit" in r else r for r in self.parsed["rules"]]
        v = oracle.judge(before.db, dict(self.parsed, rules=rules), self.now)
        v.due = {root: x for root, x in v.due.items() if "limit" in x[1]}
        return oracle.closure(before.db, set(v.due), v)

    def protected(self, before, root, rule):
        """What must keep it whatever was decided before."""
        t, spare = before.db.threads[root], rule.get("spare") or {}
        return root in self.model.held() or any(h.covers(t) for h in self.holds(before)) or (spare.get("pinned") and "pinned" in t.flags) or (spare.get("flagged") and "flagged" in t.flags)

    def check(self, word, before, want, allowed, complete=False, entries=(), come=None):
        """After a night, or a part of it: the state."""
        after, problems, model = self.snap(), [], self.model
        model.read_archive(self.parsed, self.now, self.holds(after), problems)
        waived = {root for root, (_, rule) in {**{r: ("", x[0]) for r, x in self.last_due.items()}, **want.verdict.due}.items() if rule.get("archive") == "none"}
        victims = model.victims(before, self.parsed, self.now)
        model.step(before, after, allowed, victims, problems, waived, want.verdict)
        model.taken(before, after, allowed, want, self.last_due, problems)
        model.attachments(before, after, problems, complete)
        model.safe(after, problems)
        model.people(before, after, victims, complete and not year_model.silent(entries, self.now), problems)
        if complete:
            problems += self.left(before, after, want) + self.alone(after)
        self.late -= set(after.db.posts)
        self.attached = {root for root, _ in want.attachments.rows.values()}
        self.gone = sorted((r, t.channel) for r, t in before.db.threads.items() if r not in after.db.posts)
        if model.ledger_holds(model.ledger()) != {c: r for c, r in model.holds.items() if r}:
            problems.append("the ledger's holds are others")
        self.problems += [f"{word}: {p}" for p in lib.minimal(problems)]
        return after

    def left(self, before, after, want):
        """Of a whole night: what was due is gone."""
        problems = []
        for table, rows in want.rows.items():
            for line, _, root in rows:
                if after.counts[table][line] and root not in want.lost and not (self.unsettled() and "limit" in want.verdict.due[root][1]):
                    reason, rule = want.verdict.due[root]
                    problems.append(f"{table}: still there, but due ({reason}, rule {rule['name']}, thread {root}): {lib.short(line)}")
        return problems

    def alone(self, after):
        """Whose late reply nothing answered: what was put back once, or is the server's, may stay so."""
        stayed = {r for e in self.model.ledger() if e["type"] == "stayed" for r in e["roots"]}
        t = after.tables["posts"]
        here = {t.get(r, "rootid") for r in t.rows}
        alone = {root for root in self.late & here - set(after.db.posts) - stayed if any(root in b.threads() and not b.erased and not b.parts for b in self.model.books.values())}
        self.late = set()
        return [f"a reply to thread {root} came late, and it is not back" for root in sorted(alone)]

    def remember(self, want):
        """What this night decided: if it does not finish, the next one may."""
        self.last_due.update({root: (rule, want.verdict.part.get(root)) for root, (_, rule) in want.verdict.due.items()})

    def calm(self, before):
        """A whole night: it does what is due, and all commands answer as they should."""
        entries, want = self.model.ledger(), self.expected(before)
        allowed = self.allowed(before, want)
        unfinished = self.model.owing(entries) or self.model.unfinished(entries)
        if not self.unsettled():
            self.same_plan(want)
        begin, spent = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = self.call("run", "--yes", "--json")
        seconds = time.monotonic() - begin
        silent = year_model.silent(entries, self.now)
        codes = {want.code} | ({3} if unfinished or self.model.touched else set()) | ({16} if silent else set())
        if done.code not in codes:
            self.fail(f"calm night: exit code {done.code}, wanted {codes}, kept {told(done)}\n{lib.tail(done.err)}")
        after = self.check("calm night", before, want, allowed, complete=done.code in (0, 3), entries=entries)
        lines = self.model.ledger()[len(entries):]
        self.say(f"calm night ({done.code}): {len(want.roots)} due, {len(want.lost)} lost, {len(unfinished)} unfinished, {len(self.model.books)} bundles, {len(after.db.posts)} posts, {len(lines)} lines, {seconds:.2f} s")
        if done.code in (0, 3):
            self.answers(before, after, done, silent)
        self.last_due = {}
        self.costs.append((seconds, len(lines), len(want.roots), spent.ru_maxrss))

    def overdue(self, after):
        """Bundles that a whole night should have removed: no hold of any kind may be about them."""
        rules, newest = {r["name"]: r for r in self.parsed["rules"]}, {}
        entries = self.model.ledger()
        for e in entries:
            if e["type"] in ("published", "purged", "sweep", "bundle-done", "unlinked", "erased", "stayed") and "bundle" in e:
                newest[e["bundle"]] = oracle.parse_time(e["at"])
        for b in self.model.books.values():
            ends = self.model.ends(b, rules.get(b.rule))
            if ends is not None and max(ends, b.expires) <= self.now and newest.get(b.generation + ".tar.zst", self.now) < self.now - DAY and not self.parsed["holds"] and not after.db.plugin_holds and not self.model.held() & b.threads():
                yield b.name

    def same_plan(self, want):
        """`plan` says what the oracle says."""
        doc, due = json.loads(self.call("plan", "--json", "--kept", code=0).out), {}
        for reason, rule in want.verdict.due.values():
            due.setdefault(rule["name"], {}).setdefault(reason, 0)
            due[rule["name"]][reason] += 1
        for rule in doc["rules"]:
            got = {k: v for k, v in rule["reasons"].items() if v and k in ("age", "posts", "bytes", "deleted")}
            if got != due.get(rule["rule"], {}):
                self.fail(f"plan: rule {rule['rule']} {got}, wanted {due.get(rule['rule'])}")
        odd = {root for root, why in want.verdict.kept.items() if why in ({"damaged"}, {"deleted root with live replies"})}  # which a limit may want or not
        kept, wanted = {k["root"] for k in doc["kept"]} - odd, set(want.verdict.kept) - odd
        if kept != wanted:
            self.fail(f"plan --kept: too many {[k for k in doc['kept'] if k['root'] in kept - wanted][:3]}, too few {[(r, want.verdict.kept[r]) for r in sorted(wanted - kept)[:3]]}")

    def answers(self, before, after, done, silent):
        """Of the commands that look."""
        verify = self.call("verify", "--json")
        if verify.code:
            doc = json.loads(verify.out or "{}")
            self.fail(f"verify: exit code {verify.code} {[doc.get(k) for k in ('missing', 'unknown')]} {[b['damage'] for b in doc.get('bundles', ()) if not b['ok']][:2]}\n{lib.tail(verify.err)}")
        status = json.loads(self.call("status", "--json", code=0).out)
        status["warnings"] = [w for w in status["warnings"] if "matched nothing" not in w]  # a channel that was renamed
        found = {k: status[k] for k in ("warnings", "open_run", "unfinished", "not_begun") if status[k]}
        if found:
            self.fail(f"status after a whole night: {found}")
        if status["held"] != len(self.model.held()):
            self.fail(f"status: {status['held']} held, wanted {len(self.model.held())}")
        if status["archive"]["bundles"] != len(self.model.books) or status["missing"] or status["lost"]:
            self.fail(f"status: {status['archive']} {status['missing']} missing, {status['lost']} lost, {len(self.model.books)} are there")
        report = json.loads(self.call("report", "last", "--json", code=0).out)
        if report["run"] != json.loads(done.out)["run"] or not report["ended"]:
            self.fail(f"report last: {report['run']}, ended {report['ended']}")
        gone = len(set(before.db.posts) - set(after.db.posts))
        if report["totals"]["deleted"]["posts"] != gone and not self.last_due and not json.loads(done.out)["late"]["restored"]:
            self.fail(f"report last: {report['totals']['deleted']} posts deleted, {gone} are gone")
        for path in lib.leftovers(self.copy.archive):
            if not path.startswith(("ledger/late-", "ledger/access/")) and path != ".":
                self.fail(f"left over: {path}")
        if not silent:
            for name in self.overdue(after):
                self.fail(f"past its time, and still there: {name}")
        self.ask(after)
        if self.rng.random() < 0.15:
            self.call("doctor", code=0)
        if self.rng.random() < 0.15:
            self.same_index()

    def ask(self, after):
        """`show` and `find` of what is archived."""
        found = self.archived(after)
        if not found:
            return
        root = self.rng.choice(sorted(found))
        done = self.call("show", root, "--json", "--case", "S-1", *CASE, code=0)
        rows = [json.loads(line) for line in done.out.rstrip("\n").split("\n")]
        # rows of the newest bundle with the thread; others may follow under a heading of their own
        got = {r["id"] for r in rows if r["k"] == "post"}
        books = [b for b in self.model.books.values() if root in b.threads() and not b.parts]
        if not any({p for p in b.posts if b.thread_of(p) == root} <= got for b in books):
            self.fail(f"show {root}: posts {sorted(got)[:3]} are of no bundle")
        if rows and rows[-1]["k"] != "deletion":
            self.fail(f"show {root}: no line about its deletion")
        book = found[root]
        words = sorted((p, w) for p, r in book.posts.items() if r["type"] == "" and r["message"] for w in r["message"].split()[:40] if w.isascii() and w.isalnum() and len(w) > 4 and w not in ("AND", "NOT"))
        if words:
            post, word = self.rng.choice(words)
            hits = json.loads(self.call("find", word, "--json", "--limit", "0", "--case", "S-1", *CASE, code=0).out)["hits"]
            if post not in {h["post"] for h in hits}:
                self.fail(f"find {word}: post {post} of {book.name} is not among {len(hits)} hits")
        self.call("show", "z" * 26, "--case", "S-1", *CASE, code=1)

    def same_index(self):
        """The catalog, where what is missing was added, says what one that is made anew says."""
        self.call("reindex", code=0)
        twin = os.path.join(self.where, f"twin{self.seed}")
        shutil.copytree(self.copy.archive, twin)
        try:
            done = lib.call(self.copy, self.path, "reindex", "--all", "--archive", twin, now_ms=None if self.moved else self.now, env=self.env())
            if done.code:
                self.fail(f"reindex --all: exit code {done.code}\n{lib.tail(done.err)}")
            for table, (was, now) in {t: (rows, catalog(twin)[t]) for t, rows in catalog(self.copy.archive).items()}.items():
                if was != now:
                    self.fail(f"catalog: {table} is another one when it is made anew: only before {sorted(was - now)[:3]}, only after {sorted(now - was)[:3]}")
        finally:
            shutil.rmtree(twin)

    def disturbed_night(self, before, word, run, codes, roots=None, planned=None):
        """A night that something befalls: nothing is lost, nothing went that had to stay."""
        entries, want = self.model.ledger(), self.expected(before)
        allowed = self.allowed(before, want)
        if planned:  # a reply since then keeps a thread, as younger than the floor, and does not matter to what was deleted in it before
            parts = [r for r in planned.verdict.part if want.verdict.kept.get(r) == {"floor"}]
            for table, rows in oracle.closure(planned.db, parts, planned.verdict).items():
                allowed[table].update({line: root for line, _, root in rows})
        if roots is not None:
            allowed = {table: {line: root for line, root in lines.items() if root in roots or root not in want.verdict.due} for table, lines in allowed.items()}
        done = run()
        self.remember(want)
        after = self.check(word, before, want, allowed, entries=entries)
        silent = year_model.silent(entries, self.now)
        self.say(f"{word} ({done.code}): {len(want.roots)} due, {len(before.db.posts) - len(after.db.posts)} posts less")
        if done.code not in codes | ({16} if silent else set()):
            self.fail(f"{word}: exit code {done.code}, wanted {codes}\n{lib.tail(done.err)}")
        return after

    def killed(self, before):
        fault = f"{self.rng.choice(POINTS)}:kill:{self.rng.choice((1, 1, 1, 2, 2, 3, 5, 9))}"
        self.disturbed_night(before, f"night with {fault}", lambda: self.call("run", "--yes", "--json", fault=fault), {0, 3, -signal.SIGKILL})

    def stopped(self, before):
        fault = f"{self.rng.choice(POINTS)}:term:{self.rng.choice((1, 1, 2, 3, 5))}"
        self.disturbed_night(before, f"night with {fault}", lambda: self.call("run", "--yes", "--json", fault=fault), {0, 3, 143})

    def failing(self, before):
        point, errno = self.rng.choice(("BUNDLE_WRITE", "BUNDLE_SYNC", "LEDGER_WRITE", "LEDGER_SYNC", "BUNDLE_AFTER_RENAME", "UNLINK_BEFORE")), self.rng.choice(("ENOSPC", "ENOSPC", "EIO"))
        fault = f"{point}:{errno}:{self.rng.randint(1, 8)}{self.rng.choice(('', '+'))}"
        self.disturbed_night(before, f"night with {fault}", lambda: self.call("run", "--yes", "--json", fault=fault), {0, 1, 3, 12, 14, 15, 19})

    def signalled(self, before):
        """At any moment: of all nights, the one that is another one each time."""
        number = self.rng.choice((signal.SIGTERM, signal.SIGKILL, signal.SIGINT))
        longest = max([c[0] for c in self.costs[-5:]], default=0.5)

        def run():
            process = lib.start(self.copy, self.path, "run", "--yes", "--json", now_ms=None if self.moved else self.now, env=self.env())
            time.sleep(self.rng.random() * longest)
            if process.poll() is None:
                process.send_signal(number)
            return lib.finish(process)

        self.disturbed_night(before, f"night with signal {number}", run, {0, 3, -number, 128 + number})

    def short(self, before):
        self.disturbed_night(before, "short night", lambda: self.call("run", "--yes", "--json", "--run-time", self.rng.choice(("1ms", "50ms", "150ms", "400ms"))), {0, 3, 4})

    def no_purge(self, before):
        self.disturbed_night(before, "night without deletes", lambda: self.call("run", "--yes", "--json", "--no-purge"), {0, 3}, roots=set())

    def restricted(self, before):
        what = self.rng.choice((("--rule", self.rng.choice(self.parsed["rules"])["name"]), ("--team", self.server.one("SELECT id FROM teams")[0])))
        self.disturbed_night(before, f"night {' '.join(what)}", lambda: self.call("run", "--yes", "--json", *what), {0, 3})

    def from_plan(self, before):
        """A plan that somebody looked at for some time, while people wrote."""
        plan = os.path.join(self.copy.where, "plan.jsonl")
        if os.path.exists(plan):
            os.unlink(plan)
        want = self.expected(before)
        self.call("plan", "--out", plan, code=0)
        with open(plan, encoding="utf-8") as f:
            planned = {e["root"] for e in map(json.loads, f) if e["k"] == "thread"}
        due = set(want.verdict.due)
        if planned != due:
            self.fail(f"plan: only in the plan {sorted(planned - due)[:3]}, only in the verdict {sorted(due - planned)[:3]}")
        self.server.begin(self.now)
        for _ in range(self.rng.randint(0, 6)):
            self.server.write()
        middle = self.snap()
        self.clock(self.now + self.rng.randint(1, 20) * HOUR)
        self.disturbed_night(middle, "night by a plan", lambda: self.call("run", "--plan", plan, "--json"), {0, 3}, roots=due, planned=want)

    def midst(self, before):
        """People write while the run is stopped; then it goes on, or is killed."""
        point = f"{self.rng.choice(MIDST)}:stop:{self.rng.choice((1, 1, 1, 2, 3))}"
        entries, want = self.model.ledger(), self.expected(before)
        allowed = self.allowed(before, want)
        process = lib.start(self.copy, self.path, "run", "--yes", "--json", now_ms=None if self.moved else self.now, env=self.env(point))
        if lib.stopped(process):
            self.remember(want)
            middle = self.check(f"stopped at {point}", before, want, allowed, entries=entries)
            self.server.begin(self.now + 500)
            for _ in range(self.rng.randint(1, 8)):
                self.server.write()
            gone = sorted((p.id, p.channel) for r in want.roots for p in before.db.threads[r].posts if r not in middle.db.posts and p.channel in middle.db.channels)
            late = set()
            if gone and self.moved:
                for _ in range(self.rng.randint(0, 2)):
                    post, channel = self.rng.choice(gone)
                    root = before.db.posts[post].root or post
                    if root in before.db.threads and root not in late:
                        self.server.late_reply(root, channel)
                        late.add(root)
                if self.rng.random() < 0.5:
                    self.server.late_reaction(*self.rng.choice(gone))
            self.say(f"written at {point}, late in {sorted(late)}")
            self.late |= late
            before = self.snap()
            want = self.expected(before)
            for table, lines in self.allowed(before, want).items():
                allowed.setdefault(table, {}).update(lines)
            number = self.rng.choice((signal.SIGCONT, signal.SIGCONT, signal.SIGKILL, signal.SIGTERM))
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
        else:
            number = signal.SIGCONT
        done = lib.finish(process)
        self.remember(want)
        self.check(f"night with {point}", before, want, allowed, entries=entries)
        self.say(f"night with {point}, then {number.name} ({done.code})")
        silent = year_model.silent(entries, self.now)
        if done.code not in {0, 3, 4, -number, 128 + number} | ({16} if silent else set()):
            self.fail(f"night with {point}, then {number.name}: exit code {done.code}\n{lib.tail(done.err)}")

    # ---- all of it ----
    def run(self, nights):
        for n in range(nights):
            try:
                self.night(n)
            except Exception:
                self.fail(traceback.format_exc())
            if self.problems:
                for text in self.said[-12:] + self.problems[8:20]:
                    print(f"      {text}")
                return [f"night {n} of seed {self.seed}, {lib.stamp(self.now)}"] + self.problems
        return self.grown()

    def grown(self):
        """Costs of a night without work do not grow with the nights."""
        idle = [c for c in self.costs if c[2] < 5]
        first, last = idle[:max(1, len(idle) // 3)], idle[-max(1, len(idle) // 3):]
        problems = []
        if len(idle) > 8:
            a, b = (sorted(c[0] for c in part)[len(part) // 2] for part in (first, last))
            if b > 4 * a + 1:
                problems.append(f"idle nights take {b:.2f} s, {a:.2f} s at the beginning")
            a, b = (sorted(c[1] for c in part)[len(part) // 2] for part in (first, last))
            if b > 3 * a + 40:
                problems.append(f"idle nights write {b} lines, {a} at the beginning")
        return problems

    def remove(self):
        self.server.close()
        self.copy.remove()
        self.pg.dropdb(self.world.name)


def oracle_text(table, column, value):
    return lib.from_copy(value, lib.column_types().get(table, {}).get(column, "text"))


def told(done):
    """What a run says of what it kept."""
    doc = json.loads(done.out or "{}")
    return {k: doc.get(k) for k in ("kept", "late", "files", "expiry", "departed_users")}


class PluginHold(oracle.Hold):
    """One of Mattermost's plugin, as one of the policy."""

    def __init__(self, since, until, channels):
        self.name, self.users, self.channels, self.since, self.until = "of the plugin", set(), channels, since, until


def catalog(archive):
    """What the catalog says, with bundles by their paths."""
    with sqlite3.connect(f"file:{archive}/catalog.sqlite?mode=ro", uri=True) as db:
        paths = dict(db.execute("SELECT no, rel_path FROM bundle"))
        out = {"bundle": set(db.execute("SELECT rel_path, bytes, posts FROM bundle")), "name": set(db.execute("SELECT what, id, name, display FROM name"))}
        out["member"] = {(kind, ident, paths.get(b, b), low, high) for kind, ident, b, low, high in db.execute("SELECT kind, id, bundle, min_ms, max_ms FROM member")}
        out["filter"] = {(paths.get(b, b), block, bytes(bits).hex()) for b, block, bits in db.execute("SELECT bundle, block, bits FROM filter")}
    return out


class World:
    """A small server at the begin, and what lib.Copy wants of it."""

    def __init__(self, pg, name, data, posts, number, now):
        self.pg, self.name, self.data = pg, name, data
        pg.createdb(name)
        seeding.seed(pg.conninfo(name), posts=posts, seed=number, data_dir=data, legacy=True, hostile=number % 2 == 0, analyze=False, now_ms=now)
        if number % 5 == 1:
            pg.psql(PLUGIN_HOLDS.replace(str(seeding.NOW), str(now)), db=name)
        if number % 3 == 0:
            pg.psql(lib.ODD.replace("1793491199000", str(now - 1000)), db=name)
        pg.psql("ANALYZE", db=name)


def main(argv):
    parser = argparse.ArgumentParser(description="Many nights on one archive.")
    parser.add_argument("--lives", type=int, default=12 if LONG else 1)
    parser.add_argument("--nights", type=int, default=150 if LONG else 45)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--posts", type=int, default=300)
    parser.add_argument("--late", type=float, default=0.15, metavar="SHARE", help="of days with a reply to what the last night took")
    parser.add_argument("--more", action="append", default=[], metavar="KIND", help="nights of this kind ten times as often: calm, killed, from_plan, ...")
    parser.add_argument("--fixed", action="store_true", help="time by --now")
    parser.add_argument("--keep", metavar="FOLDER", help="copy archive, attachments and policy there after a failure")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args(argv)
    if lib.binary() is None:
        print("FAIL  no mmretain binary: set MMRETAIN\n0 passed, 1 failed, 0 skipped")
        return 1
    moved = bool(os.environ.get("CLOCK_AHEAD")) and not args.fixed
    tally, where = lib.Tally(), lib.folder("year")
    with (Clocked if moved else lib.cluster.Cluster)(settings=lib.QUICK) as pg:
        for seed in range(args.seed, args.seed + args.lives):
            begin = time.monotonic()
            life = Life(pg, where, seed, args)
            problems = life.run(args.nights)
            kinds = ", ".join(f"{n} {k}" for k, n in sorted(life.count.items()))
            tally.check(f"seed {seed}, {sum(life.count.values())} nights ({kinds}) until {lib.stamp(life.now)}, {len(life.model.books)} bundles, {time.monotonic() - begin:.0f} s", problems)
            if problems:
                print(f"      again: year_test.py --seed {seed} --nights {args.nights} --posts {args.posts} --late {args.late}{' --fixed' if args.fixed else ''} --verbose --keep FOLDER")
                if args.keep:
                    shutil.copytree(life.copy.where, os.path.join(args.keep, life.name), dirs_exist_ok=True)
            life.remove()
    lib.remove(where)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
