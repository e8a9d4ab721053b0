#!/usr/bin/env python3
"""Departed users through the program: plan, explain, plan --user, run, report, and a run that is killed around an account.

MMRETAIN names the program.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psycopg2

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
sys.dont_write_bytecode = True

import dump  # noqa: E402
import e2e_lib as lib  # noqa: E402
import people_test  # noqa: E402
from people_test import World, check, compare, normal, sign_in, tree  # noqa: E402
from people_world import GONE, expect, plant  # noqa: E402

PROGRAM = os.environ.get("MMRETAIN", "mmretain")


class Program:
    """A world with an archive of its own."""

    def __init__(self, pg, name):
        self.w = World(pg, name)
        self.store = os.path.join(self.w.folder, "archive")
        self.journal = os.path.join(self.store, "ledger")
        self.policy("after: 90d")
        self.call("init")

    def policy(self, people, holds=""):
        self.w.policy(people, holds)
        path = os.path.join(self.w.folder, "policy.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read().replace(f"store: {self.w.folder}", f"store: {self.store}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def start(self, *args, fault=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update(MM_FILESETTINGS_DIRECTORY=self.w.files, MM_FILESETTINGS_DRIVERNAME="local", **({"MMR_FAULT": fault} if fault else {}))
        return subprocess.Popen([PROGRAM, *args, "-c", os.path.join(self.w.folder, "policy.yaml")], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def call(self, *args, code=0, fault=None):
        return self.end(self.start(*args, fault=fault), args, code)

    def end(self, process, args, code):
        out, err = process.communicate(timeout=600)
        done = subprocess.CompletedProcess(args, process.returncode, out, err)
        self.error = done.stderr
        check("anonym" not in (done.stdout + done.stderr).lower(), "the forbidden word is in the output")
        check(done.returncode == code, f"{args}: exit {done.returncode} in place of {code}: {done.stderr}{done.stdout[-1500:]}")
        return done.stdout

    def document(self, *args, **more):
        return json.loads(self.call(*args, "--json", **more))

    def ledger(self):
        with open(os.path.join(self.journal, "entries.jsonl"), encoding="utf-8") as f:
            return [line for line in map(json.loads, f) if line["type"].startswith("depersonalis")]


def test_everything(pg):
    p = Program(pg, "cli")
    w, (a, b, held, young) = p.w, p.w.people[2:6]
    w.leave(a, b, held)
    w.sql(f"UPDATE users SET deleteat = {int(time.time() * 1000) - 1000} WHERE id = '{young}'")
    files = {**plant(w.db, a, 0), **plant(w.db, b, 1)}
    for path in files:
        w.put(path)
    names = {r[0]: r[1] for r in w.rows("SELECT id, username FROM users")}
    p.policy("after: 90d", f"holds:\n  - {{name: case-9, match: {{users: [\"{names[held]}\"]}}, because: file 9/26}}")
    before = w.tables()
    untouched = dump.dump(w.db)

    doc = p.document("plan")["departed_users"]
    check({u["id"]: u["result"] for u in doc["accounts"]} == {a: "due", b: "due", held: "held", young: "young"}, "plan --json")
    check(doc["counts"] == {"due": 2, "held": 1, "young": 1} and doc["unknown_columns"] == [], "counts")
    text = p.call("plan")
    check(names[a] in text and names[held] not in text and "2 accounts to depersonalise; not taken: held 1, young 1" in text, text)
    check("held: case-9" in p.call("plan", "-v"), "plan -v")
    check(p.document("plan", "--team", w.rows("SELECT name FROM teams WHERE deleteat = 0")[0][0])["departed_users"] is None, "plan --team")
    for word in (a, names[a], "@" + names[a]):
        check(p.document("explain", word)["result"] == "due", "explain due")
    doc = p.document("explain", names[held])
    check((doc["hold"], doc["because"]) == ("case-9", "file 9/26"), f"explain: {doc}")
    check("(case-9, because: file 9/26)" in p.call("explain", names[held]) and "due from" in p.call("explain", young), "explain")
    left = w.rows(f"SELECT deleteat FROM users WHERE id = '{held}'")[0][0]
    w.sql(f"UPDATE users SET deleteat = 0 WHERE id = '{held}'")
    check("not taken: the account is active; also held by case-9, because: file 9/26\n" in p.call("explain", names[held]), "explain of a held account that is active")
    w.sql(f"UPDATE users SET deleteat = {left} WHERE id = '{held}'")
    p.call("explain", "no.such.thing", code=1)
    p.call("explain", "@no.such.thing", code=1)
    inventory = p.document("plan", "--user", names[a])
    check(inventory["id"] == a and inventory["picture"]["exists"] and len(inventory["integrations"]) == 1, "plan --user")
    check({x["table"]: x["action"] for x in inventory["places"]}["sessions"] == "removed", "plan --user, sessions")
    text = p.call("plan", "--user", a)
    check(GONE not in text and "reactions" in text and "emptied" in text, text)
    p.call("plan", "--user", "no.such.thing", code=1)
    check(dump.diff(untouched, dump.dump(w.db)) == {}, "planning changed something")

    run = p.document("run", "--yes")["departed_users"]
    check(run["depersonalised"] == 2 and run["pictures_removed"] == 2 and run["files_left"] == 0 and run["files_removed"] == 8, f"{run}")
    check(len(run["integrations"]) == 2 and run["notes"] == [], f"{run}")
    compare(before, w.tables(), expect(before, {a, b}), {a, b})
    check(all(w.there(path) != goes for path, goes in files.items()), "files")
    lines = p.ledger()
    check([(x["type"], x["user"]) for x in lines] == [(t, u) for u in sorted([a, b]) for t in ("depersonalising", "depersonalised")], f"{lines}")
    check(all(len(x["person_digest"]) == 64 for x in lines) and names[a] not in json.dumps(lines), "ledger")
    report = p.document("report", "last")
    check({x["user"]: x["rows"] > 20 for x in report["depersonalised"]} == {a: True, b: True}, "report")
    text = p.call("report", "last")
    check("depersonalised: 2" in text and lines[0]["person_digest"] in text and names[a] not in text, text)
    again = dump.dump(w.db)
    text = p.call("run", "--yes")
    check(dump.diff(again, dump.dump(w.db)) == {} and "0 accounts depersonalised" in text, text)
    check(len(p.ledger()) == 4, "the second run wrote to the ledger")
    check(p.document("explain", a)["result"] == "done", "explain done")
    p.call("verify")
    check(p.document("report", "last")["depersonalised"] == [], "report of a run without")


def test_sign_in(pg):
    """Accounts that an identity system knows: a warning of plan, check --db and run, for people and in JSON, and no refusal."""
    p = Program(pg, "clisignin")
    text = sign_in(p.w)
    plan = p.document("plan")["departed_users"]
    check(list(plan["sign_in"].items()) == [("ldap", 2), ("saml", 1), ("unknown", 1)] and plan["warnings"][0].startswith(text) and text in p.error, f"{plan} {p.error}")
    check("accounts to depersonalise" in p.call("plan") and text in p.error, p.error)
    check(p.document("check", "--db", "--strict")["ok"] and text in p.error and "filter by which Mattermost sees it" in p.error, p.error)
    p.call("check")
    check(text not in p.error, "without a database")
    check(p.document("run", "--yes")["departed_users"]["depersonalised"] == 8 and text in p.error, p.error)
    p.call("check", "--db", "--strict")
    check("identity system" not in p.error and p.document("plan")["departed_users"]["sign_in"] == {}, p.error)


def test_hidden_by_hand(pg):
    """A time of deactivation that cannot be right, 1 or in seconds, is no proof that `after` has passed: the account stays, and the reason is said."""
    p = Program(pg, "clihand")
    w, (gone, one, seconds) = p.w, p.w.people[2:5]
    w.leave(gone)
    w.sql(f"UPDATE users SET deleteat = 1 WHERE id = '{one}'; UPDATE users SET deleteat = {int(time.time())} WHERE id = '{seconds}'")
    before = w.tables()
    doc = p.document("plan")["departed_users"]
    check(doc["counts"] == {"due": 1, "odd-time": 2}, f"{doc['counts']}")
    check("not taken: odd-time 2\n" in p.call("plan"), "plan")
    text = p.call("explain", one)
    check("not taken: the time of its deactivation cannot be right: it is before 2000\n" in text, text)
    check(p.document("explain", seconds)["due_from"] is None, "explain --json")
    check(p.document("run", "--yes")["departed_users"]["depersonalised"] == 1, "run")
    compare(before, w.tables(), expect(before, {gone}), {gone})


def test_list(pg):
    """Entries of the list that are no deactivated account are named: with -v, and in JSON."""
    p = Program(pg, "clilist")
    w, (gone, active) = p.w, p.w.people[2:4]
    w.leave(gone)
    names = {r[0]: r[1] for r in w.rows("SELECT id, username FROM users")}
    said = "1 account is due for being deactivated alone: no list (`only_listed`) says who has left"
    for command in ("plan",), ("check", "--db", "--strict"):
        p.call(*command)
        check(said in p.error, f"{command} without a list: {p.error}")
    listed = os.path.join(w.folder, "departed.txt")
    with open(listed, "w", encoding="utf-8") as f:
        f.write(f"{names[gone]}\nNobody@example.org\n@{names[active]} # not yet\n")
    p.policy(f"after: 90d\nonly_listed: {listed}")
    for command, of in ((("plan",), "departed_users"), (("check", "--db"), "departed_list")):
        doc = p.document(*command)[of]
        check((doc["listed"], doc["listed_unknown"], doc["listed_unknown_names"]) == (3, 2, ["nobody@example.org", names[active]]), f"{command}: {doc}")
        text = p.call(*command)
        check("deactivated alone" not in p.error, f"{command} with a list: {p.error}")
        check("the list names 3, of whom 2 are no deactivated account (-v names them)\n" in text and "nobody@" not in text, text)
        check(f"no deactivated account:\n  nobody@example.org\n  {names[active]}\n" in p.call(*command, "-v"), "-v")
    text = p.call("doctor")
    check(f"ok    departed     {listed}: 1 of 3 entries is a deactivated account; `mmretain plan -v`" in text, text)
    with open(listed, "w", encoding="utf-8") as f:
        f.write("nobody\n")
    text = p.call("doctor")
    check(f"warn  departed     {listed}: none of 1 entry is a deactivated account\n" in text, text)
    os.unlink(listed)
    text = p.call("doctor", code=10)
    check(f"fail  departed     departed_users.only_listed: cannot open {listed}: No such file" in text, text)
    p.policy("after: 90d")
    text = p.call("doctor")
    check("ok    departed     the accounts can be read; no list" in text, text)
    check(p.document("check", "--db")["departed_list"] is None and "the list" not in p.call("check", "--db"), "without a list")


def test_missing(pg):
    """A hold on an account that does not exist is told once, by plan and by run, also where no rule takes anything; doctor warns too."""
    p = Program(pg, "climissing")
    p.policy("after: 90d", "holds:\n  - {name: case-9, match: {users: [no.such.person], teams: [no-such-team]}, because: x}")
    path = os.path.join(p.w.folder, "policy.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for keep in (text, text.replace("keep: forever", "keep: {for: 9000d}")):
        with open(path, "w", encoding="utf-8") as f:
            f.write(keep)
        for command in (("plan",), ("run", "--yes", "--no-purge")):
            p.call(*command)
            check(p.error.count("no.such.person") == p.error.count('warning: hold case-9: user "no.such.person" does not exist') == 1, p.error)
    text = p.call("doctor")
    for word in ('account \"no.such.person\"', 'no-such-team'):
        check(re.search(rf"(?m)^warn  names        line \d+: hold \"case-9\": [^\n]*{word}[^\n]*\n +Nothing is ", text), text)


def test_kills(pg):
    """Killed around each account: the next run closes what is open and comes to the same end; every account has one end."""
    p = Program(pg, "clikill")
    w, victims = p.w, p.w.people[2:4]
    files = {}
    for n, u in enumerate(victims):
        w.leave(u)
        files.update(plant(w.db, u, n))
    pg.createdb("clikill0", "clikill")
    results = []
    for fault in [None] + [f"{point}:{action}:{n}" for point in ("PEOPLE_BEFORE_COMMIT", "PEOPLE_AFTER_COMMIT", "PEOPLE_BEFORE_PICTURE")
                           for n in (1, 2) for action in ("kill", "EIO")]:
        pg.dropdb("clikill")
        pg.createdb("clikill", "clikill0")
        for folder in (w.files, p.store):
            shutil.rmtree(folder)
        for path in files:
            w.put(path)
        p.call("init")
        if fault:
            p.call("run", "--yes", fault=fault, code=-9 if "kill" in fault else 1)
        p.call("run", "--yes")
        results.append((normal(w.tables()), tree(w.files)))
        check(results[-1] == results[0], f"{fault}: another end")
        ends = [line["user"] for line in p.ledger() if line["type"] == "depersonalised"]
        check(sorted(ends) == sorted(victims), f"{fault}: ends {ends}")
        check("people-unlink.jsonl" not in os.listdir(p.journal), f"{fault}: a journal is left")
        p.call("verify")


def test_archive_moves(pg):
    """Another folder is in the archive's place: no further account goes, because no line of the ledger that is read would say so."""
    p = Program(pg, "cliplace")
    w, victims = p.w, p.w.people[2:4]
    w.leave(*victims)
    process = p.start("run", "--yes", fault="PEOPLE_AFTER_COMMIT:stop:1")
    check(lib.stopped(process), "the run did not stop itself")
    os.rename(p.store, p.store + ".moved")
    shutil.copytree(p.store + ".moved", p.store)
    os.kill(process.pid, signal.SIGCONT)
    p.end(process, ("run",), 14)
    done = [r[0] for r in w.rows(f"SELECT id FROM users WHERE email LIKE '%@departed.invalid' AND id IN ('{victims[0]}', '{victims[1]}')")]
    check(len(done) == 1, f"done: {done}")
    p.call("run", "--yes")
    ends = [line["user"] for line in p.ledger() if line["type"] == "depersonalised"]
    check(sorted(ends) == sorted(victims), f"ends {ends}")


