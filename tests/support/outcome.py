"""How a test module ends: what it left out is told, a line `skip  NAME: WHY` each, for tests/run.sh to count.

With MMR_NO_SKIP=1, which tests/run.sh sets where everything is there that a test needs, what is left out has failed; but for what a slow machine
cannot do in time (TOO_SLOW), which nothing that is installed would mend: that is told.
A module of which nothing ran ends with SKIPPED, for which ctest has SKIP_RETURN_CODE.
"""
import os
import random
import sys
import unittest

SKIPPED = 77
TOO_SLOW = "this machine is too slow for it"
LONG = os.environ.get("MMR_LONG") == "1"


def some(cases, n):
    """n of the cases, the same ones each time; all of them with MMR_LONG=1."""
    cases = list(cases)
    return cases if LONG or n >= len(cases) else [cases[i] for i in sorted(random.Random(1).sample(range(len(cases)), n))]


def forbidden():
    return os.environ.get("MMR_NO_SKIP") == "1"


def tell(name, why):
    print(f"skip  {name}: {why}", flush=True)


def status(passed, failed, skipped):
    """Of a module that ran no test at all, for whatever was written after -k or --only, 1."""
    return 1 if failed or not (passed or skipped) else 0 if passed else SKIPPED


class Result(unittest.TextTestResult):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.passed = 0

    def addSuccess(self, test):
        self.passed += 1
        super().addSuccess(test)

    def addSkip(self, test, reason):
        if forbidden() and reason != TOO_SLOW:
            self.addFailure(test, (AssertionError, AssertionError(f"skipped, and MMR_NO_SKIP=1: {reason}"), None))
        else:
            super().addSkip(test, reason)


class Runner(unittest.TextTestRunner):
    resultclass = Result


def main(verbosity=1):
    """In place of unittest.main()."""
    result = unittest.main(module="__main__", testRunner=Runner, verbosity=verbosity, exit=False).result
    for test, why in result.skipped:
        tell(test.id().removeprefix("__main__."), why)
    sys.exit(status(result.passed, 0 if result.wasSuccessful() else 1, len(result.skipped)))
