#!/usr/bin/env python3
"""Crashes: the program killed, or a call failed, at every fault point of include/mmretain/faults.def, at system calls, and at random times.

    crash.py [--random N] [--calls N] [--memory N] [--deep N] [--seed N] [--point NAME] [--only kill|parts|errno|random|call|memory|short] [--jobs N] [--verbose]

`parts` kills at the same points while deleted_posts takes parts out of threads that stay.  `call`: the kernel kills it at a system call that changes
something, or fails that call (needs strace).  `memory`: one allocation fails.  `short`: reads and writes take less than was asked, or are interrupted.

Per case: run with MMR_FAULT=POINT:kill:n (n = 1, 2, ... until the point is passed no more, at most --deep), look that every row and
blob is in the database or in a published bundle, run again without the fault, and compare with the oracle: the end must equal an
uninterrupted run.  Needs a binary built with -DMMR_FAULTS=ON, named by MMRETAIN,
and for `memory` and `short` the library SHORT_OF.  The last line is `N passed, N failed, N skipped`.
"""
import argparse
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "db"))
import e2e_lib as lib  # noqa: E402
import oracle  # noqa: E402
from e2e_lib import NOW  # noqa: E402

FAULTS = os.path.join(HERE, "..", "..", "include", "mmretain", "faults.def")
# Every kind of rule at once, so that every fault point is passed: several bundles, blobs, a waiver, dropped and kept files.
RULES = [
    {"name": "all", "match": {}, "keep": {"for": "400d"}, "spare": {"pinned": "thread"}},
    {"name": "square", "match": {"channel": "town-square"}, "keep": "forever", "limit": {"per": "channel", "posts": 20}, "files": "drop"},
    {"name": "private", "match": {"type": ["private"]}, "keep": {"for": "20mo"}, "files": "keep"},
    {"name": "direct", "match": {"type": ["direct", "group"]}, "keep": {"for": "300d"}, "priority": 5, "files": "drop", "archive": "none", "because": "kept elsewhere"},
]
RULES[2]["priority"] = 1
DELETED = [
    {"name": "all", "match": {}, "keep": "forever", "spare": {"pinned": "thread"}},
    {"name": "square", "match": {"channel": "town-square"}, "keep": "forever", "files": "drop"},
    {"name": "private", "match": {"type": ["private"]}, "keep": "forever", "files": "keep"},
    {"name": "direct", "match": {"type": ["direct", "group"]}, "keep": "forever", "priority": 5, "files": "drop", "archive": "none", "because": "kept elsewhere", "floor": "20d"},
]
# Points of steps that are in no run, or only in one with bundles past their time or after others: tests of their own name each of them, as the lint wants it.
ELSEWHERE = ("RESTORE_", "ERASE_", "EXPIRE_", "ABANDON_", "FETCH_", "EXPORT_", "JOURNAL_")
KINDS = ["kill", "parts", "errno", "random", "call", "memory", "short"]
SANE = (0, 3, 4, 12, 14, 15, 19)  # after a failed call
CHANGING = "write,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat,ftruncate,fallocate,sendto"
FAILURES = {"write": "EDQUOT", "pwrite64": "EIO", "fsync": "EIO", "fdatasync": "EIO", "syncfs": "EIO", "renameat2": "EIO", "mkdirat": "ENOSPC", "ftruncate": "EIO", "openat": "EMFILE",
            "close": "EIO"}


def points():
    with open(FAULTS, encoding="utf-8") as f:
        return re.findall(r"^X\((\w+),", f.read(), re.M)


PEOPLE = [{"name": "all", "match": {}, "keep": "forever"}]


