#!/usr/bin/env python3
"""Tests of the test support itself. Prints `N passed, N failed`; exit 1 when one failed."""
import fcntl
import os
import signal
import subprocess
import sys
import time
import unittest
import unittest.mock

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dump  # noqa: E402
import schema  # noqa: E402
import scratch  # noqa: E402
import seed  # noqa: E402
from cluster import Cluster  # noqa: E402
from live import Live  # noqa: E402

POSTS = 10_000
NO_ORPHANS = {
    "replies without root": "SELECT count(*) FROM posts r LEFT JOIN posts p ON p.id = r.rootid WHERE r.rootid <> ''"
                            " AND p.id IS NULL",
    "replies in another channel": "SELECT count(*) FROM posts r JOIN posts p ON p.id = r.rootid WHERE r.channelid <>"
                                  " p.channelid",
    "replies to replies": "SELECT count(*) FROM posts r JOIN posts p ON p.id = r.rootid WHERE p.rootid <> ''",
    "copies without original": "SELECT count(*) FROM posts r LEFT JOIN posts p ON p.id = r.originalid WHERE"
                               " r.originalid <> '' AND p.id IS NULL",
    "posts without channel": "SELECT count(*) FROM posts p LEFT JOIN channels c ON c.id = p.channelid WHERE c.id IS"
                             " NULL",
    "posts without user": "SELECT count(*) FROM posts p LEFT JOIN users u ON u.id = p.userid WHERE u.id IS NULL",
    "files without post": "SELECT count(*) FROM fileinfo f LEFT JOIN posts p ON p.id = f.postid WHERE f.postid <> ''"
                          " AND p.id IS NULL",
    "files in another channel": "SELECT count(*) FROM fileinfo f JOIN posts p ON p.id = f.postid WHERE p.channelid <>"
                                " f.channelid",
    "empty postid of unknown kind": "SELECT count(*) FROM fileinfo f WHERE postid = '' AND creatorid NOT IN"
                                    " ('bookmark', 'boards')"
                                    " AND NOT EXISTS (SELECT FROM drafts d WHERE d.fileids LIKE '%' || f.id || '%')",
    "flags": "SELECT count(*) FROM preferences f LEFT JOIN posts p ON p.id = f.name WHERE f.category = 'flagged_post'"
             " AND p.id IS NULL",
    "drafts": "SELECT count(*) FROM drafts d LEFT JOIN posts p ON p.id = d.rootid WHERE d.rootid <> '' AND (p.id IS"
              " NULL OR p.rootid <> '')",
    "scheduled": "SELECT count(*) FROM scheduledposts d LEFT JOIN posts p ON p.id = d.rootid WHERE d.rootid <> '' AND"
                 " (p.id IS NULL OR p.rootid <> '')",
    "translations": "SELECT count(*) FROM translations t LEFT JOIN posts p ON p.id = t.objectid WHERE t.objecttype ="
                    " 'post' AND p.id IS NULL",
    "property values": "SELECT count(*) FROM propertyvalues t LEFT JOIN posts p ON p.id = t.targetid WHERE"
                       " t.targettype = 'post' AND p.id IS NULL",
    "members without channel": "SELECT count(*) FROM channelmembers m LEFT JOIN channels c ON c.id = m.channelid WHERE"
                               " c.id IS NULL",
    "channels without team": "SELECT count(*) FROM channels c LEFT JOIN teams t ON t.id = c.teamid WHERE c.type IN"
                             " ('O', 'P') AND t.id IS NULL",
    "direct channels with a team": "SELECT count(*) FROM channels WHERE type IN ('D', 'G') AND teamid <> ''",
}
for _table in ("reactions", "threads", "threadmemberships", "postspriority", "postacknowledgements",
               "persistentnotifications", "postreminders", "readreceipts", "temporaryposts"):
    NO_ORPHANS[_table] = f"SELECT count(*) FROM {_table} d LEFT JOIN posts p ON p.id = d.postid WHERE p.id IS NULL"