def test_moved_database(pg):
    """A journal of unposted files that the database had before it was moved: --moved-database sets it aside, also one that an earlier version let lie, and the
    nights go on."""
    p = Program(pg, "climoved")
    w, (a, b) = p.w, p.w.people[2:4]
    w.leave(a)
    files = [path for path, goes in plant(w.db, a, 0).items() if goes and not path.endswith("profile.png")]
    for path in files:
        w.put(path)
    p.call("run", "--yes", fault="PEOPLE_AFTER_COMMIT:kill:1", code=-9)
    journal = os.path.join(p.journal, "people-unlink.jsonl")
    with open(journal, encoding="utf-8") as f:
        text = f.read()
    pg.psql('ALTER DATABASE "climoved" RENAME TO "climoved_new"')
    try:
        path = os.path.join(w.folder, "policy.yaml")
        with open(path, encoding="utf-8") as f:
            policy = f.read()
        check("/climoved?" in policy, policy)
        with open(path, "w", encoding="utf-8") as f:
            f.write(policy.replace("/climoved?", "/climoved_new?"))
        p.call("run", "--yes", code=16)
        check(os.path.exists(journal), "set aside unasked")
        for n in (1, 2):
            p.call("run", "--yes", "--moved-database")
            aside = [name for name in os.listdir(p.journal) if name.startswith("moved-people-unlink-")]
            check(len(aside) == n and not os.path.exists(journal) and "its files stay" in p.error, f"{os.listdir(p.journal)} {p.error}")
            with open(os.path.join(p.journal, aside[0]), encoding="utf-8") as f:
                check(f.read() == text, "the journal that was set aside has changed")
            p.call("run", "--yes")
            check(all(w.there(path) for path in files), "a file went by another database's journal")
            check(f"set aside: {n} journal" in p.call("status"), "status does not tell of it")
            with open(journal, "w", encoding="utf-8") as f:  # as an earlier version left it
                f.write(text)
        p.call("run", "--yes", code=3)
        check("belongs to another database" in p.error and "--moved-database" in p.error, p.error)
    finally:
        pg.psql('ALTER DATABASE "climoved_new" RENAME TO "climoved"')


