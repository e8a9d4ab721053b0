#!/usr/bin/env python3
"""Threads that the ledger holds: no plan, no plan file and no bundle of a crashed run takes them.

    hold_test.py [--only WORD]... [--seed N]

Needs a binary built with -DMMR_FAULTS=ON, named by MMRETAIN.  The last line is `N passed, N failed, N skipped`.
"""
import argparse
import json
import os
import sys
import time
import traceback

import e2e_lib as lib
import oracle
from e2e_faults import OLD, Bench, Skip, as_nobody, hand_over

FOREVER = [{"name": "all", "match": {}, "keep": "forever"}]
BIG = "64MiB"  # one bundle per team and month
TESTS = {}


def test(function):
    TESTS[function.__name__.removeprefix("test_")] = function
    return function


def hold(bench, roots, via="restore"):
    """A line of the ledger; the verdict knows it from now on."""
    roots = sorted(roots)
    if not roots:
        raise AssertionError("nothing to hold")
    lib.write_ledger(bench.copy.archive, "hold", roots=roots, case="17/26", via=via)
    bench.parsed["held"] = sorted(set(bench.parsed.get("held", ())) | set(roots))


def release(bench, roots):
    lib.write_ledger(bench.copy.archive, "release", roots=sorted(roots), case="17/26")
    bench.parsed["held"] = sorted(set(bench.parsed.get("held", ())) - set(roots))


def rows_of(bench, roots):
    """{table: lines} of the threads as they were."""
    closure = oracle.closure(bench.want.db, set(roots))
    return {table: sorted(line for line, _, _ in rows) for table, rows in closure.items() if rows}


def whole(bench, roots, word):
    """Every row of the threads is in the database as it was, every attachment in its place."""
    after = bench.copy.load()
    for table, lines in rows_of(bench, roots).items():
        there = set(after[table].lines)
        for line in [x for x in lines if x not in there][:2]:
            bench.fail(f"{word}: {table}: a row of a held thread is gone: {lib.short(line)}")
    files = bench.copy.files()
    for root, row in bench.want.attachments.rows.values():
        path = bench.want.db.tables["fileinfo"].get(row, "path")
        if root in roots and path in bench.want.files and path not in files:
            bench.fail(f"{word}: an attachment of held thread {root} is gone: {path}")


def some(bench, *needs, n=6):
    """Due threads of every kind: with replies, with attachments, the oldest."""
    found = bench.roots(*needs)
    attached = {root for root, _ in bench.want.attachments.rows.values()}
    picked = found[:n] + [t for t in found if len(t.posts) > 2][:n] + [t for t in found if t.root.id in attached][:n]
    return {t.root.id for t in picked}


def released(bench, held):
    """The next night takes what is not held any more, and nothing else."""
    release(bench, held)
    bench.expect(db=oracle.Db(bench.copy.load()))
    if not held <= bench.want.roots:
        bench.fail("what is released is not due")
    bench.run(code=bench.want.code)
    bench.done(exact=False)
    if (held - set(bench.want.verdict.part)) & set(oracle.Db(bench.copy.load()).posts):
        bench.fail("threads that were released are still there")


def reasons(done):
    return json.loads(done.out)["rules"][0]["reasons"]


def night(bench, held, reason):
    """Plan, run, run: exactly the rest goes."""
    due = set(bench.want.verdict.due)
    hold(bench, held)
    bench.expect()
    if not held <= due or not bench.want.roots - held:
        bench.fail("the test holds nothing that is due, or all of it")
    got = reasons(bench.call("plan", "--json", code=0))
    kept = sum("hold" in why for why in bench.want.verdict.kept.values())
    if got.get("hold") != kept or got.get(reason) != sum(r == reason for r, _ in bench.want.verdict.due.values()):
        bench.fail(f"plan says {got}, wanted hold {kept}")
    for word in ("first", "second"):
        bench.run(code=bench.want.code)
        bench.done()
        whole(bench, held, f"{word} night")


@test
def test_age(bench):
    """Held threads stay; once they are released they go."""
    bench.begin()
    held = some(bench)
    night(bench, held, "age")
    released(bench, held)


