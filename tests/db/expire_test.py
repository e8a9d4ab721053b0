#!/usr/bin/env python3
"""`expire`, and the last step of a run: what is past its time goes with all its traces, what is held or in doubt stays.

usage: MMRETAIN=BINARY expire_test.py [-k NAME]
"""
import datetime
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib
from cluster import literal  # (tests/support, found by e2e_lib)
from e2e_lib import DAY

KEEP, KEEP_FOR = 500, 700  # days
REACTED = 400  # days ago somebody reacted to the thread below, whose newest post is older
RULE = {"name": "all", "match": {}, "keep": {"for": f"{KEEP}d"}, "archive": {"keep_for": f"{KEEP_FOR}d"}}
POINTS = ("EXPIRE_AFTER_INTENT", "EXPIRE_AFTER_UNLINK", "EXPIRE_AFTER_INDEX", "EXPIRE_AFTER_LATE", "EXPIRE_AFTER_CATALOG", "EXPIRE_AFTER_IDS", "LEDGER_WRITE", "LEDGER_SYNC")
LOCKED, INTERRUPTED = 11, 128 + signal.SIGTERM


def ident(word):
    return word.ljust(26, "o")


USER, CHANNEL, ROOT, OTHER_ROOT, GONE_USER = ident("zzuser"), ident("zzchannel"), ident("zzroot"), ident("zzother"), ident("zzgone")
# One thread that is large enough for an index of its own, by somebody and in a channel that no other bundle knows; one short thread of another month, with a
# post of an account that the server does not have any more.
MARKED = """
CREATE TEMP TABLE u AS SELECT * FROM users ORDER BY id LIMIT 1;
UPDATE u SET id = '{user}', username = 'zz.marker', email = 'zz@example.org', authdata = NULL, nickname = '', firstname = 'Zacharias', lastname = 'Zzyzxmann', deleteat = 0;
INSERT INTO users SELECT * FROM u;
CREATE TEMP TABLE c AS SELECT * FROM channels WHERE type = 'O' AND teamid = (SELECT id FROM teams WHERE name = 'accelerator') ORDER BY id LIMIT 1;
UPDATE c SET id = '{channel}', name = 'zz-marked', displayname = 'Zzyzxchannel', deleteat = 0;
INSERT INTO channels SELECT * FROM c;
INSERT INTO posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions)
 SELECT CASE n WHEN 0 THEN '{root}' ELSE rpad('zzreply' || n, 26, 'o') END, {at} + n * 1000, {at} + n * 1000, 0, 0, false, '{user}', '{channel}', CASE n WHEN 0 THEN '' ELSE '{root}' END, '',
  'zzyzxword ' || (SELECT string_agg(md5(n || ':' || k), ' ') FROM generate_series(1, 1200) k), '', '{{}}', '', '[]', '[]', false FROM generate_series(0, 11) n;
INSERT INTO posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions)
 SELECT CASE n WHEN 0 THEN '{other}' ELSE rpad('zzsecond' || n, 26, 'o') END, {later} + n * 1000, {later} + n * 1000, 0, 0, false, CASE n WHEN 0 THEN (SELECT min(id) FROM users) ELSE '{gone}' END,
  (SELECT id FROM channels WHERE name = 'town-square' AND teamid = (SELECT id FROM teams WHERE name = 'accelerator')), CASE n WHEN 0 THEN '' ELSE '{other}' END, '', 'short', '', '{{}}', '', '[]', '[]', false
 FROM generate_series(0, 1) n;
INSERT INTO threads (postid, replycount, lastreplyat, participants, channelid) VALUES ('{root}', 11, {at} + 11000, '["{user}"]', '{channel}'), ('{other}', 1, {later} + 1000, '[]',
 (SELECT id FROM channels WHERE name = 'town-square' AND teamid = (SELECT id FROM teams WHERE name = 'accelerator')));
INSERT INTO reactions (userid, postid, emojiname, createat, updateat, deleteat, remoteid, channelid) VALUES ('{user}', '{root}', 'eyes', {reacted}, {reacted}, 0, '', '{channel}');
"""
PG = WORLD = WHERE = NOW = None
PREPARED = {}  # after a first run, by what that is


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000 - 3 * DAY  # when the run is; the present is two days later, and may be a third
    WHERE = lib.folder("expire")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 250, 21, spice=MARKED.format(user=USER, channel=CHANNEL, root=ROOT, other=OTHER_ROOT, gone=GONE_USER, at=NOW - 900 * DAY, later=NOW - 1000 * DAY, reacted=NOW - REACTED * DAY))


def tearDownModule():
    lib.clear(WHERE, PG)