def test_held_threads(pg):
    """Whoever has a part in a thread that the ledger holds waits until it is released: writers, drafts, reminders, saved posts."""
    p = Program(pg, "cliheld")
    w = p.w
    people = "('" + "', '".join(w.people) + "')"
    roots = [r[0] for r in w.rows(f"SELECT p.id FROM posts p WHERE userid IN {people} AND rootid = '' AND originalid = '' AND deleteat = 0 AND type NOT LIKE 'system%' "
                                  f"AND EXISTS (SELECT FROM posts r WHERE r.rootid = p.id AND r.userid <> p.userid AND r.userid IN {people}) ORDER BY id LIMIT 3")]
    root, other = roots[0], roots[1]
    starter, channel = w.rows(f"SELECT userid, channelid FROM posts WHERE id = '{root}'")[0]
    replier, reply = w.rows(f"SELECT userid, id FROM posts WHERE rootid = '{root}' AND userid <> '{starter}' AND userid IN {people} ORDER BY id LIMIT 1")[0]
    writers = {r[0] for r in w.rows(f"SELECT userid FROM posts WHERE id = '{root}' OR rootid = '{root}'")}
    drafter, reminded, saver, free = [u for u in w.people if u not in writers][:4]
    w.sql(f"INSERT INTO drafts (createat, updateat, deleteat, userid, channelid, rootid, message, props, fileids, priority) VALUES (1, 1, 0, '{drafter}', '{channel}', '{root}', 'x', '{{}}', '', NULL), "
          f"(1, 1, 0, '{free}', '{channel}', '{other}', 'x', '{{}}', '', NULL); "
          f"INSERT INTO postreminders (postid, userid, targettime) VALUES ('{reply}', '{reminded}', 1), ('{other}', '{free}', 1) ON CONFLICT DO NOTHING; "
          f"INSERT INTO preferences (userid, category, name, value) VALUES ('{saver}', 'flagged_post', '{reply}', 'true'), ('{free}', 'flagged_post', '{other}', 'true') ON CONFLICT DO NOTHING; "
          f"DELETE FROM preferences WHERE category = 'flagged_post' AND userid = '{free}' AND name IN (SELECT id FROM posts WHERE id = '{root}' OR rootid = '{root}'); "
          f"UPDATE posts SET deleteat = updateat + 1 WHERE rootid = '{root}' AND userid = '{replier}'")
    gone = [starter, replier, drafter, reminded, saver, free]
    w.leave(*gone)
    p.call("hold", "add", reply, "--case", "17/26")
    doc = p.document("plan")["departed_users"]
    got = {u["id"]: (u["result"], u["hold"]) for u in doc["accounts"]}
    want = {u: ("held", f"thread {root}") for u in gone[:5]} | {free: ("due", None)}
    check({u: got[u] for u in want} == want, f"plan: {got}, wanted {want}")
    name = w.rows(f"SELECT username FROM users WHERE id = '{replier}'")[0][0]
    for word in (replier, "@" + name):
        check(p.document("explain", word)["hold"] == f"thread {root}", "explain")
    check(p.document("plan", "--user", replier)["result"] == "held", "plan --user")
    before = {t: w.rows(f"SELECT t::text FROM {t} t WHERE {c} = '{u}' ORDER BY 1") for t, c, u in
              (("users", "id", replier), ("drafts", "userid", drafter), ("postreminders", "userid", reminded), ("preferences", "userid", saver))}
    check(p.document("run", "--yes")["departed_users"]["depersonalised"] == 1, "run")
    after = {t: w.rows(f"SELECT t::text FROM {t} t WHERE {c} = '{u}' ORDER BY 1") for t, c, u in
             (("users", "id", replier), ("drafts", "userid", drafter), ("postreminders", "userid", reminded), ("preferences", "userid", saver))}
    check(before == after and all(before.values()), "something of a held thread has changed")
    p.call("hold", "release", root, "--case", "17/26")
    check(p.document("run", "--yes")["departed_users"]["depersonalised"] == 5, "run after the release")