@test
def test_limit_posts(bench):
    """The oldest are held, so that younger ones go in their place."""
    bench.begin([dict(FOREVER[0], limit={"per": "channel", "posts": 10})])
    before = set(bench.want.roots)
    night(bench, some(bench), "posts")
    if not bench.want.roots - before:
        bench.fail("no thread goes in place of a held one")


@test
def test_limit_bytes(bench):
    bench.begin([dict(FOREVER[0], limit={"per": "team", "bytes": "20KiB"})])
    night(bench, some(bench), "bytes")


@test
def test_deleted(bench):
    """Of a held thread no part goes either."""
    bench.begin(FOREVER, purge_after="30d")
    parts = [t.root.id for t in bench.roots() if t.root.id in bench.want.verdict.part]
    if len(parts) < 4 or len(parts) == len(bench.want.roots):
        bench.fail("the test needs parts and whole threads")
    night(bench, set(parts[::2]) | {t.root.id for t in bench.roots() if t.root.id not in parts[:]} - {bench.roots()[-1].root.id}, "deleted")


@test
def test_digest(bench):
    """A plan has the same digest where nothing is held, whatever was held before."""
    bench.begin()

    def digest():
        doc = json.loads(bench.call("plan", "--json", code=0).out)
        return doc["digest"], doc["due"]["threads"]

    before, t = digest(), bench.roots()[0].root.id
    hold(bench, {t})
    held = digest()
    release(bench, {t})
    if digest() != before or held[0] == before[0] or held[1] != before[1] - 1:
        bench.fail(f"before {before}, held {held}, released {digest()}")


@test
def test_explain(bench):
    """The thread of any of its posts is held, says who did it, and its channel counts it."""
    bench.begin()
    t = next(t for t in bench.roots() if len(t.posts) > 1)
    reply = next(p.id for p in t.posts if p.id != t.root.id)
    was = json.loads(bench.call("explain", reply, "--json", code=0).out)["post"]
    hold(bench, {t.root.id}, via="restore")
    got = json.loads(bench.call("explain", reply, "--json", code=0).out)["post"]
    if not was["due"] or was["held"] is not None:
        bench.fail(f"explain before: {was}")
    if got["due"] or got["reason"] != "hold" or got["hold"] is not None or not got["held"] or got["held"]["case"] != "17/26" or got["held"]["via"] != "restore":
        bench.fail(f"explain of a held thread: {got}")
    bench.says(bench.call("explain", reply, code=0), "kept now, reason: hold", "held by `mmretain hold` since 20", "case 17/26", "as it was restored")
    if json.loads(bench.call("explain", t.channel, "--json", code=0).out)["reasons"].get("hold") != 1:
        bench.fail("explain of the channel does not count the held thread")
    release(bench, {t.root.id})
    if json.loads(bench.call("explain", reply, "--json", code=0).out)["post"] != was:
        bench.fail("explain after the release is not as before")


@test
def test_names(bench):
    """Explain and report name the holds of the policy with their reasons, and how many threads each kept; what a rule is for is told too."""
    about, why = "Machine alarms lose their value within a quarter", "file reference 17/26"
    bench.begin()
    t = next(t for t in bench.roots() if len({p.user for p in t.posts}) == 1)
    other = next(u for u in bench.roots() if u.channel != t.channel)
    rules = [dict(OLD[0], description=about)]
    holds = [{"name": "court", "match": {"channels": [t.channel]}, "because": why}, {"name": "quiet", "match": {"channels": [t.channel]}, "until": "1999-12-31", "because": "x"}]
    bench.policy(rules, holds=holds)
    hold(bench, {other.root.id}, via="admin")
    for what in (t.channel, t.root.id):
        doc = json.loads(bench.call("explain", what, "--json", code=0).out)
        if doc["description"] != about or {"name": "court", "because": why} not in doc["holds"]:
            bench.fail(f"explain {what}: {doc}")
    post = doc["post"]
    if (post["hold"], post["because"]) != ("court", why):
        bench.fail(f"explain of a post: {post}")
    bench.says(bench.call("explain", t.root.id, code=0), f"that is: {about}\n", f"hold court covers this channel, because: {why}\n", f"kept now, reason: hold (court, because: {why})")
    bench.expect()
    kept = {root for root, reason in bench.want.verdict.kept.items() if "hold" in reason}
    bench.run(code=bench.want.code)
    lines = [(e.get("hold"), e["threads"]) for e in lib.ledger(bench.copy.archive) if e["type"] == "kept" and e["reason"] == "hold"]
    if other.root.id not in kept or sorted(lines, key=str) != [("court", len(kept) - 1), (None, 1)]:
        bench.fail(f"the ledger says {lines}, wanted {len(kept)} in all")
    if [(h["name"], h["because"], h["threads"]) for h in json.loads(bench.call("report", "last", "--json", code=0).out)["holds"]] != [("court", why, len(kept) - 1), ("quiet", "x", None)]:
        bench.fail("report does not name the holds")
    bench.says(bench.call("report", "last", code=0), f"hold court: {len(kept) - 1} thread", f", because: {why}\n", "hold quiet: in force, because: x\n")
    if why in "".join(json.dumps(e) for e in lib.ledger(bench.copy.archive)):
        bench.fail("the reason of a hold is in the ledger")