def month_end(ms):
    """The first moment after the month."""
    t = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    return int(datetime.datetime(t.year + t.month // 12, t.month % 12 + 1, 1, tzinfo=datetime.timezone.utc).timestamp()) * 1000


def content(archive):
    """{path: bytes} of everything in the archive."""
    found = {}
    for folder, _, names in os.walk(archive):
        for n in names:
            full = os.path.join(folder, n)
            if os.path.isfile(full) and not os.path.islink(full):
                with open(full, "rb") as f:
                    found[os.path.relpath(full, archive)] = f.read()
    return found


class Base(unittest.TestCase):
    RULES = [RULE]

    def setUp(self):
        key = self.first_run.__func__, str(self.RULES)
        if key not in PREPARED:
            PREPARED[key] = faults.Prepared(WORLD, WHERE, f"night{len(PREPARED)}", NOW, self.first_run)
        self.bench = PREPARED[key].bench()
        self.addCleanup(self.bench.copy.remove)
        self.bench.now = NOW + 2 * DAY

    def first_run(self, bench):
        bench.begin(self.RULES)
        bench.run(code=bench.want.code)

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def expire(self, *args, code=0, **more):
        return self.bench.call("expire", *args, code=code, **more)

    def listed(self, *args, code=0, **more):
        return {b["path"]: b for b in json.loads(self.expire("-n", "--json", *args, code=code, **more).out)["bundles"]}

    def bundles(self):
        return {os.path.relpath(p, self.bench.copy.archive) for p in lib.bundles(self.bench.copy.archive)}

    def of(self, root):
        """The bundle of a thread, by its rows."""
        for path in lib.bundles(self.bench.copy.archive):
            if any(table == "posts" and row["id"] == root for table, row in lib.Bundle(path).rows()):
                return os.path.relpath(path, self.bench.copy.archive)
        return None

    def lines(self, *kinds):
        return [e for e in lib.ledger(self.bench.copy.archive) if e["type"] in kinds]

    def due(self):
        """By the bundles themselves: past the month in which their newest post has been there for KEEP_FOR days."""
        found = set()
        for path in lib.bundles(self.bench.copy.archive):
            newest = max(int(row["createat"]) for table, row in lib.Bundle(path).rows() if table == "posts")
            if month_end(newest + KEEP_FOR * DAY) <= self.bench.now:
                found.add(os.path.relpath(path, self.bench.copy.archive))
        return found

    def consistent(self):
        """Present and listed, or gone and logged; the ledger's lines belong together."""
        self.bench.call("verify", code=0)
        state = {}
        for e in self.lines("published", "expiring", "expired", "expiry-withdrawn"):
            before = state.get(e["bundle"])
            self.assertIn((before, e["type"]), {(None, "published"), ("published", "expiring"), ("expiry-withdrawn", "expiring"), ("expiring", "expired"), ("expiring", "expiry-withdrawn")})
            state[e["bundle"]] = e["type"]
        here = {os.path.basename(p) for p in self.bundles()}
        for bundle, kind in state.items():
            if kind == "expired":
                self.assertNotIn(bundle, here)
            elif kind in ("published", "expiry-withdrawn"):
                self.assertIn(bundle, here)
        return state

    def finished(self, due):
        """All of them are gone with every trace, and nothing else is."""
        state = self.consistent()
        self.assertEqual({b for b, kind in state.items() if kind == "expired"}, {os.path.basename(p) for p in due})
        self.assertNotIn("expiring", state.values())
        self.assertEqual([p for p in lib.leftovers(self.bench.copy.archive) if p != "ledger/access/entries.jsonl"], [])
        catalog = sqlite3.connect(os.path.join(self.bench.copy.archive, "catalog.sqlite"))
        self.assertEqual({p for p, in catalog.execute("SELECT rel_path FROM bundle")}, self.bundles())
        catalog.close()
        for path in due:
            self.assertFalse(os.path.exists(os.path.join(self.bench.copy.archive, path.replace(".tar.zst", ".idx"))))


class Expire(Base):
    def test_removes(self):
        due, before, tables = self.due(), content(self.bench.copy.archive), self.bench.copy.load()
        self.assertGreater(len(due), 10)
        self.assertGreater(len(self.bundles() - due), 5)
        shown = self.expire(code=2)
        self.assertIn("acts only with --yes", shown.err)
        listed = self.listed()
        self.assertEqual(set(listed), due)
        self.assertEqual({b["state"] for b in listed.values()}, {"expires"})
        self.assertEqual(content(self.bench.copy.archive), before)
        plan = json.loads(self.bench.call("plan", "--json", code=0).out)["expiry"]
        self.assertEqual(plan, {"bundles": len(due), "bytes": sum(len(before[p]) for p in due)})
        self.assertIn(f"expiry: {len(due)} bundles past their time", self.bench.call("plan", code=0).out)
        self.assertEqual(json.loads(self.bench.call("status", "--json", code=0).out)["overdue"]["bundles"], len(due))

        done = json.loads(self.expire("--yes", "--json").out)
        self.assertEqual({b["path"] for b in done["bundles"] if b["state"] == "expired"}, due)
        self.assertEqual(done["counts"]["expired"], len(due))
        self.finished(due)
        after = content(self.bench.copy.archive)
        for path, data in before.items():
            if path.startswith("bundles/") and path not in due and path.replace(".idx", ".tar.zst") not in due:
                self.assertEqual(after.get(path), data, path)
        self.assertEqual({n: sorted(t.lines) for n, t in self.bench.copy.load().items()}, {n: sorted(t.lines) for n, t in tables.items()})

        published = {e["bundle"]: e for e in self.lines("published")}
        for e in self.lines("expiring"):
            p = published[e["bundle"]]
            self.assertEqual([e[k] for k in ("rel_path", "file_digest", "rows_digest", "expires_ms", "threads", "posts", "rows", "file_bytes", "rule")],
                             [p[k] for k in ("rel_path", "file_digest", "rows_digest", "expires_ms", "threads", "posts", "rows", "file_bytes", "rule")])
            self.assertNotIn("run", e)
        status = json.loads(self.bench.call("status", "--json", code=0).out)
        self.assertEqual((status["expired"], status["overdue"]["bundles"], status["unfinished"]), (len(due), 0, []))
        self.assertEqual(json.loads(self.bench.call("verify", "--json", code=0).out)["expired"], len(due))
        report = self.bench.call("report", "last", code=0)
        self.assertIn("expired, removed 20", report.out)
        again = self.expire()
        self.assertIn("0 bundles to be removed", again.out)
        self.bench.call("reindex", "--all", code=0)
        self.finished(due)

    def test_run(self):
        """The last step of a whole night, and of no other."""
        due = self.due()
        self.bench.call("run", "--yes", "--no-purge", code=0)
        self.bench.call("run", "--yes", "-p", "all", code=(0, 3))
        self.bench.call("run", "--yes", "--team", "accelerator", code=(0, 3))
        plan = os.path.join(self.bench.copy.where, "a.plan")
        self.bench.call("plan", "--out", plan, code=0)
        self.bench.call("run", "--plan", plan, code=(0, 3))
        self.assertEqual(self.lines("expiring"), [])
        done = json.loads(self.bench.run(code=(0, 3)).out)
        self.assertEqual((done["expiry"]["bundles"], done["expiry"]["stays"], done["outcome"]), (len(due), {}, "complete"))
        self.finished(due)
        self.assertEqual({e["run"] for e in self.lines("expiring", "expired")}, {done["run"]})
        report = json.loads(self.bench.call("report", "last", "--json", code=0).out)
        self.assertEqual({e["rel_path"] for e in report["expired"]}, due)
        self.assertEqual(report["bundles"], [])
        self.assertIn(f"bundles past their time removed: {len(due)}", self.bench.call("report", "last", code=0).out)
        self.assertEqual(lib.ledger(self.bench.copy.archive)[-1]["type"], "run-end")

    def test_young(self):
        """What was archived today although it is past its time stays for a day."""
        self.bench.now = NOW + DAY // 2
        due = self.due()
        self.assertEqual({b["state"] for b in self.listed().values()}, {"young"})
        self.expire("--yes")
        self.assertEqual(self.lines("expiring"), [])
        self.bench.now = NOW + DAY + 3600_000
        self.expire("--yes")
        self.finished(due)

    def test_traces(self):
        """No word and no name of what is gone is left in any index, nor what came too late for it."""
        path, archive = self.of(ROOT), self.bench.copy.archive
        before = content(archive)
        index = path.replace(".tar.zst", ".idx")
        self.assertIn(index, before)
        for word in (b"zz.marker", b"Zzyzxmann", b"zz-marked", b"Zzyzxchannel"):
            self.assertTrue(word in before[index] and word in before["catalog.sqlite"], word)
        self.assertTrue(b"zyzxword" in before[index])  # terms share their beginnings
        rows = next(e["rows_digest"] for e in self.lines("published") if e["rel_path"] == path)
        other = next(e["rows_digest"] for e in self.lines("published") if e["rel_path"] not in self.due())
        for name in (f"late-{rows[:12]}-1.jsonl", f"late-{rows[:12]}-2.jsonl", f"late-{other[:12]}-1.jsonl"):
            with open(os.path.join(archive, "ledger", name), "w") as f:
                f.write('{"k":"reaction","row":{"emojiname": "zzyzxemoji"}}\n')
        for end in (".idx.99999.tmp", "-e2.tar.zst.part", "-e2.tar.zst.bad"):
            with open(os.path.join(archive, "partial", os.path.basename(index).removesuffix(".idx") + end), "w") as f:
                f.write("zzyzxword")
        self.expire("--yes")
        self.assertIsNone(self.of(ROOT))
        after = content(archive)
        self.assertEqual([p for p in after if "late-" in p], [f"ledger/late-{other[:12]}-1.jsonl"])
        for name, data in after.items():
            for word in (b"zz.marker", b"Zzyzxmann", b"zz-marked", b"Zzyzxchannel", b"zyzxword", USER.encode(), ROOT.encode()):
                self.assertFalse(word in data, (name, word))
        # names that others have as well are still there
        answer = self.bench.call("find", "--case", "1", "--reason", "x", "--team", "accelerator", "--limit", "1", code=0)
        self.assertTrue(answer.out)

    def test_catalog(self):
        """One that is damaged cannot be corrected, and holds names: it goes.  None at all is no trouble."""
        due, catalog = self.due(), os.path.join(self.bench.copy.archive, "catalog.sqlite")
        size = os.path.getsize(catalog)
        with open(catalog, "r+b") as f:
            f.seek(100)
            f.write(b"\xff" * (size - 100))
        self.assertIn("removing it", self.expire("--yes").err)
        self.assertFalse(os.path.exists(catalog))
        self.bench.call("reindex", code=0)
        self.finished(due)

    def test_no_catalog(self):
        due = self.due()
        os.unlink(os.path.join(self.bench.copy.archive, "catalog.sqlite"))
        self.expire("--yes")
        self.assertFalse(os.path.exists(os.path.join(self.bench.copy.archive, "catalog.sqlite")))
        self.bench.call("reindex", code=0)
        self.finished(due)

    def test_not_found(self):
        """Who looks for what is gone is told why it may be."""
        self.expire("--yes")
        case = ("--case", "1", "--reason", "x")
        for command in (("show", ROOT), ("restore", ROOT), ("find", "--thread", ROOT), ("export", ROOT, "--out", os.path.join(self.bench.copy.where, "x.html"))):
            done = self.bench.call(*command, *case, code=1)
            self.assertIn("past their time and were removed", done.err)
        self.assertIn("expired: what they held is gone", self.bench.call("find", "zzyzxword", *case, code=0).err)

    def test_late_reply(self):
        """The last run's bundles are not swept any more once they are gone."""
        due = self.due()
        self.expire("--yes")
        self.bench.sql(f"INSERT INTO posts SELECT (jsonb_populate_record(p, jsonb_build_object('id', '{ident('zzlate')}', 'rootid', '{ROOT}', 'createat', {self.bench.now}, 'updateat', {self.bench.now}))).* "
                       f"FROM posts p ORDER BY id LIMIT 1")
        self.bench.run(code=(0, 3))
        self.bench.call("verify", code=0)
        self.finished(due)

    def test_numbers(self):
        """The number of a bundle that is gone is not given again."""
        newest = max(int(p.split("-")[-2]) for p in self.bundles())
        shutil.rmtree(os.path.join(self.bench.copy.archive, "bundles"))  # as if all of them had expired, the newest too
        os.mkdir(os.path.join(self.bench.copy.archive, "bundles"))
        self.bench.sql(f"UPDATE posts SET createat = createat - {400 * DAY}, updateat = updateat - {400 * DAY} WHERE createat > {400 * DAY}")
        self.bench.run(code=(0, 3, 15))
        self.assertGreater(min(int(p.split("-")[-2]) for p in self.bundles()), newest)


class Holds(Base):
    """One thread that is held keeps its bundle, and nothing else."""

    def case(self, held, holds=(), root=ROOT):
        self.bench.policy(self.RULES, holds=holds)
        path = self.path[root]
        found = self.listed(code=3 if held else 0)
        self.assertEqual(found[path]["state"], "held" if held else "expires", (holds, found[path]))
        if held and not any("teams" in h["match"] for h in holds):
            self.assertEqual(found[path]["thread"], root)
        others = {p: b for p, b in found.items() if p != path and b["state"] != "expires"}
        return found[path], others

    def setUp(self):
        super().setUp()
        self.due_paths = self.due()
        self.path = {r: self.of(r) for r in (ROOT, OTHER_ROOT)}
        self.assertTrue(set(self.path.values()) <= self.due_paths)

    def day(self, ago):
        return datetime.datetime.fromtimestamp((NOW - ago * DAY) / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")

    def hold(self, **match):
        return [{"name": "court", "match": {k: v for k, v in match.items() if k in ("users", "channels", "teams")}, **{k: v for k, v in match.items() if k in ("since", "until")},
                 "because": "file reference 17/26"}]

    def test_table(self):
        """F140."""
        cases = [
            (True, {"users": ["zz.marker"]}), (True, {"users": ["@ZZ.Marker"]}), (True, {"users": [USER]}), (False, {"users": ["nobody.at.all"]}),
            (True, {"channels": ["zz-marked"]}), (True, {"channels": [CHANNEL]}), (True, {"channels": ["zz-*"]}), (False, {"channels": ["zzz-*"]}),
            (True, {"users": ["zz.marker"], "since": self.day(901)}), (False, {"users": ["zz.marker"], "since": self.day(898)}),
            (True, {"users": ["zz.marker"], "until": self.day(898)}), (False, {"users": ["zz.marker"], "until": self.day(902)}),
            (True, {"channels": ["zz-marked"], "since": self.day(901), "until": self.day(898)}), (False, {"channels": ["zz-marked"], "since": self.day(898)}),
        ]
        for held, match in cases:
            with self.subTest(match=match):
                bundle, others = self.case(held, self.hold(**match))
                self.assertEqual(others, {})
                if held:
                    self.assertEqual(bundle["hold"], "hold court")
        with self.subTest("a team, by name and all"):
            _, others = self.case(True, self.hold(teams=["accelerator"]))
            self.assertEqual({b["team"] for b in others.values()}, {"accelerator"})
            _, others = self.case(True, self.hold(teams=["*"]))
            self.assertTrue(all(b["team"] != "direct" for b in others.values()))
        # since then: renamed, taken away
        self.bench.sql(f"UPDATE users SET username = 'zz.new' WHERE id = '{USER}'; UPDATE channels SET name = 'yy-new', teamid = (SELECT min(id) FROM teams WHERE name <> 'accelerator') WHERE id = '{CHANNEL}'")
        for match in ({"users": ["zz.marker"]}, {"users": ["zz.new"]}, {"channels": ["zz-marked"]}, {"channels": ["yy-new"]}):
            with self.subTest("renamed", match=match):
                self.case(True, self.hold(**match))
        self.bench.sql(f"DELETE FROM users WHERE id = '{USER}'; DELETE FROM channels WHERE id = '{CHANNEL}'")
        for match in ({"users": ["zz.marker"]}, {"users": [USER]}, {"channels": ["zz-marked"]}, {"channels": [CHANNEL]}):
            with self.subTest("gone", match=match):
                self.case(True, self.hold(**match))
        with self.subTest("an account that was gone before its posts were archived"):
            self.case(True, self.hold(users=[GONE_USER]), root=OTHER_ROOT)
        self.case(False)

    def test_ledger(self):
        self.bench.call("hold", "add", ROOT, "--case", "17/26", code=0)
        bundle, others = self.case(True)
        self.assertEqual((bundle["hold"], others), ("case 17/26", {}))
        done = self.expire("--yes", code=3)
        self.assertIn("stays: case 17/26 covers thread " + ROOT, done.out)
        self.finished(self.due_paths - {self.path[ROOT]})
        run = json.loads(self.bench.run(code=(0, 3)).out)
        self.assertEqual((run["outcome"], run["expiry"]["stays"]), ("complete", {"held": 1}))
        self.bench.call("hold", "release", ROOT, "--case", "17/26", code=0)
        self.expire("--yes")
        self.finished(self.due_paths)

    def test_restored(self):
        """A thread that was put back is held, and so is its bundle."""
        self.bench.call("restore", ROOT, "--yes", "--case", "1", "--reason", "x", code=0)
        self.case(True)

    def plugin(self, **more):
        doc = {"id": "h1", "name": "h1", "user_ids": [USER], "group_ids": None, "starts_at": 0, "ends_at": 0, "include_public_channels": True, "secret": "x", **more}
        text = literal(json.dumps(doc))
        self.bench.sql("DELETE FROM pluginkeyvaluestore WHERE pluginid = 'com.mattermost.plugin-legal-hold'; INSERT INTO pluginkeyvaluestore (pluginid, pkey, pvalue, expireat) VALUES "
                       f"('com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_h1', convert_to({text}, 'UTF8'), 0)")

    def test_plugin(self):
        self.plugin()
        bundle, _ = self.case(True)
        self.assertEqual(bundle["hold"], "the legal-hold plugin")
        self.plugin(starts_at=NOW - 890 * DAY)
        self.case(False)
        self.plugin(ends_at=NOW - 905 * DAY)
        self.case(False)
        # whoever was in the channel, not the author
        member = self.bench.sql(f"SELECT min(id) FROM users WHERE id <> '{USER}'")
        self.bench.sql(f"INSERT INTO channelmemberhistory (channelid, userid, jointime, leavetime) VALUES ('{CHANNEL}', '{member}', {NOW - 950 * DAY}, {NOW - 800 * DAY})")
        self.plugin(user_ids=[member])
        self.case(True)
        self.plugin(user_ids=[member], include_public_channels=False)
        self.assertNotIn(ROOT, {b["thread"] for b in self.listed(code=(0, 3)).values()})
        self.bench.sql("UPDATE pluginkeyvaluestore SET pvalue = '\\x00ff' WHERE pluginid = 'com.mattermost.plugin-legal-hold'")
        before = self.bundles()
        self.assertIn("cannot be read", self.expire("--yes", code=17).err)
        self.assertEqual((self.bundles(), self.lines("expiring")), (before, []))

    def test_after_the_announcement(self):
        """A hold that comes between a crash and the next call still wins."""
        process = self.bench.start("EXPIRE_AFTER_INTENT:kill", "expire", "--yes")
        self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
        announced, = self.lines("expiring")
        self.assertIn(announced["rel_path"], self.bundles())
        self.bench.call("verify", code=0)
        state, = json.loads(self.bench.call("status", "--json", code=0).out)["unfinished"]
        self.assertIn("expiry begun", state["state"])
        root = next(row["id"] for table, row in lib.Bundle(os.path.join(self.bench.copy.archive, announced["rel_path"])).rows() if table == "posts" and not row["rootid"])
        self.bench.call("hold", "add", root, "--case", "17/26", code=0)
        self.expire("--yes", code=3)
        self.assertIn(announced["rel_path"], self.bundles())
        self.assertEqual([e["because"] for e in self.lines("expiry-withdrawn")], ["held"])
        self.finished(self.due_paths - {announced["rel_path"]})
        self.assertEqual(json.loads(self.bench.call("status", "--json", code=0).out)["unfinished"], [])
        self.bench.call("hold", "release", root, "--case", "17/26", code=0)
        self.expire("--yes")
        self.finished(self.due_paths)


class Doubt(Base):
    """What cannot be known to be right stays."""

    def stays(self, path, state, code=15, words=()):
        done = self.expire("--yes", "--json", code=code)
        found = {b["path"]: b["state"] for b in json.loads(done.out)["bundles"]}
        self.assertEqual(found.pop(path), state)
        self.assertEqual(set(found.values()), {"expired"})
        for w in words:
            self.assertIn(w, done.err)

    def full(self, path):
        return os.path.join(self.bench.copy.archive, path)

    def test_damaged(self):
        path = self.of(ROOT)
        lib.flip(self.full(path))
        self.stays(path, "damaged", words=("cannot be read back",))
        self.assertTrue(os.path.exists(self.full(path)))
        self.assertTrue(os.path.exists(self.full(path.replace(".tar.zst", ".idx"))))
        self.bench.run(code=15)

    def test_another_file(self):
        """Sound in itself, but not what the ledger vouches for."""
        path, other = self.of(ROOT), self.of(OTHER_ROOT)
        shutil.copyfile(self.full(other), self.full(path))
        self.stays(path, "damaged")
        self.assertTrue(os.path.exists(self.full(path)))

    def test_link(self):
        path = self.of(ROOT)
        os.rename(self.full(path), os.path.join(self.bench.copy.where, "elsewhere"))
        os.symlink(os.path.join(self.bench.copy.where, "elsewhere"), self.full(path))
        self.stays(path, "damaged")
        self.assertTrue(os.path.exists(os.path.join(self.bench.copy.where, "elsewhere")))
        self.assertTrue(os.path.islink(self.full(path)))

    def test_linked_folder(self):
        """A folder of the path that leads elsewhere."""
        folder = os.path.dirname(self.full(self.of(ROOT)))
        elsewhere = os.path.join(self.bench.copy.where, "elsewhere")
        os.rename(folder, elsewhere)
        os.symlink(elsewhere, folder)
        before = sorted(os.listdir(elsewhere))
        self.expire("--yes", code=15)
        self.assertEqual((sorted(os.listdir(elsewhere)), self.lines("expiring")), (before, []))

    def test_missing(self):
        path = self.of(ROOT)
        os.unlink(self.full(path))
        self.stays(path, "missing", words=("its file is missing",))
        self.bench.call("verify", code=15)

    def test_back(self):
        """A file that expired and was put back, from a backup for a court perhaps, is nobody's but that person's."""
        path = self.of(ROOT)
        shutil.copyfile(self.full(path), os.path.join(self.bench.copy.where, "copy"))
        self.expire("--yes")
        shutil.copyfile(os.path.join(self.bench.copy.where, "copy"), self.full(path))
        done = json.loads(self.expire("--yes", "--json", code=3).out)
        self.assertEqual([(b["path"], b["state"]) for b in done["bundles"]], [(path, "back")])
        self.assertTrue(os.path.exists(self.full(path)))
        self.assertIn("expired and was removed", self.bench.call("verify", code=15).out)
        self.bench.run(code=(0, 3))
        self.assertTrue(os.path.exists(self.full(path)))

    def test_no_database(self):
        due = self.due()
        self.bench.policy(self.RULES, url=f"postgresql:///{self.bench.name}?host=/nonexistent&user={self.bench.pg.user}")
        self.expire("--yes", code=12)
        self.assertEqual(self.lines("expiring"), [])
        self.bench.policy(self.RULES)
        self.bench.sql("DROP TABLE channels CASCADE")
        self.expire("--yes", code=(12, 13))
        self.assertEqual((self.lines("expiring"), self.due()), ([], due))

    def test_another_database(self):
        other = WORLD.clone(self.bench.name + "_b", os.path.join(WHERE, self.bench.name + "_b"))
        self.addCleanup(other.remove)
        self.bench.policy(self.RULES, url=other.url())
        self.assertIn("nothing was removed", self.expire("--yes", code=16).err)
        self.assertEqual(self.lines("expiring"), [])

    def test_unfinished(self):
        """Not while a run owes the bundle a step, nor while attachments of its threads wait."""
        bench = faults.Bench(WORLD, WHERE, "unfinished_b", NOW)
        self.addCleanup(bench.copy.remove)
        bench.begin(self.RULES)
        self.assertEqual(lib.finish(bench.start("UNLINK_BEFORE:kill")).code, -signal.SIGKILL)
        self.bench.problems += bench.problems
        self.bench = bench
        bench.now = NOW + 2 * DAY
        waiting = {p for p, b in self.listed().items() if b["state"] == "unfinished"}
        self.assertGreater(len(waiting), 0)
        self.expire("--yes")
        self.assertEqual((waiting - self.bundles(), set(self.listed())), (set(), waiting))
        bench.run(code=(0, 3))
        bench.now = NOW + 3 * DAY + 7200_000
        bench.run(code=(0, 3))
        bench.now = NOW + 5 * DAY
        self.expire("--yes")
        self.assertEqual(self.due(), set())
        self.finished({e["rel_path"] for e in self.lines("expired")})

    def test_old_journal(self):
        """Attachments that could not be unlinked for nights: whichever run named them, the bundle stays."""
        e = next(e for e in self.lines("published") if e["rel_path"] in self.due())
        # another transaction had been under way: a later run swept it once more
        lib.write_ledger(self.bench.copy.archive, "sweep", run="20300101T000000Z-00000000", bundle=e["bundle"], late_restored=0, late_removed=0)
        self.bench.now = NOW + 5 * DAY
        for run in (e["run"], "20300101T000000Z-00000000"):
            journal = os.path.join(self.bench.copy.archive, "ledger", f"unlink-{run}-9.jsonl")
            with open(journal, "w", encoding="utf-8") as f:
                f.write('{"journal":1,"system":"1","database":"x"}\n')
            self.assertEqual(self.listed()[e["rel_path"]]["state"], "unfinished", run)
            os.unlink(journal)
        self.assertEqual({b["state"] for b in self.listed().values()}, {"expires"})

    def test_locked(self):
        self.bench.sql(f"UPDATE posts SET createat = createat - {100 * DAY}, updateat = updateat - {100 * DAY} WHERE createat > {100 * DAY}")
        process = self.bench.halt("SWEEP_BEFORE")
        try:
            self.expire("--yes", code=LOCKED)
            self.expire("-n")  # looking needs no lock
        finally:
            self.bench.go_on(process, code=(0, 3))

    def as_before(self):
        """The ledger as earlier versions wrote it: an adopted bundle itself says when it expires."""
        lines, before = [], "0" * 64
        for e in lib.ledger(self.bench.copy.archive):
            e.pop("hash")
            if e.get("adopted"):
                e.pop("expires_ms")
            body = json.dumps({**e, "prev": before}, separators=(",", ":"))[:-1].encode()
            before = hashlib.sha256(body).hexdigest()
            lines.append(body + b',"hash":"' + before.encode() + b'"}\n')
        with open(os.path.join(self.bench.copy.archive, "ledger", "entries.jsonl"), "wb") as f:
            f.writelines(lines)

    def test_adopted(self):
        """A bundle that a crash left without its line."""
        bench = faults.Bench(WORLD, WHERE, "adopted_b", NOW)
        self.addCleanup(bench.copy.remove)
        bench.begin(self.RULES)
        self.assertEqual(lib.finish(bench.start("BUNDLE_AFTER_RENAME:kill:3")).code, -signal.SIGKILL)
        bench.run(code=(0, 3))
        bench.run(code=(0, 3))  # what the killed one had open may have kept the first one's sweep from closing
        self.bench.problems += bench.problems
        self.bench = bench
        adopted = [e["rel_path"] for e in self.lines("published") if e.get("adopted")]
        self.assertEqual(len(adopted), 1)
        head = json.loads(lib.Bundle(os.path.join(bench.copy.archive, adopted[0])).members["data/bundle.json"])
        self.assertEqual(next(e["expires_ms"] for e in self.lines("published") if e.get("adopted")), head["expires_ms"])
        self.as_before()
        bench.now = NOW + 2 * DAY
        due = self.due()
        self.assertIn(adopted[0], due)
        self.assertEqual(set(self.listed()), due)
        self.expire("--yes")
        self.finished(due)


class Erased(Base):
    """A bundle that was written again without somebody expires like any other."""
    CASE = ("--case", "DPO-7", "--reason", "request")

    def setUp(self):
        super().setUp()
        self.archive, self.due_paths, self.old = self.bench.copy.archive, self.due(), self.of(ROOT)
        self.kept = os.path.join(self.bench.copy.where, "kept")
        shutil.copytree(self.archive, self.kept)

    def back(self, path, source, words):
        shutil.copyfile(os.path.join(source, path), os.path.join(self.archive, path))
        found = json.loads(self.expire("--yes", "--json", code=3).out)["bundles"]
        self.assertEqual([(b["path"], b["state"]) for b in found], [(path, "back")])
        self.assertIn(words, self.bench.call("verify", code=15).out)
        self.assertEqual(json.loads(self.bench.call("verify", "--json", code=15).out)["unknown"], [path])
        self.bench.run(code=(0, 3))
        self.assertTrue(os.path.exists(os.path.join(self.archive, path)))
        os.unlink(os.path.join(self.archive, path))

    def test_end_to_end(self):
        self.bench.call("erase", "--user", USER, "--yes", *self.CASE, code=0)
        erased = {e["bundle"]: e for e in self.lines("erased")}
        e = erased[os.path.basename(self.old)]
        new = e["rel_path"]
        self.assertEqual(new, self.old.replace(".tar.zst", "-e2.tar.zst"))
        due = {erased[os.path.basename(p)]["rel_path"] if os.path.basename(p) in erased else p for p in self.due_paths}
        self.assertEqual(set(self.listed()), due)
        after = os.path.join(self.bench.copy.where, "after")
        shutil.copytree(self.archive, after)
        late = os.path.join(self.archive, "ledger", f"late-{e['rows_digest'][:12]}-1.jsonl")
        with open(late, "w", encoding="utf-8") as f:
            f.write('{"k":"reaction","row":{"emojiname": "zzyzxemoji"}}\n')
        # a hold on the thread, whose author is known to nobody any more, keeps the new file
        self.bench.call("hold", "add", ROOT, "--case", "c", code=0)
        self.assertEqual((self.listed(code=3)[new]["state"], self.listed(code=3)[new]["thread"]), ("held", ROOT))
        self.bench.call("hold", "release", ROOT, "--case", "c", code=0)

        done = {b["path"]: b for b in json.loads(self.expire("--yes", "--json").out)["bundles"]}
        self.assertEqual((set(done), {b["state"] for b in done.values()}), (due, {"expired"}))
        self.assertEqual((done[new]["posts"], e["posts"]), (next(x["posts"] for x in self.lines("published") if x["bundle"] == e["bundle"]) - e["posts"], 12))
        published = {p["bundle"]: p for p in self.lines("published")}
        for kind in ("expiring", "expired"):
            self.assertEqual({x["rel_path"] for x in self.lines(kind)}, due)
            self.assertEqual({x["bundle"] for x in self.lines(kind)}, {os.path.basename(p) for p in self.due_paths})
        line = next(x for x in self.lines("expiring") if x["rel_path"] == new)
        self.assertEqual([line[k] for k in ("file_digest", "rows_digest", "file_bytes", "bundle")],
                         [e["file_digest"], published[e["bundle"]]["rows_digest"], e["file_bytes"], os.path.basename(self.old)])
        for path in (self.old, new):
            for end in (".tar.zst", ".idx"):
                self.assertFalse(os.path.exists(os.path.join(self.archive, path.replace(".tar.zst", end))))
        self.assertFalse(os.path.exists(late))
        self.assertEqual([p for p in lib.leftovers(self.archive) if p != "ledger/access/entries.jsonl"], [])
        catalog = sqlite3.connect(os.path.join(self.archive, "catalog.sqlite"))
        self.assertEqual({p for p, in catalog.execute("SELECT rel_path FROM bundle")}, self.bundles())
        catalog.close()
        for name, data in content(self.archive).items():
            for word in (b"zz.marker", b"Zzyzxmann", b"zz-marked", b"zyzxword", USER.encode(), ROOT.encode()):
                self.assertFalse(word in data, (name, word)) if name != "ledger/entries.jsonl" else None
        checked = json.loads(self.bench.call("verify", "--json", code=0).out)
        self.assertEqual((checked["expired"], checked["missing"], checked["unknown"], checked["replaced"]), (len(due), [], [], []))
        status = json.loads(self.bench.call("status", "--json", code=0).out)
        self.assertEqual((status["expired"], status["overdue"]["bundles"], status["unfinished"], status["erasures_open"]), (len(due), 0, [], 0))
        self.bench.run(code=(0, 3))
        self.bench.call("verify", code=0)
        # neither file comes back unseen
        self.back(new, after, "expired and was removed")
        self.back(self.old, self.kept, "an erasure replaced it")

    def test_given_up(self):
        """An erasure that a crash stopped before its file was there ends with its bundle: nobody is told for ever that it is open."""
        done = lib.finish(self.bench.start("ERASE_AFTER_INTENT:kill", "erase", "--user", USER, "--yes", *self.CASE))
        self.assertEqual(done.code, -signal.SIGKILL)
        self.assertEqual(json.loads(self.bench.call("status", "--json", code=0).out)["erasures_open"], 1)
        self.expire("--yes")
        self.finished(self.due_paths)
        self.assertEqual(json.loads(self.bench.call("status", "--json", code=0).out)["erasures_open"], 0)
        self.assertNotIn("was interrupted", self.bench.run(code=(0, 3)).err)

    def test_crash(self):
        """Announced with its old file, erased in, killed again: the new file goes."""
        process = self.bench.start("EXPIRE_AFTER_INTENT:kill", "expire", "--yes")
        self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
        announced, = self.lines("expiring")
        bundle = lib.Bundle(os.path.join(self.archive, announced["rel_path"]))
        owner = next(o for o in (json.loads(line).get("owner", "") for line in bundle.members["salts.jsonl"].splitlines()) if len(o) == 26)
        self.bench.call("erase", "--user", owner, "--yes", *self.CASE, code=0)
        process = self.bench.start("EXPIRE_AFTER_UNLINK:kill", "expire", "--yes")
        self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
        self.bench.call("verify", code=0)
        self.expire("--yes")
        self.bench.call("verify", code=0)
        said = [e for e in self.lines("expiring") if e["bundle"] == announced["bundle"]]
        self.assertEqual([e["file_digest"] for e in said], [announced["file_digest"], next(e["file_digest"] for e in self.lines("erased") if e["bundle"] == announced["bundle"])])
        over = {e["bundle"]: e["rel_path"] for e in self.lines("expired")}
        self.assertEqual(over[announced["bundle"]], announced["rel_path"].replace(".tar.zst", "-e2.tar.zst"))
        self.assertEqual(set(over), {os.path.basename(p) for p in self.due_paths})
        self.assertFalse(set(over.values()) & self.bundles())


class Deleted(Base):
    RULES = [{"name": "all", "match": {}, "keep": "forever", "archive": {"keep_for": "400d"}}]

    def first_run(self, bench):
        bench.policy(self.RULES, purge_after="30d")
        bench.call("init", code=0)
        bench.sql(f"UPDATE posts SET deleteat = {NOW - 60 * DAY}, updateat = {NOW - 60 * DAY} WHERE id IN (SELECT id FROM posts WHERE rootid = '{ROOT}' ORDER BY id LIMIT 2)")
        bench.run(code=(0, 3))

    def test_counts_from_the_cut(self):
        """What was deleted out of an old thread is kept for as long as the policy says, not until the next night."""
        path = next(p for p in lib.bundles(self.bench.copy.archive) for table, row in lib.Bundle(p).rows() if row.get("rootid") == ROOT)
        path = os.path.relpath(path, self.bench.copy.archive)
        e = next(e for e in self.lines("published") if e["rel_path"] == path)
        self.assertTrue(e["parts"])
        self.assertEqual(e["expires_ms"], month_end(self.lines("plan")[0]["deleted_cut_ms"] + 400 * DAY))
        self.assertEqual(self.listed(), {})
        self.bench.now = e["expires_ms"] + 3600_000
        self.assertEqual(self.listed("--clock-is-right")[path]["state"], "expires")
        self.bench.policy([dict(self.RULES[0], archive={"keep_for": "800d"})], purge_after="30d")
        self.assertEqual(self.listed("--clock-is-right")[path]["state"], "policy")
        self.bench.policy(self.RULES, purge_after="30d")
        self.bench.call("hold", "add", ROOT, "--case", "x", code=0)  # parts of a held thread are held
        self.assertEqual(self.listed("--clock-is-right", code=3)[path]["thread"], ROOT)
        self.bench.call("hold", "release", ROOT, "--case", "x", code=0)
        self.expire("--yes", "--clock-is-right")
        self.assertNotIn(path, self.bundles())


class Times(Base):
    def keep_for(self, value):
        rule = dict(RULE)
        rule.pop("archive")
        if value:
            rule["archive"] = value
        self.bench.policy([rule])

    def test_policy(self):
        """A longer time that was said later wins, a shorter one does not."""
        due, last = self.due(), {}
        for path in lib.bundles(self.bench.copy.archive):
            last[os.path.relpath(path, self.bench.copy.archive)] = max(int(row["createat"]) for table, row in lib.Bundle(path).rows() if table == "posts")
        for days in (900, 1500):
            self.keep_for({"keep_for": f"{days}d"})
            found = self.listed()
            self.assertEqual(set(found), due)
            for path, b in found.items():
                until = month_end(last[path] + days * DAY)
                self.assertEqual(b["state"], "policy" if until > self.bench.now else "expires", b)
            self.assertEqual({b["state"] for b in found.values()}, {"policy", "expires"})
        self.keep_for({"keep_for": "501d"})
        self.assertEqual({p: b["state"] for p, b in self.listed().items()}, dict.fromkeys(due, "expires"))
        for none in (None, "none"):
            self.keep_for(none)
            if none:
                self.bench.policy([dict(RULE, archive="none", because="no archive wanted", floor="400d")])
            found = self.listed()
            self.assertEqual({p: (b["state"], b["expires"]) for p, b in found.items()}, dict.fromkeys(due, ("policy", None)))
            self.assertTrue(all("without end" in b["why"] for b in found.values()))
        self.bench.policy([dict(RULE, name="renamed", archive={"keep_for": "20y"})])
        self.assertEqual({p: b["state"] for p, b in self.listed().items()}, dict.fromkeys(due, "expires"))

    def test_reaction_of_later(self):
        """What came to a post when it was old postpones nothing, and no reason is said that is not there."""
        path = self.of(ROOT)
        rows = list(lib.Bundle(os.path.join(self.bench.copy.archive, path)).rows())
        self.assertTrue(any(table == "reactions" and int(row["createat"]) == NOW - REACTED * DAY for table, row in rows))
        newest = max(int(row["createat"]) for table, row in rows if table == "posts")
        b = self.listed()[path]
        self.assertEqual((b["state"], b["why"]), ("expires", None))
        self.assertEqual(int(datetime.datetime.fromisoformat(b["expires"]).timestamp() * 1000), month_end(newest + KEEP_FOR * DAY))
        self.assertGreater(month_end(NOW - REACTED * DAY + KEEP_FOR * DAY), self.bench.now)
        self.keep_for({"keep_for": "1500d"})  # a longer time counts from the same post
        b = self.listed()[path]
        self.assertEqual((b["state"], int(datetime.datetime.fromisoformat(b["expires"]).timestamp() * 1000)), ("policy", month_end(newest + 1500 * DAY)))
        self.keep_for({"keep_for": f"{KEEP_FOR}d"})
        self.expire("--yes")
        self.assertEqual({e["last_ms"] for e in self.lines("expiring") if e["rel_path"] == path}, {newest})

    def test_never(self):
        """Archived without an end: a shorter time that was said later changes nothing."""
        bench = faults.Bench(WORLD, WHERE, "never_b", NOW)
        self.addCleanup(bench.copy.remove)
        rule = {k: v for k, v in RULE.items() if k != "archive"}
        bench.begin([rule])
        bench.run(code=bench.want.code)
        bench.policy([RULE])
        self.bench.problems += bench.problems
        self.bench = bench
        bench.now = NOW + 2 * DAY
        self.assertEqual(self.listed(), {})
        self.expire("--yes")
        self.assertEqual(self.lines("expiring"), [])

    def test_silence(self):
        """A ledger that was silent for weeks: nothing ran, or a clock has jumped."""
        for days in (40, 70):
            self.bench.now = NOW + days * DAY
            for args in (("-n",), ("--yes",)):
                done = self.expire(*args, code=16)
                self.assertIn("the ledger is silent from", done.err)
        self.bench.now = NOW + 40 * DAY
        done = json.loads(self.bench.run(code=16).out)
        self.assertEqual(done["outcome"], "partial")
        self.bench.now = NOW + 60 * DAY
        self.bench.run(code=16)
        self.expire("--yes", code=16)
        self.assertEqual(self.lines("expiring"), [])
        self.bench.now = NOW + 73 * DAY  # the ledger has gone on for 32 days since
        self.assertEqual({b["state"] for b in self.listed().values()}, {"expires"})
        self.bench.now = NOW + 60 * DAY
        due = self.due()
        self.expire("--yes", "--clock-is-right")
        self.finished(due)

    @unittest.skipUnless(os.environ.get("CLOCK_AHEAD"), "no clock to preload")
    def test_two_clocks(self):
        """The earlier one decides: a host or a database that is ahead removes nothing."""
        self.bench.now = None
        now = int(time.time() * 1000)
        env = {"LD_PRELOAD": os.environ["CLOCK_AHEAD"]}

        def states(seconds):
            return {p for p, b in self.listed(env=dict(env, CLOCK_AHEAD_SECONDS=str(seconds))).items() if b["state"] == "expires"}

        self.bench.now = now
        today = self.due()
        self.bench.now = now + 400 * DAY
        later = self.due()
        self.bench.now = now - 100 * DAY
        before = self.due()
        self.bench.now = None
        self.assertTrue(before < today < later)
        self.assertEqual(states(0), today)
        self.assertEqual(states(400 * 86400), today)  # the host ahead
        earlier = set(self.listed(env=dict(env, CLOCK_AHEAD_SECONDS=str(-100 * 86400))))
        self.assertEqual(earlier, before)  # the database ahead of the host


class Crash(Base):
    def test_kill_sweep(self):
        """F141: at each step, of the first bundle and of later ones; the next call finishes."""
        due = self.due()
        points = [(p, n) for p in POINTS for n in (1, 3)]
        for point, n in points:
            with self.subTest(point=point, n=n):
                process = self.bench.start(f"{point}:kill:{n}", "expire", "--yes")
                self.assertIn(lib.finish(process).code, (-signal.SIGKILL, 0))
                self.consistent_after_crash()
        self.expire("--yes")
        self.finished(due)
        for kind in ("expiring", "expired"):
            self.assertEqual(len(self.lines(kind)), len(due))

    def consistent_after_crash(self):
        entries, _ = lib.ledger_state(self.bench.copy.archive)
        said = {e["rel_path"] for e in entries if e["type"] == "expiring"}
        over = {e["rel_path"] for e in entries if e["type"] == "expired"}
        published = {e["rel_path"] for e in entries if e["type"] == "published"}
        self.assertEqual(published - said - self.bundles(), set())
        self.assertEqual(over & self.bundles(), set())
        self.bench.call("verify", code=0)
        self.bench.call("find", "zzyzxword", "--case", "1", "--reason", "x", code=0)

    def test_catalog_made_in_between(self):
        """Whoever makes a catalog when the file is gone and no line says so keeps its ids as those of a lost bundle, until the next call."""
        due, archive = self.due(), self.bench.copy.archive
        for point in ("EXPIRE_AFTER_UNLINK", "EXPIRE_AFTER_LATE", "EXPIRE_AFTER_CATALOG"):
            with self.subTest(point=point):
                self.assertEqual(lib.finish(self.bench.start(f"{point}:kill", "expire", "--yes")).code, -signal.SIGKILL)
                self.bench.call("reindex", code=0)
                if point == "EXPIRE_AFTER_UNLINK":
                    self.assertEqual(len(self.kept_ids()), 1)
        self.assertEqual(lib.finish(self.bench.start("EXPIRE_AFTER_IDS:kill", "expire", "--yes")).code, -signal.SIGKILL)
        self.assertEqual(self.kept_ids(), [])
        self.assertEqual(self.lines("expired"), [])
        self.expire("--yes")
        self.assertEqual(self.kept_ids(), [])
        self.finished(due)

    def kept_ids(self):
        return [n for n in os.listdir(os.path.join(self.bench.copy.archive, "ledger")) if n.startswith("lost-")]

    def test_old_catalog(self):
        """A catalog out of a copy lists bundles that expired since: no list of their ids is written; one that is missing is told as before."""
        due, archive = self.due(), self.bench.copy.archive
        kept = os.path.join(self.bench.copy.where, "kept.sqlite")
        shutil.copyfile(os.path.join(archive, "catalog.sqlite"), kept)
        self.expire("--yes")
        self.finished(due)
        missing = sorted(self.bundles())[0]
        os.rename(os.path.join(archive, missing), os.path.join(self.bench.copy.where, "away"))
        for command in (("reindex",), ("reindex", "--all")):
            shutil.copyfile(kept, os.path.join(archive, "catalog.sqlite"))
            self.bench.call(*command, code=0)
            digits = os.path.basename(missing).removesuffix(".tar.zst").rpartition("-")[2]
            self.assertEqual(self.kept_ids(), [f"lost-{digits}.jsonl"])
            os.unlink(os.path.join(archive, "ledger", f"lost-{digits}.jsonl"))
        os.rename(os.path.join(self.bench.copy.where, "away"), os.path.join(archive, missing))
        self.bench.call("reindex", code=0)
        self.finished(due)

    def test_lost_and_back(self):
        """Declared lost, put back, expired and killed at it: it is announced, and its end is said."""
        path, archive = self.of(ROOT), self.bench.copy.archive
        full, due = os.path.join(archive, path), self.due()
        os.rename(full, full + ".away")
        self.bench.call("abandon", os.path.basename(path), "--reason", "x", "--yes", code=0)
        self.expire("-n")
        os.rename(full + ".away", full)
        self.bench.call("reindex", code=0)
        self.assertEqual(len(self.kept_ids()), 1)
        for nth in range(1, len(due) + 1):
            if not os.path.exists(full):
                break
            self.assertEqual(lib.finish(self.bench.start(f"EXPIRE_AFTER_UNLINK:kill:{nth}", "expire", "--yes")).code, -signal.SIGKILL)
        self.assertFalse(os.path.exists(full))
        self.assertNotIn(path, [e["rel_path"] for e in self.lines("expired")])
        self.expire("--yes")
        self.assertEqual(self.kept_ids(), [])
        self.finished(due)

    def test_run_goes_on(self):
        """A night that was killed in its last step is finished by the next ones: what it may have put back is looked for once more, and that settles for a day."""
        due = self.due()
        for point in ("EXPIRE_AFTER_INTENT", "EXPIRE_AFTER_UNLINK", "EXPIRE_AFTER_CATALOG"):
            process = self.bench.start(f"{point}:kill:2" if point != "EXPIRE_AFTER_CATALOG" else f"{point}:kill")
            self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
            self.consistent_after_crash()
        self.bench.run(code=(0, 3))
        self.assertNotIn("expiring", self.consistent().values())  # what was announced is done at once, whatever else waits
        self.bench.now += DAY + 3600_000
        due |= self.due()
        self.bench.run(code=(0, 3))
        self.finished(due)

    def test_failure(self):
        """A file that cannot be removed stops the call; what is gone already is said to be."""
        due = self.due()
        done = lib.finish(self.bench.start("EXPIRE_AFTER_INDEX:EIO:3", "expire", "--yes"))
        self.assertEqual(done.code, 1, done.err)
        self.assertEqual((len(self.lines("expiring")), len(self.lines("expired"))), (3, 2))  # of the third something may be left
        self.bench.call("verify", code=0)
        self.expire("--yes")
        self.finished(due)

    def test_folder_away(self):
        """Announced, and then its folder is on a disk that is not there: nothing says that it is gone."""
        due = self.due()
        self.assertEqual(lib.finish(self.bench.start("EXPIRE_AFTER_INTENT:kill", "expire", "--yes")).code, -signal.SIGKILL)
        announced, = self.lines("expiring")
        folder = os.path.dirname(os.path.join(self.bench.copy.archive, announced["rel_path"]))
        os.rename(folder, folder + "-away")
        self.expire("--yes", code=15)
        self.assertEqual((self.lines("expired"), [e["because"] for e in self.lines("expiry-withdrawn")]), ([], ["missing"]))
        os.rename(folder + "-away", folder)
        self.expire("--yes")
        self.finished(due)

    def test_rest(self):
        """What is left of a bundle and cannot be removed: no line says that it is gone, and the next call finishes it."""
        due, archive = self.due(), self.bench.copy.archive
        first = next(e for e in self.lines("published") if e["rel_path"] in due)
        late = os.path.join(archive, "ledger", f"late-{first['rows_digest'][:12]}-1.jsonl")
        os.mkdir(late)
        done = self.expire("--yes", code=14)
        self.assertIn("is not a regular file", done.err)
        self.assertIn("removed; what is left of it goes with the next call", done.out)
        self.assertEqual(([e["bundle"] for e in self.lines("expiring")], self.lines("expired")), ([first["bundle"]], []))
        os.rmdir(late)
        with open(late, "w", encoding="utf-8") as f:
            f.write("zzyzxword\n")
        self.expire("--yes")
        self.assertFalse(os.path.exists(late))
        self.finished(due)

    def test_stop(self):
        """A signal ends it between two bundles, and the catalog and the ledger know of those that are gone."""
        due = self.due()
        process = self.bench.start("EXPIRE_AFTER_UNLINK:stop:3", "expire", "--yes", "--json")
        self.assertTrue(lib.stopped(process))
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGCONT)
        done = lib.finish(process)
        self.assertEqual(done.code, INTERRUPTED, done.err)
        self.assertEqual([b["state"] for b in json.loads(done.out)["bundles"]], ["expired"] * 3)
        self.assertEqual(len(self.lines("expired")), 3)
        self.consistent()
        self.expire("--yes")
        self.finished(due)

    def test_moved(self):
        """Another folder where the archive was: nothing more goes, and its catalog is not touched."""
        due, archive, aside = self.due(), self.bench.copy.archive, os.path.join(self.bench.copy.where, "aside")
        process = self.bench.start("EXPIRE_AFTER_INTENT:stop", "expire", "--yes")
        self.assertTrue(lib.stopped(process))
        os.rename(archive, aside)
        shutil.copytree(aside, archive)
        before = content(archive)
        os.kill(process.pid, signal.SIGCONT)
        done = lib.finish(process)
        self.assertEqual(done.code, 14, done.err)
        self.assertIn("is not the folder any more", done.err)
        self.assertEqual(content(archive), before)
        shutil.rmtree(archive)
        os.rename(aside, archive)
        self.consistent_after_crash()
        self.expire("--yes")
        self.finished(due)

    def test_lock_lost(self):
        due = self.due()
        process = self.bench.start("EXPIRE_AFTER_INTENT:stop", "expire", "--yes")
        self.assertTrue(lib.stopped(process))
        self.bench.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        os.kill(process.pid, signal.SIGCONT)
        self.assertIn(lib.finish(process).code, (11, 12))
        self.assertEqual(len(self.lines("expiring")), 1)
        self.consistent()
        self.expire("--yes")
        self.finished(due)

    def test_disk(self):
        """Nobody may write in the folder: nothing is lost, and the next call goes on."""
        due = self.due()
        self.addCleanup(setattr, lib, "PROGRAM", None)
        faults.as_nobody(self.bench)
        faults.hand_over(self.bench)
        folder = os.path.dirname(os.path.join(self.bench.copy.archive, self.of(ROOT)))
        os.chmod(folder, 0o550)
        self.expire("--yes", code=19)
        os.chmod(folder, 0o750)
        self.consistent()
        self.expire("--yes")
        self.finished(due)


class Readers(Base):
    CASE = ("--case", "1", "--reason", "x")

    def test_meanwhile(self):
        """F138: a reader that was on its way finishes, or says what has happened."""
        due, clear = self.due(), 0
        whole = self.bench.call("find", "--scan", "--limit", "0", "--team", "accelerator", "--json", *self.CASE, code=0)
        self.assertGreater(len(json.loads(whole.out)["hits"]), 20)
        copy = os.path.join(self.bench.copy.where, "before")
        shutil.copytree(self.bench.copy.archive, copy)
        commands = (["find", "--scan", "--limit", "0", "--team", "accelerator", "--json"], ["find", "zzyzxword", "--json"], ["show", ROOT],
                    ["export", "--team", "accelerator", "--as", "jsonl"])
        for i in range(20):
            shutil.rmtree(self.bench.copy.archive)
            shutil.copytree(copy, self.bench.copy.archive)
            args = list(commands[i % len(commands)])
            if args[0] == "export":
                args += ["--out", os.path.join(self.bench.copy.where, f"out{i}")]
            reader = lib.start(self.bench.copy, self.bench.path, *args, *self.CASE, now_ms=self.bench.now)
            time.sleep(0.002 * i)
            os.kill(reader.pid, signal.SIGSTOP)
            code = self.expire("--yes", code=(0, 14)).code
            if reader.poll() is None:
                os.kill(reader.pid, signal.SIGCONT)
            done = lib.finish(reader)
            if code:  # the reader stood still inside the catalog
                self.expire("--yes")
            if done.code:
                clear += 1
                self.assertIn(done.code, (1, 14), done.err)
                self.assertTrue("was removed while" in done.err or "were removed: when its thread was in one of them" in done.err, done.err)
        self.finished(due)

    def test_indexers_meanwhile(self):
        """Whoever builds indexes at the same time leaves nothing of what is gone."""
        due, archive = self.due(), self.bench.copy.archive
        copy = os.path.join(self.bench.copy.where, "before")
        shutil.copytree(archive, copy)
        for i in range(12):
            shutil.rmtree(archive)
            shutil.copytree(copy, archive)
            os.unlink(os.path.join(archive, self.of(ROOT).replace(".tar.zst", ".idx")))
            args = ["reindex", "--all"] if i % 2 else ["find", "zzyzxword", *self.CASE]
            others = [lib.start(self.bench.copy, self.bench.path, *args, now_ms=self.bench.now)]
            time.sleep(0.004 * i)
            self.expire("--yes")
            for o in others:
                lib.finish(o)
            self.bench.call("verify", code=0)
            for name, data in content(archive).items():
                for word in (b"zz.marker", b"zyzxword", b"Zzyzxchannel"):
                    self.assertFalse(word in data, (i, name, word))
        self.assertTrue(due)


if __name__ == "__main__":
    lib.outcome.main()
