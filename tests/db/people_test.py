#!/usr/bin/env python3
"""The people room against a seeded server: what goes, what stays, who is left alone, crashes, repeats.

    people_test.py [WORD]...       only the tests whose names contain a word; PEOPLE_DRIVER names the driver
"""
import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
sys.dont_write_bytecode = True

import cluster  # noqa: E402
import dump  # noqa: E402
import schema  # noqa: E402
import seed  # noqa: E402
from people_world import DOMAIN, GONE, STAYS, Tables, complaints, display_name, expect, plant  # noqa: E402

DRIVER = os.environ.get("PEOPLE_DRIVER", "people_driver")
QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}
SETTINGS = ("username", "nickname_full_name", "full_name")
OLD = "UPDATE users SET deleteat = 1600000000000, updateat = 1600000000000 WHERE id = '{0}'"


def check(truth, text):
    if not truth:
        raise AssertionError(text)


class World:
    """A database of its own with attachment folder, journal folder and policy."""

    def __init__(self, pg, name, release=None, plugins=()):
        self.pg, self.name = pg, name
        self.folder = os.path.join(pg.directory, "w-" + name)
        self.files, self.journal = os.path.join(self.folder, "files"), os.path.join(self.folder, "ledger")
        os.makedirs(self.journal)
        self.db = seed.clone(pg, name, posts=400, seed=3, blobs="none")
        os.makedirs(self.files, exist_ok=True)
        self.sql("UPDATE users SET deleteat = 0 WHERE deleteat > 0")  # each test decides who has left
        if release:
            schema.release(self.db, release)
        for plugin in plugins:
            schema.plugin(self.db, plugin)
        self.people = [r[0] for r in self.rows(
            "SELECT u.id FROM users u WHERE coalesce(remoteid, '') = '' AND NOT EXISTS (SELECT FROM bots b WHERE b.userid = u.id) ORDER BY id")]
        self.policy()

    def sql(self, text, **words):
        self.pg.psql(text.format(**words) if words else text, db=self.name)

    def rows(self, text):
        with self.pg.connect(self.name) as conn, conn.cursor() as cur:
            cur.execute(text)
            return cur.fetchall()

    def policy(self, people="after: 90d", holds="", user=None):
        path = os.path.join(self.folder, "policy.yaml")
        lines = [f"  {line.strip()}" for line in people.split("\n")]
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"version: 1\ndatabase: {{url: \"{self.pg.url(self.name, user)}\"}}\narchive: {{store: {self.folder}}}\n"
                    "rules:\n  - {name: unlimited, match: {}, keep: forever}\ndeparted_users:\n" + "\n".join(lines) + f"\n{holds}\n")
        os.chmod(path, 0o644)

    def run(self, *args, fault=None, code=0, check_code=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update(MM_FILESETTINGS_DIRECTORY=self.files, MM_FILESETTINGS_DRIVERNAME="local", **({"MMR_FAULT": fault} if fault else {}))
        done = subprocess.run([DRIVER, os.path.join(self.folder, "policy.yaml"), self.journal, *args], env=env, capture_output=True,
                              text=True, timeout=600)
        check("anonym" not in (done.stdout + done.stderr).lower(), "the forbidden word is in the output")
        self.error = done.stderr
        self.lines = [line.split("\t") for line in done.stdout.splitlines()]
        if check_code:
            check(done.returncode == code, f"exit {done.returncode} in place of {code}: {done.stderr}{done.stdout[-2000:]}")
        return done.returncode

    def of(self, kind):
        return [line[1:] for line in self.lines if line[0] == kind]

    def verdicts(self, kind="user"):
        return {line[0]: line[1] for line in self.of(kind)}

    def put(self, path, text="x\n"):
        whole = os.path.join(self.files, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as f:
            f.write(text)
        return whole

    def there(self, path):
        return os.path.lexists(os.path.join(self.files, path))

    def leave(self, *users):
        for u in users:
            self.sql(OLD.replace("{0}", u))

    def tables(self):
        return Tables(self.db)


def compare(before, after, wanted, victims):
    """`after` is `wanted`, but for the moments that a change of an account leaves."""
    for name in sorted(wanted.data):
        if name != "users":
            check(after.bag(name) == wanted.bag(name), f"table {name} is not as expected")
    old, new = before.users(), after.users()
    check(set(old) == set(new), "accounts came or went")
    for u, row in wanted.users().items():
        for column, value in row.items():
            got = new[u][column]
            if u in victims and column == "updateat":
                check(got > old[u]["updateat"], "updateat did not grow")
            elif u in victims and column == "lastpictureupdate":
                check(got < 0, "picture time is not negative")
            else:
                check(got == value, f"users.{column} is {got!r}, expected {value!r}")


# ---- the tests ----

def whole(w, victims, audits="blank", position=True):
    """Plant marks everywhere, run, compare with what must be left."""
    files = {}
    for n, u in enumerate(victims):
        w.leave(u)
        files.update(plant(w.db, u, n))
    for path in files:
        w.put(path)
    w.put(f"users/{w.people[-1]}/profile.png")
    before = w.tables()
    mfa = "mfausedtimestamps" in before["users"][0]
    w.run("run")
    after = w.tables()
    compare(before, after, expect(before, set(victims), audits, position, mfa), set(victims))
    text = "\n".join(line for rows in dump.dump(w.db).values() for line in rows).lower()
    check(position is False or GONE.lower() not in text, "a mark is still there")
    check(STAYS.lower() in text, "what stays is gone")
    for path, goes in files.items():
        check(w.there(path) != goes, f"file {path} {'stays' if goes else 'went'}")
    check(w.there(f"users/{w.people[-1]}/profile.png"), "somebody else's picture went")
    check(not os.path.exists(os.path.join(w.journal, "people-unlink.jsonl")), "the journal stays")
    for u in victims:
        check(complaints(after.users()[u]) == [], f"the server would refuse {complaints(after.users()[u])}")
        for setting in SETTINGS:
            check(display_name(before.users()[u], setting) == display_name(after.users()[u], setting), f"display name under {setting}")
    if "attributeview" in schema.VIEWS and w.rows("SELECT to_regclass('attributeview') IS NOT NULL")[0][0]:
        check(not w.rows(f"SELECT 1 FROM attributeview WHERE targetid IN ({','.join(repr(v) for v in victims)})"), "attributeview is old")
    return before, after


def test_everything_goes_and_nothing_else(pg):
    w = World(pg, "everything")
    victims = w.people[3:7]
    whole(w, victims)
    check(w.verdicts("result") == {v: "done" for v in victims}, "results")
    check(w.of("view") == [["1"]], "view not refreshed")
    check([line[0] for line in w.of("ledger")] == ["depersonalising", "depersonalised"] * 4, "ledger lines")
    check(all(len(line[2]) == 64 for line in w.of("ledger")), "digests")
    names = {w.tables().users()[v]["username"] for v in victims}
    check(not any(n in "\t".join(line) for line in w.of("ledger") for n in names), "a name in the ledger")
    check(len([i for i in w.of("integration") if i[3] == STAYS]) == 4, "integrations are not listed")
    first = dump.dump(w.db)
    w.run("run")
    check(dump.diff(first, dump.dump(w.db)) == {}, "the second run changed something")
    check(w.of("ledger") == [] and w.of("result") == [], "the second run had something to do")
    w.run("plan")
    check(all(v == "done" for v in w.verdicts().values()), "done")


def test_releases(pg):
    for release in ("9.11", "10.5", "10.11", "11.10"):
        w = World(pg, "release" + release.replace(".", ""), release)
        w.run("plan")
        check(w.of("unknown") == [], f"{release}: unknown {w.of('unknown')}")
        whole(w, w.people[2:4])


def test_settings_of_the_database(pg):
    """A default that reads NULL in an array as a word: nothing is taken for a table that is not there."""
    w = World(pg, "settings")
    w.sql("ALTER DATABASE settings SET array_nulls = off")
    whole(w, w.people[2:4])


def test_plugins_are_told(pg):
    w = World(pg, "plugins", plugins=("agents", "playbooks", "calls"))
    w.sql("ALTER TABLE users ADD shoesize text; CREATE TABLE newthing (id text, user_id text)")
    w.leave(w.people[2])
    w.run("run")
    w.run("plan")
    told = {u[0] for u in w.of("unknown")}
    check({"users.shoesize", "newthing.user_id", "calls.participants", "calls.ownerid", "calls_sessions.userid", "ir_incident.commanderuserid",
           "ir_incident.reporteruserid", "ir_timelineevent.creatoruserid", "ir_timelineevent.subjectuserid", "llm_posts_embeddings.user_id"} == told,
          f"told: {told}")


def test_who(pg):
    w = World(pg, "who")
    now = int(time.time() * 1000)
    day = 86_400_000
    bot = w.rows("SELECT userid FROM bots")[0][0]
    remote = w.rows("SELECT id FROM users WHERE coalesce(remoteid, '') <> ''")
    p = w.people
    due, held, legal, group, excepted, young, edge, unlisted, active, guest, admin = p[:11]
    everybody = [due, held, legal, group, excepted, young, edge, unlisted, guest, admin, bot] + [r[0] for r in remote]
    w.leave(*everybody)
    w.sql(f"UPDATE users SET deleteat = {now - 89 * day} WHERE id = '{young}'; UPDATE users SET deleteat = {now - 90 * day - 5000} WHERE id = '{edge}';"
          f"UPDATE users SET roles = 'system_guest', authservice = 'magic_link', authdata = 'x' WHERE id = '{guest}'; "
          f"UPDATE users SET roles = 'system_user system_admin' WHERE id = '{admin}'; UPDATE users SET deleteat = 0 WHERE id = '{active}'")
    seed.legal_hold(w.db, [legal])
    w.sql(f"INSERT INTO groupmembers (groupid, userid, createat, deleteat) VALUES ('heldgroupheldgroupheldgrou', '{group}', 1, 0)")
    w.sql("INSERT INTO pluginkeyvaluestore VALUES ('com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_g',"
          " convert_to('{\"id\": \"g\", \"user_ids\": [], \"group_ids\": [\"heldgroupheldgroupheldgrou\"], \"ends_at\": 5}', 'UTF8'), 0)")
    name = {r[0]: (r[1], r[2]) for r in w.rows("SELECT id, username, email FROM users")}
    listed = os.path.join(w.folder, "departed.txt")
    with open(listed, "w", encoding="utf-8") as f:
        f.write("\ufeff# leavers\r\n\r\n" + "".join(f"{name[u][k % 2].upper()}  # gone\n" for k, u in enumerate(everybody) if u != unlisted) + "nobody@example.org")
    holds = f"holds:\n  - {{name: case-1, match: {{users: [\"{name[held][0]}\", \"no.such.person\"]}}, because: x}}"
    w.policy(f"after: 90d\nonly_listed: {listed}\nexcept: [\"{name[excepted][0]}\", no.such.exception]", holds)
    want = {due: "due", held: "held", legal: "legal-hold", group: "legal-hold", excepted: "excepted", young: "young", edge: "due",
            unlisted: "unlisted", guest: "due", admin: "due", bot: "bot", **{r[0]: "remote" for r in remote}}
    w.run("plan")
    check(w.verdicts() == want, f"verdicts {w.verdicts()} {want}")
    check(w.of("listed")[0][1] == "1", "lines of the list that name nobody")
    told = " ".join(n[0] for n in w.of("warning"))
    check("no.such.exception" in told and "no.such.person" not in told, f"names of nobody: {told}")  # of holds the plan of threads tells
    for u, verdict in list(want.items()) + [(active, "active")]:
        for text in (u, name[u][0].upper(), name[u][1]):
            w.run("explain", text)
            check(w.verdicts() == {u: verdict}, f"explain {text}")
    w.run("explain", "no.such.person", code=1)
    before = w.tables()
    w.run("run")
    victims = {u for u, v in want.items() if v == "due"}
    compare(before, w.tables(), expect(before, victims), victims)
    check(w.rows(f"SELECT roles FROM users WHERE id = '{admin}'") == [("system_user system_admin",)], "roles stay unless the policy says so")


SIGN_IN = {2: ("ldap", "uid=two"), 3: ("ldap", "uid=three"), 4: ("saml", "four"), 5: ("", "five"), 6: ("magic_link", "six"), 7: ("email", "seven"), 8: ("", None), 9: ("gitlab", "")}


def sign_in(w, young=10, active=11):
    """People of whom four who are due have a sign-in id of an identity system; nobody else who is due has."""
    w.leave(*w.people[2:young + 1])
    for n, (service, data) in {**SIGN_IN, young: ("ldap", "uid=ten"), active: ("ldap", "uid=eleven")}.items():
        w.sql(f"UPDATE users SET authservice = '{service}', authdata = {'NULL' if data is None else repr(data)} WHERE id = '{w.people[n]}'")
    w.sql(f"UPDATE users SET deleteat = {int(time.time() * 1000)} WHERE id = '{w.people[young]}'")
    return "4 of the accounts that are due sign in through an identity system (ldap 2, saml 1, unknown 1)"


def test_sign_in(pg):
    """Due accounts that an identity system knows are told before; afterwards nothing ties them to it."""
    w = World(pg, "signin")
    text = sign_in(w)
    w.run("plan")
    told = [n[0] for n in w.of("warning")]
    check(len(told) == 2 and told[0].startswith(text) and told[1].startswith("8 accounts are due for being deactivated alone: no list (`only_listed`)"), f"{told}")
    w.run("run")
    check(w.rows(f"SELECT count(*) FROM users WHERE (authdata IS NOT NULL OR authservice <> '') AND id = ANY('{{{','.join(w.people[2:10])}}}')") == [(0,)], "a sign-in id stays")
    check(w.rows(f"SELECT authservice, authdata FROM users WHERE id = ANY('{{{','.join(w.people[10:12])}}}') ORDER BY authdata") == [("ldap", "uid=eleven"), ("ldap", "uid=ten")], "others")
    w.run("plan")
    check(w.of("warning") == [], "what is done is told again")
    w.sql(f"UPDATE users SET authservice = 'ldap', authdata = 'uid=two', email = 'two@example.org' WHERE id = '{w.people[2]}'")  # a synchronisation that had read it before
    w.run("plan")
    check(w.verdicts()[w.people[2]] == "due" and "(ldap 1)" in w.of("warning")[0][0], f"{w.lines}")


def test_lists(pg):
    w = World(pg, "lists")
    w.leave(*w.people[2:5])
    listed = os.path.join(w.folder, "list.txt")
    before = dump.dump(w.db)
    for text in (b"", b"\n\n# nobody\n", b"two words\n", b"a,b\n", b"\xff\xfe\n", b"x" * 300 + b"\n", b"name\x00more\n", b'"quoted"\n', None):
        if text is None:
            os.unlink(listed)
        else:
            with open(listed, "wb") as f:
                f.write(text)
        w.policy(f"after: 90d\nonly_listed: {listed}")
        w.run("run", code=10)
    with open(listed, "wb") as f:
        f.write(b"a@b.example\n" * (2 << 20))
    w.run("run", code=10)
    with open(listed, "wb") as f:
        f.write(b"nobody.at.all\n")
    w.run("run")
    check(w.of("result") == [], "a list of others took somebody")
    w.sql("INSERT INTO pluginkeyvaluestore VALUES ('com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_x', 'garbage', 0)")
    w.policy("after: 90d")
    w.run("run", code=17)
    w.sql("DELETE FROM pluginkeyvaluestore WHERE pkey = 'kvstore_legal_hold_x'")
    check(dump.diff(before, dump.dump(w.db)) == {}, "something changed")


def test_changed_between(pg):
    w = World(pg, "between")
    a, b, c = w.people[2:5]
    w.leave(a, b, c)
    before = w.tables()
    w.run("run", "--between", f"UPDATE users SET deleteat = 0, updateat = 1700000000000 WHERE id = '{a}'", code=3)
    check(w.verdicts("result") == {a: "changed", b: "done", c: "done"}, f"{w.verdicts('result')}")
    after = w.tables()
    before.users()[a].update(deleteat=0, updateat=1700000000000)
    compare(before, after, expect(before, {b, c}), {b, c})
    w.leave(a)
    w.run("run", "--between", f"UPDATE users SET nickname = 'x', updateat = updateat + 1 WHERE id = '{a}'", code=3)
    check(w.verdicts("result") == {a: "changed"}, "a changed row")
    record = '{"id": "g", "user_ids": ["%s"]}' % a
    w.run("run", "--between", "INSERT INTO pluginkeyvaluestore VALUES ('com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_g', convert_to("
          f"'{record}', 'UTF8'), 0)", code=3)
    check(w.verdicts("result") == {a: "legal-hold"} and w.of("ledger") == [], "a hold set in between")
    w.sql("DELETE FROM pluginkeyvaluestore WHERE pkey = 'kvstore_legal_hold_g'")
    channel = w.rows(f"SELECT id FROM channels c WHERE NOT EXISTS (SELECT FROM posts p WHERE p.channelid = c.id AND p.userid = '{a}') ORDER BY id LIMIT 1")[0][0]
    w.sql("".join(f"DELETE FROM {t} WHERE userid = '{a}';" for t in ("drafts", "scheduledposts", "postreminders")) + f"DELETE FROM preferences WHERE userid = '{a}' AND category = 'flagged_post'")
    w.policy("after: 90d", f"holds:\n  - {{name: case-1, match: {{channels: [{channel}]}}}}")
    w.run("plan")
    check(w.verdicts()[a] == "due", "not in the channel of the hold")
    w.run("run", "--between", "INSERT INTO drafts (createat, updateat, deleteat, userid, channelid, rootid, message, props, fileids, priority) VALUES "
          f"(1, 1, 0, '{a}', '{channel}', '', 'x', '{{}}', '', NULL)", code=3)
    check(w.verdicts("result") == {a: "held"} and w.of("ledger") == [], "a draft in a held channel that came in between")
    w.policy("after: 90d")
    w.run("run", "--between", "INSERT INTO jobs (id, type, status) VALUES ('x', 'message_export', 'pending')", code=3)
    check(w.verdicts("result") == {a: "compliance"} and w.of("ledger") == [], "a compliance export that began in between")
    w.sql("DELETE FROM jobs WHERE id = 'x'")
    w.run("run", "--between", f"DELETE FROM users WHERE id = '{a}'", code=3)
    check(w.verdicts("result") == {a: "changed"}, "a row that is gone")


def test_locked_and_refused(pg):
    w = World(pg, "locked")
    a, b, c = w.people[2:5]
    w.leave(a, b, c)
    w.sql(f"ALTER TABLE users ADD CONSTRAINT no CHECK (id <> '{c}' OR email NOT LIKE '%{DOMAIN}')")
    conn = pg.connect("locked")
    conn.cursor().execute("SELECT FROM users WHERE id = %s FOR UPDATE", (b,))
    w.run("run", code=3)
    conn.rollback()
    conn.close()
    check(w.verdicts("result") == {a: "done", b: "locked", c: "failed"}, f"{w.verdicts('result')}")
    check([line[1] for line in w.of("ledger")] == [a, a, c], "a locked account is not in the ledger")
    w.sql("ALTER TABLE users DROP CONSTRAINT no")
    w.run("run")
    check(w.verdicts("result") == {b: "done", c: "done"}, "next time")


def normal(tables):
    """Without the moments, so that two runs can be compared."""
    for u in tables["users"]:
        if u["email"].endswith(DOMAIN):
            u.update(updateat=0, lastpictureupdate=-1)
    return {name: tables.bag(name) for name in tables.data}


def tree(folder):
    return sorted(os.path.join(d, f)[len(folder):] for d, _, names in os.walk(folder) for f in names)


def test_kills(pg):
    """Killed at every point and passage, then run again: the same end as without a crash."""
    w = World(pg, "kills")
    victims = w.people[2:5]
    files = {}
    for n, u in enumerate(victims):
        w.leave(u)
        files.update(plant(w.db, u, n))
    pg.createdb("kills0", "kills")
    results, runs = [], 0
    last = ["UNLINK_BEFORE_CLOSE", "UNLINK_AFTER_CLOSE", "PEOPLE_BEFORE_VIEW", "PEOPLE_AFTER_VIEW"]  # once in a run
    faults = [f"{point}:{action}:{n}" for point in ("PEOPLE_BEFORE_COMMIT", "PEOPLE_AFTER_COMMIT", "PEOPLE_BEFORE_PICTURE") for n in (1, 2, 3) for action in ("kill", "EIO")]
    faults += [f"{point}:kill:{n}" for point in ("PEOPLE_AFTER_PICTURE", "UNLINK_BEFORE", "UNLINK_AFTER") for n in (1, 2, 3)] + [f"{point}:kill:1" for point in last]
    for fault in [None] + faults:
        pg.dropdb("kills")
        pg.createdb("kills", "kills0")
        shutil.rmtree(w.files)
        for path in files:
            w.put(path)
        if fault:
            code = w.run("run", fault=fault, check_code=False)
            check(code == (-signal.SIGKILL if "kill" in fault else 1), f"{fault}: exit {code}")
            begun = [line[1] for line in w.of("ledger") if line[0] == "depersonalising"]
            ended = [line[1] for line in w.of("ledger") if line[0] == "depersonalised"]
            for u in begun:  # whole or not at all
                w.run("settled", u)
                done = w.of("settled") == [["1"]]
                check(done == (u in ended or "BEFORE_COMMIT" not in fault), f"{fault}: {u}")
                marks = [t for t, rows in dump.dump(w.db, skip=("users", "threadmemberships")).items() for r in rows
                         if u in r and GONE in r and t != "fileinfo"]
                check(bool(marks) != done, f"{fault}: half of {u}: {marks}")
        w.run("run")
        w.run("finish")
        results.append((normal(w.tables()), tree(w.files), tree(w.journal)))
        check(not w.rows(f"SELECT 1 FROM attributeview WHERE targetid IN ({','.join(repr(u) for u in victims)})"), f"{fault}: attributeview is old")
        check(results[-1] == results[0], f"{fault}: another end")
        runs += 1
    check(results[0][2] == [], "a journal is left")
    for again in ("PEOPLE_AFTER_PICTURE", "UNLINK_BEFORE", "UNLINK_AFTER", *last):  # killed a second time, at what the first time left
        pg.dropdb("kills")
        pg.createdb("kills", "kills0")
        shutil.rmtree(w.files)
        for path in files:
            w.put(path)
        w.run("run", fault="PEOPLE_AFTER_COMMIT:kill:3", check_code=False)
        check(w.run("finish", fault=f"{again}:kill:1", check_code=False) == -signal.SIGKILL, f"{again}: not killed")
        w.run("run")
        w.run("finish")
        check((normal(w.tables()), tree(w.files), tree(w.journal)) == results[0], f"{again}: another end")
        runs += 1
    print(f"    {runs} runs ", end="")


def test_server_goes(pg):
    """The server kills the session in the middle: nothing half, the next run finishes."""
    w = World(pg, "gone")
    u = w.people[2]
    w.leave(u)
    plant(w.db, u, 0)
    conn, before = pg.connect("gone"), dump.dump(w.db, skip=("sidebarcategories",))
    conn.cursor().execute("LOCK TABLE sidebarcategories IN ACCESS EXCLUSIVE MODE")
    over = threading.Event()

    def cut():
        with contextlib.closing(pg.connect("postgres")) as other, other.cursor() as cur:
            other.autocommit = True
            while not over.wait(0.02):
                cur.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'gone' AND application_name LIKE 'mmretain%'"
                            " AND wait_event_type = 'Lock'")
    thread = threading.Thread(target=cut)
    thread.start()
    try:
        code = 3
        for _ in range(20):  # it waits for two seconds only, and we may come too late
            if (code := w.run("run", check_code=False)) != 3:
                break
            check(w.verdicts("result") == {u: "locked"}, f"{w.verdicts('result')}")
    finally:
        over.set()
        thread.join()
    check(code == 12, f"exit {code} in place of 12: {w.error}")
    check(dump.diff(before, dump.dump(w.db, skip=("sidebarcategories",))) == {}, "half an account")
    conn.rollback()
    conn.close()
    w.run("run")
    check(w.verdicts("result") == {u: "done"}, "next time")


def test_choices(pg):
    w = World(pg, "choices")
    a, b = w.people[2:4]
    w.policy("after: 90d\nkeep: [username, display_name, position]\naudits: delete")
    whole(w, [a], "delete", position=False)
    check(w.rows(f"SELECT position FROM users WHERE id = '{a}'") == [(GONE,)], "position")
    w.leave(b)
    w.sql(f"UPDATE users SET username = 'j.doe', roles = 'system_user system_admin system_manager' WHERE id = '{b}'")
    w.sql(f"UPDATE posts SET message = v.m FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM posts WHERE deleteat = 0 AND rootid = '') x,"
          " (VALUES (1, 'hello @j.doe, all well?'), (2, 'to @J.Doe.'), (3, 'not @j.doest'), (4, 'nor me@j.doe'), (5, 'nor j.doe')) v (n, m)"
          " WHERE posts.id = x.id AND v.n = x.n")
    w.policy("after: 90d\nnames: pseudonym\nroles: user")
    w.run("run")
    row = w.rows(f"SELECT username, nickname, firstname, lastname, roles, position FROM users WHERE id = '{b}'")[0]
    check(row[1:] == ("", "", "", "system_user", "") and row[0].startswith("departed-") and len(row[0]) == 25, f"{row}")
    check(complaints(w.tables().users()[b]) == [], "the server would refuse the pseudonym")
    check({m[1] for m in w.of("mention")} == {row[0]}, "mentions")
    texts = [w.rows(f"SELECT message FROM posts WHERE id = '{m[2]}'")[0][0] for m in w.of("mention")]
    check(sorted(texts) == ["hello @j.doe, all well?", "to @J.Doe."], f"mentions {texts}")


def test_files_are_guarded(pg):
    w = World(pg, "guarded")
    a, b, c, d = w.people[2:6]
    w.leave(a, b, c, d)
    outside = os.path.join(w.folder, "outside")
    os.makedirs(os.path.join(outside, "sub"))
    target = os.path.join(outside, "profile.png")
    with open(target, "w", encoding="utf-8") as f:
        f.write("not ours")
    os.makedirs(os.path.join(w.files, "users", a))
    os.symlink(target, os.path.join(w.files, "users", a, "profile.png"))
    os.symlink(outside, os.path.join(w.files, "users", b))
    os.makedirs(os.path.join(w.files, "users", c, "profile.png"))
    for n, user in enumerate((a, d)):
        plant(w.db, user, n)
    path = w.rows("SELECT path FROM fileinfo WHERE id = 'z" + f"{1:025}'")[0][0]
    hostile = [("../outside/profile.png", 2), ("/etc/hostname", 12)]
    for text, n in hostile:
        w.sql(f"UPDATE fileinfo SET path = '{text}' WHERE id = 'z{n:025}'")
    w.put(path)
    w.sql(f"INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, archived)"
          f" VALUES ('copycopycopycopycopycopyco', 'x', 'p', 1, 1, 0, 'copy', '{path}', '', false)")
    w.run("run", code=3)
    check(all(v == "done" for v in w.verdicts("result").values()), "accounts are done all the same")
    check(os.path.exists(target) and w.there(path) and os.path.isdir(os.path.join(w.files, "users", c, "profile.png")), "something outside went")
    check(w.of("files")[0][2] == "1" and w.of("pictures")[0][1] == "3", f"{w.of('files')} {w.of('pictures')}")
    check(int(w.of("files")[0][1]) >= 2, "hostile paths are left and told")
    check(tree(w.journal) == [], "a path that no run can ever take keeps a journal")
    shutil.rmtree(os.path.join(w.files, "users"))
    w.put(f"users/{a}/profile.png")
    w.run("finish")
    check(not w.there(f"users/{a}/profile.png"), "a picture that came back is found again")


def test_pictures_elsewhere(pg):
    """A row calls another file its thumbnail or preview, an image of the server for one: it stays, also when a line of an earlier version names it."""
    w = World(pg, "elsewhere")
    a, b = w.people[2:4]
    w.leave(a)
    others = ["brand/image.png", "users/somebody/profile.png"]
    for path in [*plant(w.db, a, 0), *others]:
        w.put(path)
    w.sql(f"UPDATE fileinfo SET previewpath = '{others[0]}', thumbnailpath = '{others[1]}' WHERE creatorid = '{a}' AND coalesce(postid, '') = ''")
    w.run("run")
    check(all(w.there(path) for path in others) and tree(w.journal) == [], "a file that is not the picture of an upload went")
    check("the preview of unposted file" in w.error and "the thumbnail of unposted file" in w.error, w.error)
    w.leave(b)
    goes = [path for path, goes in plant(w.db, b, 1).items() if goes]
    for path in goes:
        w.put(path)
    w.run("run", fault="PEOPLE_AFTER_COMMIT:kill:1", check_code=False)
    journal = os.path.join(w.journal, "people-unlink.jsonl")
    with open(journal, encoding="utf-8") as f:
        head, *lines = [json.loads(line) for line in f]
    line = next(x for x in lines if x.get("thumbnail"))
    shown = line["thumbnail"]
    line["thumbnail"] = others[1]
    with open(journal, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(x) + "\n" for x in [head, *lines])
    w.run("finish")
    check(all(w.there(path) for path in others), "a file that is not the picture of an upload went by an old line")
    check([path for path in goes if w.there(path)] == [shown] and tree(w.journal) == [], f"{tree(w.files)}")
    check(w.of("files")[0][1] == "1" and f"{line['id']} stays (its thumbnail): it is not in the folder" in w.error, w.error)


def test_rolled_back_files_stay(pg):
    """A journal line whose rows are still there is no order."""
    w = World(pg, "journal")
    u = w.people[2]
    w.leave(u)
    files = plant(w.db, u, 0)
    for path in files:
        w.put(path)
    w.run("run", fault="PEOPLE_BEFORE_COMMIT:kill:1", check_code=False)
    check(tree(w.journal) == ["/people-unlink.jsonl"], "no journal")
    with open(os.path.join(w.journal, "people-unlink.jsonl"), "a", encoding="utf-8") as f:
        f.write('{"user": "torn')
    w.run("finish")
    check(all(w.there(p) for p in files) and tree(w.journal) == [], "files of rows that are there went")
    w.run("run", fault="PEOPLE_AFTER_COMMIT:kill:1", check_code=False)
    other = os.path.join(w.journal, "people-unlink.jsonl")
    with open(other, encoding="utf-8") as f:
        text = f.read()
    with open(other, "w", encoding="utf-8") as f:
        f.write(text.replace('"database":"journal"', '"database":"another"'))
    w.run("finish")
    check(all(w.there(p) or p.endswith("profile.png") for p in files) and w.of("files")[0] == ["0", "1", "0"], f"{w.of('files')}")
    check("the journal of unposted files belongs to another database" in " ".join(n[0] for n in w.of("note")), f"{w.of('note')}")
    another, plain = w.people[3:5]
    w.leave(another, plain)
    more = plant(w.db, another, 1)
    for path in more:
        w.put(path)
    w.run("run", code=3)
    check(w.verdicts("result") == {another: "failed", plain: "done"} and all(w.there(path) for path in more), f"{w.verdicts('result')}")
    with open(other, encoding="utf-8") as f:
        check(f.read() == text.replace('"database":"journal"', '"database":"another"'), "another database's journal was added to")
    with open(other, "w", encoding="utf-8") as f:
        f.write(text)
    victim = next(p for p, goes in files.items() if goes and p.endswith(".png") and "_thumb" not in p and "users/" in p and "2026" in p)
    w.put(victim, "another file has taken the path\n")
    w.run("finish")
    check(w.there(victim) and w.of("files")[0][1] == "1", "a file that is another one went")
    check("stay for good" in " ".join(n[0] for n in w.of("note")) and tree(w.journal) == [], f"{w.of('note')} {tree(w.journal)}")
    w.run("finish")
    check(w.there(victim) and w.of("files")[0][1] == "0", "a file that stays for good is tried again")


def test_journal_of_lines_that_are_none(pg):
    """A damaged line of the journal: none of the others is an order.  Half a line at its end is cut off before more is added, an empty one is nothing."""
    w = World(pg, "damaged")
    a, b = w.people[2:4]
    w.leave(a, b)
    files = {**plant(w.db, a, 0), **plant(w.db, b, 1)}
    for path in files:
        w.put(path)
    journal = os.path.join(w.journal, "people-unlink.jsonl")
    w.run("run", fault="PEOPLE_BEFORE_COMMIT:kill:2", check_code=False)  # of the first account already committed, of the second not
    with open(journal, encoding="utf-8") as f:
        text = f.read()
    lines = text.splitlines(keepends=True)
    before = tree(w.files)
    for bad in ("{\n", '{"id":"x","path":"y","unless":"z"}\n', '{"path":"y"}\n'):
        for at in (1, 2, len(lines)):
            with open(journal, "w", encoding="utf-8") as f:
                f.write("".join(lines[:at] + [bad] + lines[at:]))
            w.run("finish")
            check(f"line {at + 1} of ledger/people-unlink.jsonl" in w.error, w.error)
            check(f"line {at + 1} of ledger/people-unlink.jsonl" in " ".join(n[0] for n in w.of("note")) and w.of("files")[0][1] == "1", f"{w.of('note')}")
            check(tree(w.files) == before, f"a file went: {bad}")
    half_line = '{"user":"' + a + '","id":"x","path":"y'
    for bad in (half_line + '"}x\n', half_line + '","unless":"z\n', half_line + '" "\n', '{"user":"x"}\n', half_line.replace('"user":"', '"id":"', 1) + "\n"):
        with open(journal, "w", encoding="utf-8") as f:
            f.write("".join([lines[0], bad, *lines[1:]]))
        w.run("finish")
        check("line 2 of ledger/people-unlink.jsonl" in " ".join(n[0] for n in w.of("note")) and tree(w.files) == before, f"{bad}: {w.of('note')}")
    with open(journal, "w", encoding="utf-8") as f:  # as earlier versions left it after a crash in the midst of a line
        f.write(lines[0] + "\n" + half_line + "\n" + "".join(lines[1:2]) + "\n" + "".join(lines[2:]) + lines[-1][:20])
    half = os.path.getsize(journal)
    check(w.run("run", fault="JOURNAL_CUT:kill:1", check_code=False) == -signal.SIGKILL, "not killed")
    check(os.path.getsize(journal) == half - 20, "more or less than the half line was cut off")
    check(tree(w.files) == before, "a file went")
    with open(journal, "a", encoding="utf-8") as f:
        f.write(lines[-1][:20])  # as a power cut may leave it
    w.run("run", fault="PEOPLE_BEFORE_COMMIT:kill:1", check_code=False)
    with open(journal, encoding="utf-8") as f:
        added = f.read()
    check(added.startswith(lines[0]) and added.endswith("}\n") and lines[-1][:20] + "{" not in added, f"half a line is left: {added}")
    w.run("run")
    check(w.error.count("line 3 of ledger/people-unlink.jsonl is half a line") == 1, w.error)
    check(not any(w.there(p) == goes for p, goes in files.items()) and tree(w.journal) == [], "files of rows that are gone stay")


def test_file_changed_between_two_tries(pg):
    """The first try was rolled back, then an upload went on: the second try's line has what the file is now, and that goes."""
    w = World(pg, "twice")
    u = w.people[2]
    w.leave(u)
    files = plant(w.db, u, 0)
    for path in files:
        w.put(path)
    w.run("run", fault="PEOPLE_BEFORE_COMMIT:kill:1", check_code=False)
    for path, goes in files.items():
        if goes:
            w.put(path, "more of it\n")
    w.run("run")
    check(not any(w.there(p) == goes for p, goes in files.items()) and tree(w.journal) == [], f"{w.of('files')} {tree(w.files)}")


def test_privileges(pg):
    """Everything that is asked for, and nothing more, is enough; without it nothing is done."""
    w = World(pg, "privileges")
    a = w.people[2]
    w.leave(a)
    plant(w.db, a, 0)
    before = dump.dump(w.db)
    w.sql("CREATE ROLE reducer LOGIN; GRANT USAGE ON SCHEMA public TO reducer; GRANT SELECT ON db_lock, jobs, pluginkeyvaluestore, groupmembers TO reducer;"
          " GRANT SELECT (id, username, email, deleteat, updateat, remoteid, authdata, authservice, password) ON users TO reducer; GRANT SELECT ON bots TO reducer")
    w.policy(user="reducer")
    for _ in range(20):
        if w.run("run", check_code=False) != 19:
            break
        check(dump.diff(before, dump.dump(w.db)) == {}, "something was done without permission")
        text = w.error.split("the database role lacks ")[1].split("\nhint")[0]
        if text.count("(") != text.count(")") or len(w.error) > 900:
            text = text[:text.rindex(", DELETE") if ", DELETE" in text else text.rindex(", SELECT")]
        for grant in text.replace("), ", ")\n").replace(", DELETE", "\nDELETE").replace(", SELECT", "\nSELECT").replace(", UPDATE", "\nUPDATE").split("\n"):
            if " ON " in grant:
                w.sql(f"GRANT {grant.strip(', ')} TO reducer")
    check(w.verdicts("result") == {a: "done"}, f"not done: {w.error}")
    check(any("attributeview" in n[0] for n in w.of("note")), "the view that may not be refreshed is not told")
    check(not w.rows(f"SELECT 1 FROM sessions WHERE userid = '{a}'"), "sessions")


def test_inventory(pg):
    w = World(pg, "inventory")
    u = w.people[2]
    w.leave(u)
    plant(w.db, u, 0)
    w.put(f"users/{u}/profile.png", "12345")
    before, t = dump.dump(w.db), w.tables()
    w.run("inventory", u)
    check(dump.diff(before, dump.dump(w.db)) == {}, "looking changed something")
    got = collections.Counter()
    for act, table, what, count, why in w.of("place"):
        got[table] += int(count)
        check((why != "") == (act == "keep"), f"{table}: {what}")
    for table in ("sessions", "useraccesstokens", "preferences", "drafts", "audits", "recentsearches", "postreminders", "reactions",
                  "threadmemberships", "channelmemberhistory", "sidebarcategories", "recaps"):
        want = sum(r["userid"] == u for r in t[table]) + (table == "sessions")
        check(got[table] == want, f"{table}: {got[table]} in place of {want}")
    check(got["posts"] == sum(p["userid"] == u for p in t["posts"]), "posts")
    check(got["tokens"] == sum(GONE in r["token"] for r in t["tokens"]), "tokens")
    check(w.of("picture") == [["1", "5", ""]], "picture")
    check(len(w.of("integration")) == 1, "integrations")


TESTS = [v for k, v in list(globals().items()) if k.startswith("test_")]


def main(words):
    failed, tests = 0, [t for t in TESTS if not words or any(word in t.__name__ for word in words)]
    with cluster.Cluster(settings=QUICK) as pg:
        for test in tests:
            begin = time.monotonic()
            try:
                test(pg)
                result = "ok"
            except Exception as problem:  # the other tests go on
                result = f"FAILED: {type(problem).__name__}: {problem}"
                failed += 1
            print(f"{test.__name__}: {result} ({time.monotonic() - begin:.1f} s)", flush=True)
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
