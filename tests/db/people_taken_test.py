#!/usr/bin/env python3
"""Departed users whose new address or account name somebody else has already, and accounts that the database refuses: each is done, or told with
what to do, and keeps nobody else from being done.  Thousands of accounts at once.

    people_taken_test.py [WORD]...      only the tests whose names contain a word; PEOPLE_DRIVER and MMRETAIN name the programs
"""
import hashlib
import hmac
import sys

import people_test
import outcome  # (tests/support, found by people_test)
from people_cli_test import Program
from people_test import World, check, compare
from people_world import DOMAIN, complaints, expect

KEY = b"a secret of the archive, 32 long"  # of people_driver
THOUSANDS = 10_000 if outcome.LONG else 2_500
MORE = """
INSERT INTO users SELECT r.* FROM users u, generate_series(0, {last}) n, jsonb_populate_record(u, jsonb_build_object('id', 'n' || lpad(n::text, 25, '0'),
    'username', 'leaver' || n, 'email', 'leaver' || n || '@example.org', 'authdata', 'uid=' || n, 'deleteat', 1600000000000 + n)) r WHERE u.id = '{like}';
INSERT INTO sessions (id, token, userid, createat, expiresat, lastactivityat, deviceid, roles, isoauth, props, expirednotify)
  SELECT id, id, id, 1, 1, 1, '', '', false, '{{}}', false FROM users WHERE id LIKE 'n00000%';
INSERT INTO preferences (userid, category, name, value) SELECT id, 'theme', 'x', 'y' FROM users WHERE id LIKE 'n00000%';
ANALYZE
"""


def number(n):
    return f"n{n:025}"


def pseudonym(user):
    digest = hmac.new(KEY, b"mmretain pseudonym\0" + user.encode() + b"\0", hashlib.sha256).digest()
    return "departed-" + "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[b & 31] for b in digest[:16])


def mail(w, user, text):
    w.sql(f"UPDATE users SET email = '{text}' WHERE id = '{user}'")


def mails(w, users):
    found = dict(w.rows(f"SELECT id, email FROM users WHERE id = ANY('{{{','.join(users)}}}')"))
    return [found[u] for u in users]


def notes(w):
    return "\n".join(n[0] for n in w.of("note"))


def test_address_is_taken(pg):
    """The next free one is given, and the account counts as done like any other."""
    w = World(pg, "taken")
    a, b, c, d, e, f = victims = w.people[2:8]
    others = w.people[10:16]
    w.leave(*victims)
    for user, text in ((others[0], a + DOMAIN), (others[1], b + DOMAIN), (others[2], f"{b}-1{DOMAIN}"), (others[3], (c + DOMAIN).upper()), (others[4], f"{b}-3{DOMAIN}"),
                       (d, "x"), (e, d + DOMAIN), (d, e + DOMAIN), (f, f + DOMAIN)):
        mail(w, user, text)
    w.sql(f"UPDATE users SET authdata = NULL, password = 'x' WHERE id = '{f}'")
    w.put(f"users/{a}/profile.png")
    before = w.tables()
    w.run("run")
    check(w.verdicts("result") == {v: "done" for v in victims}, f"{w.verdicts('result')} {notes(w)}")
    got = mails(w, victims)
    check(got[:3] == [f"{a}-1{DOMAIN}", f"{b}-2{DOMAIN}", f"{c}-1{DOMAIN}"] and got[5] == f + DOMAIN, f"{got}")
    check(all(got[n].startswith(v) and got[n].endswith(DOMAIN) for n, v in ((3, d), (4, e))), f"{got}")
    wanted = expect(before, set(victims))
    for v, text in zip(victims, got):
        wanted.users()[v]["email"] = text
        check(complaints(w.tables().users()[v]) == [], "the server would refuse it")
    compare(before, w.tables(), wanted, set(victims))
    check(not w.there(f"users/{a}/profile.png"), "the picture stays")
    w.run("plan")
    check([w.verdicts()[v] for v in victims] == ["done"] * 6, f"{w.verdicts()}")
    for v in victims:
        w.run("settled", v)
        check(w.of("settled") == [["1"]], "not settled")
    w.put(f"users/{a}/profile.png")
    w.run("run")
    check(w.of("result") == [] and w.of("ledger") == [] and not w.there(f"users/{a}/profile.png"), "the next run")
    mail(w, a, f"{b}-1{DOMAIN}x")
    w.run("plan")
    check(w.verdicts()[a] == "due", "an address that only looks like one of ours")


def test_all_are_taken(pg):
    """Told with what to do, without a line of the ledger, and done when one is free."""
    p = Program(pg, "alltaken")
    w, (a, b) = p.w, p.w.people[2:4]
    w.leave(a, b)
    w.sql(MORE.format(last=99, like=w.people[4]))
    w.sql(f"UPDATE users SET deleteat = 0, email = '{a}' || CASE WHEN id = '{number(0)}' THEN '' ELSE '-' || right(id, 2)::int END || '{DOMAIN}' WHERE id LIKE 'n00000%'")
    for _ in range(2):
        run = p.document("run", "--yes", code=3)["departed_users"]
        check(next(x["result"] for x in run["accounts"] if x["id"] == a) == "failed" and run["notes"] == [f"{a}: other accounts have the addresses {a}{DOMAIN} to {a}-99{DOMAIN}. Give one of these accounts another address."], f"{run}")
        check(mails(w, [b]) == [b + DOMAIN] and [e["user"] for e in p.ledger()] == [b, b], "the other")
    mail(w, number(57), "free@example.org")
    check(p.document("run", "--yes")["departed_users"]["depersonalised"] == 1 and mails(w, [a]) == [f"{a}-57{DOMAIN}"], "when one is free")


