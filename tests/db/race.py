#!/usr/bin/env python3
"""What may change between plan, export, delete, crash and recovery: each race once, scripted.

    race.py [unittest options]       MMRETAIN names a binary built with -DMMR_FAULTS=ON

Each case works on its own clone of a small world.
"""
import hashlib
import json
import os
import signal
import time
import unittest

import e2e_lib as lib
import e2e_faults as faults
import oracle

PG = WORLD = WHERE = NOW = None
ROOTLESS = "rootid <> '' AND NOT EXISTS (SELECT FROM posts root WHERE root.id = posts.rootid)"


def setUpModule():
    global PG, WORLD, WHERE, NOW
    NOW = int(time.time()) * 1000
    WHERE = lib.folder("race")
    PG = lib.cluster.Cluster(settings=dict(lib.QUICK, synchronous_commit="on")).start()
    WORLD = lib.World(PG, "world", 900, 12, lost=False)


def tearDownModule():
    lib.clear(WHERE, PG)


def by_somebody(t):
    return t.root.user


def of(roots):
    return lambda t: t.root.id in roots


class Race(unittest.TestCase):
    def setUp(self):
        self.bench = faults.Bench(WORLD, WHERE, self._testMethodName.removeprefix("test_"), NOW)
        self.addCleanup(self.bench.copy.remove)

    def tearDown(self):
        self.assertEqual(self.bench.problems, [])

    def db(self):
        return oracle.Db(self.bench.copy.load())

    def here(self, where="true"):
        """Ids of posts in the database."""
        return set(self.bench.sql(f"SELECT coalesce(string_agg(id, ' '), '') FROM posts WHERE {where}").split())

    def posts(self, t):
        return self.here(f"id = '{t.root.id}' OR rootid = '{t.root.id}'")

    def left(self, *needs):
        """Due threads that are still in the database."""
        here = self.here()
        return [t for t in self.bench.roots(*needs) if t.root.id in here]

    def gone(self, *needs):
        """The first due thread that is no longer in the database."""
        here = self.here()
        return next(t for t in self.bench.roots(*needs) if not any(p.id in here for p in t.posts))

    def clean(self):
        """No replies without a root."""
        self.bench.sql("DELETE FROM posts WHERE " + ROOTLESS)

    def whole(self, *threads):
        now = self.db()
        for t in threads:
            self.assertTrue(t.root.id in now.threads, f"thread {t.root.id} is gone")
            self.assertGreaterEqual(len(now.threads[t.root.id].posts), len(t.posts))

    def crash(self, fault, *args):
        process = self.bench.start(f"{fault}:kill", *args)
        done = lib.finish(process)
        self.assertEqual(done.code, -signal.SIGKILL, done.err)

    def purging(self):
        return [e["bundle"] for e in lib.ledger(self.bench.copy.archive, torn=True) if e["type"] == "purging"]


class BetweenPlanAndExport(Race):
    def halt(self):
        process = self.bench.start("LEDGER_WRITE:stop:2")
        self.assertTrue(lib.stopped(process))
        self.assertEqual([e["type"] for e in lib.ledger(self.bench.copy.archive, torn=True)], ["run-begin"])
        return process

    def between(self, change, *needs, code=3):
        """Stops the run when it has its plan and writes that into the ledger, changes a thread of it."""
        self.bench.begin()
        process = self.halt()
        t = self.left(*needs)[-1]
        change(t)
        done = self.bench.go_on(process, code=code)
        return t, done

    def test_reply(self):
        t, _ = self.between(lambda t: faults.insert_reply(self.bench, t, 1, int(time.time() * 1000)), faults.replies)
        self.whole(t)

    def test_pin(self):
        at = int(time.time() * 1000)
        t, _ = self.between(lambda t: self.bench.sql(f"UPDATE posts SET ispinned = true, updateat = {at} WHERE id = '{t.root.id}'"))
        self.whole(t)

    def test_reaction(self):
        """No row of posts more, none less: only its time tells."""
        at = int(time.time() * 1000)
        t, _ = self.between(lambda t: self.bench.sql(f"UPDATE posts SET hasreactions = true, updateat = {at} WHERE id = '{t.root.id}'"))
        self.whole(t)

    def test_reply_dated_back(self):
        """A bridge may write replies with the time of their source, and a transaction may take its time: what the plan did not see is no part of it."""
        t, _ = self.between(lambda t: faults.insert_reply(self.bench, t, 1, int(time.time() * 1000) - 3_600_000), faults.replies)
        self.whole(t)
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{faults.new_id(1)}'"), "1")

    def test_pin_of_a_slow_transaction(self):
        """The pin was set a minute before the plan and committed after it."""
        at = int(time.time() * 1000) - 60_000
        t, _ = self.between(lambda t: self.bench.sql(f"UPDATE posts SET ispinned = true, updateat = {at} WHERE id = '{t.root.id}'"))
        self.whole(t)

    def test_plan_file_reply_dated_back(self):
        self.bench.begin()
        plan = os.path.join(self.bench.copy.where, "plan.jsonl")
        self.bench.call("plan", "--json", "--out", plan, code=0)
        t = self.bench.roots(faults.replies)[0]
        faults.insert_reply(self.bench, t, 1, int(time.time() * 1000) - 3_600_000)
        self.bench.call("run", "--plan", plan, "--json", code=3)
        self.whole(t)

    def test_plan_file_reply_for_a_lost_copy(self):
        """The plan counted an edit copy that names its thread only through its reply; a reply dated back takes its place in the sum."""
        self.bench.begin()
        t = self.lose_copy()
        plan = os.path.join(self.bench.copy.where, "plan.jsonl")
        self.bench.call("plan", "--json", "--out", plan, code=0)
        faults.insert_reply(self.bench, t, 1, int(time.time() * 1000) - 3_600_000)
        self.bench.call("run", "--plan", plan, "--json", code=3)
        self.whole(t)

    def test_reply_for_a_lost_copy(self):
        """The same in one run."""
        self.bench.begin()
        t = self.lose_copy()
        process = self.halt()
        faults.insert_reply(self.bench, t, 1, int(time.time() * 1000) - 3_600_000)
        self.bench.go_on(process, code=3)
        self.whole(t)

    def lose_copy(self):
        """A due thread one of whose replies gets an edit copy that does not name the root."""
        t = self.bench.roots(faults.replies)[0]
        reply = next(p for p in t.posts if p.root == t.root.id and not p.original)
        self.bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, editat)
            VALUES ('{faults.new_id(8)}', {reply.createat}, {reply.createat + 5}, {reply.createat + 5}, '{t.root.user}', '{t.channel}', '', '{reply.id}', 'x', '', '{{}}', 0)""")
        return t

    def test_plan_file_counts_that_even_out(self):
        """Four neighbours in bundle order: two got replies dated back, two lost some, and no sum over all of them tells."""
        self.bench.begin()
        channel, four = self.neighbours()
        for n, t, many in ((10, four[1], 3), (20, four[3], 1)):
            for i in range(many):
                faults.insert_reply(self.bench, t, n + i, t.root.createat + 1 + i)
        plan = os.path.join(self.bench.copy.where, "plan.jsonl")
        self.bench.call("plan", "--json", "--out", plan, code=0)
        with open(plan, encoding="utf-8") as f:
            due = sorted((t["create"], t["root"]) for t in map(json.loads, f) if t.get("channel") == channel and "create" in t)
        at = due.index((four[0].root.createat, four[0].root.id))
        self.assertEqual([root for _, root in due[at:at + 4]], [t.root.id for t in four])
        gone = "'" + "','".join(map(faults.new_id, (10, 11, 12, 20))) + "'"
        self.bench.sql(f"DELETE FROM posts WHERE id IN ({gone})")
        for n, t, many in ((30, four[0], 1), (40, four[2], 3)):
            for i in range(many):
                faults.insert_reply(self.bench, t, n + i, t.root.createat + 1 + i)
        self.bench.call("run", "--plan", plan, "--json", code=3)
        late = "'" + "','".join(map(faults.new_id, (30, 40, 41, 42))) + "'"
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id IN ({late})"), "4")
        self.whole(*four)

    def neighbours(self):
        """Four due threads of one channel, one after the other in time."""
        by_channel = {}
        for t in self.bench.roots():
            by_channel.setdefault(t.channel, []).append(t)
        channel, threads = max(by_channel.items(), key=lambda item: len(item[1]))
        return channel, sorted(threads, key=lambda t: (t.root.createat, t.root.id))[:4]

    def test_root_removed(self):
        """The server's permanent delete leaves the edit copies of a root."""
        def change(t):
            self.bench.sql(f"""DELETE FROM posts WHERE id = '{t.root.id}' OR rootid = '{t.root.id}';
                INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, editat)
                VALUES ('{faults.new_id(7)}', {t.root.createat}, {t.root.createat}, 1, '{t.root.user}', '{t.channel}', '', '{t.root.id}', 'x', '', '{{}}', 0)""")
        self.between(change, code=(0, 3))
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{faults.new_id(7)}'"), "1")
        self.bench.run(code=(0, 3))

    def test_schema(self):
        """A trigger that appears during the run stops it."""
        self.bench.begin()
        process = self.halt()
        self.bench.sql("CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                       "CREATE TRIGGER veto BEFORE DELETE ON reactions FOR EACH ROW EXECUTE FUNCTION veto()")
        left = self.left()
        self.bench.go_on(process, code=13)
        self.whole(*left)

    def test_plan_file(self):
        self.bench.begin()
        plan = os.path.join(self.bench.copy.where, "plan.jsonl")
        self.bench.call("plan", "--json", "--out", plan, code=0)
        t = self.bench.roots(faults.replies)[0]
        faults.insert_reply(self.bench, t, 1, int(time.time() * 1000) + 1)
        self.bench.call("run", "--plan", plan, "--json", code=3)
        self.whole(t)


class Order(Race):
    """A thread begins with its root in its bundle, whatever the times of its edit copies say: the delete takes rows up to the next root for one thread."""
    def early_copy(self, rows=None, lost=False):
        self.bench.policy()
        self.bench.expect()
        t = self.bench.roots(lambda t: faults.replies(t) and t.root.user)[0]
        reply = next(p for p in t.posts if p.root == t.root.id and not p.original)
        copies = [(faults.new_id(61), t.root)] + [(faults.new_id(62), reply)] * lost
        for ident, post in copies:
            self.bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, editat)
                VALUES ('{ident}', {post.createat - 1000}, {post.createat}, {post.createat + 1}, '{t.root.user}', '{t.channel}', '', '{post.id}', 'x', '', '{{}}', 0)""")
        if rows:
            self.bench.sql(f"UPDATE pg_class SET reltuples = {rows} WHERE oid = 'posts'::regclass")
        self.bench.expect(db=oracle.Db(self.bench.copy.load()))
        self.bench.call("init", code=0)
        self.bench.run(code=self.bench.want.code)
        ids = [[r["id"] for table, r in b.rows() if table == "posts"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems)]
        ids = next((i for i in ids if t.root.id in i), [])
        self.assertTrue(ids, "the thread is in no bundle")
        self.assertEqual(ids[ids.index(t.root.id) + 1], faults.new_id(61), "the copy does not follow its root")
        self.bench.done()

    def test_copy_before_its_root(self):
        self.early_copy()

    def test_copy_before_its_root_of_a_small_unit(self):
        self.early_copy(rows=1e9)

    def test_copy_before_its_root_beside_a_lost_copy(self):
        self.early_copy(lost=True)


class LostCopy(Race):
    """An edit copy of a due thread's reply that names no root and that a scan for the cut-off does not come across: the thread goes with it or not at all."""
    MANY = 2500  # beside so many due posts a plan reads the table, where a few are looked up

    def copied(self, by_channel=False, **column):
        self.bench.policy()
        self.bench.expect()
        t = next(t for t in self.bench.roots(faults.replies) if t.root.user and all(p.channel == t.channel for p in t.posts))
        reply = next(p for p in t.posts if p.root == t.root.id and not p.original)
        if by_channel:
            self.bench.policy([{"name": "one", "match": {"channel": t.channel}, "keep": {"for": "500d"}}])
        row = {"createat": reply.createat, "channelid": t.channel, **column}
        self.bench.sql(f"""DELETE FROM posts p USING posts o WHERE o.id = p.originalid AND o.rootid <> '' AND coalesce(p.rootid, '') = '';
            DELETE FROM posts p WHERE (p.rootid <> '' OR p.originalid <> '') AND NOT EXISTS (
                SELECT FROM posts r WHERE r.id = CASE WHEN p.rootid <> '' THEN p.rootid ELSE p.originalid END AND coalesce(r.rootid, '') = '' AND coalesce(r.originalid, '') = '');
            INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, editat)
            SELECT 'filler' || lpad(n::text, 20, '0'), {t.root.createat} - n, 1, 0, '{t.root.user}', '{t.channel}', '', '', 'x', '', '{{}}', 0 FROM generate_series(1, {self.MANY}) n;
            INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, editat)
            VALUES ('{faults.new_id(8)}', {row["createat"]}, {row["createat"]}, {row["createat"]}, '{t.root.user}', '{row["channelid"]}', '', '{reply.id}', 'x', '', '{{}}', 0);
            ANALYZE posts""")
        self.bench.call("init", code=0)
        self.bench.run(code=(0, 3))
        here = self.here()
        self.assertFalse(any(i.startswith("filler") for i in here), "the due posts are still there")
        self.assertEqual(faults.new_id(8) in here, t.root.id in here, "the thread went without its copy")

    def test_younger(self):
        self.copied(createat=NOW - 86_400_000)

    def test_in_another_channel(self):
        self.copied(by_channel=True, channelid="nochannelnochannelnochanne")