MINE = ("posts", "drafts", "scheduledposts", "postreminders", "preferences")
IN_2024, IN_2020 = 1_718_000_000_000, 1_590_000_000_000
PARTS = """
INSERT INTO posts SELECT r.* FROM (VALUES {posts}) v (id, userid, channelid, createat, rootid, originalid), jsonb_populate_record(NULL::posts,
  (SELECT to_jsonb(p) FROM posts p WHERE type = '' LIMIT 1) || to_jsonb(v) || jsonb_build_object('deleteat', 0, 'editat', 0, 'updateat', v.createat, 'ispinned', false, 'fileids', '[]')) r;
INSERT INTO drafts (createat, updateat, deleteat, userid, channelid, rootid, message, props, fileids, priority) VALUES (1, 1, 0, '{drafter}', '{held}', '', 'x', '{{}}', '', NULL), (1, 1, 0, '{free}', '{other}', '', 'x', '{{}}', '', NULL);
INSERT INTO scheduledposts (id, createat, updateat, userid, channelid, rootid, message, scheduledat) VALUES ('s1', 1, 1, '{scheduler}', '{held}', '', 'x', 1), ('s2', 1, 1, '{free}', '{other}', '', 'x', 1);
INSERT INTO postreminders (postid, userid, targettime) VALUES ('{reply}', '{reminded}', 1), ('{free_post}', '{free}', 1);
INSERT INTO preferences (userid, category, name, value) VALUES ('{saver}', 'flagged_post', '{reply}', 'true'), ('{free}', 'flagged_post', '{free_post}', 'true');
"""