SHAPES = {
    "a copy has the original's createat, root, channel, user, pin": """SELECT count(*) FROM posts h JOIN posts p ON p.id = h.originalid
        WHERE (h.createat, h.rootid, h.channelid, h.userid, h.ispinned) IS DISTINCT FROM (p.createat, p.rootid, p.channelid, p.userid, p.ispinned)""",
    "a copy is deleted at its edit": "SELECT count(*) FROM posts WHERE originalid <> '' AND (deleteat = 0 OR deleteat"
                                     " <> updateat)",
    "the original has editat": "SELECT count(*) FROM posts h JOIN posts p ON p.id = h.originalid WHERE p.editat = 0 OR"
                               " p.originalid <> ''",
    "a deleted post names who": """SELECT count(*) FROM posts WHERE originalid = '' AND deleteat > 0 AND NOT props ? 'deleteBy' AND message <> ''""",
    "a deleted root takes its thread": "SELECT count(*) FROM posts r JOIN posts p ON p.id = r.rootid WHERE p.deleteat"
                                       " > 0 AND r.deleteat = 0",
    "threads.replycount": """SELECT count(*) FROM threads t JOIN posts p ON p.id = t.postid WHERE p.deleteat = 0 AND t.replycount <>
        (SELECT count(*) FROM posts r WHERE r.rootid = t.postid AND r.deleteat = 0)""",
    "threads.lastreplyat": """SELECT count(*) FROM threads t JOIN posts p ON p.id = t.postid WHERE p.deleteat = 0 AND t.lastreplyat <>
        (SELECT COALESCE(max(createat), 0) FROM posts r WHERE r.rootid = t.postid AND r.deleteat = 0)""",
    "threads.participants": """SELECT count(*) FROM threads t JOIN posts p ON p.id = t.postid WHERE p.deleteat = 0 AND jsonb_array_length(t.participants) <>
        (SELECT count(DISTINCT userid) FROM posts r WHERE r.rootid = t.postid AND r.deleteat = 0)""",
    "threads.threaddeleteat": "SELECT count(*) FROM threads t JOIN posts p ON p.id = t.postid WHERE"
                              " COALESCE(t.threaddeleteat, 0) <> p.deleteat",
    "a thread for every root with replies": """SELECT count(*) FROM posts r LEFT JOIN threads t ON t.postid = r.rootid WHERE r.rootid <> '' AND t.postid IS NULL""",
    "posts.fileids in step": """SELECT count(*) FROM posts p WHERE originalid = '' AND deleteat = 0 AND jsonb_array_length(fileids::jsonb) <>
        (SELECT count(*) FROM fileinfo f WHERE f.postid = p.id AND f.deleteat = 0)""",
    "hasreactions": """SELECT count(*) FROM posts p WHERE originalid = '' AND deleteat = 0 AND hasreactions <>
        EXISTS (SELECT FROM reactions r WHERE r.postid = p.id AND r.deleteat = 0)""",
    "reactions after the post": "SELECT count(*) FROM reactions r JOIN posts p ON p.id = r.postid WHERE r.createat <"
                                " p.createat",
    "updateat is the newest": "SELECT count(*) FROM posts WHERE updateat < GREATEST(createat, editat, deleteat)",
    "nothing after now": f"SELECT count(*) FROM posts WHERE GREATEST(createat, updateat) >= {seed.NOW}",
    "burn on read has no content here": "SELECT count(*) FROM posts WHERE type = 'burn_on_read' AND (message <> '' OR"
                                        " rootid <> '' OR fileids <> '[]')",
    "direct names": """SELECT count(*) FROM channels WHERE type = 'D' AND (name !~ '^[a-z0-9]{26}__[a-z0-9]{26}$' OR split_part(name, '__', 1) COLLATE "C" > split_part(name, '__', 2))""",
    "group names": "SELECT count(*) FROM channels WHERE type = 'G' AND name !~ '^[0-9a-f]{40}$'",
    "ids": "SELECT count(*) FROM posts WHERE id !~ '^[ybndrfg8ejkmcpqxot1uwisza345h769]{26}$'",
    "hashtags are in the text": "SELECT count(*) FROM posts WHERE hashtags <> '' AND position(split_part(hashtags, '"
                                " ', 1) IN message) = 0 AND originalid = ''",
    "counters": """SELECT count(*) FROM channels c WHERE lastpostat <> COALESCE((SELECT max(createat) FROM posts p WHERE p.channelid = c.id AND p.originalid = ''
        AND p.type NOT IN ('system_join_channel', 'system_add_to_channel', 'system_leave_channel', 'system_remove_from_channel', 'system_join_team')), 0)""",
}
PRESENT = ("reactions", "threads", "threadmemberships", "fileinfo", "preferences", "postspriority",
           "postacknowledgements", "persistentnotifications", "postreminders", "drafts",
           "scheduledposts", "readreceipts", "temporaryposts", "translations", "propertyvalues", "recaps",
           "recapchannels", "channelbookmarks", "sharedchannelattachments",
           "bots", "sessions", "tokens", "useraccesstokens", "audits", "status", "sidebarcategories", "sidebarchannels",
           "channelmemberhistory", "publicchannels", "teammembers")


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = scratch.folder("self")
        cls.data = os.path.join(cls.folder, "data")
        cls.pg = Cluster().start()
        for name in ("one", "two", "other", "odd"):
            cls.pg.createdb(name)
        cls.figures = seed.seed(cls.pg.conninfo("one"), POSTS, 1, cls.data)

    @classmethod
    def tearDownClass(cls):
        cls.pg.stop("immediate")
        cls.pg.remove()
        scratch.remove(cls.folder)

    def one(self, sql, db="one"):
        with psycopg2.connect(self.pg.conninfo(db)) as conn, conn.cursor() as cur:
            cur.execute(sql)
            row = cur.fetchone()
            return row[0] if len(row) == 1 else row