@test
def test_explain_deleted(bench):
    bench.begin(FOREVER, purge_after="30d")
    root = next(t.root.id for t in bench.roots() if t.root.id in bench.want.verdict.part)
    hold(bench, {root}, via="admin")
    got = json.loads(bench.call("explain", root, "--json", code=0).out)["post"]["deleted"]
    if got["due"] or got["reason"] != "hold":
        bench.fail(f"explain of a part of a held thread: {got}")


@test
def test_plan_file(bench):
    """A plan file that is older than the hold does not take the threads, and says that they are kept."""
    bench.begin()
    plan = os.path.join(bench.copy.where, "plan.jsonl")
    bench.call("plan", "--out", plan, code=0)
    held = some(bench)
    hold(bench, held)
    bench.expect()
    done = bench.call("run", "--plan", plan, "--json", code=3)
    if json.loads(done.out)["kept"].get("hold") != len(held):
        bench.fail(f"the run says {json.loads(done.out)['kept']}, wanted hold {len(held)}")
    bench.done()
    whole(bench, held, "after the run")


@test
def test_plan_file_parts(bench):
    bench.begin(FOREVER, purge_after="30d")
    plan = os.path.join(bench.copy.where, "plan.jsonl")
    bench.call("plan", "--out", plan, code=0)
    held = set(list(sorted(bench.want.verdict.part))[::2])
    hold(bench, held)
    bench.expect()
    bench.call("run", "--plan", plan, "--json", code=3)
    bench.done()
    whole(bench, held, "after the run")


def crash(bench, point, nth=1):
    """A run that dies there; the threads of its bundles."""
    done = bench.call("run", "--yes", env={"MMR_FAULT": f"{point}:kill:{nth}"})
    if done.code != -9:
        raise AssertionError(f"the run did not die at {point} (built with -DMMR_FAULTS=ON?), exit code {done.code}\n{lib.tail(done.err)}")
    posts = {row["id"] for b in lib.read_bundles(bench.copy.archive, bench.problems) for table, row in b.rows() if table == "posts"}
    return {t.root.id for t in bench.roots() if posts & {p.id for p in t.posts}}


def recovered(bench, held, word):
    """The next nights keep what is held, and finish the rest; released, it goes."""
    bench.expect()
    bench.run(code=3)
    whole(bench, held, f"{word}, recovery")
    for p in lib.compare_database(bench.want, bench.copy.load()):  # attachments may wait for the second night
        bench.fail(f"{word}, recovery: {p}")
    bench.run(code=bench.want.code)
    whole(bench, held, f"{word}, second night")
    bench.done(exact=False)
    bench.call("verify", code=0)
    released(bench, held)


def crashed(bench, point, rules=None, nth=lambda want: 1, **more):
    bench.begin(rules, bundle_size=BIG, **more)
    archived = crash(bench, point, nth(bench.want))
    here = set(oracle.Db(bench.copy.load()).posts)
    held = set(sorted(archived & here)[::2])
    hold(bench, held)
    recovered(bench, held, point)
    return held


@test
def test_crash_published(bench):
    """A bundle that a crashed run published: its held threads are not deleted."""
    crashed(bench, "RUN_AFTER_PUBLISHED")


@test
def test_crash_adopted(bench):
    """The same of a bundle that the ledger does not know."""
    crashed(bench, "BUNDLE_AFTER_RENAME")