class Ground:
    """One copy to crash on, with what must come out."""

    def __init__(self, world, where, name):
        self.copy = world.clone(f"crash_{name}", os.path.join(where, name))
        self.path, policy = self.copy.write_policy(RULES, bundle_size="64KiB")
        self.want = lib.Expected(self.copy, policy, NOW)
        self.finished = self.want.code

    def init(self):
        done = lib.call(self.copy, self.path, "init")
        return [] if done.code == 0 else [f"init: exit code {done.code}\n{lib.tail(done.err)}"]

    def run(self, fault=None, **env):
        return lib.call(self.copy, self.path, "run", "--yes", "--json", env=dict(env, **({"MMR_FAULT": fault} if fault else {})))

    def traced(self, calls, *more):
        """A run under strace, and its system calls of the main thread in their order."""
        out, command = os.path.join(self.copy.where, "calls"), lib.program()
        lib.PROGRAM = ["strace", "-f", "-qq", "-s", "0", "-o", out, "-e", "trace=" + calls, *more, *command]
        try:
            done = self.run(ASAN_OPTIONS="detect_leaks=0")
        finally:
            lib.PROGRAM = None
        with open(out, encoding="utf-8", errors="replace") as f:
            lines = [m.groups() for m in re.finditer(r"^(\d+) +(\w+)\(", f.read(), re.M)]
        return done, [what for pid, what in lines if pid == lines[0][0]]

    def between(self):
        """Nothing is lost right now."""
        return lib.nowhere(self.want, self.copy) + lib.ledger_state(self.copy.archive)[1]

    def converge(self):
        """The next run finishes the work, the one after it finds nothing to do."""
        problems = []
        for word in ("next", "last"):
            done = self.run()
            if done.code != self.finished:
                problems.append(f"{word} run: exit code {done.code}, wanted {self.finished}\n{lib.tail(done.err)}")
            if word == "next":
                seen = lib.bundles(self.copy.archive)
            elif lib.bundles(self.copy.archive) != seen:
                problems.append("the last run made or removed bundles")
        return problems + lib.compare(self.want, self.copy)


def prepare(ground, point):
    """The archive; and where the point is passed only after a failure, that: a disk that ran full in the middle of a ledger's line."""
    problems = ground.init()
    if not problems and point == "LEDGER_CUT":
        done = ground.run("LEDGER_WRITE:ENOSPC:4+")
        if done.code != 14:
            problems.append(f"exit code {done.code} on a full disk, wanted 14\n{lib.tail(done.err)}")
    return problems


def kill_case(ground, point, n):
    """(problems, was the point reached)"""
    problems = prepare(ground, point)
    if problems:
        return problems, False
    done = ground.run(f"{point}:kill:{n}")
    if done.code != -signal.SIGKILL:
        if done.code != ground.finished:
            return [f"not killed, exit code {done.code}\n{lib.tail(done.err)}"], True
        return [], False
    return ground.between() + ground.converge(), True


def errno_case(ground, point, word):
    problems = prepare(ground, point)
    if problems:
        return problems, False
    done = ground.run(f"{point}:{word}")
    # where there is no system call to fail, the fault is an internal error, and says so
    if done.code not in SANE and not (done.code == 1 and "fault point" in done.err):
        problems.append(f"exit code {done.code} after {word}\n{lib.tail(done.err)}")
    if done.code not in (0, 3) and not done.err.strip():
        problems.append("nothing was said on stderr")
    if done.code in (0, 3):
        problems += [f"exit code {done.code}, but {p}" for p in lib.compare(ground.want, ground.copy)] if done.code == ground.finished else []
    return problems + ground.between() + ground.converge(), True