def test_held_channels(pg):
    """A hold on channels or teams keeps whoever has a part in one of its threads, and what is unsent there; one with times keeps nobody else."""
    p = Program(pg, "clichannels")
    w = p.w
    held, other = [r[0] for r in w.rows("SELECT id FROM channels WHERE type = 'O' AND deleteat = 0 ORDER BY id LIMIT 2")]
    names = ("writer", "root_writer", "replier", "editor", "drafter", "scheduler", "reminded", "saver", "early", "free")
    who = dict(zip(names, w.people[2:]))
    some = "('" + "', '".join(who.values()) + "')"
    w.sql("".join(f"UPDATE posts SET userid = '{w.people[1]}' WHERE userid IN {some};" if t == "posts" else f"DELETE FROM {t} WHERE userid IN {some};" for t in MINE))
    post = {n: f"{n:0<26}" for n in ("in", "root", "reply", "second", "copied", "copy", "late", "early", "free")}
    rows = [(post["in"], who["writer"], held, IN_2024, "", ""),
            (post["root"], who["root_writer"], held, IN_2020, "", ""), (post["reply"], w.people[1], held, IN_2024, post["root"], ""), (post["second"], who["replier"], held, IN_2020, post["root"], ""),
            (post["copied"], w.people[1], held, IN_2020, "", ""), (post["copy"], who["editor"], held, IN_2020, "", post["copied"]), (post["late"], w.people[1], held, IN_2024, post["copied"], ""),
            (post["early"], who["early"], held, IN_2020, "", ""), (post["free"], who["free"], other, IN_2024, "", "")]
    w.sql(PARTS.format(posts=", ".join(str(r) for r in rows), held=held, other=other, reply=post["reply"], free_post=post["free"], **{n: who[n] for n in names}))
    w.leave(*who.values())

    def results():
        return {u["id"]: (u["result"], u["hold"]) for u in p.document("plan")["departed_users"]["accounts"] if u["id"] in who.values()}

    def state():
        return {t: w.rows(f"SELECT t::text FROM {t} t WHERE {'id' if t == 'users' else 'userid'} IN {some} ORDER BY 1") for t in ("users",) + MINE}

    before = state()
    p.policy("after: 90d", f"holds:\n  - {{name: of-2024, match: {{channels: [{held}]}}, since: 2024-01-01, until: 2024-12-31, because: file 9/26}}")
    check(results() == {u: ("due", None) if n in ("early", "free") else ("held", "of-2024") for n, u in who.items()}, f"2024: {results()}")
    doc = p.document("explain", who["drafter"])
    check((doc["result"], doc["hold"], doc["because"]) == ("held", "of-2024", "file 9/26"), f"explain: {doc}")
    check("(of-2024, because: file 9/26)" in p.call("explain", who["replier"]) and "to depersonalise" in p.call("explain", who["early"]), "explain")
    check(p.document("plan", "--user", who["saver"])["result"] == "held", "plan --user")
    for match in ("teams: [\"*\"], channels: [\"*\"]", "channels: [\"*\"]"):
        p.policy("after: 90d", f"holds:\n  - {{name: nobody, match: {{channels: [no-such-channel]}}}}\n  - {{name: everything, match: {{{match}}}}}")
        check(results() == {u: ("held", "everything") for u in who.values()}, f"{match}: {results()}")
        p.call("run", "--yes")
        check(state() == before, f"{match}: something of a held channel has changed")
    team = w.rows(f"SELECT t.name FROM teams t JOIN channels c ON c.teamid = t.id WHERE c.id = '{held}'")[0][0]
    p.policy("after: 90d", f"holds:\n  - {{name: of-team, match: {{teams: [{team}]}}, until: 2023-01-01}}")
    check({n for n, u in who.items() if results()[u][0] == "held"} >= {"root_writer", "replier", "editor", "drafter", "scheduler", "reminded", "saver", "early"}, f"team: {results()}")
    p.policy("after: 90d")
    check(set(results().values()) == {("due", None)}, f"no hold: {results()}")


