"""What the tests of the mirror share: a copy of a world with a store beside it, killed at any request, compared with the archive."""
import json
import os
import signal
import threading
import unittest

import e2e_faults as faults
import e2e_lib as lib
import s3  # (tests/support, found by e2e_lib)

PREFIX = "one/archive/"
STORE, VERIFY = 14, 15


class Store(s3.S3):
    """Stops or kills the client at the n-th request, before or after it was obeyed."""

    pid, hit = None, None

    def at(self, n, phase, number=signal.SIGKILL):
        """number: what the client gets."""
        self.hit, self.pid, count, lock, known = None, None, [0], threading.Lock(), threading.Event()
        self.known = known

        def action(when):
            if when == "before":
                with lock:
                    count[0] += 1
            if count[0] == n and when == phase and self.hit is None:
                self.hit = count[0]
                known.wait(lib.TIMEOUT)
                os.kill(self.pid, number)

        self.fault("*", "", action)

    def struck(self, process):
        self.pid = process.pid
        self.known.set()


class Base(unittest.TestCase):
    """use() comes first, in the module's set-up."""

    RULES = None
    world = where = now = None

    @classmethod
    def use(cls, world, where, now):
        Base.world, Base.where, Base.now = world, where, now

    def setUp(self):
        name = self._testMethodName.removeprefix("test_")
        self.store = Store(os.path.join(self.where, f"s3-{type(self).__name__}-{name}".lower())).start()
        self.addCleanup(self.store.stop)
        self.bench = faults.Bench(self.world, self.where, name, self.now)
        self.addCleanup(self.bench.copy.remove)
        self.archive = self.bench.copy.archive
        self.keys = self.store.credentials(os.path.join(self.bench.copy.where, "keys"))
        self.bench.begin(self.RULES, archive=self.mirror())

    def tearDown(self):
        self.assertEqual([p[-900:] for p in self.bench.problems], [])

    def mirror(self, **more):
        keys = {"bucket": f"s3://{s3.BUCKET}/{PREFIX}", "endpoint": self.store.endpoint, "region": s3.REGION, "credentials": self.keys, "timeout": "10s", **more}
        return ["  mirror:", *(f"    {k}: {lib.flow(v)}" for k, v in keys.items() if v is not None)]

    # ---- what is where ----
    def here(self):
        """{path: bytes} of what belongs into the mirror."""
        found = {}
        for folder, _, names in os.walk(self.archive):
            for n in names:
                path = os.path.relpath(os.path.join(folder, n), self.archive)
                if path.startswith("0=") or (path.startswith("bundles/") and n.endswith(".tar.zst")) or (path.startswith("ledger/") and n.endswith(".jsonl")):
                    with open(os.path.join(self.archive, path), "rb") as f:
                        found[path] = f.read()
        return found

    def there(self):
        return self.store.objects(PREFIX)

    def assert_mirrored(self):
        here, there = self.here(), self.there()
        self.assertEqual(sorted(here), sorted(there))
        self.assertEqual([k for k in here if here[k] != there[k]], [])

    def paths(self):
        return sorted(os.path.relpath(p, self.archive) for p in lib.bundles(self.archive))

    def lines(self, *kinds):
        return [e for e in lib.ledger(self.archive) if e["type"] in kinds]

    def assert_gated(self):
        """Whatever may have been deleted: every byte of its bundle is in the mirror."""
        entries, there = lib.ledger_state(self.archive)[0], self.there()
        path = {e["bundle"]: e["rel_path"] for e in entries if e["type"] == "published"}
        for e in entries:
            if e["type"] == "purging" and e["bundle"] in path:
                with open(os.path.join(self.archive, path[e["bundle"]]), "rb") as f:
                    self.assertEqual(there.get(path[e["bundle"]]), f.read(), path[e["bundle"]])

    def assert_untouched(self, word):
        after = self.bench.copy.load()
        for name, table in self.bench.want.db.tables.items():
            self.assertEqual(sorted(table.lines), sorted(after[name].lines), f"{word}: {name}")
        self.assertEqual(self.bench.copy.files(), self.bench.want.files, word)

    def finish(self):
        """The next night comes to the end, and the mirror with it."""
        self.store.heal()
        self.bench.run(code=self.bench.want.code)
        self.bench.done()
        self.assert_mirrored()

    # ---- the program, struck at a request ----
    def strike(self, n, phase, *args, number=signal.SIGKILL):
        """(Done, was there such a request)"""
        self.store.heal()
        self.store.at(n, phase, number)
        process = lib.start(self.bench.copy, self.bench.path, *args, now_ms=self.bench.now)
        self.store.struck(process)
        done = lib.finish(process)
        self.store.heal()
        return done, self.store.hit is not None

    def json(self, *args, code=0, **more):
        return json.loads(self.bench.call(*args, "--json", code=code, **more).out)