def spread(items, n, rng):
    """n of them, from begin to end."""
    return [rng.choice(items[len(items) * i // n:len(items) * (i + 1) // n] or items) for i in range(n)] if items else []


def call_tasks(ground, n, rng):
    """Where to kill, and which calls to fail: (call, action, which of its kind)."""
    done, calls = ground.traced(CHANGING + "".join("," + c for c in FAILURES if c not in CHANGING.split(",")))
    if done.code != ground.finished:
        raise AssertionError(f"under strace: exit code {done.code}\n{lib.tail(done.err)}")
    nth, tasks = {}, []
    for call in calls:
        nth[call] = nth.get(call, 0) + 1
        tasks.append((call, nth[call]))
    kills = [(f"{call} KILL", which) for call, which in spread([t for t in tasks if t[0] in CHANGING.split(",")], n, rng)]
    return kills + [(f"{call} {errno}", which) for call, errno in FAILURES.items() for _, which in spread([t for t in tasks if t[0] == call], max(1, n // len(FAILURES)), rng)]


def call_case(ground, point, n):
    """A system call at which the kernel kills the program, or which fails."""
    problems = ground.init()
    if problems:
        return problems, False
    call, action = point.split()
    done, _ = ground.traced(call, "-e", f"inject={call}:{'signal=KILL' if action == 'KILL' else 'error=' + action}:when={n}")
    if done.code not in SANE + ((-signal.SIGKILL,) if action == "KILL" else (1, 127)):  # 127: of the loader
        problems.append(f"exit code {done.code}\n{lib.tail(done.err)}")
    return problems + ground.between() + ground.converge(), True


def memory_case(ground, n):
    """One allocation fails: whatever comes of it, nothing is lost, and what says that it is done is done."""
    problems = ground.init()
    if problems:
        return problems, False
    done = ground.run(LD_PRELOAD=os.environ["SHORT_OF"], SHORT_OF_MEMORY=str(n))
    if done.code == ground.finished:
        problems += [f"exit code {done.code}, but {p}" for p in lib.compare(ground.want, ground.copy)]
    elif not done.err.strip():
        problems.append("nothing was said on stderr")
    return problems + ground.between() + ground.converge(), True


def short_case(ground):
    """Half of each read and write, and interruptions: the same result."""
    problems = ground.init()
    done = ground.run(LD_PRELOAD=os.environ["SHORT_OF"], SHORT_IO="1")
    if done.code != ground.finished:
        problems.append(f"exit code {done.code}\n{lib.tail(done.err)}")
    return problems + lib.compare(ground.want, ground.copy), True


def count_allocations(ground):
    path = os.path.join(ground.copy.where, "count")
    done = ground.run(LD_PRELOAD=os.environ["SHORT_OF"], SHORT_COUNT=path)
    if done.code != ground.finished:
        raise AssertionError(f"allocations counted: exit code {done.code}\n{lib.tail(done.err)}")
    with open(path, encoding="utf-8") as f:
        return int(f.read())


class Parts(Ground):
    """Parts of threads that stay and nothing else, so that every point is passed for them."""

    def __init__(self, world, where, name):
        self.copy = world.clone(f"crash_{name}", os.path.join(where, name))
        self.path, policy = self.copy.write_policy(DELETED, bundle_size="64KiB", purge_after="30d")
        # roots that users deleted come back, so no thread goes as a whole
        self.copy.pg.psql("UPDATE posts SET deleteat = 0 WHERE rootid = '' AND originalid = ''", db=self.copy.name)
        self.want = lib.Expected(self.copy, policy, NOW, oracle.Db(self.copy.load()))
        assert self.want.roots and self.want.roots <= set(self.want.verdict.part), "not only parts"
        self.finished = self.want.code


class Crowd(Ground):
    """Nothing but people to depersonalise; the end must equal that of a run that nobody disturbed."""

    def __init__(self, world, where, name):
        self.copy = world.clone(f"crash_{name}", os.path.join(where, name))
        self.path, _ = self.copy.write_policy(PEOPLE, more=["departed_users:", "  after: 30d"])
        # whoever left has an attribute, and the view shows it
        self.sql("""INSERT INTO propertyvalues (id, targetid, targettype, groupid, fieldid, value, createat, updateat, deleteat)
          SELECT 'crowd' || lpad(row_number() OVER (ORDER BY u.id)::text, 21, '0'), u.id, 'user', f.groupid, f.id, '"Room 12"', 1, 1, 0
          FROM users u, (SELECT groupid, id FROM propertyfields ORDER BY id LIMIT 1) f WHERE u.deleteat > 0
          ON CONFLICT DO NOTHING; REFRESH MATERIALIZED VIEW attributeview""")
        users = world.db.tables["users"]
        for n, row in enumerate(users.rows):  # a picture for every other one of those who left
            if n % 2 and users.get(row, "deleteat") != "0":
                folder = os.path.join(self.copy.data, "users", users.get(row, "id"))
                os.makedirs(folder)
                with open(os.path.join(folder, "profile.png"), "w", encoding="utf-8") as f:
                    f.write("picture")

    def sql(self, text):
        return self.copy.pg.psql(text, db=self.copy.name)

    def view(self):
        return self.sql("SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM attributeview v")


def people_case(world, where, point, n):
    """Killed among the departed users; the next run makes the rest, and nobody is made twice."""
    whole, crashed = Crowd(world, where, f"whole_{point}_{n}".lower()), Crowd(world, where, f"people_{point}_{n}".lower())
    try:
        problems = whole.init() + crashed.init()
        before = whole.copy.state()
        done = whole.run()
        if done.code or whole.copy.state() == before:
            problems.append(f"undisturbed: exit code {done.code}, {'nobody was depersonalised' if whole.copy.state() == before else ''}\n{lib.tail(done.err)}")
        done = crashed.run(f"{point}:kill:{n}")
        if done.code != -signal.SIGKILL:
            return problems + ([f"not killed, exit code {done.code}\n{lib.tail(done.err)}"] if done.code else []), False
        problems += lib.ledger_state(crashed.copy.archive)[1]
        for _ in range(2):
            done = crashed.run()
            if done.code:
                problems.append(f"next run: exit code {done.code}\n{lib.tail(done.err)}")
        problems += lib.differences(crashed.copy.state(), whole.copy.state())
        if crashed.view() != whole.view():
            problems.append("the view of attributes is another one")
        lib.ledger(crashed.copy.archive)
        return problems, True
    finally:
        whole.copy.remove()
        crashed.copy.remove()


def random_case(ground, rng, longest):
    """Killed at random moments until a run gets through."""
    problems = ground.init()
    kills = 0
    for _ in range(6):
        process = lib.start(ground.copy, ground.path, "run", "--yes", "--json")
        time.sleep(rng.random() * longest)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        problems += [f"after kill {kills}: {p}" for p in ground.between()]
    return problems + ground.converge(), kills > 0


def attempt(world, where, task, longest):
    kind, point, n = task
    name = f"{kind}_{point}_{n}".lower().replace(" ", "_")
    if point.startswith("PEOPLE"):
        return people_case(world, where, point, n)
    ground = (Parts if kind == "parts" else Ground)(world, where, name)
    try:
        if kind in ("kill", "parts"):
            return kill_case(ground, point, n)
        if kind == "errno":
            return errno_case(ground, point, n)
        if kind == "call":
            return call_case(ground, point, n)
        if kind == "memory":
            return memory_case(ground, n)
        if kind == "short":
            return short_case(ground)
        return random_case(ground, random.Random(f"{point}:{n}"), longest)
    finally:
        ground.copy.remove()


def chain(world, where, task, deep, longest, results):
    """All cases of one task; for kills n = 1, 2, ... as long as the point is reached."""
    kind, point, n = task
    count = 0
    while True:
        begin = time.monotonic()
        try:
            problems, reached = attempt(world, where, (kind, point, n), longest)
        except Exception:
            problems, reached = [traceback.format_exc()], True
        if kind in ("kill", "parts") and not reached and n == 1 and not problems:
            problems = ["the run never passed this point"]
        if reached or problems:
            results.put((f"{kind} {point} {n}", problems, time.monotonic() - begin))
        count += 1
        if kind not in ("kill", "parts") or not reached or problems or count >= deep:
            return
        n += 1


def outside(world, where, args, wanted, tally):
    """Tasks of what befalls the program without a fault point."""
    tasks, rng = [], random.Random(args.seed)
    for kind in [k for k in ("call", "memory", "short") if k in wanted and not args.point]:
        if kind == "call" and (not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode):
            tally.skip(kind, "needs strace, and the right to trace")
            continue
        if kind != "call" and not os.environ.get("SHORT_OF"):
            tally.skip(kind, "needs the library SHORT_OF")
            continue
        ground = Ground(world, where, kind)
        problems = ground.init()
        if problems:
            raise AssertionError(problems)
        if kind == "call":
            tasks += [("call", point, n) for point, n in call_tasks(ground, args.calls, rng)]
        elif kind == "memory":
            tasks += [("memory", "allocation", n) for n in spread(range(1, count_allocations(ground) + 1), args.memory, rng)]
        else:
            tasks.append(("short", "io", 1))
        ground.copy.remove()
    return tasks


def worker(world, where, tasks, deep, longest, results):
    while True:
        task = tasks.get()
        if task is None:
            break
        chain(world, where, task, deep, longest, results)
    results.put(None)


def main(argv):
    long = lib.outcome.LONG
    parser = argparse.ArgumentParser(description="Crash the program everywhere.")
    parser.add_argument("--random", type=int, default=200 if long else 6, help="cases with random kills")
    parser.add_argument("--calls", type=int, default=200 if long else 6, help="system calls to kill at")
    parser.add_argument("--memory", type=int, default=200 if long else 4, help="allocations that fail")
    parser.add_argument("--deep", type=int, default=1000 if long else 2, help="passages of one point to kill at")
    parser.add_argument("--posts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--point", action="append", help="only this point")
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args(argv)
    if lib.binary() is None:
        print("FAIL  no mmretain binary: set MMRETAIN\n0 passed, 1 failed")
        return 1
    where = lib.folder("crash")
    tally = lib.Tally()
    names = args.point or points()
    wanted = args.only or KINDS
    names = [p for p in names if not p.startswith(ELSEWHERE)]
    errors = ("EIO", "ENOSPC")  # in a normal run one of them a point, in turn
    work = [("kill", p, 1) for p in names if "kill" in wanted]
    work += [("errno", p, w) for n, p in enumerate(names) for i, w in enumerate(errors) if (long or args.point or i == n % 2) and "errno" in wanted and not p.startswith("PEOPLE")]
    work += [("parts", p, 1) for p in names if "parts" in wanted and not p.startswith("PEOPLE")]
    work += [("random", str(args.seed), n) for n in range(args.random) if "random" in wanted and not args.point]
    try:
        with lib.cluster.Cluster(settings=lib.QUICK) as pg:
            world = lib.World(pg, "world", args.posts, args.seed)
            ground = Ground(world, where, "whole")
            problems = ground.init()
            begin = time.monotonic()
            done = ground.run()
            longest = time.monotonic() - begin
            if done.code != ground.finished:
                problems.append(f"exit code {done.code}, wanted {ground.finished}\n{lib.tail(done.err)}")
            about = f"{len(ground.want.roots)} threads, {len(ground.want.attachments.gone)} blobs, {len(lib.bundles(ground.copy.archive))} bundles, {longest:.2f} s"
            tally.check(f"uninterrupted run: {about}", problems + lib.compare(ground.want, ground.copy))
            ground.copy.remove()
            work += outside(world, where, args, wanted, tally)
            tasks, results = multiprocessing.Queue(), multiprocessing.Queue()
            for task in work + [None] * args.jobs:
                tasks.put(task)
            people = [multiprocessing.Process(target=worker, args=(world, where, tasks, args.deep, longest, results)) for _ in range(args.jobs)]
            for p in people:
                p.start()
            left = args.jobs
            while left:
                r = results.get()
                if r is None:
                    left -= 1
                else:
                    tally.check(r[0] + (f"  {r[2]:.1f} s" if args.verbose else ""), r[1])
            for p in people:
                p.join()
    finally:
        lib.remove(where)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
