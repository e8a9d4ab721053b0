#!/usr/bin/env python3
"""Random policies on random data: the program against the oracle.

    property.py [--cases N] [--seconds S] [--seed N] [--case N] [--jobs N] [--keep]
    property.py --self-test      the harness against a stand-in that makes one mistake at a time

Per case: a clone of a small world, a random policy, plan, run, run again.  Asserts that exactly the oracle's closure is gone, that nothing
came, that every deleted row and blob is in a bundle with every value equal, that files, ledger, orphans and exit codes are right.
MMRETAIN names the binary, MMR_LONG=1 asks for ten times the cases.  The last line is `N passed, N failed`.
"""
import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback

import e2e_lib as lib
import oracle
from e2e_lib import DAY, NOW

PLUGIN_HOLDS = """
INSERT INTO channelmemberhistory SELECT m.channelid, m.userid, c.createat, NULL FROM channelmembers m JOIN channels c ON c.id = m.channelid WHERE c.type = 'D' ON CONFLICT DO NOTHING;
WITH few AS (SELECT userid, row_number() OVER (ORDER BY count(*), userid) AS n FROM channelmemberhistory GROUP BY userid HAVING count(*) BETWEEN 2 AND 6)
INSERT INTO pluginkeyvaluestore (pluginid, pkey, pvalue, expireat)
 SELECT 'com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_' || n, convert_to(jsonb_build_object('id', 'h' || n, 'name', 'h' || n, 'user_ids', jsonb_build_array(userid),
   'group_ids', CASE n WHEN 3 THEN jsonb_build_array((SELECT min(id) FROM usergroups)) ELSE 'null'::jsonb END, 'starts_at', CASE n WHEN 2 THEN {now} - 700 * 86400000::bigint ELSE 0 END,
   'ends_at', CASE n WHEN 1 THEN {now} - 300 * 86400000::bigint ELSE 0 END, 'include_public_channels', n = 2, 'secret', 'x')::text, 'UTF8'), 0 FROM few WHERE n <= 3;
INSERT INTO pluginkeyvaluestore (pluginid, pkey, pvalue, expireat) VALUES ('com.mattermost.plugin-legal-hold', 'other_key', '\\x00ff', 0);
""".replace("{now}", str(NOW))
# many posts changed in the very millisecond of the cursor, half of them are exported
COMPLIANCE = """
UPDATE posts SET updateat = {old} WHERE updateat BETWEEN {old} - 20 * 86400000::bigint AND {old} + 20 * 86400000::bigint;
INSERT INTO jobs (id, type, priority, createat, startat, lastactivityat, status, progress, data) VALUES
 ('exportexportexportexportex', 'message_export', 0, {now} - 86400000, 0, 0, 'warning', 100, jsonb_build_object('batch_start_time', '{old}', 'job_end_time', '{old}',
   'batch_start_id', (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM posts WHERE updateat = {old}))),
 ('exportexportexportexporte2', 'message_export', 0, {now}, 0, 0, 'error', 1, '{"batch_start_time": "{now}"}'),
 ('exportexportexportexporte3', 'message_export', 0, 5, 0, 0, 'success', 100, '{"batch_start_time": "5"}'),
 ('exportexportexportexporte4', 'cli_message_export', 0, {now}, 0, 0, 'success', 100, '{"batch_start_time": "{now}"}');
""".replace("{now}", str(NOW)).replace("{old}", str(NOW - 240 * DAY))
FACETS = ({"posts": 1000}, {"posts": 1400, "spice": PLUGIN_HOLDS}, {"posts": 2000, "lost": False}, {"posts": 1200, "spice": COMPLIANCE},
          # other orders of letters, other pairs of great and small ones: no id, name or tag may be read by them
          {"posts": 1000, "locale": "C"}, {"posts": 1000, "locale": "icu:tr"}, {"posts": 1000, "locale": "icu:et"})


# ---- random policies --------------------------------------------------------------------------------------------------
def duration(rng, days):
    """A duration of about that many days, in any unit."""
    unit = rng.choice("d w mo y".split())
    n = max(1, round(days / {"d": 1, "w": 7, "mo": 30.4, "y": 365}[unit]))
    return f"{n}{unit}"


