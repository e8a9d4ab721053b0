#!/usr/bin/env python3
"""Words of the policy that match nothing: a hold that protects nobody is not attested as in force, and --strict ends a run before it does anything.

usage: MMRETAIN=BINARY unmatched.py [TEST...]
"""
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exit_codes  # noqa: E402
from exit_codes import lib  # noqa: E402

GUARD = {"guard": {"threads": 100000}}
NOBODY = "user \"tomas.maier\" does not exist"


def setUpModule():
    exit_codes.setUpModule()


def tearDownModule():
    exit_codes.tearDownModule()


class Unmatched(exit_codes.Base):
    def hold(self, name, match):
        return f"  - {{name: {name}, match: {match}, because: x}}\n"

    def somebody(self):
        """A deactivated account that wrote nothing: it exists, and a hold on it keeps nothing that is due."""
        return exit_codes.PG.psql("SELECT username FROM users u WHERE deleteat > 0 AND NOT EXISTS (SELECT 1 FROM posts WHERE userid = u.id) ORDER BY id LIMIT 1", db=self.name).strip()

    def plan_line(self):
        return [e for e in self.ledger() if e["type"] == "plan"][-1]

    def report(self, *args):
        text = self.call(0, "report", "last", *args).out
        return re.findall(r"(?m)^ +(hold .*)$", text), json.loads(self.call(0, "report", "last", "--json", *args).out)["holds"]

    def status(self):
        metrics = self.call(0, "status", "--metrics", "-").out
        return json.loads(self.call(0, "status", "--json").out)["warnings"], int(re.search(r"(?m)^mmretain_unmatched_hold_words\{[^}]*\} (\d+)$", metrics)[1])

    def test_hold_is_not_attested(self):
        """The ledger has the places of the words, the report says them by the policy; status and the metrics warn until a plan has none."""
        here = self.hold("case-1", "{users: [tomas.maier, tomas.maier]}") + self.hold("case-2", "{users: [%s, tomas.maier], channels: [\"nowhere-*\"]}")
        self.begin(GUARD, more="holds:\n" + here % self.somebody())
        text = pathlib.Path(self.policy).read_text(encoding="utf-8")
        done = self.call(0, "run", "--yes", "--no-purge")
        self.assertEqual(done.err.count("hold case-1: " + NOBODY), 1, done.err)
        line = self.plan_line()
        self.assertEqual(sorted((u["hold"], u["of"], u["item"]) for u in line["unmatched"]), [("case-1", "users", 1), ("case-2", "channels", 1), ("case-2", "users", 2)])
        self.assertEqual(line["unmatched_words"], 3)
        self.assertNotIn("tomas", json.dumps(self.ledger()))
        lines, doc = self.report()
        self.assertEqual(lines, ["hold case-1: matched nothing: user tomas.maier, because: x", "hold case-2: in force, matched nothing: channel nowhere-*, user tomas.maier, because: x"])
        self.assertEqual([(h["name"], h["threads"], h["in_force"], [u["word"] for u in h["unmatched"]]) for h in doc],
                         [("case-1", None, False, ["tomas.maier"]), ("case-2", None, True, ["nowhere-*", "tomas.maier"])])
        # A part of the run, too; and without the policy of then the places are left.
        self.assertEqual(self.report("--rule", "all")[0], lines)
        warnings, number = self.status()
        self.assertEqual(number, 3)
        self.assertRegex(warnings[0], r"^in the run of \S+ 3 words of holds case-1, case-2 matched nothing, and what was meant is not protected; `mmretain report \S+` tells more")
        os.rename(self.policy, self.policy + ".old")
        pathlib.Path(self.policy).write_text(text.partition("holds:\n")[0], encoding="utf-8")
        lines, doc = self.report()
        self.assertEqual(lines, ["hold case-1: matched nothing: user 1 of its list", "hold case-2: matched nothing: channel 1 of its list, user 2 of its list"])
        self.assertEqual({(h["in_force"], h["unmatched"][0]["word"]) for h in doc}, {(False, None)})
        self.call(0, "run", "--yes", "--no-purge")
        self.assertNotIn("unmatched", self.plan_line())
        self.assertEqual(self.status(), ([], 0))
        os.replace(self.policy + ".old", self.policy)

    def test_restricted_and_planned(self):
        """A hold protects whatever a run is restricted to: its words are looked for there, too, and of a plan file anew."""
        self.begin(GUARD, more="holds:\n" + self.hold("case-1", "{teams: [no-such-team], users: [tomas.maier]}"))
        plan = os.path.join(self.copy.where, "plan.jsonl")
        self.call(0, "plan", "--out", plan)
        for args in (("--yes", "--no-purge", "-p", "all"), ("--plan", plan, "--no-purge")):
            done = self.call(0, "run", *args)
            self.assertEqual((done.err.count(NOBODY), done.err.count("no-such-team")), (1, 1), done.err)
            self.assertEqual(self.plan_line()["unmatched_words"], 2)
            self.assertEqual(self.report()[0], ["hold case-1: matched nothing: team no-such-team, user tomas.maier, because: x"])
            self.call(10, "run", *args, "--strict", err=NOBODY, out=exit_codes.RUN_LINE % "refused")

    def refused(self, words, *args):
        done = self.call(10, "run", "--strict", *(args or ("--yes",)), err=words, out=exit_codes.RUN_LINE % "refused")
        lines = self.ledger()
        run = [e for e in lines if e.get("run") == lines[-1]["run"]]
        self.assertEqual([e["type"] for e in run], ["run-begin", "run-end"])
        self.assertEqual((run[-1]["outcome"], run[-1]["exit"], run[-1]["error"]), ("refused", 10, "POLICY"))
        return done

    def test_strict(self):
        """Before anything, whichever word it is; and a run that is strict does what it should where all match."""
        words = (("holds:\n" + self.hold("case-1", "{users: [tomas.maier]}"), NOBODY),
                 ("holds:\n" + self.hold("case-1", "{channels: [\"nowhere-*\"]}"), "hold case-1: channel \"nowhere-\\*\" "),
                 ("  - {name: more, match: {team: no-such-team}, keep: forever}\n", "rule more: team \"no-such-team\" "),
                 ("  - {name: more, match: {type: [group], archived: yes}, keep: {for: 9000d}, guard: {threads: 9}, spare: {authors: [tomas.maier]}}\n", "rule more: " + NOBODY),
                 ("departed_users: {after: 90d, except: [tomas.maier]}\n", "departed_users.except names an account that does not exist: \"tomas.maier\""))
        real = self.somebody()
        self.begin(GUARD)
        for more, said in words:
            with self.subTest(said):
                self.begin(GUARD, init=False, more=more)
                self.refused(said)
                self.untouched()
        self.begin(GUARD, init=False, more=words[0][0])
        self.call(10, "run", "-n", "--strict", err=NOBODY, out="plan digest")
        self.call(10, "run", "--strict", err=NOBODY, out="plan digest")
        self.begin({}, init=False)
        self.call(10, "run", "--yes", "--strict", err="1 warning, and --strict is given", out=r"\A\Z")
        self.untouched()
        self.begin(GUARD, init=False, more="holds:\n" + self.hold("case-1", "{users: [%s]}" % real))
        self.assertNotIn("does not exist", self.call(0, "run", "--yes", "--strict").err)
        self.finished()
        self.assertEqual(self.report()[0], ["hold case-1: in force, because: x"])

    def test_strict_before_recovery(self):
        """What an earlier run left is deleted by the next one: not before the words are looked at."""
        self.begin(GUARD)
        process = self.halt("PURGE_AFTER_INTENT", "-q")
        process.kill()
        lib.finish(process)
        left = self.copy.load()["posts"].lines
        self.begin(GUARD, init=False, more="holds:\n" + self.hold("case-1", "{users: [tomas.maier]}"))
        self.refused(NOBODY)
        self.assertEqual(sorted(self.copy.load()["posts"].lines), sorted(left))
        # A run that the policy refused was under no hold of it.
        self.assertEqual(self.report()[0], ["hold case-1: not shown to have been in force, because: x"])
        self.begin(GUARD, init=False)
        self.call(0, "run", "--yes", "--strict")
        self.assertEqual(lib.compare_database(self.want, self.copy.load()), [])


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