class Scopes(Race):
    """Between export and delete a channel becomes one that another rule wins: its threads stay (F040)."""
    KEPT = {"keep": "forever", "priority": 5}
    TEAMS = dict(faults.OLD[0], match={"type": ["public", "private"]})

    def halt(self, *rules, **more):
        """A run that is about to delete its first bundle; the channel of its first thread, and what of it is still there."""
        self.bench.begin([self.TEAMS, *rules], **more)
        process = self.bench.halt("PURGE_AFTER_INTENT")
        return process, *self.first()

    def first(self):
        name = next(p for p in lib.bundles(self.bench.copy.archive) if os.path.basename(p) == self.purging()[0])
        channel = next(r["channelid"] for table, r in lib.Bundle(name).rows() if table == "posts")
        threads = [t for t in self.left() if t.channel == channel]
        self.assertTrue(threads)
        return channel, threads

    def changed(self, change, *rules, crash=False, **more):
        process, channel, threads = self.halt(*rules, **more)
        if crash:
            process.kill()
            lib.finish(process)
        self.bench.sql(change.format(channel=channel, at=int(time.time() * 1000)))
        before = {t.root.id for t in self.left()}
        done = self.bench.run(code=3) if crash else self.bench.go_on(process, code=3)
        self.whole(*threads)
        self.assertLess(len({t.root.id for t in self.left()}), len(before), "nothing else was deleted")
        self.assertIn("changed", str(json.loads(done.out)))
        return threads

    def team(self):
        """A team of the world of which no thread is due."""
        self.bench.sql("INSERT INTO teams (id, createat, updateat, deleteat, displayname, name) VALUES ('teamteamteamteamteamteamte', 1, 1, 0, 'Kept', 'kept')")
        return "UPDATE channels SET teamid = 'teamteamteamteamteamteamte', updateat = {at} WHERE id = '{channel}'"

    def test_moved(self):
        self.changed(self.team(), dict(self.KEPT, name="kept", match={"team": "kept"}))

    def test_moved_and_crashed(self):
        self.changed(self.team(), dict(self.KEPT, name="kept", match={"team": "kept"}), crash=True)

    def test_moved_into_a_hold(self):
        self.changed(self.team(), holds=[{"name": "case", "because": "test", "match": {"teams": ["kept"]}}])

    def test_archived(self):
        self.changed("UPDATE channels SET deleteat = {at}, updateat = {at} WHERE id = '{channel}'", dict(self.KEPT, name="kept", match={"archived": True}))

    def test_team_archived(self):
        process, channel, threads = self.halt(dict(self.KEPT, name="kept", match={"archived": True}))
        self.assertTrue(self.bench.sql(f"SELECT teamid FROM channels WHERE id = '{channel}'"))
        self.bench.sql(f"UPDATE teams SET deleteat = 1 WHERE id = (SELECT teamid FROM channels WHERE id = '{channel}')")
        self.bench.go_on(process, code=3)
        self.whole(*threads)

    def test_made_private(self):
        self.changed("UPDATE channels SET type = 'G', updateat = {at} WHERE id = '{channel}'", dict(self.KEPT, name="kept", match={"type": ["group"]}))

    def test_renamed(self):
        self.changed("UPDATE channels SET name = 'litigation-1' WHERE id = '{channel}'", dict(self.KEPT, name="kept", match={"channel": "litigation-*"}))

    def test_tie(self):
        """Two rules that tie for what the channel has become: nothing is deleted there."""
        self.changed("UPDATE channels SET name = 'litigation-1' WHERE id = '{channel}'",
                     dict(self.KEPT, name="kept", match={"channel": "litigation-*"}), {"name": "short", "match": {"channel": "litigation-?"}, "keep": {"for": "500d"}, "priority": 5})

    def test_row_gone(self):
        """The server removes a channel for good: its row first here, its posts later; in doubt they stay."""
        self.changed("DELETE FROM channels WHERE id = '{channel}'")

    def test_same_rule(self):
        """A new header or display name, a move or a new name under the same rule change nothing."""
        process, channel, threads = self.halt()
        self.bench.sql(f"UPDATE channels SET header = 'x', displayname = 'y', name = 'renamed', updateat = {int(time.time() * 1000)} WHERE id = '{channel}'")
        self.bench.sql(self.team().format(channel=channel, at=1))
        self.bench.go_on(process, code=0)
        here = self.here()
        self.assertFalse([t for t in threads if t.root.id in here])