class ScratchTest(unittest.TestCase):
    """However a test ends, its server and its folders end with it."""
    CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
import cluster, scratch
long = scratch.folder("l" * 80)
servers = [cluster.Cluster().start(), cluster.Cluster(long + "/server").start(), cluster.Cluster().start()]
servers[2].stop()
print(scratch.folder("self"), long, *[s.directory for s in servers], servers[1].socket_dir, *[s.pid for s in servers[:2]], flush=True)
if sys.argv[2] == "raise":
    raise RuntimeError("as a failing test")
for _ in range(600 if sys.argv[2] == "wait" else 0):
    time.sleep(1)  # a signal that comes just before it is seen after it
"""

    def child(self, how):
        here = os.path.dirname(os.path.abspath(__file__))
        process = subprocess.Popen([sys.executable, "-c", self.CHILD, here, how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        words = process.stdout.readline().split()
        process.stdout.close()
        self.assertEqual(len(words), 8)
        return process, words[:6], [int(w) for w in words[6:]]

    def gone(self, folders, servers):
        left, end = [f"/proc/{pid}" for pid in servers] + folders, time.monotonic() + 120
        while any(map(os.path.exists, left)) and time.monotonic() < end:
            time.sleep(0.05)  # a test beside us may be just about to remove what we would
        self.assertEqual(list(filter(os.path.exists, left)), [])

    def test_ends(self):
        for how, code in (("end", 0), ("raise", 1)):
            process, folders, servers = self.child(how)
            self.assertEqual(process.wait(60), code)
            self.gone(folders, servers)

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            process, folders, servers = self.child("wait")
            self.assertTrue(all(os.path.exists(f) for f in folders))
            process.send_signal(number)
            self.assertEqual(process.wait(60), -number)
            self.gone(folders, servers)

    def test_killed(self):
        """The next one removes it: nothing of a process that lives, nothing with a server that lives."""
        alive, kept, alive_servers = self.child("wait")
        process, folders, servers = self.child("wait")
        process.kill()
        process.wait(60)
        self.gone([], servers)
        scratch.sweep()
        self.gone(folders, servers)
        self.assertTrue(all(os.path.exists(f) for f in kept))
        alive.terminate()
        alive.wait(60)
        self.gone(kept, alive_servers)

    def test_made_while_others_sweep(self):
        here, lock = os.path.dirname(os.path.abspath(__file__)), fcntl.flock

        def late(fd, how):
            subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import scratch; scratch.sweep()", here], check=True)
            lock(fd, how)
        with unittest.mock.patch("fcntl.flock", late):
            folder = scratch.folder("self")
        self.assertEqual(os.listdir(folder), [scratch.OWNER])
        scratch.remove(folder)


class SeedTest(Base):
    def test_schema_equals_csv(self):
        self.assertEqual(schema.verify(self.pg.conninfo("one")), [])

    def test_views_filled(self):
        for view in schema.VIEWS:
            self.assertGreater(self.one(f"SELECT count(*) FROM {view}"), 0, view)

    def test_same_seed_same_rows(self):
        seed.seed(self.pg.conninfo("two"), POSTS, 1, blobs="none", fast=True)
        before, after = dump.dump(self.pg.conninfo("one")), dump.dump(self.pg.conninfo("two"))
        self.assertEqual(dump.diff(before, after), {})
        self.assertEqual(schema.verify(self.pg.conninfo("two")), [])

    def test_other_seed_other_rows(self):
        seed.seed(self.pg.conninfo("other"), 500, 2)
        self.assertEqual(self.one("SELECT count(*) FROM posts WHERE originalid = ''", "other"), 500)
        self.assertEqual(self.one("SELECT count(*) FROM posts WHERE id = '%s'" % self.one("SELECT min(id) FROM posts"),
                                  "other"), 0)

    def test_no_orphans(self):
        for name, sql in NO_ORPHANS.items():
            with self.subTest(name):
                self.assertEqual(self.one(sql), 0)

    def test_shapes(self):
        for name, sql in SHAPES.items():
            with self.subTest(name):
                self.assertEqual(self.one(sql), 0)

    def test_every_kind_is_there(self):
        for table in PRESENT:
            with self.subTest(table):
                self.assertGreater(self.one(f"SELECT count(*) FROM {table}"), 0)
        for name, sql in {"copies": "SELECT count(*) FROM posts WHERE originalid <> ''",
                          "pins": "SELECT count(*) FROM posts WHERE ispinned",
                          "deleted threads": "SELECT count(*) FROM threads WHERE threaddeleteat > 0",
                          "hashtags": "SELECT count(*) FROM posts WHERE hashtags <> ''",
                          "removed reactions": "SELECT count(*) FROM reactions WHERE deleteat > 0",
                          "deleted files": "SELECT count(*) FROM fileinfo WHERE deleteat > 0",
                          "shared paths": "SELECT count(*) FROM (SELECT FROM fileinfo GROUP BY path HAVING count(*) >"
                              " 1) x", "boards": "SELECT count(*) FROM fileinfo WHERE creatorid = 'boards'",
                          "archived channels": "SELECT count(*) FROM channels WHERE deleteat > 0",
                          "archived teams": "SELECT count(*) FROM teams WHERE deleteat > 0",
                          "huge": "SELECT count(*) FROM posts WHERE length(message) = 65535",
                          "control": "SELECT count(*) FROM posts WHERE message ~ E'\\x01|\\x1b|\u202e|\u2028'",
                          "late replies": "SELECT count(*) FROM threads t JOIN posts p ON p.id = t.postid WHERE"
                              " t.lastreplyat > p.createat + 20 * 86400000::bigint",
                          "pending": "SELECT count(*) FROM propertyvalues WHERE value IN ('\"pending\"',"
                                     " '\"assigned\"')",
                          "departed": "SELECT count(*) FROM users WHERE deleteat > 0",
                          "bots": "SELECT count(*) FROM bots",
                          "guests": "SELECT count(*) FROM users WHERE roles LIKE '%system_guest%'",
                          "remote": "SELECT count(*) FROM users WHERE remoteid <> ''",
                          "self": "SELECT count(*) FROM channels WHERE type IN ('D', 'G')"}.items():
            with self.subTest(name):
                self.assertGreater(self.one(sql), 0)

    def test_distribution(self):
        single, many, largest = self.one("""SELECT avg((n = 1)::int)::float, avg((n > 15)::int)::float, max(n)
            FROM (SELECT count(*) AS n FROM posts WHERE originalid = '' GROUP BY COALESCE(NULLIF(rootid, ''), id)) x""")
        self.assertTrue(0.86 < single < 0.92, single)
        self.assertTrue(0.005 < many < 0.02, many)
        self.assertGreaterEqual(largest, 300)
        median, mean, long = self.one("""SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY octet_length(message)), avg(octet_length(message))::float, avg((length(message) > 1000)::int)::float
            FROM posts WHERE originalid = '' AND type NOT IN ('burn_on_read') AND length(message) < 60000""")
        self.assertTrue(50 < median < 75, median)
        self.assertTrue(95 < mean < 150, mean)
        self.assertTrue(0.003 < long < 0.02, long)
        for column, table in (("userid", "users"), ("channelid", "channels")):
            share = self.one(f"""SELECT (sum(n) FILTER (WHERE r <= ceil(0.01 * (SELECT count(*) FROM {table}))) / sum(n))::float
                FROM (SELECT count(*) AS n, row_number() OVER (ORDER BY count(*) DESC) AS r FROM posts GROUP BY {column}) x""")
            self.assertTrue(0.4 < share < 0.8, (table, share))
        first = self.one("SELECT min(createat) FROM posts")
        self.assertLess(first, seed.NOW - 4.8 * 365 * 86_400_000)

    def test_blobs(self):
        rows = dump.rows(self.pg.conninfo("one"), "fileinfo")
        for row in rows:
            self.assertEqual(os.path.getsize(os.path.join(self.data, row["path"])), row["size"], row["path"])
            for column in ("thumbnailpath", "previewpath"):
                if row[column]:
                    self.assertTrue(os.path.exists(os.path.join(self.data, row[column])), row[column])
        self.assertGreater(len(rows), 300)

    def test_legacy_and_hostile(self):
        folder = os.path.join(self.folder, "odd")
        seed.seed(self.pg.conninfo("odd"), 1500, 7, folder, legacy=True, hostile=True)
        self.assertGreater(self.one(NO_ORPHANS["replies without root"], "odd"), 0)
        self.assertGreater(self.one(NO_ORPHANS["posts without channel"], "odd"), 0)
        self.assertEqual(self.one("SELECT count(*) FROM posts WHERE createat IS NULL", "odd"), 1)
        self.assertGreater(self.one("SELECT count(*) FROM users WHERE nickname LIKE '%DROP TABLE%' OR lastname LIKE"
                                    " E'%\\n%'", "odd"), 0)
        self.assertGreater(self.one("SELECT count(*) FROM fileinfo WHERE path LIKE '%../%' OR name LIKE E'%\\n%'",
                                    "odd"), 1)

    def test_clone(self):
        for name in ("clone1", "clone2"):
            seed.clone(self.pg, name, os.path.join(self.folder, name), posts=300, seed=5)
        self.assertEqual(dump.diff(dump.dump(self.pg.conninfo("clone1")), dump.dump(self.pg.conninfo("clone2"))), {})


class ToolTest(Base):
    def test_diff(self):
        before = dump.dump(self.pg.conninfo("one"))
        self.pg.psql("UPDATE users SET email = 'x' WHERE username = 'sysadmin'; DELETE FROM systems WHERE name ="
                     " 'DiagnosticId'", db="one")
        changes = dump.diff(before, dump.dump(self.pg.conninfo("one")))
        self.assertEqual({t: (len(r), len(a)) for t, (r, a) in changes.items()}, {"systems": (1, 0), "users": (1, 1)})

    def test_live(self):
        with Live(self.pg.conninfo("one"), rate=200, seed=3) as load:
            end = time.monotonic() + 120
            while sum(load.counts.values()) < 300 and time.monotonic() < end:
                time.sleep(0.1)
        self.assertEqual(load.errors, [])
        self.assertGreaterEqual(sum(load.counts.values()), 300)
        for name in ("threads.replycount", "threads.lastreplyat", "threads.participants",
                     "a copy is deleted at its edit", "a deleted root takes its thread",
                     "a thread for every root with replies"):
            with self.subTest(name):
                self.assertEqual(self.one(SHAPES[name]), 0)
        for name in ("replies without root", "reactions", "threadmemberships"):
            self.assertEqual(self.one(NO_ORPHANS[name]), 0)

    def test_releases_and_plugins(self):
        for name in (*schema.OLDER, *schema.NEWER):
            with self.subTest(name):
                seed.clone(self.pg, "release", posts=300, seed=5)
                schema.release(self.pg.conninfo("release"), name)
                self.assertGreater(self.one("SELECT count(*) FROM posts", "release"), 299)
                self.pg.dropdb("release")
        seed.clone(self.pg, "plugins", posts=300, seed=5)
        for name in schema.PLUGINS:
            schema.plugin(self.pg.conninfo("plugins"), name)
        seed.legal_hold(self.pg.conninfo("plugins"), ["x"])
        self.assertEqual(self.one("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confrelid ="
                                  " 'posts'::regclass", "plugins"), 3)
        self.assertEqual(self.one("SELECT count(*) FROM pluginkeyvaluestore WHERE pkey LIKE 'kvstore_legal_hold_%'",
                                  "plugins"), 1)

    def test_crash_and_restart(self):
        self.pg.createdb("crash")
        self.pg.psql("CREATE TABLE t AS SELECT 1 AS x", db="crash")
        self.pg.restart("immediate")
        self.assertEqual(self.pg.psql("SELECT x FROM t", db="crash"), "1")
        self.pg.kill()
        self.pg.start()
        self.assertEqual(self.pg.psql("SELECT x FROM t", db="crash"), "1")
        self.assertNotEqual(self.pg.psql("SHOW listen_addresses", db="crash"), "*")




def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2 if "-v" in sys.argv else 1).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{max(0, result.testsRun - failed)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