@test
def test_crash_intent(bench):
    """The same when the ledger says that deleting has begun."""
    crashed(bench, "PURGE_AFTER_INTENT")


@test
def test_crash_part(bench):
    """The same of parts of threads; bundles of whole ones, one a team, come before."""
    def first_part(want):
        return 1 + len({want.db.channels[want.db.threads[r].channel].team for r in want.roots if r not in want.verdict.part})

    if not crashed(bench, "RUN_AFTER_PUBLISHED", FOREVER, first_part, purge_after="30d"):
        bench.fail("no part was held")


def put_back(bench, roots):
    """What a restore does: every row of the threads again."""
    for table, rows in oracle.closure(bench.want.db, set(roots)).items():
        if rows:
            columns = ", ".join(bench.want.db.tables[table].columns)
            here = set(bench.copy.load()[table].lines)
            text = "\n".join(line for line, _, _ in rows if line not in here)
            if text:
                bench.sql(f"COPY {table} ({columns}) FROM STDIN;\n{text}\n\\.\n")


@test
def test_crash_restored(bench):
    """Threads that a crashed run deleted, restored before the next: the delete that goes on does not take them."""
    restored_after(bench, "PURGE_AFTER_BATCHES")


@test
def test_swept_restored(bench):
    """Nor does the sweep, with all it finds of them in other tables."""
    restored_after(bench, "SWEEP_BEFORE")


def restored_after(bench, point):
    bench.begin(bundle_size=BIG)
    archived = crash(bench, point)
    # Attachments are still in their place: only their rows went.
    held = set(sorted(archived - set(oracle.Db(bench.copy.load()).posts))[:12])
    put_back(bench, held)
    hold(bench, held)
    for word in ("recovery", "second night"):
        bench.run(code=(0, 3))
        whole(bench, held, f"{point}, {word}")


@test
def test_restored(bench):
    """Threads that a finished run deleted, restored: the next run, with late replies to look for, leaves every row of them."""
    bench.begin(bundle_size=BIG)
    bench.run(code=bench.want.code)
    attached = {root for root, _ in bench.want.attachments.rows.values()}
    held = set(sorted(bench.want.roots - attached)[:6])
    put_back(bench, held)
    hold(bench, held)
    other = sorted(bench.want.roots - attached - held)[0]
    t = bench.want.db.threads[other]
    at = int(time.time() * 1000)
    bench.sql(f"INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid) "
              f"VALUES ('{'late' + 22 * '0'}', {at}, {at}, 0, 0, '{t.root.user}', '{t.channel}', '{other}', '', 'late', '', '{{}}', '', '[]', '[]', false, false, '');")
    done = bench.run(code=(0, 3))
    whole(bench, held | {other}, "after the run")
    if json.loads(done.out)["late"]["restored"] != 1:
        bench.fail(f"late: {json.loads(done.out)['late']}, wanted one thread")


@test
def test_beside_pins(bench):
    """What stays for another reason stays as well where threads are held, whatever their ids: pins of transactions that took their time."""
    bench.begin(bundle_size=BIG)
    ids = sorted(t.root.id for t in bench.roots() if t.root.live)  # a pin of a deleted post protects nothing
    held, pinned = set(ids[:12]), set(ids[-12:])
    hold(bench, held)
    bench.expect()
    process = bench.start("LEDGER_WRITE:stop:2")
    if not lib.stopped(process):
        raise AssertionError(f"the run did not stop\n{lib.tail(lib.finish(process).err)}")
    at = int(time.time() * 1000) - 60_000
    for root in pinned:
        bench.sql(f"UPDATE posts SET ispinned = true, updateat = {at} WHERE id = '{root}'")
    bench.go_on(process, code=3)
    whole(bench, held, "after the run")
    here = set(oracle.Db(bench.copy.load()).posts)
    if gone := pinned - here:
        bench.fail(f"{len(gone)} of {len(pinned)} pinned threads are gone")
    if left := (bench.want.roots - pinned) & here:
        bench.fail(f"{len(left)} threads are still there, which nothing protects")


DEPARTED = ["departed_users:", "  after: 600d"]