class ServerRemoves(Race):
    """What the server itself removes for good is not brought back by a sweep, and what it leaves behind is not ours."""
    def published(self):
        """A run that is about to delete its first bundle; threads with replies in it."""
        self.bench.begin()
        process = self.bench.halt("PURGE_AFTER_INTENT")
        name = next(p for p in lib.bundles(self.bench.copy.archive) if os.path.basename(p) == self.purging()[0])
        ids = {r["id"] for table, r in lib.Bundle(name).rows() if table == "posts"}
        return process, [t for t in self.bench.roots(faults.replies) if t.root.id in ids and t.root.user]

    def permanently(self, t):
        """As the server deletes a post for good: its edit copies and what hangs on its replies are forgotten."""
        self.bench.sql(f"""DELETE FROM posts WHERE id = '{t.root.id}' OR rootid = '{t.root.id}'; DELETE FROM threads WHERE postid = '{t.root.id}';
            DELETE FROM threadmemberships WHERE postid = '{t.root.id}'; DELETE FROM reactions WHERE postid = '{t.root.id}'""")

    def reaction(self, t):
        """On a reply; the server forgets it."""
        reply = next(p for p in t.posts if p.root)
        self.bench.sql(f"INSERT INTO reactions VALUES ('{t.root.user}', '{reply.id}', 'orphan', 1, 1, 0, '', '{t.channel}') ON CONFLICT DO NOTHING")
        return reply.id

    def counts(self):
        """Over all bundles, from the ledger."""
        lines = [e for e in lib.ledger(self.bench.copy.archive) if e["type"] in ("purged", "sweep")]
        return {k: sum(e.get(k, 0) for e in lines) for k in ("kept_gone", "kept_changed", "late_restored", "late_removed")}

    def test_before_the_delete(self):
        """Removed between export and delete, with a reply that was under way: gone, not changed, and not back."""
        process, (t, *_) = self.published()
        reply = self.reaction(t)
        self.permanently(t)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.go_on(process, code=(0, 3))
        self.assertEqual(self.posts(t), {faults.new_id(3)})
        self.assertEqual(self.counts(), {"kept_gone": 1, "kept_changed": 0, "late_restored": 0, "late_removed": 0})
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM reactions WHERE postid = '{reply}' AND emojiname = 'orphan'"), "1")
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), {faults.new_id(3)})

    def test_only_the_root(self):
        """The server's own retention takes a root by its age and leaves the replies: we do not know better."""
        process, (t, *_) = self.published()
        before = self.posts(t)
        self.bench.sql(f"DELETE FROM posts WHERE id = '{t.root.id}'")
        self.bench.go_on(process, code=(0, 3))
        self.assertEqual(self.posts(t), before - {t.root.id})
        counts = self.counts()
        self.assertEqual((counts["kept_gone"], counts["late_restored"]), (1, 0))
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), before - {t.root.id})

    def test_reply_the_day_after(self):
        process, (t, *_) = self.published()
        self.permanently(t)
        self.bench.go_on(process, code=(0, 3))
        self.assertEqual(self.counts()["kept_gone"], 1)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), {faults.new_id(3)})

    def test_kept_then_removed(self):
        """A thread that was in a bundle and stayed, removed by the server the day after; one that we deleted still comes back."""
        process, (t, other, *_) = self.published()
        reply, at = self.reaction(t), int(time.time() * 1000)
        self.bench.sql(f"UPDATE posts SET ispinned = true, updateat = {at} WHERE id = '{t.root.id}'")
        self.bench.go_on(process, code=3)
        self.whole(t)
        self.permanently(t)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        faults.insert_reply(self.bench, other, 4, int(time.time() * 1000))
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), {faults.new_id(3)})
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM reactions WHERE postid = '{reply}' AND emojiname = 'orphan'"), "1")
        self.whole(other)

    def test_put_back_then_removed(self):
        """A thread that a late reply brought back, its author removed by the server the day after: the reply of somebody else keeps hanging, and nothing comes back again."""
        process, (t, *_) = self.published()
        process.kill()
        lib.finish(process)
        process = self.bench.halt("SWEEP_BEFORE")
        self.assertNotIn(t.root.id, self.posts(t))
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.go_on(process, code=(0, 3))
        self.whole(t)
        archived = "', '".join(p.id for p in t.posts)
        self.bench.sql(f"DELETE FROM posts WHERE id IN ('{archived}')")
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), {faults.new_id(3)})

    def test_put_back_by_a_later_run(self):
        """The same where the next night puts it back: that night's lines also name what had stayed the night before."""
        process, (kept, t, *_) = self.published()
        at = int(time.time() * 1000)
        self.bench.sql(f"UPDATE posts SET ispinned = true, updateat = {at} WHERE id = '{kept.root.id}'")
        self.bench.go_on(process, code=3)
        self.whole(kept)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.run(code=(0, 3))
        self.whole(t)
        for thread in (kept, t):
            self.bench.sql("DELETE FROM posts WHERE id IN ('" + "', '".join(p.id for p in thread.posts) + "')")
        faults.insert_reply(self.bench, kept, 4, int(time.time() * 1000))
        self.bench.run(code=(0, 3))
        self.assertEqual((self.posts(kept), self.posts(t)), ({faults.new_id(4)}, {faults.new_id(3)}))

    def test_after_a_crash(self):
        """Replies that the archive has are still there without their root: whoever removed the root, our delete takes all or nothing."""
        self.bench.begin()
        self.crash("PURGE_AFTER_INTENT")
        t = next(t for t in self.left(faults.replies) if t.root.id in {r["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) for table, r in b.rows() if table == "posts"})
        before = self.posts(t)
        self.bench.sql(f"DELETE FROM posts WHERE id = '{t.root.id}'")
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), before - {t.root.id})

    def test_never_deleted_then_removed(self):
        """A crash before anything was deleted, another policy: the bundle is closed and its threads live on.  One of them gets a reply, and the server removes
        its author: nothing comes back."""
        process, (t, *_) = self.published()
        process.kill()
        lib.finish(process)
        self.bench.policy([dict(faults.OLD[0], keep={"for": "5000d"})])
        self.bench.run(code=(0, 3))
        self.whole(t)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.sql("DELETE FROM posts WHERE id IN ('" + "', '".join(p.id for p in t.posts) + "')")
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), {faults.new_id(3)})

    def test_edited_and_removed_after_a_crash(self):
        """The server keeps the edit copies of a root that it removes.  Nobody knows what the crashed run had deleted: such a copy brings nothing back."""
        process, threads = self.published()
        process.kill()
        lib.finish(process)
        t = next(t for t in threads if not any(p.original for p in t.posts))
        self.bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, editat)
            VALUES ('{faults.new_id(7)}', {t.root.createat}, 2, {int(time.time() * 1000)}, '{t.root.user}', '{t.channel}', '', '{t.root.id}', 'x', '', '{{}}', 0)""")
        self.permanently(t)
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), set())
        self.assertEqual(self.counts()["late_restored"], 0)
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{faults.new_id(7)}'"), "1", "what is left of a root that the server removed is not ours")


class Forgotten(Race):
    """A repeated sweep puts a thread back, and no line names it.  The run after does not look; the one after that does, and what the server removes for good later does
    not come back."""

    def put_back(self, fault, code):
        self.clean()
        self.bench.begin()
        self.bench.run(code=(0, 3))
        first = next(b for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) if b.name == self.purging()[0])
        ids = {r["id"] for table, r in first.rows() if table == "posts"}
        t = self.gone(faults.replies, by_somebody, of(ids))
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        done = lib.finish(self.bench.start(f"SWEEP_AFTER_COMMIT:{fault}"))
        self.assertEqual(done.code, code, done.err)
        self.whole(t)
        return t

    def removed(self, t):
        """The server removes its author; the reply of somebody else keeps hanging."""
        self.bench.run(code=(0, 3))
        self.bench.sql("DELETE FROM posts WHERE id IN ('" + "', '".join(p.id for p in t.posts) + "')")
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), {faults.new_id(3)})
        self.assertNotIn("unswept", lib.ledger(self.bench.copy.archive)[-1])

    def only_archives(self):
        self.bench.call("run", "--yes", "--no-purge", "--json", code=(0, 3))

    def fails(self):
        """A file that the ledger does not know and that is no bundle ends the run before its sweeps."""
        new = os.path.join(os.path.dirname(lib.bundles(self.bench.copy.archive)[0]), "mmr1-direct-209901-9999-aaaaaaaaaaaa.tar.zst")
        with open(new, "wb") as f:
            f.write(b"x" * 5000)
        self.bench.run(code=15)
        os.unlink(new)

    def test_at_once(self):
        self.removed(self.put_back("kill", -signal.SIGKILL))

    def test_after_one_that_only_archives(self):
        t = self.put_back("kill", -signal.SIGKILL)
        self.only_archives()
        self.removed(t)

    def test_after_one_that_fails(self):
        t = self.put_back("kill", -signal.SIGKILL)
        self.fails()
        self.removed(t)

    def test_after_several(self):
        t = self.put_back("kill", -signal.SIGKILL)
        for step in (self.only_archives, self.fails, self.only_archives):
            step()
        self.removed(t)

    def test_its_own_end(self):
        """The run that has put it back comes to its end without a line of that, as when the answer to its commit is lost."""
        self.removed(self.put_back("EIO", 1))


class AfterACrash(Race):
    def found(self, fault, policy=None, **more):
        """What the run after a crash says of the threads that the crashed one had deleted: of none, some or all bundles."""
        self.bench.begin(**more)
        due = {t.root.id: len(t.posts) for t in self.bench.roots()}
        self.crash(fault)
        here = self.here()
        gone = [n for root, n in due.items() if root not in here]
        self.assertTrue(0 < len(gone), "the crashed run deleted nothing")
        if policy:
            policy()
        done = self.bench.run(code=(0, 3))
        self.assertEqual(json.loads(done.out)["found_deleted"], {"threads": len(gone), "posts": sum(gone)})
        lines = [e for e in lib.ledger(self.bench.copy.archive) if e["type"] == "sweep" and "found_threads" in e]
        self.assertEqual([sum(e[k] for e in lines) for k in ("found_threads", "found_posts")], [len(gone), sum(gone)])
        text = self.bench.call("report", "last").out
        self.assertIn("gone already: " + ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((len(gone), "thread"), (sum(gone), "post"))) + "\n", text)
        again = json.loads(self.bench.run(code=(0, 3)).out)
        self.assertEqual(again["found_deleted"], {"threads": 0, "posts": 0})

    def other_policy(self):
        self.bench.policy([dict(faults.OLD[0], keep={"for": "9000d"})])

    def test_found_after_another_policy(self):
        self.found("PURGE_AFTER_BATCHES", self.other_policy)

    def test_found_by_the_same_policy(self):
        self.found("PURGE_AFTER_BATCHES")

    def test_found_before_the_sweep(self):
        self.found("SWEEP_BEFORE", self.other_policy)

    def test_late_reply_before_the_sweep(self):
        """The run that takes the bundle up deletes nothing more, for the policy has changed; a late reply still brings its thread back."""
        self.bench.begin()
        self.crash("SWEEP_BEFORE")
        t = self.gone(faults.replies, by_somebody)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.policy([dict(faults.OLD[0], keep={"for": "5000d"})])
        self.bench.run(code=(0, 3))
        self.whole(t)
        self.bench.run(code=(0, 3))
        self.whole(t)

    def test_changed_blob(self):
        """A blob that changed while it was archived is not in the bundle: its thread stays, also when a crash comes between."""
        self.bench.begin()
        paths = [os.path.join(self.bench.copy.data, path) for _, _, path in faults.attached(self.bench)]
        process = self.bench.halt("BUNDLE_WRITE")
        want = {}
        for full in paths:
            with open(full, "ab+") as f:
                f.write(b" and more")
                f.seek(0)
                want[full] = hashlib.sha256(f.read()).hexdigest()
        os.kill(process.pid, signal.SIGCONT)
        lock = PG.connect(self.bench.name)
        with lock.cursor() as cur:  # hold the delete up until the ledger says that the bundle is published
            cur.execute("SELECT 1 FROM posts FOR SHARE")
            end = time.monotonic() + 60
            while time.monotonic() < end and process.poll() is None:
                if any(e["type"] == "purging" for e in lib.ledger(self.bench.copy.archive, torn=True)):
                    break
                time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        lib.finish(process)
        lock.close()
        self.bench.run(code=(0, 3))
        blobs = {d for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) for d in b.blobs}
        for full, digest in want.items():
            self.assertTrue(os.path.exists(full) or digest in blobs, f"{full} is in neither place")

    def test_changed_blobs_are_one_thread(self):
        """However many of its attachments changed, one thread is kept."""
        self.bench.begin()
        files = faults.attached(self.bench)
        process = self.bench.halt("BUNDLE_WRITE")
        for _, _, path in files:
            with open(os.path.join(self.bench.copy.data, path), "ab") as f:
                f.write(b" and more")
        done = self.bench.go_on(process, code=3)
        kept = {t.root.id for t in self.left()}
        self.assertGreater(sum(root in kept for root, _, _ in files), len(kept))
        self.assertEqual(json.loads(done.out)["kept"]["file_missing"], len(kept))

    def test_adopted_bundle_and_a_changed_blob(self):
        """The crash came before the ledger line: nobody knows when the bundle was made.  A blob that was written again since is archived again."""
        self.bench.begin()
        self.crash("BUNDLE_AFTER_RENAME")
        ids = {r["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) for table, r in b.rows() if table == "fileinfo"}
        paths = [os.path.join(self.bench.copy.data, p) for _, i, p in faults.attached(self.bench) if i in ids]
        self.assertGreater(len(paths), 1)
        with open(paths[0], "r+b") as f:
            f.write(b"X")
            f.seek(0)
            want = hashlib.sha256(f.read()).hexdigest()
        for _ in range(2):  # the world has old replies without roots: they could be late ones, so the first run waits
            self.bench.run(code=(0, 3))
        blobs = {d for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) for d in b.blobs}
        self.assertTrue(os.path.exists(paths[0]) or want in blobs, "content that is in no bundle was removed")
        self.assertFalse(os.path.exists(paths[1]))

    def test_adopted_bundle_and_a_blob_away_for_a_moment(self):
        """The folder of attachments does not answer when the blob is to be compared with the bundle, and does when its row goes: nobody has compared what is there."""
        self.bench.begin()
        self.crash("BUNDLE_AFTER_RENAME")
        ids = {r["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) for table, r in b.rows() if table == "fileinfo"}
        full = next(os.path.join(self.bench.copy.data, p) for _, i, p in faults.attached(self.bench) if i in ids)
        os.rename(full, full + ".away")
        process = self.bench.halt("PURGE_AFTER_DELETE")
        os.rename(full + ".away", full)
        with open(full, "r+b") as f:
            f.write(b"X")
            f.seek(0)
            want = hashlib.sha256(f.read()).hexdigest()
        self.bench.go_on(process, code=(0, 3))
        for _ in range(2):
            self.bench.run(code=(0, 3))
        blobs = {d for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) for d in b.blobs}
        self.assertTrue(os.path.exists(full) or want in blobs, "content that is in no bundle was removed")

    def test_channel_hold(self):
        """A channel that gets a held name meanwhile is held for the resumed delete too."""
        hold = {"name": "case", "because": "test", "match": {"channels": ["litigation-*"]}}
        self.bench.begin(holds=[hold])
        self.crash("PURGE_AFTER_INTENT")
        rows = [r for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) for table, r in b.rows() if table == "posts"]
        channel = rows[0]["channelid"]
        self.bench.sql(f"UPDATE channels SET name = 'litigation-1' WHERE id = '{channel}'")
        held = [t for t in self.left() if t.channel == channel]
        self.assertTrue(held)
        self.bench.run(code=3)
        self.whole(*held)

    def test_archive_only_next(self):
        """`run --no-purge` after a crash leaves the unfinished delete to the next real run: late replies are not forgotten."""
        self.bench.begin()
        self.crash("PURGE_AFTER_BATCHES")
        t = self.gone(faults.replies)
        faults.insert_reply(self.bench, t, 1, int(time.time() * 1000))
        files = self.bench.copy.files()
        self.bench.call("run", "--yes", "--no-purge", "--json", code=(0, 3))
        self.assertEqual(files, self.bench.copy.files())
        self.bench.run(code=(0, 3))
        self.whole(t)

    def test_recovered_twice(self):
        """Late replies to what a resumed delete removed come back in the night after."""
        self.bench.begin()
        self.crash("PURGE_AFTER_INTENT")
        some = self.bench.roots(faults.replies)[0]  # the second run has a bundle of its own
        self.bench.sql(f"INSERT INTO posts SELECT (jsonb_populate_record(p, '{{\"id\": \"{faults.new_id(5)}\"}}')).* FROM posts p WHERE id = '{some.root.id}'")
        self.bench.run(code=0)
        t = self.bench.roots(faults.replies)
        name = self.purging()[0]
        first = next(b for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) if b.name == name)
        ids = {r["id"] for table, r in first.rows() if table == "posts"}
        t = next(t for t in t if t.root.id in ids)
        faults.insert_reply(self.bench, t, 1, int(time.time() * 1000))
        self.bench.run(code=(0, 3))
        self.whole(t)


class Waivers(Race):
    def settled(self):
        """Bundles with which their run is done."""
        return {e["bundle"] for e in lib.ledger(self.bench.copy.archive, torn=True) if e["type"] == "bundle-done" and not e["bundle"].startswith("waived-")}

    def test_two_of_one_team(self):
        """Two lists of what may be deleted without an archive, for one team, in one run."""
        none = {"match": {}, "keep": {"for": "500d"}, "archive": "none", "because": "a test"}
        self.bench.begin([dict(none, name="open", match={"type": "public"}), dict(none, name="closed", match={"type": "private"})])
        self.bench.run(code=0)
        self.bench.done(exact=False)

    def test_cut_off_before_a_night_that_only_archives(self):
        """A waived delete is cut off, and a run that only archives closes it.  What the same night had deleted from a bundle is swept by the next run that may delete:
        a late reply brings its thread back."""
        parts = {"name": "parts", "match": {}, "keep": "forever", "archive": "none", "because": "a test", "floor": "30d"}
        self.bench.begin([dict(faults.OLD[0], match={"type": "public"}, files="keep"), parts], purge_after="30d")  # no attachments that a bundle waits for
        process = self.bench.halt_of("PURGE_AFTER_INTENT:stop:1+")
        while not (self.purging()[-1].startswith("waived-") and self.settled()):
            os.kill(process.pid, signal.SIGCONT)
            self.assertTrue(lib.stopped(process), "nothing was waived after a bundle was done")
        process.kill()
        lib.finish(process)
        done = self.settled()
        ids = {r["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) if b.name in done for table, r in b.rows() if table == "posts"}
        t = self.gone(faults.replies, by_somebody, of(ids))
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.call("run", "--yes", "--no-purge", "--json", code=(0, 3))
        self.bench.run(code=(0, 3))
        self.whole(t)

    def test_open_transaction(self):
        """A waiver has nothing to sweep by again: the run says so, the late reply stays alone, and attachments go the night after."""
        self.bench.begin([{"name": "all", "match": {}, "keep": {"for": "500d"}, "floor": "30d", "archive": "none", "because": "a test"}])
        with_files = {root: path for root, _, path in faults.attached(self.bench)}
        other = PG.connect(self.bench.name)
        other.cursor().execute("SELECT pg_current_xact_id()")
        done = self.bench.run(code=0)
        self.assertIn("nothing to put back", done.err)
        self.assertTrue(json.loads(done.out)["late"]["open"])
        t = self.gone(of(with_files))
        path = os.path.join(self.bench.copy.data, with_files[t.root.id])
        self.assertTrue(os.path.exists(path))
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        other.close()
        done = self.bench.run(code=0)
        self.assertEqual(json.loads(done.out)["late"], {"restored": 0, "removed": 0, "open": False})
        self.assertNotIn("has not ended", done.err)
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE rootid = '{t.root.id}'"), "1")
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{t.root.id}'"), "0")
        self.assertFalse(os.path.exists(path))


class Attachments(Race):
    def test_changed_after_the_export(self):
        """A blob that is written again after it was archived is not unlinked."""
        self.bench.begin()
        process = self.bench.halt("RUN_AFTER_PUBLISHED")
        name = os.path.basename(lib.bundles(self.bench.copy.archive)[0])
        ids = {r["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) if b.name == name for table, r in b.rows() if table == "fileinfo"}
        path = next((p for _, i, p in faults.attached(self.bench) if i in ids), None)
        self.assertIsNotNone(path, "the first bundle has no attachment")
        full = os.path.join(self.bench.copy.data, path)
        with open(full, "wb") as f:
            f.write(b"other content")
        self.bench.go_on(process, code=3)
        self.assertTrue(os.path.exists(full), "content that is in no bundle was removed")

    def test_swapped_before_the_unlink(self):
        """Between the last look at a blob and its removal its folder is swapped for a link to another place: nothing there is touched."""
        self.bench.begin()
        process = self.bench.halt("UNLINK_BEFORE")
        outside, folders = os.path.join(self.bench.copy.where, "outside"), set()
        for _, _, path in faults.attached(self.bench):
            folder, name = os.path.split(os.path.join(self.bench.copy.data, path))
            os.makedirs(os.path.join(outside, os.path.basename(folder)), exist_ok=True)
            with open(os.path.join(outside, os.path.basename(folder), name), "w", encoding="utf-8") as f:
                f.write("not an attachment")
            folders.add(folder)
        before = sorted((d, n) for d, _, names in os.walk(outside) for n in names)
        for folder in folders:
            os.rename(folder, folder + ".away")
            os.symlink(os.path.join(outside, os.path.basename(folder)), folder)
        self.bench.go_on(process, code=3)
        self.assertGreater(len(before), 3)
        self.assertEqual(sorted((d, n) for d, _, names in os.walk(outside) for n in names), before)
        for folder in folders:
            self.assertTrue(os.path.islink(folder), folder)
            os.unlink(folder)
            os.rename(folder + ".away", folder)
        self.bench.converge()

    def test_picture_elsewhere(self):
        """A row calls another file its thumbnail or preview, a profile picture for one: that is in no bundle, so it stays."""
        self.bench.policy()
        self.bench.expect()
        (_, first, path), (_, second, _) = faults.attached(self.bench)[:2]
        other = {"thumbnailpath": "users/somebody/profile.png", "previewpath": os.path.dirname(os.path.dirname(path)) + "/else.png"}
        for (column, place), ident in zip(other.items(), (first, second)):
            full = os.path.join(self.bench.copy.data, place)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write("not of this attachment")
            self.bench.sql(f"UPDATE fileinfo SET {column} = '{place}' WHERE id = '{ident}'")
        self.bench.expect(db=oracle.Db(self.bench.copy.load()))
        self.bench.call("init", code=0)
        done = self.bench.run(code=0)
        for place in other.values():
            self.assertTrue(os.path.exists(os.path.join(self.bench.copy.data, place)), place)
        self.bench.says(done, "is not in the folder of the attachment")
        self.bench.done()

    def test_folders_stay(self):
        """Of folders only those go that bear the id of an attachment, when nothing else is in them."""
        self.bench.begin()
        data = self.bench.copy.data

        def folders():
            return {os.path.relpath(os.path.join(d, n), data) for d, names, _ in os.walk(data) for n in names}

        ids = {i: os.path.dirname(p) for _, i, p in faults.attached(self.bench) if os.path.basename(os.path.dirname(p)) == i}
        held = sorted(ids.values())[0]
        os.mkdir(os.path.join(data, held, "sub"))
        for empty in (os.path.join(os.path.dirname(held), "empty"), "empty"):
            os.mkdir(os.path.join(data, empty))
        before = folders()
        self.bench.run(code=0)
        gone = before - folders()
        self.assertGreater(len(gone), 3)
        self.assertEqual(gone - {os.path.dirname(p) for p in self.bench.want.attachments.gone}, set())
        self.assertEqual({os.path.basename(f) for f in gone} - set(self.bench.want.attachments.rows), set())
        self.assertTrue(os.path.isdir(os.path.join(data, held, "sub")))

    def test_no_folder(self):
        """`files: drop` without a known folder: threads with attachments stay until there is one."""
        self.bench.begin([dict(faults.OLD[0], files="drop")])
        copy, root = self.bench.copy, {root for root, _, _ in faults.attached(self.bench)}
        plain = copy.env
        copy.env = lambda **more: dict(plain(**more), MM_FILESETTINGS_DRIVERNAME="amazons3")
        self.bench.run(code=3)
        self.whole(*(t for t in self.bench.roots() if t.root.id in root))
        copy.env = plain
        self.bench.run(code=0)
        self.bench.done(exact=False)

    def test_reply_after_the_sweep(self):
        """The server looked for the root before the delete and writes its reply after the sweep: no transaction of it could be seen."""
        self.bench.begin()
        with_files = {root: path for root, _, path in faults.attached(self.bench)}
        process = self.bench.halt("SWEEP_AFTER")
        t = self.gone(of(with_files))
        path = os.path.join(self.bench.copy.data, with_files[t.root.id])
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.go_on(process, code=(0, 3))
        self.assertTrue(os.path.exists(path), "the attachment went although a reply came late")
        done = self.bench.run(code=(0, 3))
        self.whole(t)
        self.assertTrue(os.path.exists(path), "the thread is back, its attachment is not")
        journals = [n for n in os.listdir(os.path.join(self.bench.copy.archive, "ledger")) if n.startswith("unlink-")]
        self.assertEqual(journals, [], done.err)

    def went(self):
        """A whole run, attachments and all; a thread of it, and its attachment: (thread, path, what was in it)."""
        self.bench.begin()
        with_files = {root: os.path.join(self.bench.copy.data, path) for root, _, path in faults.attached(self.bench)}
        content = {}
        for full in with_files.values():
            with open(full, "rb") as f:
                content[full] = f.read()
        self.bench.run(code=(0, 3))
        t = self.gone(of(with_files))
        full = with_files[t.root.id]
        self.assertFalse(os.path.exists(full))
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        return t, full, content[full]

    def with_attachment(self, t, full, content):
        self.whole(t)
        self.assertTrue(os.path.exists(full), "the thread is back, its attachment is not")
        with open(full, "rb") as f:
            self.assertEqual(f.read(), content)

    def test_reply_after_the_attachment_went(self):
        """The reply comes after all waiting: what the bundle has of the attachment is put in its place again, and the thread can go once more."""
        t, full, content = self.went()
        done = self.bench.run(code=(0, 3))
        self.with_attachment(t, full, content)
        self.assertRegex(done.err, "attachments? of threads that came back to a late reply had gone and (is|are) in place again")
        self.bench.sql(f"UPDATE posts SET createat = createat - 3600000, updateat = updateat - 3600000 WHERE id = '{faults.new_id(3)}'")  # nothing that comes meanwhile
        os.utime(full, (time.time() - 3600,) * 2)
        self.bench.now += 600 * 86_400_000
        self.bench.run(code=(0, 3))
        self.assertEqual(self.posts(t), set())
        self.assertFalse(os.path.exists(full))

    def test_reply_after_the_attachment_went_and_a_crash(self):
        """The run that put the thread back is killed before its attachment is there."""
        t, full, content = self.went()
        for n in range(1, 100):
            self.assertEqual(lib.finish(self.bench.start(f"SWEEP_AFTER_COMMIT:kill:{n}")).code, -signal.SIGKILL)
            if t.root.id in self.here():
                break
        self.assertFalse(os.path.exists(full))
        self.bench.run(code=(0, 3))
        self.with_attachment(t, full, content)

    def test_another_attachment_by_then(self):
        """What lies in the place of an attachment by then stays, and the run goes on."""
        t, full, _ = self.went()
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(b"somebody else's")
        self.bench.run(code=(0, 3))
        self.with_attachment(t, full, b"somebody else's")

    def journals(self):
        """The unlink journals that are left: {name: ids of files}."""
        folder, found = os.path.join(self.bench.copy.archive, "ledger"), {}
        for name in os.listdir(folder):
            if name.startswith("unlink-"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    found[name] = {json.loads(line)["id"] for line in f.read().splitlines()[1:]}
        return found

    def rolled_back(self, **more):
        """A crash between journal and commit, an hour ago as the journal has it: {root: path} of what the journal names."""
        self.bench.begin(**more)
        files = {ident: (root, path) for root, ident, path in faults.attached(self.bench)}
        for n in range(1, 20):
            process = self.bench.start(f"PURGE_BEFORE_COMMIT:kill:{n}")
            self.assertEqual(lib.finish(process).code, -signal.SIGKILL)
            if any(i in files for ids in self.journals().values() for i in ids):
                break
        for name in self.journals():
            old = time.time() - 3600
            os.utime(os.path.join(self.bench.copy.archive, "ledger", name), (old, old))
        return dict(files[i] for ids in self.journals().values() for i in ids if i in files)

    def late_reply(self, process, with_files):
        """A reply to a thread that is gone by now, which had an attachment: nothing may be unlinked, the next run brings it back."""
        t = self.gone(of(with_files))
        path = os.path.join(self.bench.copy.data, with_files[t.root.id])
        self.assertTrue(os.path.exists(path))
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.go_on(process, code=(0, 3))
        self.assertTrue(os.path.exists(path), "the attachment went although a reply came late")
        self.bench.run(code=(0, 3))
        self.whole(t)
        self.assertTrue(os.path.exists(path), "the thread is back, its attachment is not")

    def test_deleted_again(self):
        """A delete that a crash rolled back is done again at the next start: an old journal of it is no licence to unlink at once."""
        with_files = self.rolled_back()
        self.late_reply(self.bench.halt("SWEEP_AFTER"), with_files)
        self.bench.run(code=(0, 3))
        self.assertEqual(self.journals(), {}, "a journal is never carried out")

    def test_deleted_again_and_crashed_again(self):
        """The same when the run that deleted again crashed too: grace counts from the newest delete, whichever journal names the file."""
        with_files = self.rolled_back(blob_grace="600s")
        self.crash("SWEEP_BEFORE")
        # a reply that was under way: the run after the second crash has no time to wait for more of them
        process = self.bench.start("SWEEP_AFTER:stop", "run", "--yes", "--json", "--run-time", "500s")
        self.assertTrue(lib.stopped(process))
        t = self.gone(of(with_files))
        path = os.path.join(self.bench.copy.data, with_files[t.root.id])
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.go_on(process, code=(0, 3, 4))
        self.assertTrue(os.path.exists(path), "the attachment went although a reply came late")

    def test_archive_only_between(self):
        """A reply that came late is found by the next run that deletes, also when one that only archives comes between."""
        self.bench.begin()
        self.bench.run(code=(0, 3))
        t = self.gone(faults.replies)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.bench.now += 90 * 86_400_000
        before = lib.bundles(self.bench.copy.archive)
        self.bench.call("run", "--yes", "--no-purge", "--json", code=(0, 3))
        self.assertNotEqual(lib.bundles(self.bench.copy.archive), before, "nothing was archived: the test does not test")
        self.bench.run(code=(0, 3))
        self.whole(t)

    def test_two_crashes(self):
        """A reply that comes late, after one crash and before another: what an earlier run deleted is swept before anything else is finished."""
        self.bench.begin()
        self.bench.run(code=(0, 3))
        t = self.gone(faults.replies)
        self.bench.now += 90 * 86_400_000
        self.crash("RUN_AFTER_PUBLISHED")
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.crash("PURGE_AFTER_INTENT")
        self.bench.run(code=(0, 3))
        self.whole(t)

    def test_open_transaction(self):
        """A transaction older than the delete outlives the sweep: its reply brings the thread back, with its attachments."""
        self.bench.begin()
        with_files = {root: path for root, _, path in faults.attached(self.bench)}
        other = PG.connect(self.bench.name)
        other.cursor().execute("SELECT pg_current_xact_id()")
        done = self.bench.run(code=(0, 3))
        self.assertIn("a run after its end looks once more", done.err)
        self.assertNotIn("nothing to put back", done.err)
        t = self.gone(of(with_files))
        path = with_files[t.root.id]
        at = int(time.time() * 1000)
        other.cursor().execute(f"""INSERT INTO posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids)
            VALUES ('{faults.new_id(9)}', {at}, {at}, 0, 0, false, '{t.root.user}', '{t.channel}', '{t.root.id}', '', 'late', '', '{{}}', '', '[]', '[]')""")
        other.commit()
        other.close()
        self.bench.run(code=(0, 3))
        self.whole(t)
        self.assertTrue(os.path.exists(os.path.join(self.bench.copy.data, path)), "the thread is back, its attachment is not")

    def test_open_transaction_for_two_nights(self):
        """It outlives the next run too, which deletes other things: the reply still brings the thread back, with its attachments."""
        self.bench.begin()
        with_files = {root: path for root, _, path in faults.attached(self.bench)}
        other = PG.connect(self.bench.name)
        other.cursor().execute("SELECT pg_current_xact_id()")
        self.bench.run(code=(0, 3))
        t = self.gone(of(with_files))
        path, at = os.path.join(self.bench.copy.data, with_files[t.root.id]), int(time.time() * 1000)
        other.cursor().execute(f"""INSERT INTO posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, originalid, message, type, props, hashtags, filenames, fileids)
            VALUES ('{faults.new_id(9)}', {at}, {at}, 0, 0, false, '{t.root.user}', '{t.channel}', '{t.root.id}', '', 'late', '', '{{}}', '', '[]', '[]')""")
        self.bench.now += 90 * 86_400_000
        before = lib.bundles(self.bench.copy.archive)
        self.bench.run(code=(0, 3))
        self.assertNotEqual(lib.bundles(self.bench.copy.archive), before, "the second night has nothing to delete")
        other.commit()
        other.close()
        self.bench.run(code=(0, 3))
        self.whole(t)
        self.assertTrue(os.path.exists(path), "the thread is back, its attachment is not")


class Orphans(Race):
    """Replies without a root that are not late ones: they make no run wait or sweep for ever."""

    def orphan(self, at_ms, n=5):
        self.bench.sql(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props, ispinned)
            SELECT '{faults.new_id(n)}', {at_ms}, {at_ms}, 0, 0, userid, channelid, 'nosuchrootnosuchrootnosuch', '', 'x', '', '{{}}', false FROM posts WHERE rootid <> '' LIMIT 1""")

    def night(self):
        """How many bundles the run took up or swept again, and what it said."""
        done = self.bench.run(code=(0, 3))
        return json.loads(done.out)["recovered_bundles"], done.err

    def journals(self):
        return [n for n in os.listdir(os.path.join(self.bench.copy.archive, "ledger")) if n.startswith("unlink-")]

    def adopted(self):
        """The line of a bundle is missing, and there are replies without a root of years ago."""
        self.bench.begin()
        self.assertTrue(self.here(ROOTLESS))
        self.crash("BUNDLE_AFTER_RENAME")
        taken, err = self.night()
        self.assertEqual(taken, 1)
        self.assertNotIn("came late", err)
        self.assertEqual(self.journals(), [])

    def test_adopted(self):
        self.adopted()
        self.assertEqual([self.night()[0] for _ in range(2)], [0, 0])

    def test_adopted_and_a_late_reply(self):
        self.adopted()
        name = next(e["bundle"] for e in lib.ledger(self.bench.copy.archive) if e.get("adopted"))
        ids = {r["id"] for b in lib.read_bundles(self.bench.copy.archive, self.bench.problems) if b.name == name for table, r in b.rows() if table == "posts"}
        t = next(t for t in self.bench.roots(faults.replies) if t.root.id in ids and t.root.user)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.assertGreater(self.night()[0], 0)
        self.whole(t)
        self.assertEqual(self.night()[0], 0)

    def test_adopted_and_a_late_reply_in_the_same_night(self):
        """After the sweep, before attachments go: they wait."""
        self.bench.begin()
        self.crash("BUNDLE_AFTER_RENAME")
        process = self.bench.halt("SWEEP_AFTER")
        t = self.gone(faults.replies, by_somebody)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        done = self.bench.go_on(process, code=(0, 3))
        self.assertIn("a reply came late", done.err)
        self.assertNotEqual(self.journals(), [])
        self.night()
        self.whole(t)

    def test_of_a_stranger(self):
        """Somebody was removed for good the day after: what others had answered him is looked at once."""
        self.clean()
        self.bench.begin()
        self.night()
        self.orphan(self.just_late())
        self.assertGreater(self.night()[0], 0)
        self.assertEqual([self.night()[0] for _ in range(2)], [0, 0])

    def just_late(self):
        """As old as a reply may be that is looked for in the night after: two minutes older than the first export."""
        return min(e["snapshot_ms"] for e in lib.ledger(self.bench.copy.archive) if e["type"] in ("published", "waived")) - 120_000

    def test_of_the_future(self):
        self.clean()
        self.bench.begin()
        self.orphan(4102444800000)
        self.assertNotIn("came late", self.night()[1])
        self.assertEqual(self.journals(), [])
        self.assertEqual([self.night()[0] for _ in range(2)], [0, 0])

    def test_waiver_beside(self):
        """A waiver is never swept again: it does not keep the bundles of its night at that."""
        self.clean()
        none = dict(faults.OLD[0], name="none", match={"type": "private"}, floor="30d", archive="none", because="a test")
        self.bench.begin([dict(faults.OLD[0], match={"type": "public"}), none])
        self.night()
        self.orphan(self.just_late())
        self.assertGreater(self.night()[0], 0)
        self.assertEqual(self.night()[0], 0)

    def test_clock_set_back(self):
        """The night's clock was ahead: no time of a reply tells whether it came late."""
        self.clean()
        self.bench.begin()
        self.night()
        lines = lib.ledger(self.bench.copy.archive)
        os.unlink(os.path.join(self.bench.copy.archive, "ledger", "entries.jsonl"))
        for e in lines:
            kind, fields = e["type"], {k: v for k, v in e.items() if k not in ("seq", "at", "prev", "type", "hash")}
            lib.write_ledger(self.bench.copy.archive, kind, **dict(fields, snapshot_ms=fields["snapshot_ms"] + 86_400_000) if kind == "published" else fields)
        t = self.gone(faults.replies, by_somebody)
        faults.insert_reply(self.bench, t, 3, int(time.time() * 1000))
        self.night()
        self.whole(t)
        self.assertEqual(self.night()[0], 0)

    def test_expires(self):
        """What is not swept every night expires, an adopted bundle and the others of its night."""
        self.bench.begin([dict(faults.OLD[0], archive={"keep_for": "1y"})])
        self.crash("BUNDLE_AFTER_RENAME")
        self.night()
        before = lib.bundles(self.bench.copy.archive)
        self.bench.now += 25 * 3_600_000
        self.night()
        self.assertLess(len(set(before) & set(lib.bundles(self.bench.copy.archive))), len(before) / 2)


