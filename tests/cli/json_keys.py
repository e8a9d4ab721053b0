#!/usr/bin/env python3
"""docs/commands.md names every key that --json prints, in the command's own section.

usage: MMRETAIN=BINARY json_keys.py [TEST...]
"""
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exit_codes  # noqa: E402
from exit_codes import lib  # noqa: E402
import s3  # noqa: E402  (tests/support, found by e2e_lib)

MANUAL = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "commands.md"
CASE = ("--case", "17/26", "--reason", "a test of keys")
# Their keys are words of the data: reasons, states, kinds of rows; or fields of ledger lines, which docs/formats.md has.
WORDS = {"reasons", "kept", "counts", "sign_in", "stays"}
LINES = {"begin", "plan", "end", "bundles", "depersonalised", "expired", "access"}
# What `run -n` prints is the document of `plan`.
TWIN = {"run -n": "plan"}


def setUpModule():
    exit_codes.setUpModule()


def tearDownModule():
    exit_codes.tearDownModule()


def sections():
    """{command: the part of its section that speaks of --json}."""
    found = {}
    for part in re.split(r"(?m)^## ", MANUAL.read_text(encoding="utf-8"))[1:]:
        name, _, text = part.partition("\n")
        found[name] = text.partition("\nWith `--json`: ")[2]
    return found


def keys(value, skip):
    """Every key of a document, but not those below the keys in skip."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item, skip)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in skip:
                yield from keys(inner, skip)


class Keys(exit_codes.Base):
    def document(self, command, *args, code=0, skip=WORDS):
        done = lib.call(self.copy, self.policy, command, *args, "--json", now_ms=None)
        self.assertIn(done.code, code if isinstance(code, tuple) else (code,), done.err[-900:])
        doc = json.loads(done.out)
        section = TWIN.get(" ".join((command, *args[:1])), command)
        known = set(re.findall(r"`([a-z0-9_-]+)`", self.sections[section]))
        new = sorted({k for k in keys(doc, skip) if k not in known})
        if new:
            self.unnamed[" ".join((command, *args))] = new
        return doc

    def mirror(self):
        store = s3.S3(os.path.join(self.copy.where, "s3")).start()
        self.addCleanup(store.stop)
        return ["  mirror:", f"    bucket: s3://{s3.BUCKET}/x/", f"    endpoint: {store.endpoint}", f"    region: {s3.REGION}",
                f"    credentials: {store.credentials(os.path.join(self.copy.where, 'keys'))}"]

    def look(self):
        """Before anything is deleted."""
        channel, post, user = (self.copy.world.pg.psql(q, db=self.name) for q in (
            "SELECT channelid FROM posts GROUP BY 1 ORDER BY count(*) DESC LIMIT 1", "SELECT id FROM posts WHERE deleteat = 0 ORDER BY createat LIMIT 1",
            "SELECT username FROM users WHERE deleteat = 0 ORDER BY 1 LIMIT 1"))
        gone = self.copy.world.pg.psql("SELECT id FROM posts WHERE deleteat > 0 AND originalid = '' ORDER BY createat LIMIT 1", db=self.name)
        for what in (channel, post, gone, f"@{user}"):
            self.document("explain", what)
        self.document("check")
        self.document("check", "--db", code=(0, 10))
        self.document("plan")
        self.document("plan", "-v")
        self.document("plan", "--user", user)
        self.document("run", "-n")
        self.document("doctor", code=tuple(range(20)))

    def read(self):
        """After a run."""
        self.document("status")
        self.document("report", "last", skip=WORDS | LINES)
        self.document("report", "list")
        self.document("report", "--bundle", next(pathlib.Path(self.copy.archive).rglob("*.tar.zst")).name)
        self.document("verify", "--mirror", "sums")
        self.document("fetch", "-n")
        looked = self.document("reindex", "--all", "-n")
        totals = self.document("reindex", "--all")
        self.assertEqual((looked["done"], totals["done"]), (False, True))
        self.assertEqual([looked[k] for k in ("bundles", "built", "small", "failed", "bundle_bytes")], [totals[k] for k in ("bundles", "built", "small", "failed", "bundle_bytes")])
        self.assertGreater(totals["small"], 0)
        self.assertEqual(totals["built"] + totals["small"], totals["bundles"])
        self.call(0, "reindex", "--all", out=rf"^{totals['bundles']} bundles? \(.*\), {totals['built']} index files? built, {totals['small']} small bundles? read into the catalog alone")
        self.call(0, "reindex", "-n", out=rf"^{totals['bundles']} bundles? \(.*\), 0 index files to be built, ")
        thread = self.document("find", *CASE, "--after", "2000-01-01")["hits"][0]["thread"]
        self.document("export", thread, "--out", os.path.join(self.copy.where, "page.html"), *CASE)
        self.document("export", thread, "--out", os.path.join(self.copy.where, "pack.zip"), *CASE)
        self.document("report", "--access", skip=WORDS | LINES)
        self.document("restore", thread, "-n", *CASE, code=(0, 2))
        self.document("restore", "--run", "last", "-n", *CASE, code=(0, 3))
        for words in (("add", thread, "-n"), ("add", thread), ("list",), ("release", thread, "-n"), ("release", thread)):
            self.document("hold", *words, *CASE[:2])
        self.document("hold", "history")
        self.document("expire", "-n", code=tuple(range(20)))
        return thread

    def last(self):
        """What changes bundles, at the end."""
        bundle = next(pathlib.Path(self.copy.archive).rglob("*.tar.zst"))
        user = self.copy.world.pg.psql("SELECT userid FROM posts GROUP BY 1 ORDER BY count(*) DESC LIMIT 1", db=self.name)
        self.document("erase", "--user", user, "-n", *CASE, skip=WORDS | {"rows"})
        self.document("erase", "--user", user, "--yes", *CASE, skip=WORDS | {"rows"}, code=(0, 3))
        bundle = next(pathlib.Path(self.copy.archive).rglob("*.tar.zst"))
        os.unlink(bundle)
        pathlib.Path(self.policy).write_text(self.without_mirror, encoding="utf-8")  # which has a copy
        self.document("abandon", bundle.name, "-n", "--reason", "a test")
        self.document("verify", code=15)

    def test_keys(self):
        self.sections, self.unnamed = sections(), {}
        self.begin(rule={"archive": {"keep_for": "20y"}}, more="departed_users: {after: 90d}\ndeleted_posts: {purge_after: 30d}\n")
        text = self.without_mirror = pathlib.Path(self.policy).read_text(encoding="utf-8")
        pathlib.Path(self.policy).write_text(text.replace("\nthrottle:", "\n" + "\n".join(self.mirror()) + "\nthrottle:"), encoding="utf-8")
        self.look()
        self.document("run", "--yes", code=(0, 3))
        self.read()
        self.last()
        self.assertEqual(self.unnamed, {})


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