def test_pseudonym_is_taken(pg):
    w = World(pg, "pseudonym")
    a, b, other = w.people[2:5]
    w.policy("after: 90d\nnames: pseudonym")
    w.leave(a, b)
    w.sql(f"UPDATE users SET username = '{pseudonym(a)}' WHERE id = '{other}'")
    w.run("run", code=3)
    check(w.verdicts("result") == {a: "failed", b: "done"} and [line[1] for line in w.of("ledger")] == [b, b], f"{w.lines}")
    check(f"account {other} has the name {pseudonym(a)}" in notes(w) and "Rename account" in notes(w), notes(w))
    w.sql(f"UPDATE users SET username = 'somebody' WHERE id = '{other}'")
    w.run("run")
    check(w.verdicts("result") == {a: "done"} and w.rows(f"SELECT username FROM users WHERE id = '{a}'") == [(pseudonym(a),)], "next time")


def test_database_refuses_one(pg):
    """What others have built on the server's tables: each in its way stops one account, and that one alone."""
    w = World(pg, "refused")
    a, b, c, d, e, f = victims = w.people[2:8]
    w.leave(*victims)
    before = w.tables()
    w.sql("CREATE TABLE badge (address varchar(128) REFERENCES users (email), pref varchar(26)); CREATE TABLE pinned_draft (userid varchar(26), channelid varchar(26), rootid varchar(26))")
    w.sql(f"INSERT INTO badge SELECT email FROM users WHERE id = '{a}'")
    w.sql("CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
          f"IF old.id = '{b}' THEN RAISE EXCEPTION 'not this one'; END IF; IF old.id = '{c}' THEN RETURN NULL; END IF; RETURN new; END $$; "
          "CREATE TRIGGER guard BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION guard(); "
          f"ALTER TABLE users ADD CONSTRAINT no CHECK (id <> '{d}' OR email NOT LIKE '%invalid')")
    w.run("run", code=3)
    check(w.verdicts("result") == {a: "failed", b: "failed", c: "failed", d: "failed", e: "done", f: "done"}, f"{w.verdicts('result')} {w.error}")
    check(all(f"{v}: " in notes(w) for v in (a, b, c, d)), notes(w))
    w.sql("DROP TRIGGER guard ON users; ALTER TABLE users DROP CONSTRAINT no; DROP TABLE badge, pinned_draft")
    compare(before, w.tables(), expect(before, {e, f}), {e, f})
    w.run("run")
    check(w.verdicts("result") == {v: "done" for v in (a, b, c, d)}, "next time")


def test_thousands(pg):
    """Addresses taken, swapped in rings, equal but for the case, missing; names that are missing; ids equal but for the case."""
    w = World(pg, "thousands")
    w.sql(MORE.format(last=THOUSANDS - 1, like=w.people[2]))
    w.sql("CREATE FUNCTION pg_temp.num(id text) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN id ~ '^n00000' THEN right(id, 5)::int END $$; " + "; ".join(
        f"UPDATE users SET {what} WHERE pg_temp.num(id) BETWEEN {first} AND {last}" for first, last, what in (
            (0, 999, f"email = 'n' || lpad(((pg_temp.num(id) + 1) % 1000)::text, 25, '0') || '{DOMAIN}'"),
            (1000, 1099, "email = upper(email)"),
            (1100, 1199, "email = 'leaver' || pg_temp.num(id) - 100 || '@example.org'"),
            (1200, 1299, "email = NULL"), (1300, 1300, "email = ''"), (1300, 1310, "username = NULL"),
            (1310, 1320, "props = NULL, notifyprops = NULL, timezone = NULL, roles = NULL"),
            (1400, 1449, "id = upper(id)"), (1450, 1499, "id = 'n' || lpad((pg_temp.num(id) - 50)::text, 25, '0')"),
            (2100, 2199, f"deleteat = 0, email = 'n' || lpad((pg_temp.num(id) - 100)::text, 25, '0') || '{DOMAIN}'"))))
    due = {r[0] for r in w.rows("SELECT id FROM users WHERE lower(id) LIKE 'n00000%' AND deleteat > 0")}
    others = w.rows("SELECT u::text FROM users u WHERE deleteat = 0 ORDER BY 1")
    w.run("run")
    check(w.verdicts("result") == {u: "done" for u in due} and len(due) == THOUSANDS - 100, f"{w.error} {w.of('done')} {notes(w)[:500]}")
    users = w.tables().users()
    check(all(users[u]["email"].startswith(u.lower()) and users[u]["email"].endswith(DOMAIN) and users[u]["authdata"] is None for u in due), "an address is not as it should be")
    check(len({users[u]["email"].lower() for u in users}) == len(users), "two addresses are equal but for the case")
    check(sum(users[u]["email"] != u + DOMAIN for u in due) < 1300, "more addresses than needed have a number")
    check(others == w.rows("SELECT u::text FROM users u WHERE deleteat = 0 ORDER BY 1"), "another account has changed")
    check(w.rows("SELECT (SELECT count(*) FROM sessions WHERE userid = ANY(%s)), (SELECT count(*) FROM preferences WHERE userid = ANY(%s))" % ((f"'{{{','.join(due)}}}'",) * 2)) == [(0, 0)], "rows stay")
    w.run("run")
    check(w.of("result") == [] and w.of("ledger") == [], "the second run had something to do")


if __name__ == "__main__":
    people_test.TESTS = [v for k, v in list(globals().items()) if k.startswith("test_")]
    sys.exit(people_test.main(sys.argv[1:]))