class Locks(Race):
    def test_nobody_waits_long(self):
        """While the delete waits for one row it does not keep others locked for seconds."""
        self.bench.begin()
        process = self.bench.halt("PURGE_AFTER_INTENT")
        name = next(p for p in lib.bundles(self.bench.copy.archive) if os.path.basename(p) == self.purging()[0])
        posts = [r["id"] for table, r in lib.Bundle(name).rows() if table == "posts"]
        lock, chat = PG.connect(self.bench.name), PG.connect(self.bench.name)
        chat.autocommit = True
        chat.cursor().execute("SET lock_timeout = '5s'")  # the delete lets go after a tenth of a second
        lock.cursor().execute("SELECT 1 FROM posts WHERE id = %s FOR UPDATE", (posts[-1],))
        os.kill(process.pid, signal.SIGCONT)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for ident in posts[:-1][:40]:
                chat.cursor().execute("SELECT 1 FROM posts WHERE id = %s FOR UPDATE", (ident,))
        lock.close()
        self.assertIn(lib.finish(process).code, (0, 3))
        chat.close()

    def locked(self, process, *tables, between_s=0.15, code=(0, 3)):
        """Somebody has these tables for himself for a moment, one after the other; the run goes on, and whatever is due goes."""
        others = [PG.connect(self.bench.name) for _ in tables]
        others[0].cursor().execute(f"LOCK TABLE {tables[0]} IN ACCESS EXCLUSIVE MODE")
        os.kill(process.pid, signal.SIGCONT)
        for other, table in zip(others[1:], tables[1:]):
            time.sleep(between_s)
            other.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        time.sleep(0.5)
        for other in others:
            other.close()
        done = lib.finish(process)
        self.assertIn(done.code, code, lib.tail(done.err))

    def test_table_locked_for_a_moment(self):
        """An ALTER, or the end of a VACUUM: the batch is tried again, and read again before that."""
        self.bench.begin()
        self.locked(self.bench.halt("PURGE_AFTER_INTENT"), "reactions", code=(0,))
        self.bench.done()

    def test_table_locked_for_a_moment_after_a_crash(self):
        self.bench.begin()
        self.crash("PURGE_AFTER_INTENT")
        self.locked(self.bench.halt("PURGE_AFTER_INTENT"), "reactions", code=(0,))

    def test_posts_locked_too(self):
        """Whose rows are locked cannot be asked then either."""
        self.bench.begin()
        self.locked(self.bench.halt("PURGE_AFTER_INTENT"), "reactions", "posts")
        self.assertTrue(self.gone())
        self.bench.converge()

    def test_posts_locked_after_the_commit(self):
        """Of a thread that changed it is asked, after the delete, whether the server has removed it."""
        self.bench.begin()
        process = self.bench.halt_of("PURGE_AFTER_INTENT:stop,PURGE_AFTER_COMMIT:stop")
        name = next(p for p in lib.bundles(self.bench.copy.archive) if os.path.basename(p) == self.purging()[0])
        first = next(r["id"] for table, r in lib.Bundle(name).rows() if table == "posts" and not r.get("rootid") and not r.get("originalid"))
        self.bench.sql(f"UPDATE posts SET message = 'by hand' WHERE id = '{first}'")
        os.kill(process.pid, signal.SIGCONT)
        self.assertTrue(lib.stopped(process))
        self.locked(process, "posts", code=(3,))
        self.assertEqual([t.root.id for t in self.left()], [first])

    def test_role_that_may_only_delete(self):
        """Locked rows keep their threads also where the role may not lock rows itself, as `mmretain grants` has it."""
        self.bench.sql("""DROP ROLE IF EXISTS keeper; CREATE ROLE keeper LOGIN; GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO keeper;
            GRANT UPDATE (replycount, lastreplyat, participants) ON threads TO keeper; GRANT EXECUTE ON FUNCTION pg_control_system() TO keeper;""")
        self.addCleanup(self.bench.sql, "DROP OWNED BY keeper; DROP ROLE keeper")
        self.bench.begin(user="keeper")
        t, other = self.bench.roots(faults.replies)[0], PG.connect(self.bench.name)
        other.cursor().execute("SELECT 1 FROM posts WHERE id = %s FOR UPDATE", (t.root.id,))
        self.bench.run(code=3)
        other.close()
        self.whole(t)


