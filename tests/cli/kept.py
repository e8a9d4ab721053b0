#!/usr/bin/env python3
"""Threads that are kept are named: by `plan --kept`, and by a run with -v.

usage: MMRETAIN=BINARY kept.py [TEST...]
"""
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exit_codes  # noqa: E402
from exit_codes import lib  # noqa: E402

SPARE = {"spare": {"pinned": "thread", "flagged": True, "hashtags": ["#keep"]}, "guard": {"threads": 100000}}


def setUpModule():
    exit_codes.setUpModule()


def tearDownModule():
    exit_codes.tearDownModule()


class Kept(exit_codes.Base):
    def query(self, sql):
        return exit_codes.PG.psql(sql, db=self.name).split("\n")

    def held(self):
        """A hold on somebody who wrote in several threads."""
        name = self.query("SELECT username FROM users u JOIN posts p ON p.userid = u.id GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")[0]
        return [{"name": "case-1", "match": {"users": [name]}, "because": "x"}]

    def kept(self, *args):
        """[(root, reason, hold)] as the text has them, after a comparison with the document."""
        doc = json.loads(self.call(0, "plan", "--kept", "--json", *args).out)
        text = self.call(0, "plan", "--kept", *args).out
        n, _, list_ = text.partition("\nkept although a rule or deleted_posts wants them: ")[2].partition("\n")
        lines = [re.fullmatch(r"([a-z0-9]{26})  (\S+)(?: (\S+))?  .*", line).groups() for line in list_.split("\n\n")[0].split("\n") if line]
        self.assertEqual(int(n.split()[0]), len(lines))
        self.assertEqual([(k["root"], k["reason"], k["hold"]) for k in doc["kept"]], lines)
        counts = {}
        for _, reason, _ in lines:
            counts[reason] = counts.get(reason, 0) + 1
        total = {}
        for rule in doc["rules"]:
            for reason, count in rule["reasons"].items():
                if reason not in ("age", "posts", "bytes", "deleted"):
                    total[reason] = total.get(reason, 0) + count
        self.assertEqual(counts, total)
        return lines

    def test_plan(self):
        """Exactly those that the policy keeps although age, a limit or deleted_posts wants them, each with a reason of its own."""
        channel = self.query("SELECT channelid FROM posts WHERE ispinned GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")[0]
        for limit in ({}, {"limit": {"per": "channel", "posts": 5}}):
            with self.subTest(limit):
                self.begin(dict(SPARE, **limit), init=False, holds=self.held(), purge_after="30d")
                lines = self.kept()
                roots = {root for root, _, _ in lines}
                self.assertEqual(len(roots), len(lines))
                # The oracle names damaged threads that nothing wants, too.
                self.assertLessEqual(roots, set(self.want.verdict.kept))
                self.assertEqual([r for r, why in self.want.verdict.kept.items() if r not in roots and why != {"damaged"}], [])
                self.assertEqual([root for root, reason, _ in lines if reason not in {r.replace("-", "_") for r in self.want.verdict.kept[root]}], [])
                self.assertGreater(len({reason for _, reason, _ in lines}), 3)
                self.assertEqual({hold for _, reason, hold in lines if reason == "hold"}, {"case-1"})
                few = self.kept("--rule", "all", "--channel", channel)
                self.assertTrue(set(few) < set(lines))
        self.assertIsNone(json.loads(self.call(0, "plan", "--json").out)["kept"])
        self.assertNotIn("wants them", self.call(0, "plan", "-v").out)

    def test_run(self):
        """With -v a run names each thread that it kept itself, once, whether at the export or at the delete; the error says so."""
        self.begin({"guard": {"threads": 100000}})
        files = self.want.db.tables["fileinfo"]
        paths = [files.get(r, "path") for r in files.rows]
        lost, path = next((root, files.get(row, "path")) for _, (root, row) in sorted(self.want.attachments.rows.items())
                          if root in self.want.roots and paths.count(files.get(row, "path")) == 1 and os.path.isfile(os.path.join(self.copy.data, files.get(row, "path"))))
        plain = sorted(self.want.roots - {root for root, _ in self.want.attachments.rows.values()})
        changed, locked, held = plain[:3]
        plan = os.path.join(self.copy.where, "plan.jsonl")
        self.call(0, "plan", "--out", plan)
        os.unlink(os.path.join(self.copy.data, path))
        self.query(f"UPDATE posts SET updateat = {self.now}, editat = {self.now} WHERE id = '{changed}'")
        self.call(0, "hold", "add", held, "--case", "17")
        with exit_codes.PG.connect(self.name) as other, other.cursor() as cur:
            cur.execute("SELECT 1 FROM posts WHERE id = %s FOR UPDATE", (locked,))
            done = self.call(3, "run", "--plan", plan, "-v", "--json", err=r"hint: `mmretain report \S+` counts them by reason, and a run with -v names each;")
        other.close()
        named = re.findall(r"(?m)^mmretain: debug: thread (\S+) stays: (\S+)$", done.err)
        self.assertEqual(sorted(named), sorted([(lost, "file_missing"), (changed, "changed"), (locked, "locked"), (held, "hold")]))
        self.assertEqual(json.loads(done.out)["kept"], {"hold": 1, "changed": 1, "file_missing": 1, "locked": 1})


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
