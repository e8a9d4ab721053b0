#!/usr/bin/env python3
"""What is skipped is told, counted and, where nothing may be, a failure: through a module, ctest and the last lines of tests/run.sh."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import outcome  # noqa: E402

BEGIN = f"import sys, unittest\nsys.path[:0] = [{str(HERE)!r}, {str(HERE.parent / 'db')!r}]\nimport outcome\n"
CASES = "class T(unittest.TestCase):\n    def test_a(self):\n        {0}\n    def test_b(self):\n        {1}\noutcome.main()\n"
SKIP, FAIL = "self.skipTest('no root')", "self.fail('x')"
MODULES = {  # name: (text, status, the same where nothing may be skipped, skip lines)
    "passes": (CASES.format("pass", "pass"), 0, 0, 0),
    "fails": (CASES.format(SKIP, FAIL), 1, 1, 1),
    "one": (CASES.format(SKIP, "pass"), 0, 1, 1),
    "both": (CASES.format(SKIP, SKIP), 77, 1, 2),
    "class": ("@unittest.skip('no root')\n" + CASES.format("pass", "pass"), 77, 1, 2),
    "module": ("def setUpModule():\n    raise unittest.SkipTest('no root')\n" + CASES.format("pass", "pass"), 77, 1, 1),
    "none": ("class T(unittest.TestCase):\n    pass\noutcome.main()\n", 1, 1, 0),
    "tally_none": ("import e2e_lib\nsys.exit(e2e_lib.Tally().end())\n", 1, 1, 0),
    "tally": ("import e2e_lib\nt = e2e_lib.Tally()\nt.check('a', [])\nt.skip('b', 'no root')\nsys.exit(t.end())\n", 0, 1, 1),
    "tally_all": ("import e2e_lib\nt = e2e_lib.Tally()\nt.skip('b', 'no root')\nsys.exit(t.end())\n", 77, 1, 1),
}
PYTHON = "/usr/bin/python3"


class Outcome(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name, (text, *_) in MODULES.items():
            (self.folder / name).write_text(BEGIN + text, encoding="utf-8")

    def run_in(self, *words, no_skip):
        return subprocess.run(words, cwd=self.folder, env=dict(os.environ, MMR_NO_SKIP=no_skip), capture_output=True, text=True, check=False)

    def test_modules(self):
        for name, (_, status, strict, lines) in MODULES.items():
            for no_skip, want, told in (("", status, lines), ("1", strict, 0)):
                with self.subTest(name, no_skip=no_skip):
                    done = self.run_in(PYTHON, name, no_skip=no_skip)
                    self.assertEqual((done.returncode, done.stdout.count("skip  ")), (want, told), done.stdout + done.stderr)
                    self.assertTrue(no_skip or done.stdout.count(": no root\n") == told, done.stdout)

    def test_slow(self):
        """Of what the machine is too slow for, being told is all there is, also where nothing may be skipped."""
        (self.folder / "slow").write_text(BEGIN + CASES.format("self.skipTest(outcome.TOO_SLOW)", "pass"), encoding="utf-8")
        done = self.run_in(PYTHON, "slow", no_skip="1")
        self.assertEqual((done.returncode, done.stdout), (0, f"skip  T.test_a: {outcome.TOO_SLOW}\n"))

    def test_summary(self):
        """A folder of ctest with all of them, one that cannot be started and one that ends at once."""
        (self.folder / "CTestTestfile.cmake").write_text("".join(
            f"add_test({name} {PYTHON} {name})\nset_tests_properties({name} PROPERTIES SKIP_RETURN_CODE {outcome.SKIPPED})\n" for name in MODULES)
            + "add_test(absent /nonexistent/program)\nadd_test(killed /bin/sh -c \"kill -9 $$\")\n", encoding="utf-8")
        self.run_in("ctest", "--output-junit", "tests.xml", no_skip="")
        done = self.run_in(PYTHON, HERE / "summary.py", "--more", "5,1", "tests.xml", no_skip="")
        lines = done.stdout.splitlines()
        self.assertEqual((done.returncode, lines[-1]), (1, "8 passed, 6 failed, 9 skipped"), done.stdout)
        self.assertEqual(lines[:-1], sorted(lines[:-1]))
        self.assertEqual([line.split()[1] for line in lines if line.startswith("failed")], ["absent", "fails", "killed", "none", "tally_none"])
        self.assertIn("skipped  one: T.test_a: no root", lines)
        self.assertIn("skipped  module: setUpModule (__main__): no root", lines)
        done = self.run_in(PYTHON, HERE / "summary.py", "tests.xml", "no.xml", no_skip="")
        self.assertEqual(done.stdout.splitlines()[-1], "3 passed, 6 failed, 9 skipped")  # a ctest that did not come to its end


if __name__ == "__main__":
    outcome.main()