class Locations(Race):
    """Between export and delete the server gives rows other places, and places other rows."""

    def meanwhile(self, *statements, code=0):
        self.bench.begin()
        self.picked = self.bench.roots(faults.replies)
        process = self.bench.halt("PURGE_AFTER_INTENT")
        for s in statements:
            self.bench.sql(s if isinstance(s, str) else s())
        self.bench.go_on(process, code=code)

    def test_tables_written_anew(self):
        """Other rows lie where the export saw these, with the same writers."""
        self.meanwhile("CREATE INDEX backwards ON posts (md5(id))", "VACUUM FREEZE posts", "CLUSTER posts USING backwards", "CREATE INDEX turned ON reactions (md5(userid || postid))",
                       "CLUSTER reactions USING turned", "VACUUM FULL threads, threadmemberships, fileinfo, preferences")
        self.bench.done()

    def test_rows_written_again(self):
        """What is the same in another version goes; another text under the old times is not in the bundle, so its thread stays."""
        self.meanwhile("UPDATE posts SET message = message WHERE ascii(md5(id)) % 2 = 0", "UPDATE reactions SET emojiname = emojiname WHERE ascii(md5(userid)) % 2 = 0",
                       lambda: f"UPDATE posts SET message = 'by hand' WHERE id = '{self.picked[0].posts[-1].id}'", code=3)
        self.assertEqual([t.root.id for t in self.left()], [self.picked[0].root.id])
        self.whole(self.picked[0])

    def test_place_taken(self):
        """A reply is gone and a new one of another thread lies in its place: its thread stays, the new one is not touched."""
        def victim():
            return self.picked[0].posts[-1].id

        def take():
            self.place = self.bench.sql(f"SELECT ctid FROM posts WHERE id = '{victim()}'")
            self.bench.sql(f"DELETE FROM posts WHERE id = '{victim()}'")
            return "VACUUM posts"

        def fill():
            t = self.picked[1]
            for n in range(400):
                faults.insert_reply(self.bench, t, n, NOW)
                if self.bench.sql(f"SELECT ctid FROM posts WHERE id = '{faults.new_id(n)}'") == self.place:
                    self.taker = faults.new_id(n)
                    return "SELECT 1"
            raise AssertionError("nobody took the place: the test does not test")

        self.meanwhile(take, fill, code=3)
        self.assertEqual(self.bench.sql(f"SELECT count(*) FROM posts WHERE id = '{self.taker}'"), "1")
        self.assertEqual({t.root.id for t in self.left()}, {t.root.id for t in self.picked[:2]})
        self.bench.safe()