def test_compliance(pg):
    """The compliance export reads addresses when it writes: an account waits until it has passed the last post, everybody until a first one has ended."""
    p = Program(pg, "clicompliance")
    w = p.w
    a, b, c, joined = w.people[2:6]
    early, late = 1_500_000_000_000, 1_700_000_000_000
    some = "('" + "', '".join((a, b, c, joined)) + "')"
    w.sql(f"UPDATE posts SET userid = '{w.people[1]}' WHERE userid IN {some}")
    posts = [r[0] for r in w.rows("SELECT id FROM posts WHERE type = '' AND rootid = '' AND originalid = '' ORDER BY id LIMIT 4")]
    for u, post, at, more in zip((a, b, c, joined), posts, (early, late, early, late), ("", ", deleteat = updateat", ", deleteat = updateat", ", type = 'system_join_channel'")):
        w.sql(f"UPDATE posts SET userid = '{u}', updateat = {at}{more} WHERE id = '{post}'")
    w.leave(a, b, c, joined)
    done = {u: "due" for u in (a, b, c, joined)}
    waits = dict.fromkeys(done, "compliance")
    worlds = (([], done), ([("message_export", "in_progress", late)], waits), ([("message_export", "error", late)], waits), ([("cli_message_export", "pending", late)], waits),
              ([("message_export", "success", early - 1)], {**waits, joined: "due"}), ([("message_export", "success", late + 1)], done),
              ([("message_export", "success", late)], {**done, b: "compliance"}), ([("message_export", "success", late, posts[1])], done),
              ([("message_export", "success", late, posts[0])], {**done, b: "compliance"}), ([("message_export", "success", early, posts[0])], {**done, b: "compliance", c: "compliance"}),
              ([("message_export", "warning", early + 1), ("message_export", "in_progress", late, "zzz")], {**done, b: "compliance"}))
    for jobs, wanted in worlds:
        w.sql("DELETE FROM jobs WHERE type LIKE '%message_export'" + "".join(
            f"; INSERT INTO jobs (id, type, status, createat, data) VALUES ('export{n}', '{t}', '{status}', {n}, '{{\"batch_start_time\": \"{at}\", \"batch_start_id\": \"{''.join(last)}\"}}')"
            for n, (t, status, at, *last) in enumerate(jobs)))
        doc = p.document("plan")["departed_users"]
        check({u["id"]: u["result"] for u in doc["accounts"]} == wanted, f"{jobs}: {doc['accounts']}")
        check(p.document("explain", b)["result"] == wanted[b], f"{jobs}: explain")
    check("4 accounts" not in p.call("plan") and "not taken: compliance 1" in p.call("plan"), "plan")
    check("not taken: the server's compliance export has not passed the account's last post\n" in p.call("explain", b), "explain")
    mail = w.rows(f"SELECT email FROM users WHERE id = '{b}'")
    check(p.document("run", "--yes")["departed_users"]["depersonalised"] == 3 and w.rows(f"SELECT email FROM users WHERE id = '{b}'") == mail, "run")
    w.sql("UPDATE jobs SET status = 'success' WHERE id = 'export1'")
    check(p.document("run", "--yes")["departed_users"]["depersonalised"] == 1, "run after the export")


