#!/usr/bin/env python3
"""A role that got exactly the script of `mmretain grants` can plan, run and put a late thread back, and can do nothing else.

usage: MMRETAIN=BINARY grants.py
"""
import os
import pathlib
import sys
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "db"))
import e2e_lib as lib  # noqa: E402

ROLE = "Retain-er"  # must be quoted
RULES = [{"name": "all", "match": {}, "keep": {"for": "500d"}}]
CLOSURE = set("""threads posts reactions fileinfo threadmemberships postspriority postacknowledgements persistentnotifications preferences
postreminders drafts readreceipts temporaryposts translations propertyvalues sharedchannelattachments""".split())
READ = {"channelmemberhistory", "db_lock", "groupmembers", "jobs", "pluginkeyvaluestore"}


class Grants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.where = lib.folder("grants")
        cls.pg = lib.cluster.Cluster(settings=lib.QUICK).start()
        cls.world = lib.World(cls.pg, "world", 600, 3)
        cls.copy = cls.world.clone("mm", os.path.join(cls.where, "mm"))
        cls.pg.psql(f'CREATE ROLE "{ROLE}" LOGIN; REVOKE TEMPORARY ON DATABASE mm FROM PUBLIC; REVOKE USAGE ON SCHEMA public FROM PUBLIC', db="mm")
        cls.policy, cls.parsed = cls.copy.write_policy(RULES, user=ROLE)

    @classmethod
    def tearDownClass(cls):
        cls.pg.stop()
        lib.remove(cls.where)

    def call(self, *args, code=0):
        done = lib.call(self.copy, self.policy, *args, now_ms=None)
        self.assertEqual(done.code, code, done.err)
        return done

    def ask(self, sql):
        return self.pg.psql(sql, db="mm")

    def denied(self, sql):
        with self.pg.connect("mm", user=ROLE) as conn, conn.cursor() as cur:
            with self.assertRaises(psycopg2.errors.InsufficientPrivilege, msg=sql):
                cur.execute(sql)

    def test_1_without_rights(self):
        """What is missing is told, and how to get it."""
        self.ask(f'GRANT USAGE ON SCHEMA public TO "{ROLE}"')
        self.call("init")
        for more in ((), ("--no-purge",)):
            done = self.call("run", "--yes", *more, code=19)
            self.assertRegex(done.err, r"the database role lacks [^\n]*SELECT ON posts[^\n]* more\n  hint: Run `mmretain grants`")
        done = self.call("plan", code=19)
        self.assertIn("permission denied", done.err)
        doctor = self.call("doctor", code=19).out
        self.assertRegex(doctor, r"fail  schema +table db_lock may not be read: [^\n]*\n +`mmretain grants` has the statement")
        self.assertRegex(doctor, r"fail  rights +the database role lacks \w+ ON [^\n]{20,300} and \d+ more\n")

    def test_2_quoting(self):
        odd = 'x"; DROP TABLE posts; --'
        self.assertIn(' TO "x""; DROP TABLE posts; --";\n', self.call("grants", odd).out)

    def test_2_wrong_database(self):
        """A database that is not Mattermost's is called that, whoever asks; and it gets no script that grants next to nothing."""
        right, self.policy = self.policy, os.path.join(self.where, "wrong.yaml")
        with open(right, encoding="utf-8") as f, open(self.policy, "w", encoding="utf-8") as g:
            g.write(f.read().replace("/mm?", "/postgres?"))
        self.addCleanup(setattr, self, "policy", right)
        words = "/postgres has no Mattermost tables in schema public\n"
        for command in (("grants",), ("plan",), ("check", "--db"), ("run", "--yes"), ("explain", "town-square")):
            with self.subTest(command=command):
                done = self.call(*command, code=13)
                self.assertIn(words + "  hint: Name Mattermost's database", done.err)
                if command != ("check", "--db"):
                    self.assertEqual(done.out, "")
        doctor = self.call("doctor", code=13).out
        self.assertIn(words, doctor)
        self.assertNotIn("rights ", doctor)

    def test_3_exactly_the_script(self):
        script = self.call("grants").out
        self.assertIn(f'GRANT SELECT (id, username, nickname, firstname, lastname, deleteat) ON public.users TO "{ROLE}";\n', script)
        self.ask(script)
        self.call("plan")
        run = self.call("run", "--yes")
        self.assertIn("complete", run.out)
        want = lib.Expected(self.copy, self.parsed, int(lib.time.time() * 1000))
        self.assertGreater(len(want.roots), 20)
        t = next(t for t in want.db.threads.values() if t.root.id in want.roots and len(t.posts) > 2 and t.root.live)
        self.assertEqual(self.ask(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}'"), "0")
        now = int(lib.time.time() * 1000)
        self.ask(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props,
          hashtags, filenames, fileids, hasreactions, ispinned, remoteid) VALUES ('{"l" * 26}', {now}, {now}, 0, 0, '{t.root.user}', '{t.channel}',
          '{t.root.id}', '', 'late', '', '{{}}', '', '[]', '[]', false, false, '')""")
        late = self.call("run", "--yes")
        self.assertIn("late      1 thread put back, 0 rows removed\n", late.out)
        self.assertEqual(self.ask(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}'"), "1")

    def test_4_nothing_else(self):
        for sql in ("SELECT password FROM users", "SELECT email, authdata, mfasecret FROM users", "SELECT * FROM users", "SELECT 1 FROM sessions",
                    "DELETE FROM users", "UPDATE posts SET message = ''", "UPDATE threads SET postid = ''", "TRUNCATE posts", "DELETE FROM channels",
                    "INSERT INTO users (id) VALUES ('x')", "CREATE TABLE t ()"):
            self.denied(sql)
        may = {p: set(self.ask(f"""SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
                                   AND has_table_privilege('{ROLE}', oid, '{p}')""").split()) for p in ("SELECT", "INSERT", "DELETE", "UPDATE", "TRUNCATE")}
        self.assertEqual(may, {"SELECT": CLOSURE | READ, "INSERT": CLOSURE, "DELETE": CLOSURE, "UPDATE": set(), "TRUNCATE": set()})


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
