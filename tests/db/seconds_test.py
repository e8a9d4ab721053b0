#!/usr/bin/env python3
"""Posts that an import by hand gave a time of creation in seconds, which reads as January of 1970: older than any cut-off, and past any time of a
bundle.  Their threads stay and are told; with the time in milliseconds they go like others.

usage: MMRETAIN=BINARY seconds_test.py [-k NAME]
"""
import json
import unittest

import e2e_faults as faults
import e2e_lib as lib
import oracle
from e2e_lib import DAY, NOW

OLD = NOW - 900 * DAY
YEAR_2000 = oracle.ms(2000, 1, 1)
# thread -> rows: (id, createat, original)
THREADS = {
    "root": [("root", OLD // 1000, None)],
    "reply": [("reply", OLD, None), ("reply1", OLD // 1000 + 5, None)],
    "rooted": [("rooted", OLD // 1000, None), ("rooted1", OLD + 9, None)],
    "young": [("young", OLD // 1000, None), ("young1", NOW - DAY, None)],
    "copy": [("copy", OLD, None), ("copy1", OLD // 1000, "copy")],
    "before": [("before", YEAR_2000 - 1, None)],
    "then": [("then", YEAR_2000, None), ("then1", YEAR_2000 + 1, None)],
    "sound": [("sound", OLD, None), ("sound1", OLD + 1, None)],
}
ODD = {"root", "reply", "rooted", "young", "copy", "before"}
AGE = {"for": "700d"}
RULES = {
    "last_reply": {"keep": AGE}, "root": {"keep": dict(AGE, **{"from": "root"})}, "last_edit": {"keep": dict(AGE, **{"from": "last_edit"})},
    "limit": {"keep": "forever", "limit": {"per": "channel", "posts": 3}}, "team_bytes": {"keep": "forever", "limit": {"per": "team", "bytes": "2kB"}},
    "few": {"match": {"channel": "odd-*"}, "keep": AGE}, "spared": {"keep": AGE, "spare": {"pinned": "thread", "flagged": "yes"}},
    "oldest": {"keep": {"for": "20y"}},  # few posts are so old: they are looked up one by one
}
PG = WORLD = WHERE = None


def name(word):
    return f"odd{word:0<23}"


def spice():
    """A channel with all of them, and one more of each where others are."""
    rows = []
    for root, posts in THREADS.items():
        for word, at, original in posts:
            deleted = at if original or word == "rooted1" else 0
            rows.append(f"('{name(word)}', {at}, {deleted}, '{'' if word == root or original else name(root)}', '{name(original) if original else ''}')")
    return f"""UPDATE channels SET name = 'odd-one' WHERE id = (SELECT min(id) FROM channels WHERE type = 'O' AND teamid <> '' AND name !~ '^(town|off)');
        INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
        SELECT v.id, at, at, deleted, 0, (SELECT min(id) FROM users), (SELECT id FROM channels WHERE name = 'odd-one'), root, original, 'odd', '', '{{}}', '', '[]', '[]', false, false, ''
          FROM (VALUES {', '.join(rows)}) v (id, at, deleted, root, original)"""


def setUpModule():
    global PG, WORLD, WHERE
    WHERE = lib.folder("seconds")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 1500, 9, spice=spice())


def tearDownModule():
    lib.clear(WHERE, PG)


class Seconds(unittest.TestCase):
    def begin(self, word, **more):
        self.bench = bench = faults.Bench(WORLD, WHERE, word, NOW)
        self.addCleanup(bench.copy.remove)
        bench.begin([dict({"name": "all", "match": {}, "archive": {"keep_for": "10y"}}, **RULES[word])], **more)

    def here(self):
        posts = oracle.Db(self.bench.copy.load()).posts
        return {root for root, rows in THREADS.items() if any(name(word) in posts for word, _, _ in rows)}

    def night(self, word, **more):
        self.begin(word, **more)
        plan = json.loads(self.bench.call("plan", "--json", code=0).out)
        self.bench.run(code=self.bench.want.code)
        self.bench.done()
        self.assertEqual(self.bench.problems, [])
        self.assertTrue(ODD <= self.here())
        self.assertTrue(all(e["expires_ms"] > oracle.ms(2009, 12, 31) for e in lib.ledger(self.bench.copy.archive) if e["type"] == "published"))
        return plan

    def test_all_rules(self):
        for word in RULES:
            with self.subTest(rule=word):
                for more in ({}, {"purge_after": "30d"}):
                    self.night(word, **more)
                    self.bench.copy.remove()

    def test_told_and_mended(self):
        plan = self.night("few")
        # One has a young reply: nothing wants it.
        self.assertEqual((plan["due"]["threads"], plan["rules"][0]["reasons"]), (2, {"age": 2, "damaged": len(ODD) - 1}))
        self.assertEqual([e["threads"] for e in lib.ledger(self.bench.copy.archive) if e["type"] == "kept" and e["reason"] == "damaged"], [len(ODD) - 1])
        self.assertEqual(json.loads(self.bench.call("status", "--json", code=0).out)["runs"][-1]["kept"]["damaged"], len(ODD) - 1)
        bench = self.bench
        said = bench.call("plan", "-v", code=0).out
        self.assertRegex(said, r"damaged rows are left alone: .* [1-9]\d* with an odd time")
        for word in ODD - {"young"}:
            self.assertIn("damaged", bench.call("explain", name(word), code=0).out)
        bench.sql(f"UPDATE posts SET createat = createat * 1000 WHERE createat BETWEEN 1 AND {2**31} AND id LIKE 'odd%'")
        bench.expect(db=oracle.Db(bench.copy.load()))
        self.assertTrue({name(word) for word in ("root", "reply", "rooted", "copy")} <= bench.want.roots)
        bench.run(code=bench.want.code)
        bench.done(exact=False)
        self.assertEqual(bench.problems, [])
        self.assertEqual(self.here(), {"young", "before"})


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