class Hooks(Race):
    """What acts on deletes comes just after the run has looked for it: with our rows others would go, which are in no bundle."""
    TRIGGER = """CREATE FUNCTION along() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM users; RETURN NULL; END $$;
      CREATE TRIGGER along AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION along();"""

    def come(self, point, sql, says):
        process = self.bench.halt(point)
        sql = sql() if callable(sql) else sql
        self.bench.sql(sql)
        before = self.bench.copy.load()
        done = self.bench.go_on(process, code=13)
        self.bench.says(done, says)
        after = self.bench.copy.load()
        self.assertEqual([n for n, t in before.items() if sorted(t.lines) != sorted(after[n].lines)], [], point)

    def test_trigger(self):
        self.bench.begin()
        self.come("PURGE_AFTER_INTENT", self.TRIGGER % "posts", "trigger")
        self.bench.sql("DROP TRIGGER along ON posts")
        self.bench.converge()

    def test_trigger_between_batches(self):
        self.bench.begin()
        self.come("PURGE_AFTER_COMMIT", self.TRIGGER % "reactions", "trigger")
        self.bench.sql("DROP TRIGGER along ON reactions")
        self.bench.converge()

    def test_cascade(self):
        self.bench.begin()
        self.come("PURGE_AFTER_INTENT", """CREATE TABLE plugin (what varchar(26) REFERENCES posts (id) ON DELETE CASCADE, note text);
          INSERT INTO plugin SELECT id, 'of a plugin' FROM posts""", "foreign key")
        self.assertEqual(self.bench.sql("SELECT count(*) = (SELECT count(*) FROM posts) FROM plugin"), "t")
        self.bench.sql("DROP TABLE plugin")
        self.bench.converge()

    def test_before_the_sweep(self):
        self.bench.begin()

        def late():
            return (f"INSERT INTO reactions (userid, postid, emojiname, createat, updateat, deleteat, remoteid, channelid) SELECT min(id), '{self.gone().root.id}', 'late', 1, 1, 0, '', '' FROM users;"
                    + self.TRIGGER % "reactions")

        self.come("SWEEP_BEFORE", late, "trigger")
        self.bench.sql("DROP TRIGGER along ON reactions")
        self.bench.run(code=self.bench.want.code)
        self.bench.problems += lib.compare_database(self.bench.want, self.bench.copy.load())


