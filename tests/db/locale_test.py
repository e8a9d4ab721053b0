#!/usr/bin/env python3
"""Databases of other locales: C, whose small letters are those of ASCII, and Turkish, where I is the capital of another letter than i, and one that
sorts and compares in an order of its own.  What a policy spares and holds is spared and held in each of them.

usage: MMRETAIN=BINARY locale_test.py [-k NAME]
"""
import copy
import time
import unittest

import e2e_faults as faults
import e2e_lib as lib

PG = WHERE = None
TAGS = ["#ärger", "#WICHTIG", "#Straße", "#istanbul", "#c++.a(b)*", "#Λόγος"]
SPARED = ["#ÄRGER", "#Ärger", "#one #ärger #two", "#wichtig", "#WICHTIG", "#Wichtig #x", "#STRASSE #STRAẞE", "#İSTANBUL", "#ISTANBUL", "#C++.A(B)*", "#ΛΌΓΟΣ", "#λόγος"]
NOT_SPARED = ["#ärgerlich", "#unwichtig", "#wichtig2", "wichtig", "#arger", "#ca.a(b)", "#c++.aab", ""]


def setUpModule():
    global PG, WHERE
    WHERE = lib.folder("locale")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()


def tearDownModule():
    lib.clear(WHERE, PG)


class Locale(unittest.TestCase):
    def check(self, locale, older):
        """older(one, other): how the server's locale orders them, to be sure that it is the one that was asked for."""
        if locale.startswith("icu:") and not PG.has_icu():
            self.skipTest("the server has no ICU")
        name = "db_" + locale.replace(":", "_").replace("-", "_").lower()
        world = lib.World(PG, name + "_world", 700, 4, locale=locale)
        self.addCleanup(PG.dropdb, world.name)
        self.assertEqual(PG.psql(f"SELECT {older}", db=world.name), "t")
        bench = faults.Bench(world, WHERE, name, int(time.time()) * 1000)
        self.addCleanup(bench.copy.remove)
        rules = [{"name": "all", "match": {}, "keep": {"for": "400d"}}]
        bench.policy(rules)
        bench.expect()
        plain = [t.root for t in bench.roots(lambda t: len(t.posts) == 1 and t.root.live and t.root.user)]
        tagged = dict(zip([p.id for p in plain], SPARED + NOT_SPARED))
        bench.sql("UPDATE posts SET hashtags = '' WHERE hashtags <> ''")
        for ident, tags in tagged.items():
            bench.sql("UPDATE posts SET hashtags = '%s' WHERE id = '%s'" % (tags, ident))
        held, author = (next(u for u in sorted({p.user for p in plain[len(tagged):]}) if u != other) for other in ("", min(p.user for p in plain[len(tagged):])))
        bench.sql(f"UPDATE users SET username = 'ilker.inan' WHERE id = '{held}'; UPDATE users SET username = 'irina.i' WHERE id = '{author}'")
        flagged = bench.sql("UPDATE propertyvalues v SET value = to_jsonb(upper((v.value #>> '{}') COLLATE \"C\")) FROM propertyfields f WHERE f.id = v.fieldid AND f.name = 'status'"
                            " AND v.value #>> '{}' IN ('pending', 'assigned') RETURNING v.targetid").split()
        self.assertGreater(len(flagged), 1)
        rules[0]["spare"] = {"hashtags": TAGS, "authors": ["irina.i"]}
        holds = [{"name": "case-1", "match": {"users": ["ilker.inan"]}, "because": "x"}]
        bench.policy(rules, holds=holds)
        meant = bench.parsed
        shouted = [dict(rules[0], spare={"hashtags": TAGS, "authors": ["@IRINA.I"]})]
        bench.policy(shouted, holds=[dict(holds[0], match={"users": ["ILKER.INAN"]})])
        bench.parsed = copy.deepcopy(meant)
        del bench.parsed["rules"][0]["spare"]["hashtags"]  # the oracle has no word for some of these
        stay = {i for i, tags in tagged.items() if tags in SPARED}
        bench.expect(db=faults.oracle.Db(bench.copy.load()), stay=stay)
        self.assertFalse([p for p in plain if p.user in (held, author) and p.id in bench.want.roots])
        self.assertTrue([i for i, tags in tagged.items() if tags not in SPARED and i in bench.want.roots])
        bench.call("init", code=0)
        bench.run(code=bench.want.code)
        bench.done()
        self.assertEqual(bench.problems, [])
        bench.call("verify", code=0)
        root = sorted(bench.want.roots)[0]
        bench.call("restore", root, "--yes", "--case", "17/26", "--reason", "deleted by mistake", code=0)
        self.assertEqual(bench.sql(f"SELECT count(*) FROM posts WHERE id = '{root}'"), "1")
        self.assertEqual(bench.problems, [])

    def test_c(self):
        self.check("C", "lower('Ä') = 'Ä' AND 'a' > 'Z'")

    def test_c_utf8(self):
        self.check("C.UTF-8", "lower('Ä') = 'ä' AND 'a' > 'Z'")

    def test_turkish(self):
        self.check("icu:tr", "lower('I') <> 'i'")

    def test_estonian(self):
        self.check("icu:et", "'z' < 't'")

    def test_shifted(self):
        """Signs count for nothing at first, and capitals come before the small ones."""
        self.check("icu:en-u-ka-shifted-kf-upper", "'a-c' > 'ab' AND 'A' < 'a'")


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
