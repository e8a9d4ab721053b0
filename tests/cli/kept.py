#!/usr/bin/env python3
"""Threads that are kept are named: by `plan --kept`, and by a run with -v.

usage: MMRETAIN=BINARY kept.py [TEST...]
"""
import json
import os
import pathlib
import re
import sys
import unittest

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

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become a plain user")
    def test_unreadable(self):
        """An attachment that is there and may not be read is not missing: the reason, the warning and the last hint say what it is."""
        self.begin({"guard": {"threads": 100000}})
        files = self.want.db.tables["fileinfo"]
        paths = [files.get(r, "path") for r in files.rows]
        found = {}
        for ident, (root, row) in sorted(self.want.attachments.rows.items()):
            path = files.get(row, "path")
            if root in self.want.roots and paths.count(path) == 1 and os.path.isfile(os.path.join(self.copy.data, path)):
                found.setdefault(root, (ident, path))
        (shut, (shut_id, shut_path)), (gone, (_, gone_path)), (below, (below_id, below_path)) = list(found.items())[:3]
        self.assertNotEqual(os.path.dirname(below_path), os.path.dirname(shut_path))
        who = self.plain_user()
        folder = os.path.join(self.copy.data, os.path.dirname(below_path))
        os.chown(os.path.join(self.copy.data, shut_path), 0, 0)
        os.chmod(os.path.join(self.copy.data, shut_path), 0)
        os.unlink(os.path.join(self.copy.data, gone_path))
        os.chown(folder, 0, 0)
        os.chmod(folder, 0)
        done = self.call(3, "run", "--yes", "-v", "--json", err=re.escape(f"attachment {shut_id} cannot be archived (cannot open a file of the file store: Permission denied: it belongs to user 0, group 0, mode 0000, and user 65534 runs this); its thread stays"), **who)
        self.assertIn(f"attachment {below_id} cannot be archived (cannot open a file of the file store: Permission denied: user 65534 runs this, and may not enter a folder on its path)", done.err)
        self.assertRegex(done.err, r"warning: 2 attachments are there and may not be read by user 65534, nobody, who runs this: let this account read them")
        self.assertNotIn("is the folder of attachments mounted", done.err)
        kept = {"file_unreadable": 2, "file_missing": 1}
        self.assertEqual(json.loads(done.out)["kept"], kept)
        named = re.findall(r"(?m)^mmretain: debug: thread (\S+) stays: (\S+)$", done.err)
        self.assertEqual(sorted(named), sorted([(shut, "file_unreadable"), (below, "file_unreadable"), (gone, "file_missing")]))
        self.assertEqual({e["reason"]: e["threads"] for e in self.ledger() if e["type"] == "kept" and not e["rule"]}, kept)
        planned = sum(why == {"file_missing"} for why in self.want.verdict.kept.values())  # whose attachments only a post names
        self.assertRegex(self.call(0, "report", "last", **who).out, rf"(?s)file_missing: {1 + planned} threads\n.*file_unreadable: 2 threads\n")
        self.assertIn('reason="file_unreadable"} 2\n', self.call(0, "status", "--metrics", "-", **who).out)
        # Nothing of them has gone, and the night after somebody has looked takes them.
        os.chmod(folder, 0o755)
        os.chown(os.path.join(self.copy.data, shut_path), 65534, 65534)
        os.chmod(os.path.join(self.copy.data, shut_path), 0o600)
        done = self.call(3, "run", "--yes", "--json", err="done, but some items were kept back", **who)
        self.assertEqual((json.loads(done.out)["kept"], json.loads(done.out)["deleted"]["threads"]), ({"file_missing": 1}, 2))
        left = self.copy.load()["posts"]
        self.assertEqual({left.get(r, "id") for r in left.rows} & self.want.roots, {gone})

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become a plain user")
    def test_unreadable_folder(self):
        self.begin({"guard": {"threads": 100000}})
        with_files = {root for root, _ in self.want.attachments.rows.values() if root in self.want.roots}
        who = self.plain_user()
        os.chown(self.copy.data, 0, 0)
        os.chmod(self.copy.data, 0o700)
        done = self.call(3, "run", "--yes", err=r"no attachment can be archived or removed \(attachment folder: .*Permission denied; it belongs to user \d+\)", out=f"kept      file_unreadable {len(with_files)}\n", **who)
        self.assertNotIn("may not be read by user", done.err)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become a plain user")
    def test_unreadable_many(self):
        """Where attachments may not be read, nobody is asked whether their folder is mounted, however many they are."""
        self.begin({"keep": {"for": "1d"}, "guard": {"threads": 100000}})
        files = self.want.db.tables["fileinfo"]
        ident, path = next((i, files.get(row, "path")) for i, (root, row) in sorted(self.want.attachments.rows.items())
                           if root in self.want.roots and os.path.isfile(os.path.join(self.copy.data, files.get(row, "path"))))
        due, more = 12, [f"{path}{n}" for n in range(12)]
        self.query(f"INSERT INTO fileinfo SELECT (r).* FROM (SELECT jsonb_populate_record(f, jsonb_build_object('id', substr(md5(n::text), 1, 26), 'path', path || n)) AS r "
                   f"FROM fileinfo f, generate_series(0, 11) n WHERE id = '{ident}') x")
        for name in more:
            pathlib.Path(self.copy.data, name).write_bytes(b"x")
        who = self.plain_user()
        for name in more:
            os.chown(os.path.join(self.copy.data, name), 0, 0)
            os.chmod(os.path.join(self.copy.data, name), 0)
        for root, row in self.want.attachments.rows.values():
            path = os.path.join(self.copy.data, files.get(row, "path"))
            if os.path.isfile(path) and not os.path.islink(path):
                os.lchown(path, 0, 0)
                os.chmod(path, 0)
                due += root in self.want.roots
        self.assertGreater(due, 20)
        done = self.call(3, "run", "--yes", err=rf"{due} attachments are there and may not be read by user 65534, nobody, who runs this", **who)
        self.assertEqual(len(re.findall(r"(?m)^mmretain: warning: attachment ", done.err)), 20)
        self.assertEqual("is the folder of attachments mounted" in done.err, "file_missing" in done.out, done.err + done.out)
        self.assertRegex(done.err, rf"warning: {due - 20} more attachments cannot be archived, their threads stay; -v names each")


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
