#!/usr/bin/env python3
"""Was this thread deleted, when, by which rule: `show`, `report --bundle` and `report list` against a database that is asked.

usage: MMRETAIN=BINARY history.py [TEST...]
"""
import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exit_codes  # noqa: E402
from exit_codes import lib  # noqa: E402

CASE = ("--case", "17/26", "--reason", "a test")


def setUpModule():
    exit_codes.setUpModule()


def tearDownModule():
    exit_codes.tearDownModule()


class History(exit_codes.Base):
    def said(self, root, text):
        """Of the newest bundle with the thread, in both forms."""
        self.assertRegex(self.call(0, "show", root, *CASE).out.split("\n")[2], text)
        return json.loads(self.call(0, "show", root, "--json", *CASE).out.rstrip("\n").split("\n")[-1])

    def there(self, root):
        return self.copy.world.pg.psql(f"SELECT count(*) FROM posts WHERE id = '{root}'", db=self.name) == "1"

    def run_id(self, n=-1):
        return [e for e in self.ledger() if e["type"] == "run-begin"][n]["run"]

    def at(self, kind, bundle):
        return [e["at"] for e in self.ledger() if e["type"] == kind and e["bundle"] == bundle][-1]

    def test_deleted(self):
        self.begin()
        root = sorted(self.want.roots)[0]
        self.call(0, "run", "--yes", "--no-purge")
        doc = self.said(root, rf"\Anot deleted yet; archived \S+ by run {self.run_id()}, rule all\Z")
        self.assertEqual((doc["k"], doc["rule"], doc["deleted"], doc["begun"], doc["archived"]["run"]), ("deletion", "all", None, None, self.run_id()))
        self.assertTrue(self.there(root))
        self.call(0, "run", "--yes")
        doc = self.said(root, rf"\Adeleted \S+ by run {self.run_id()}, rule all\Z")
        self.assertEqual(doc["deleted"], {"at": self.at("purged", doc["bundle"]), "run": self.run_id()})
        self.assertFalse(self.there(root))
        done = self.call(0, "report", "--bundle", doc["bundle"], "--json")
        whole = json.loads(done.out)
        self.assertEqual({k: whole[k] for k in ("bundle", "rule", "archived", "begun", "deleted")}, {k: doc[k] for k in ("bundle", "rule", "archived", "begun", "deleted")})
        self.assertEqual([line["type"] for line in whole["lines"]], [e["type"] for e in self.ledger() if e.get("bundle") == doc["bundle"]])
        runs = json.loads(self.call(0, "report", "list", "--json").out)["runs"]
        self.assertEqual([r["run"] for r in runs], [self.run_id(0), self.run_id(1)])
        for run in runs:
            totals = json.loads(self.call(0, "report", run["run"], "--json").out)["totals"]
            for part in ("archived", "deleted"):
                self.assertEqual({k: totals[part][k] for k in ("threads", "parts", "posts")}, run[part])
        self.assertEqual((runs[0]["deleted"]["threads"], runs[1]["deleted"]["threads"]), (0, len(self.want.roots)))
        self.call(0, "restore", root, "--yes", *CASE)
        doc = self.said(root, rf"\Adeleted \S+ by run {self.run_id()}, rule all; put back \S+\Z")
        self.assertEqual(doc["restored"], self.ledger()[-1]["at"])
        # An answer does not depend on the ledger.
        os.rename(os.path.join(self.copy.archive, "ledger", "entries.jsonl"), os.path.join(self.copy.where, "kept"))
        doc = self.said(root, r"\Athe ledger does not say when it was deleted")
        self.assertEqual((doc["archived"], doc["deleted"], doc["rule"]), (None, None, None))

    def test_damaged(self):
        """What the ledger says before the damage is told, with a warning."""
        self.begin()
        self.call(0, "run", "--yes")
        root = sorted(self.want.roots)[0]
        book = pathlib.Path(self.copy.archive, "ledger", "entries.jsonl")
        book.write_text(book.read_text(encoding="utf-8").replace('"outcome":"complete"', '"outcome":"partial"'), encoding="utf-8")
        self.said(root, r"\Adeleted \S+ by run ")
        self.assertRegex(self.call(0, "show", root, *CASE).err, r"ledger line \d+ is damaged.*may be out of date")

    def test_stayed(self):
        """Written to after it was archived: it is in the bundle and was not deleted; then it goes by another."""
        self.begin()
        root = sorted(self.want.roots)[0]
        process = self.halt("PURGE_AFTER_INTENT")
        self.copy.world.pg.psql(f"UPDATE posts SET updateat = updateat + 1 WHERE id = '{root}'", db=self.name)
        os.kill(process.pid, signal.SIGCONT)
        self.assertIn(lib.finish(process, 60).code, (0, 3))
        self.assertTrue(self.there(root))
        doc = self.said(root, rf"\Anot deleted: kept or put back \S+ by run {self.run_id()}, rule all\Z")
        self.assertEqual((doc["stayed"]["run"], doc["deleted"]), (self.run_id(), None))
        first = doc["bundle"]
        self.call(0, "run", "--yes")
        self.assertFalse(self.there(root))
        doc = self.said(root, rf"\Adeleted \S+ by run {self.run_id()}, rule all\Z")
        self.assertNotEqual(doc["bundle"], first)

    def test_closed(self):
        """A delete that was cut off, and a later run with another policy that only looks what is left of it: what went is told of, what stayed goes by another bundle."""
        for fault in ("PURGE_AFTER_COMMIT", "PURGE_AFTER_INTENT"):
            with self.subTest(fault):
                self.tearDown()
                self.setUp()
                self.begin()
                process = self.halt(fault)
                process.kill()
                lib.finish(process, 60)
                bundle = next(e["bundle"] for e in self.ledger() if e["type"] == "purging")
                at = self.at("purging", bundle)
                roots = [row["id"] for b in lib.read_bundles(self.copy.archive, []) if b.name == bundle for table, row in b.rows() if table == "posts" and not row["rootid"]]
                gone = [r for r in roots if not self.there(r)]
                self.assertEqual(bool(gone), fault == "PURGE_AFTER_COMMIT")
                pathlib.Path(self.policy).write_text(pathlib.Path(self.policy).read_text(encoding="utf-8") + "# another one\n", encoding="utf-8")
                self.call(0, "run", "--yes")
                self.assertNotIn("purged", [e["type"] for e in self.ledger() if e.get("bundle") == bundle])
                for root in roots[:3] + gone[:3]:
                    self.assertFalse(self.there(root))
                    doc = self.said(root, r"\Adeleted \S+ by run ")
                    self.assertEqual((doc["bundle"] == bundle, doc["deleted"]["run"]), (root in gone, self.run_id(0 if root in gone else 1)))
                    if root in gone:
                        self.assertEqual(doc["deleted"]["at"], at)

    def test_attachments_left(self):
        """A night that ends before its attachments have gone: the next one removes them, and reports no bundle for their journal."""
        self.begin()
        process = lib.start(self.copy, self.policy, "run", "--yes", now_ms=None, env={"MMR_FAULT": "UNLINK_BEFORE:kill"})
        self.assertEqual(lib.finish(process, 60).code, -signal.SIGKILL)
        self.call(0, "run", "--yes")
        bundles = {e["bundle"] for e in self.ledger() if e["type"] == "published"}
        left = [e for e in self.ledger() if e["type"] == "unlinked" and e["bundle"].startswith("unlink-")]
        removed = sum(e["blobs_unlinked"] for e in left)
        self.assertGreater(removed, 0)
        doc = json.loads(self.call(0, "report", "last", "--json").out)
        self.assertLessEqual({b["bundle"] for b in doc["bundles"]}, bundles)
        self.assertTrue(all(b["done"] for b in doc["bundles"]))
        self.assertEqual(doc["unlinked_earlier"], {"journals": len(left)} | {k: sum(e[k] for e in left) for k in ("blobs_unlinked", "blobs_shared", "blobs_failed", "bytes_unlinked")})
        text = self.call(0, "report", "last").out
        self.assertRegex(text, rf"evidence +{len(doc['bundles'])} bundle")
        self.assertRegex(text, rf"attachments: {removed} removed .*\n +of them attachments of earlier runs: {removed} removed\n")
        self.assertNotRegex(text, "not finished|unlink-")

    def test_crash(self):
        """A delete that one run begins and another one ends."""
        self.begin()
        process = self.halt("PURGE_AFTER_INTENT")
        bundle = next(e["bundle"] for e in self.ledger() if e["type"] == "purging")
        root = next(row["id"] for b in lib.read_bundles(self.copy.archive, []) if b.name == bundle for table, row in b.rows() if table == "posts" and not row["rootid"])
        self.said(root, rf"\Adeletion not finished; begun \S+ by run {self.run_id()}, rule all\Z")
        process.kill()
        lib.finish(process, 60)
        self.call(0, "run", "--yes")
        doc = self.said(root, rf"\Adeleted \S+ by run {self.run_id(1)}, rule all; begun \S+ by run {self.run_id(0)}\Z")
        self.assertEqual((doc["begun"]["run"], doc["deleted"]["run"]), (self.run_id(0), self.run_id(1)))


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