def test_grants(pg):
    """A role with exactly the script of `grants` does the whole of it."""
    p = Program(pg, "cligrants")
    w, u = p.w, p.w.people[2]
    w.leave(u)
    plant(w.db, u, 0)
    w.sql("CREATE ROLE clireducer LOGIN; REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    script = p.call("grants", "clireducer")
    check(script.count("GRANT USAGE ON SCHEMA") == 1 and "mfasecret" in script and "(id, id" not in script, script)
    with open(os.path.join(w.folder, "policy.yaml"), encoding="utf-8") as f:
        text = f.read().replace("postgres://postgres@", "postgres://clireducer@")
    with open(os.path.join(w.folder, "policy.yaml"), "w", encoding="utf-8") as f:
        f.write(text)
    w.sql("GRANT USAGE ON SCHEMA public TO clireducer")
    before = dump.dump(w.db)
    p.call("run", "--yes", code=19)
    w.sql(script)
    w.sql(next(line for line in script.split("\n") if " public.sessions " in line).replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    p.call("run", "--yes", code=19)
    check(dump.diff(before, dump.dump(w.db)) == {}, "something was done without permission")
    w.sql(script)
    run = p.document("run", "--yes")["departed_users"]
    check(run["depersonalised"] == 1 and any("attributeview" in n for n in run["notes"]), f"{run}")


SQL = os.path.join(HERE, "..", "..", "engine", "mm", "sql")


class Statements:
    """The statements that depersonalise, begun by a role without being executed."""

    def __init__(self, w, role, names):
        self.conn, self.role, self.names = w.pg.connect(w.name), role, []
        self.conn.autocommit = True
        self.cursor = self.conn.cursor()
        for n in names:
            with open(os.path.join(SQL, n), encoding="utf-8") as f, contextlib.suppress(psycopg2.errors.UndefinedTable):  # of another release of the server
                self.cursor.execute(f'PREPARE "{n}" AS {f.read()}')
                self.names.append(n)

    def refused(self, name):
        """What the server says; None: nothing."""
        self.cursor.execute("SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = %s", (name,))
        params = ", ".join(["NULL"] * self.cursor.fetchone()[0])
        self.cursor.execute(f"SET ROLE {self.role}")
        try:
            self.cursor.execute(f'EXPLAIN EXECUTE "{name}"' + (f"({params})" if params else ""))
            return None
        except psycopg2.errors.InsufficientPrivilege as why:
            return str(why)
        finally:
            self.cursor.execute("RESET ROLE")


def test_grants_are_needed(pg):
    """Each right that the script of departed users asks for is one that a statement cannot do without; and none is missing."""
    p = Program(pg, "climinimal")
    w = p.w
    w.sql("CREATE ROLE minimal")
    names = sorted(n for n in os.listdir(SQL) if n.startswith("people_") and not n.startswith(("people_count_", "people_present", "people_unknown", "people_view")))
    for people, without in (("after: 90d", r"audits_delete|user_(names|roles)|mentions"),
                            ("after: 90d\nnames: pseudonym\nroles: user\naudits: delete\nkeep: [position]", r"audits_blank|user_position")):
        p.policy(people)
        base, _, script = p.call("grants", "minimal").partition("-- departed_users;")
        w.sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM minimal;" + base + "--" + script)
        used = Statements(w, "minimal", [n for n in names if not re.search(without, n)])
        missing = [(n, r) for n in used.names if (r := used.refused(n))]
        check(missing == [], f"a right is missing: {missing}")
        idle = []
        for rights, table in re.findall(r"(?m)^GRANT (.*) ON public\.(\w+) TO minimal;$", script):
            for privilege, columns in re.findall(r"(SELECT|UPDATE|DELETE)(?: \(([^)]*)\))?", rights):
                for column in columns.split(", ") if columns else [None]:
                    right = f"{privilege} ({column})" if column else privilege
                    if re.search(rf"(?m)^GRANT .*\b{privilege}(,| ON).* ON public\.{table} TO|^GRANT .*\b{privilege}[^)]* ON public\.{table} TO", base) or (
                            column and re.search(rf"(?m)^GRANT .*{privilege} \([^)]*\b{column}\b.* ON public\.{table} TO", base)):
                        continue  # of every run
                    w.sql(f"REVOKE {right} ON public.{table} FROM minimal")
                    if not any(used.refused(n) for n in used.names):
                        idle.append(f"{right} ON {table}")
                    w.sql(f"GRANT {right} ON public.{table} TO minimal")
        check(idle == [], f"nobody needs {idle}")


if __name__ == "__main__":
    people_test.TESTS = [v for k, v in list(globals().items()) if k.startswith("test_")]
    sys.exit(people_test.main(sys.argv[1:]))