def pick_names(rng, things):
    """Names, ids and globs out of (id, name) pairs."""
    out = []
    things = [t for t in things if lib.PLAIN.fullmatch(t[1])] or [(things[0][0],) * 2]
    for _ in range(rng.choice((1, 1, 2, 4))):
        ident, name = rng.choice(things)
        draw = rng.random()
        if draw < 0.5:
            out.append(name)
        elif draw < 0.65:
            out.append(ident)
        elif draw < 0.8:
            out.append(name[:rng.randint(1, max(1, len(name) // 2))] + "*")
        elif draw < 0.9:
            out.append("*" + name[-rng.randint(1, 4):])
        else:
            out.append("?" + name[1:])
    out = sorted(set(out))
    return out[0] if len(out) == 1 and rng.random() < 0.5 else out


def random_match(rng, db):
    draw = rng.random()
    match = {}
    teams = sorted({(s.team, s.team_name) for s in db.channels.values() if s.team})
    if draw < 0.30:
        return match
    if draw < 0.50 or draw > 0.9:
        match["team"] = pick_names(rng, teams)
    if 0.70 < draw < 0.95:
        match["channel"] = rng.choice(("*", "alarm-*", "town-square", "off-topic")) if rng.random() < 0.3 else pick_names(rng, sorted((s.id, s.name) for s in db.channels.values()))
    if not match or rng.random() < 0.15:
        kinds = rng.sample(["public", "private"] + ["direct", "group"] * ("team" not in match), rng.randint(1, 2))
        if rng.random() < 0.75:
            match["type"] = kinds
        else:
            match["archived"] = rng.random() < 0.5
    return match


def random_rule(rng, db, n, now, priority, purges):
    rule = {"name": f"rule-{n}", "match": random_match(rng, db)}
    if rng.random() < 0.2:
        rule["description"] = rng.choice(("Alarme verlieren ihren Wert: bald", "a # b", "\"quoted\" \\ ü", "- dash"))
    if priority:
        rule["priority"] = priority
    limited = rng.random() < 0.4
    if rng.random() < (0.5 if limited or purges else 0.08):
        rule["keep"] = "forever"
    else:
        rule["keep"] = {"for": duration(rng, rng.choice((30, 200, 500, 900, 1300, 1700)) * (0.5 + rng.random()))}
        if rng.random() < 0.6:
            rule["keep"]["from"] = rng.choice(("last_reply", "root", "last_edit"))
    if limited:
        rule["limit"] = {"per": rng.choice(("channel", "team"))}
        scale = 1 if rule["limit"]["per"] == "channel" else 4
        if rng.random() < 0.7:
            rule["limit"]["posts"] = int(10 ** (3 * rng.random())) * scale
        if "posts" not in rule["limit"] or rng.random() < 0.4:
            rule["limit"]["bytes"] = rng.choice((f"{rng.randint(1, 300) * scale}KiB", f"{rng.randint(500, 200_000)}B", f"{rng.randint(1, 200)}kB", "1MiB"))
    spare = {}
    if rng.random() < 0.3:
        spare["pinned"] = "thread"
    if rng.random() < 0.3:
        spare["flagged"] = True
    if rng.random() < 0.2:
        people = sorted(u for u in db.people if u != db.people[u])
        spare["authors"] = sorted(rng.sample(people, rng.randint(1, 3)))
    if rng.random() < 0.25:
        spare["hashtags"] = rng.sample(["#keep", "#Other", "#ärger", "#wichtig.!", "#none"], rng.randint(1, 2))
    if spare:
        rule["spare"] = spare
    if rng.random() < 0.3:
        rule["floor"] = duration(rng, rng.choice((20, 200, 700)) * (0.5 + rng.random()))
    draw = rng.random()
    if draw < 0.5:
        rule["files"] = rng.choice(("archive", "archive", "drop", "keep"))
    draw = rng.random()
    if draw < 0.07:  # a bundle per team and month of expiry: slow, so not often
        rule["archive"] = {"keep_for": duration(rng, rng.choice((700, 3000)))}
    elif draw < 0.2:
        rule.update(archive="none", because="kept by another system: ticket 17/26", files=rng.choice(("drop", "keep")))
        if "team" not in rule["match"]:  # what may be the whole server, without an archive, asks for one
            rule.setdefault("floor", duration(rng, 20))
    if rng.random() < 0.15:
        rule["guard"] = {"threads": 100000, "percent": 100}
    return rule


def random_hold(rng, db, n):
    match = {}
    if rng.random() < 0.5:
        people = sorted(u for u in db.people if u != db.people[u])
        match["users"] = rng.sample(people, rng.randint(1, 2))
    if rng.random() < 0.4 or not match:
        match["channels"] = [pick_names(rng, sorted((s.id, s.name) for s in db.channels.values()))]
        match["channels"] = match["channels"][0] if isinstance(match["channels"][0], list) else match["channels"]
    if rng.random() < 0.15:
        team = rng.choice(sorted(s.team_name for s in db.channels.values() if lib.PLAIN.fullmatch(s.team_name)))
        match["teams"] = [team]
    hold = {"name": f"case-{n}", "match": match}
    begin = oracle.datetime.date(2026, 11, 1) - oracle.datetime.timedelta(days=rng.randint(100, 1800))
    if rng.random() < 0.6:
        hold["since"] = begin
    draw = rng.random()
    if draw < 0.3:
        hold["until"] = "open"
    elif draw < 0.7:
        hold["until"] = begin + oracle.datetime.timedelta(days=rng.randint(1, 500))
    hold["because"] = "file reference 17/26"
    return hold


def random_held(rng, db):
    """Threads that the ledger holds."""
    return sorted(rng.sample(sorted(db.threads), rng.randint(1, len(db.threads) // 5))) if rng.random() < 0.4 else []


def random_policy(rng, db, now, purges):
    """Rules with distinct priorities where they could meet, so that there is no tie."""
    count = rng.choice((1, 2, 3, 4, 6))
    priorities = rng.sample(range(1, 100), count)
    rules = [random_rule(rng, db, n, now, priorities[n], purges) for n in range(count)]
    for r in range(4):  # the first of each rung may go without
        first = next((x for x in rules if oracle.rung(x["match"]) == r), None)
        if first and rng.random() < 0.5:
            first.pop("priority", None)
    return rules, [random_hold(rng, db, n) for n in range(rng.choice((0, 0, 1, 2)))]


def lose_blobs(rng, copy, db, verdict):
    """Take away, or replace by something odd, the content of a few due attachments."""
    files = db.tables["fileinfo"]
    due = sorted({files.get(row, "path") for root in verdict.due for _, row in verdict.files(db, root)})
    for path in rng.sample(due, min(len(due), rng.randint(1, 3))):
        full = os.path.join(copy.data, path)
        if oracle.regular(copy.data, path) is None:
            continue
        kind = rng.choice(("missing", "missing", "directory", "fifo", "symlink"))
        os.unlink(full)
        if kind == "directory":
            os.mkdir(full)
        elif kind == "fifo":
            os.mkfifo(full)
        elif kind == "symlink":
            os.symlink("/etc/hostname", full)


# ---- one case ------------------------------------------------------------------------------------------------------------
def planned(path):
    """Root ids of the plan file's due threads."""
    out = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            entry = json.loads(line)
            root = entry.get("root") or entry.get("thread")
            if isinstance(root, str):
                out.append(root)
    return out


def run_case(worlds, seed, n, where, env=None):
    """Returns (problems, what it was about)."""
    rng = random.Random(f"{seed}:{n}")
    world = worlds[n % len(worlds)]
    now = NOW + rng.randint(0, 150) * DAY + rng.randint(0, 86_399) * 1000 if rng.random() < 0.6 else NOW
    db = world.db
    purge_after = duration(rng, rng.choice((1, 30, 300, 900)) * (0.5 + rng.random())) if rng.random() < 0.5 else None
    rules, holds = random_policy(rng, db, now, purge_after is not None)
    copy = world.clone(f"case_{seed}_{n}_{os.getpid()}", os.path.join(where, f"case-{n}"))
    try:
        path, policy = copy.write_policy(rules, holds, bundle_size=rng.choice(("64KiB", "256KiB", "1MiB", "64MiB")),
                                        purge_after=purge_after)
        policy["held"] = random_held(random.Random(f"{seed}:{n}:held"), db)
        try:
            verdict = oracle.judge(db, policy, now)
        except oracle.PolicyError as e:
            done = lib.call(copy, path, "plan", "--json", now_ms=now, env=env)
            return ([] if done.code == 10 else [f"exit code {done.code} of plan with a {e}\n{lib.tail(done.err)}"]), "tie"
        if rng.random() < 0.25:
            lose_blobs(rng, copy, db, verdict)
        want = lib.Expected(copy, policy, now)
        about = f"{len(want.verdict.due)} due, {len(want.verdict.part)} of them in part, {len(want.lost)} without blob, {len(want.verdict.kept)} kept, {sum(map(len, want.rows.values()))} rows, {len(want.attachments.gone)} blobs"
        return check_case(copy, path, want, now, env or {}), about
    finally:
        if not os.environ.get("MMR_KEEP"):
            copy.remove()


def check_case(copy, path, want, now, env):
    problems = []
    done = lib.call(copy, path, "init", now_ms=now, env=env)
    if done.code:
        return [f"init: exit code {done.code}\n{lib.tail(done.err)}"]
    held = want.policy.get("held")
    if held:
        lib.write_ledger(copy.archive, "hold", roots=held, case="1/26", via="restore")
    plan = os.path.join(copy.where, "plan.jsonl")
    done = lib.call(copy, path, "plan", "--json", "--out", plan, now_ms=now, env=env)
    if done.code:
        return [f"plan: exit code {done.code}\n{lib.tail(done.err)}"]
    got, due = planned(plan), set(want.verdict.due)
    if len(got) != len(set(got)):
        problems.append("plan names a thread twice")
    for root in sorted(set(got) - due)[:5]:
        problems.append(f"plan has {root}, which must stay: {sorted(want.verdict.kept.get(root, {'nothing wants it'}))} damage {sorted(want.db.threads[root].damage) if root in want.db.threads else 'no thread'}")
    for root in sorted(due - set(got))[:5]:
        reason, rule = want.verdict.due[root]
        problems.append(f"plan lacks {root}: due by {reason}, rule {rule['name']}, {len(want.db.threads[root].posts)} posts")
    first = lib.call(copy, path, "run", "--yes", "--json", now_ms=now, env=env)
    if first.code != want.code:
        problems.append(f"run: exit code {first.code}, wanted {want.code}\n{lib.tail(first.err)}")
    count = "SELECT (SELECT count(*) FROM posts), (SELECT count(*) FROM reactions), (SELECT count(*) FROM fileinfo)"
    between = copy.pg.psql(count, db=copy.name), lib.bundles(copy.archive)
    code = 0  # what is no regular file is told once
    if want.lost or want.verdict.part:  # threads without their blob stay, and a limit may be kept all the same
        again = lib.Expected(copy, want.policy, now, oracle.Db(copy.load()))
        if want.lost:
            code = again.code
        # A limit that is kept now leaves such a thread to deleted_posts; a thread whose youngest rows went as a part is old now.
        if again.roots:  # the second run has work of its own
            problems += lib.compare(want, copy)
            lib.call(copy, path, "run", "--yes", "--json", now_ms=now, env=env)
            return problems + [f"second run: {p}" for p in lib.compare_database(again, copy.load())]
    second = lib.call(copy, path, "run", "--yes", "--json", now_ms=now, env=env)
    if second.code != code:
        problems.append(f"second run: exit code {second.code}, wanted {code}\n{lib.tail(second.err)}")
    if (copy.pg.psql(count, db=copy.name), lib.bundles(copy.archive)) != between:
        problems.append("second run did something")
    return problems + lib.compare(want, copy)


# ---- many ----------------------------------------------------------------------------------------------------------------
def worker(number, worlds, seed, tasks, results, where, end):
    while True:
        n = tasks.get()
        if n is None or time.monotonic() > end:
            break
        begin = time.monotonic()
        try:
            problems, about = run_case(worlds, seed, n, where)
        except Exception:
            problems, about = [traceback.format_exc()], "harness"
        results.put((n, problems, about, time.monotonic() - begin))
    results.put(None)


def make_worlds(pg, seed):
    worlds = []
    for i, facet in enumerate(FACETS):
        if facet.get("locale", "").startswith("icu:") and not pg.has_icu():
            facet = {k: v for k, v in facet.items() if k != "locale"}
        worlds.append(lib.World(pg, f"world{i}", number=seed * 100 + i, **facet))
    return worlds


def campaign(args):
    begin = time.monotonic()
    where = tempfile.mkdtemp(prefix="mmr-property-", dir=lib.scratch.memory()) if args.keep else lib.folder("property")
    os.chmod(where, 0o755)
    passed = failed = 0
    try:
        with lib.cluster.Cluster(settings=lib.QUICK) as pg:
            worlds = make_worlds(pg, args.seed)
            print(f"{len(worlds)} worlds of {', '.join(str(len(w.db.posts)) for w in worlds)} posts in {time.monotonic() - begin:.1f} s", flush=True)
            cases = [args.case] if args.case is not None else range(args.cases)
            tasks, results = multiprocessing.Queue(), multiprocessing.Queue()
            for n in cases:
                tasks.put(n)
            jobs = min(args.jobs, len(cases))
            for _ in range(jobs):
                tasks.put(None)
            end = begin + args.seconds
            people = [multiprocessing.Process(target=worker, args=(i, worlds, args.seed, tasks, results, where, end)) for i in range(jobs)]
            for p in people:
                p.start()
            left, due = jobs, 0
            while left:
                r = results.get()
                if r is None:
                    left -= 1
                    continue
                n, problems, about, seconds = r
                due += not about.startswith("0 due") and about != "tie"
                if args.verbose:
                    print(f"case {n}: {about}, {seconds:.2f} s", flush=True)
                if not problems:
                    passed += 1
                    continue
                failed += 1
                print(f"FAIL  case {n} ({about}); again: property.py --seed {args.seed} --case {n} --keep")
                for text in problems[:12]:
                    print(f"      {text}")
                if len(problems) > 12:
                    print(f"      and {len(problems) - 12} more")
                sys.stdout.flush()
            for p in people:
                p.join()
            print(f"{passed + failed} of {len(cases)} cases, {due} with something due, {time.monotonic() - begin:.0f} s, seed {args.seed}")
            if args.keep:
                input(f"kept in {where}, database server in {pg.socket_dir}; Enter ends it ")
    finally:
        if not args.keep:
            lib.remove(where)
    if args.case is None and passed + failed < min(args.cases, args.least):
        print(f"FAIL  time was up after {passed + failed} cases")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def self_test(args):
    """A good stand-in passes, and each mistake is reported with the right words."""
    import e2e_fake
    if oracle.self_test():
        return 1
    os.environ["MMRETAIN"] = os.path.join(lib.HERE, "e2e_fake.py")
    tally = lib.Tally()
    where = lib.folder("property")
    try:
        with lib.cluster.Cluster(settings=lib.QUICK) as pg:
            world = lib.World(pg, "world", 1000, args.seed, spice=PLUGIN_HOLDS)
            rules = [{"name": "all", "match": {}, "keep": {"for": "700d"}, "spare": {"pinned": "thread"}}]
            for n in range(8 if lib.outcome.LONG else 4):
                problems, about = run_case([world], args.seed, n, where)
                tally.check(f"stand-in, random policy {n}: {about}", problems)
            for name, words in {"": "", **e2e_fake.MISTAKES}.items():
                copy = world.clone(f"mistake_{len(name)}", os.path.join(where, name or "none"))
                path, policy = copy.write_policy(rules)
                want = lib.Expected(copy, policy, NOW)
                try:
                    problems = check_case(copy, path, want, NOW, {"FAKE_FAULT": name})
                finally:
                    copy.remove()
                if name:
                    hit = any(words in p for p in problems)
                    tally.check(f"mistake {name} is seen", [] if hit else [f"wanted '{words}', got {problems[:3]}"])
                else:
                    tally.check("no mistake, no problem", problems)
    finally:
        lib.remove(where)
    return tally.end()


def main(argv):
    long = lib.outcome.LONG
    parser = argparse.ArgumentParser(description="Random policies against the oracle.")
    parser.add_argument("--cases", type=int, default=2000 if long else 100)
    parser.add_argument("--least", type=int, default=200 if long else 100, help="fewer cases within the time are a failure")
    parser.add_argument("--seconds", type=float, default=6000 if long else 1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--keep", action="store_true", help="leave everything for a look")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args(argv)
    if args.keep:
        os.environ["MMR_KEEP"] = "1"
    if args.self_test:
        return self_test(args)
    if lib.binary() is None:
        print("FAIL  no mmretain binary: set MMRETAIN")
        print("0 passed, 1 failed")
        return 1
    return campaign(args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