class Identity(Race):
    """The right to read the server's identifier comes or goes between two runs: that is not another database, and it is said."""
    RIGHT = "EXECUTE ON FUNCTION pg_control_system()"

    def setUp(self):
        super().setUp()
        self.bench.sql(f"""DROP ROLE IF EXISTS keeper; CREATE ROLE keeper LOGIN; GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO keeper;
            GRANT UPDATE (replycount, lastreplyat, participants) ON threads TO keeper; REVOKE {self.RIGHT} FROM PUBLIC;""")
        self.addCleanup(self.bench.sql, f"GRANT {self.RIGHT} TO PUBLIC; DROP OWNED BY keeper; DROP ROLE keeper")

    def changed(self, first, then, *words):
        self.bench.sql(first)
        self.bench.begin(user="keeper")
        plan = os.path.join(self.bench.copy.where, "plan.jsonl")
        self.bench.call("plan", "--out", plan, code=0)
        self.bench.run(code=(0, 3))
        here = self.bench.sql("SELECT count(*) FROM posts")
        self.bench.sql(then)
        self.bench.says(self.bench.run(code=16), "pg_control_system()", *words)
        done = self.bench.call("doctor")
        self.bench.says(done, "pg_control_system()", *words)
        self.assertEqual(self.bench.sql("SELECT count(*) FROM posts"), here)
        self.bench.says(self.bench.call("run", "--plan", plan, "--yes", "--moved-database", code=16), "pg_control_system()", words[0])

    def test_right_lost(self):
        self.changed(f"GRANT {self.RIGHT} TO keeper", f"REVOKE {self.RIGHT} FROM keeper", "cannot be read", "GRANT EXECUTE")

    def test_right_lost_and_given_back(self):
        self.bench.sql(f"GRANT {self.RIGHT} TO keeper")
        self.bench.begin(user="keeper")
        self.bench.run(code=(0, 3))
        self.bench.sql(f"REVOKE {self.RIGHT} FROM keeper")
        self.bench.run(code=16)
        self.bench.sql(f"GRANT {self.RIGHT} TO keeper")
        self.bench.run(code=(0, 3))

    def test_right_given(self):
        self.changed("SELECT 1", f"GRANT {self.RIGHT} TO keeper", "could not be read", "--moved-database")
        self.bench.call("run", "--yes", "--moved-database", code=(0, 3))
        self.bench.run(code=(0, 3))


if __name__ == "__main__":
    lib.outcome.main()