def late_reply(bench, t, other):
    at = int(time.time() * 1000)
    bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids, hasreactions, ispinned, remoteid)
      VALUES ('zzlatereplyzzlatereplyzzla', {at}, {at}, 0, 0, '{other}', '{t.channel}', '{t.root.id}', '', 'late reply', '', '{{}}', '', '[]', '[]', false, false, '');""")


def deleted_thread(bench):
    """One that was archived and deleted by a night, by a person who has left since, and somebody else."""
    bench.begin(bundle_size=BIG)
    bench.run(code=bench.want.code)
    bots = set(bench.sql("SELECT userid FROM bots").split())
    t = next(t for r, t in sorted(bench.want.db.threads.items()) if r in bench.want.roots and t.root.live and t.root.user not in bots and
             bench.sql(f"SELECT count(*) FROM users WHERE id = '{t.root.user}' AND coalesce(remoteid, '') = ''").strip() == "1")
    other = bench.sql(f"SELECT id FROM users WHERE id <> '{t.root.user}' AND deleteat = 0 AND id NOT IN (SELECT userid FROM bots) ORDER BY id LIMIT 1").strip()
    return t, other


@test
def test_writer_of_what_comes_back(bench):
    """A held thread that comes back with a late reply: whoever wrote in it is left alone, in the same night."""
    t, other = deleted_thread(bench)
    bench.sql(f"UPDATE users SET deleteat = {bench.now - 700 * 86400000} WHERE id = '{t.root.user}'")
    address = bench.sql(f"SELECT email FROM users WHERE id = '{t.root.user}'")
    bench.call("hold", "add", t.root.id, "--case", "17/26", code=0)
    late_reply(bench, t, other)
    bench.policy(bundle_size=BIG, more=DEPARTED)
    bench.run(code=(0, 3))
    if bench.sql(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}'").strip() != "1":
        bench.fail("the thread is not back")
    if bench.sql(f"SELECT email FROM users WHERE id = '{t.root.user}'") != address:
        bench.fail("its author was depersonalised")


@test
def test_list_gone(bench):
    """A list of departed persons that cannot be read ends the night, and not before what an earlier one left is finished."""
    t, other = deleted_thread(bench)
    late_reply(bench, t, other)
    bench.policy(bundle_size=BIG, more=DEPARTED + ["  only_listed: /nonexistent/list"])
    bench.run(code=10)
    if bench.sql(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}'").strip() != "1":
        bench.fail("the thread is not back")


@test
def test_command(bench):
    """`hold add` keeps threads of the next run and is refused during it; `hold release` gives them back."""
    bench.begin()
    held = some(bench)
    bench.call("hold", "add", *held, "--case", "17/26", code=0)
    bench.parsed["held"] = sorted(held)
    bench.expect()
    process = bench.halt("RUN_AFTER_PUBLISHED")
    other = sorted(bench.want.roots)[0]
    for word, root in (("add", other), ("release", sorted(held)[0])):
        bench.says(bench.call("hold", word, root, "--case", "18/26", code=11), "another process writes the ledger")
    bench.go_on(process, code=bench.want.code)
    bench.done()
    whole(bench, held, "after the run")
    bench.call("hold", "release", *held, "--case", "17/26", code=0)
    bench.parsed["held"] = []
    bench.expect(db=oracle.Db(bench.copy.load()))
    if not held <= bench.want.roots:
        bench.fail("what is released is not due")
    bench.run(code=bench.want.code)
    bench.done(exact=False)


@test
def test_command_reply(bench):
    """Who names a reply, deleted or not, or an earlier version holds its thread; an id that nobody knows holds nothing, nor what stands beside it."""
    bench.begin()
    t = next(t for t in bench.roots() if len(t.posts) > 2)
    replies = sorted(p.id for p in t.posts if p.id != t.root.id)
    other = next(r for r in sorted(bench.want.roots) if r != t.root.id)
    unknown = 26 * "z"
    done = bench.call("hold", "add", other, unknown, "--case", "17/26", code=1)
    bench.says(done, f"neither the database nor the archive has a post {unknown}", "nothing was held")
    if os.path.exists(os.path.join(bench.copy.archive, "ledger", "entries.jsonl")):
        bench.fail("a refused hold is in the ledger")
    done = bench.call("hold", "add", *replies, "--case", "17/26", "--json", code=0)
    got = json.loads(done.out)
    if got["held"] != [t.root.id] or got["named"] != [{"id": r, "thread": t.root.id, "found": "database"} for r in replies]:
        bench.fail(f"hold add of replies says {got}")
    bench.says(bench.call("hold", "add", replies[0], "--case", "17/26", code=0), f"{t.root.id} is held already", f"the thread of {replies[0]}")
    bench.parsed["held"] = [t.root.id]
    bench.expect()
    bench.run(code=bench.want.code)
    bench.done()
    whole(bench, {t.root.id}, "after the run")
    # The hold ends the same way; a post of another thread ends nothing.
    u = next(u for u in sorted(bench.want.db.posts) if u not in {p.id for p in t.posts} and not bench.want.db.posts[u].root and not bench.want.db.posts[u].original)
    bench.says(bench.call("hold", "release", replies[0], u, "--case", "17/26", code=2), f"thread {u} is not held", "no hold was released")
    bench.says(bench.call("hold", "release", unknown, "--case", "17/26", code=2), f"thread {unknown} is not held")
    got = json.loads(bench.call("hold", "release", *replies, "--case", "17/26", "--json", code=0).out)
    if got["released"] != [t.root.id] or got["named"] != [{"id": r, "thread": t.root.id, "found": "database"} for r in replies]:
        bench.fail(f"hold release of replies says {got}")
    bench.says(bench.call("hold", "release", replies[0], "--case", "17/26", code=2), f"thread {t.root.id} is not held: the thread of {replies[0]}")


@test
def test_release_all(bench):
    """`hold release --all` ends what its case holds, a thousand a line, and nothing of another case."""
    bench.begin()
    roots = sorted(bench.want.roots)
    many = [f"held{n:022}" for n in range(2400)]
    lib.write_ledger(bench.copy.archive, "hold", roots=roots + many[:900], case="17/26", via="restore", uid=0, host="x")
    lib.write_ledger(bench.copy.archive, "hold", roots=many[900:], case="17/26", via="restore", uid=0, host="x")
    bench.call("hold", "add", roots[0], "--case", "court", code=0)
    for words in (("release", "--all"), ("release", "--all", roots[0], "--case", "17/26"), ("add", "--all", "--case", "17/26"), ("list", "--all")):
        bench.call("hold", *words, code=2)
    bench.says(bench.call("hold", "release", "--all", "--case", "16/26", code=1), "no thread is held for this case")
    before = lib.ledger(bench.copy.archive)
    n = len(roots) + len(many)
    bench.says(bench.call("hold", "release", "--all", "--case", "17/26", "-n", code=0), f"{n} threads would not be held for this case any more", "another case holds 1 of them")
    if lib.ledger(bench.copy.archive) != before:
        bench.fail("`-n` has written")
    got = json.loads(bench.call("hold", "release", "--all", "--case", "17/26", "--json", code=0).out)
    if got["released"] != sorted(roots + many) or got["still_held"] != [roots[0]] or got["named"] or not got["done"]:
        bench.fail(f"hold release --all says {str(got)[:300]}")
    lines = lib.ledger(bench.copy.archive)[len(before):]
    if {e["type"] for e in lines} != {"release"} or max(len(e["roots"]) for e in lines) > 1000 or sum(len(e["roots"]) for e in lines) != n:
        bench.fail("the lines of the release are not bounded")
    bench.parsed["held"] = [roots[0]]
    bench.expect()
    bench.run(code=bench.want.code)
    bench.done()
    bench.call("hold", "release", "--all", "--case", "17/26", code=1)


@test
def test_command_archived(bench):
    """What is in the archive alone is held too, with and without a database to ask."""
    bench.begin()
    bench.run(code=bench.want.code)
    gone = sorted(bench.want.roots - set(oracle.Db(bench.copy.load()).posts))
    posts = {row["id"]: row.get("rootid") for b in lib.read_bundles(bench.copy.archive, bench.problems) for table, row in b.rows() if table == "posts"}
    replies = sorted(p for p, root in posts.items() if root in gone and root)[:3]
    got = json.loads(bench.call("hold", "add", *replies, "--case", "17/26", "--json", code=0).out)
    if got["held"] != sorted({posts[r] for r in replies}) or {n["found"] for n in got["named"]} != {"archive"}:
        bench.fail(f"hold add of archived replies says {got}")
    other = next(r for r in gone if r not in got["held"])
    bench.pg.psql(f"ALTER DATABASE {bench.name} ALLOW_CONNECTIONS false")
    done = bench.call("hold", "add", other, "--case", "18/26", code=0)
    bench.says(done, "the database was not asked", f"{other} is held; it is in the archive")
    bench.says(bench.call("hold", "add", 26 * "z", "--case", "18/26", code=12), "is not known: no bundle has it, and the database was not asked", "--unchecked")
    bench.says(bench.call("hold", "add", 26 * "z", "--case", "18/26", "--unchecked", code=0), "is held, unchecked")
    bench.pg.psql(f"ALTER DATABASE {bench.name} ALLOW_CONNECTIONS true")


@test
def test_lost_ledger(bench):
    """An archive with bundles and a ledger that holds and knows nothing else has lost its ledger."""
    bench.begin()
    bench.run(code=bench.want.code)
    bench.expect(db=oracle.Db(bench.copy.load()), stay=())
    path = os.path.join(bench.copy.archive, "ledger", "entries.jsonl")
    os.unlink(path)
    hold(bench, {sorted(bench.want.db.threads)[0]})
    done = bench.run(code=15)
    bench.says(done, "has bundles and a ledger without a run")


@test
def test_archive(bench):
    """No archive yet: nothing is held.  A damaged ledger: no plan either."""
    bench.policy()
    bench.expect()
    if "hold" in reasons(bench.call("plan", "--json", code=0)):
        bench.fail("something is held without an archive")
    bench.call("explain", bench.roots()[0].root.id, code=0)
    bench.call("init", code=0)
    bench.call("plan", "--json", code=0)
    held = some(bench)
    hold(bench, held)
    if reasons(bench.call("plan", "--json", code=0)).get("hold") != len(held):
        bench.fail("the plan does not see the hold")
    with open(os.path.join(bench.copy.archive, "ledger", "entries.jsonl"), "r+b") as f:
        text = f.read().replace(b"17/26", b"18/26")
        f.seek(0)
        f.write(text)
    for args in (("plan",), ("explain", bench.roots()[0].root.id), ("run", "--yes")):
        bench.call(*args, code=15)
    bench.untouched("a damaged ledger")


@test
def test_archive_unreadable(bench):
    """Who may not read the archive can plan, and is told that holds are not seen; a run does not begin."""
    bench.begin()
    hold(bench, some(bench))
    as_nobody(bench)
    hand_over(bench)
    book = os.path.join(bench.copy.archive, "ledger", "entries.jsonl")
    for path, mode in ((book, 0o600), (os.path.dirname(book), 0o700), (bench.copy.archive, 0o700)):
        if "hold" not in reasons(bench.call("plan", "--json", code=0)):
            bench.fail(f"{path}: the plan does not see the holds")
        was = os.stat(path)
        os.chown(path, 0, 0)
        os.chmod(path, mode)
        done = bench.call("plan", "--json", code=0)
        bench.says(done, "Permission denied", "are shown as if they were not held")
        if "hold" in reasons(done):
            bench.fail(f"{path}: the plan sees holds that it cannot read")
        bench.run(code=(14, 19))
        bench.untouched(path)
        os.chown(path, was.st_uid, was.st_gid)
        os.chmod(path, was.st_mode & 0o777)


def main(argv):
    parser = argparse.ArgumentParser(description="Held threads, end to end.")
    parser.add_argument("--only", action="append", help="tests whose name contains this")
    parser.add_argument("--seed", type=int, default=6)
    args = parser.parse_args(argv)
    if lib.binary() is None:
        print("FAIL  no mmretain binary: set MMRETAIN\n0 passed, 1 failed")
        return 1
    tally, where, now = lib.Tally(), lib.folder("hold"), int(time.time()) * 1000
    try:
        with lib.cluster.Cluster(settings=lib.QUICK) as pg:
            world = lib.World(pg, "world", 1500, args.seed)
            for name in [n for n in TESTS if not args.only or any(w in n for w in args.only)]:
                lib.PROGRAM = None
                bench = Bench(world, where, name, now)
                try:
                    TESTS[name](bench)
                    tally.check(name, bench.problems)
                except Skip as why:
                    tally.skip(name, why)
                except Exception:
                    tally.check(name, bench.problems + [traceback.format_exc()])
                finally:
                    bench.copy.remove()
    finally:
        lib.remove(where)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
