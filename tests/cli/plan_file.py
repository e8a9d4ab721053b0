#!/usr/bin/env python3
"""`run --plan FILE` does what the file says: a changed file or another policy is refused, what became due meanwhile is not touched, and
bundles are named by the month in which they expire.

usage: MMRETAIN=BINARY plan_file.py
"""
import collections
import datetime
import json
import os
import pathlib
import re
import stat
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "db"))
import e2e_lib as lib  # noqa: E402

DAY = 86400000
RULE = {"name": "all", "match": {}, "keep": {"for": "500d"}, "archive": {"keep_for": "10y"}}


class PlanFile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.where = lib.folder("plan")
        cls.pg = lib.cluster.Cluster(settings=lib.QUICK).start()
        cls.world = lib.World(cls.pg, "world", 300, 9)

    @classmethod
    def tearDownClass(cls):
        cls.pg.stop()
        lib.remove(cls.where)

    def setUp(self):
        name = self.id().rpartition(".")[2]
        self.now = int(time.time() * 1000)
        self.copy = self.world.clone(name, os.path.join(self.where, name))
        self.policy, self.parsed = self.copy.write_policy([RULE])
        self.want = lib.Expected(self.copy, self.parsed, self.now)
        self.assertGreater(len(self.want.roots), 20)
        self.file = os.path.join(self.copy.where, "tonight.plan")
        self.call(0, "init")
        self.call(0, "plan", "--out", self.file)

    def call(self, code, *args, err=None):
        done = lib.call(self.copy, self.policy, *args, now_ms=None)
        self.assertIn(done.code, code if isinstance(code, tuple) else (code,), f"{args}\n{done.out}\n{done.err}")
        if err:
            self.assertRegex(done.err, err)
        return done

    def untouched(self):
        self.assertEqual(lib.compare_database(lib.Expected(self.copy, {"rules": []}, self.now), self.copy.load()), [])

    def lines(self):
        return [json.loads(t) for t in pathlib.Path(self.file).read_text(encoding="utf-8").rstrip("\n").split("\n")]

    def test_format(self):
        """docs/formats.md: the digest is over all bytes before the last line, and `plan --json` and the ledger name it."""
        lines = self.lines()
        raw = pathlib.Path(self.file).read_bytes().splitlines(keepends=True)
        self.assertEqual([x["k"] for x in lines if x["k"] not in ("scope", "thread", "warning")], ["plan", "rule", "end"])
        self.assertEqual(lines[-1]["digest"], lib.hashlib.sha256(b"".join(raw[:-1])).hexdigest())
        self.assertEqual({x["root"] for x in lines if x["k"] == "thread"}, set(self.want.verdict.due))
        self.assertEqual(os.stat(self.file).st_mode & 0o007, 0)
        self.call(0 if not self.want.lost else 3, "run", "--plan", self.file)
        self.assertEqual([e["digest"] for e in lib.ledger(self.copy.archive) if e["type"] == "plan"], [lines[-1]["digest"]])
        self.assertEqual(lib.compare(self.want, self.copy), [])

    def test_twice(self):
        """A plan that was carried out already: its threads are called gone, by the run and by its protocol."""
        self.call(0 if not self.want.lost else 3, "run", "--plan", self.file)
        done = [e for e in lib.ledger(self.copy.archive) if e["type"] == "purged"]
        gone = sum(e["threads"] for e in done)
        self.assertGreater(gone, 20)
        self.assertNotRegex(self.call(0, "report", "last").out, "not there any more")
        left = self.copy.load()["posts"]
        here = {left.get(r, "id") for r in left.rows}
        root = next(r for r in sorted(self.want.roots) if r not in here)
        self.call(1, "explain", root, err=f'no channel, post or account "{root}"\n  hint: A post that was archived .*`mmretain find --thread {root}`')
        self.call(1, "explain", "nosuch", err="hint: Give a channel")
        again = self.call(0 if not self.want.lost else 3, "run", "--plan", self.file)
        self.assertRegex(again.out, rf"(?m)^due +{gone + len(self.want.lost)} threads.*\narchived  0 threads.*\ndeleted   0 threads.*\n(kept .*\n)?gone      {gone} threads of the plan were not there any more$")
        self.assertRegex(self.call(0, "report", "last").out, rf"left +{len(self.want.lost)} of the threads that were due[^\n]*\n +{gone} threads of the plan were not there any more\n")
        self.assertEqual(json.loads(self.call((0, 3), "run", "--plan", self.file, "--json").out)["gone_before"], gone)
        self.call((0, 3), "run", "--yes")
        self.assertEqual(json.loads(self.call(0, "report", "last", "--json").out)["end"].get("gone_threads", 0), 0)
        self.assertEqual(lib.compare(self.want, self.copy), [])
        self.assertIn(root, self.call(0, "find", "--thread", root, "--case", "1", "--reason", "test").out)

    def test_json(self):
        """The list of channels is printed apart from the rest of the document; whatever their names, it is one document of one layout."""
        names = ['a "quoted" one', "back\\slash", "tab\tnew\nline\x01", "grün 🌱", "del\x7f", "x" * 64]
        ids = [line for line in self.copy.pg.psql("SELECT id FROM channels ORDER BY id LIMIT 6", db=self.copy.name).split("\n") if line]
        conn = self.copy.pg.connect(self.copy.name)
        with conn, conn.cursor() as cur:
            for ident, name in zip(ids, names):
                cur.execute("UPDATE channels SET name = %s WHERE id = %s", (name, ident))
        conn.close()
        text = self.call(0, "plan", "--json").out
        plan = json.loads(text)
        layout = json.dumps(plan, indent=2, ensure_ascii=False) + "\n"
        self.assertEqual(text, re.sub(r"\\u00[01][0-9a-f]", lambda m: m[0][:2] + m[0][2:].upper(), layout))
        self.assertEqual([s["channel"] for ident in ids for s in plan["scopes"] if s["channel_id"] == ident], names)
        for key in ("threads", "posts", "bytes"):
            self.assertEqual(sum(s["due"][key] for s in plan["scopes"]), plan["due"][key])

    def test_changed(self):
        """One byte anywhere: refused, 15 (10 where it names another policy), and nothing is done."""
        whole = pathlib.Path(self.file).read_bytes()
        thread = whole.index(b'{"k":"thread"')
        places = {"root": thread + whole[thread:].index(b'"root":"') + 12, "number": whole.index(b'"posts":', thread) + 8, "policy": whole.index(b'"policy":"') + 12,
                  "end": len(whole) - 10, "newline": thread - 1, "taken": whole.index(b'"taken":') + 9}
        for name, at in places.items():
            damaged = bytearray(whole)
            damaged[at] = {"newline": 32, "policy": ord("0") + (damaged[at] == ord("0"))}.get(name, damaged[at] + 1)  # a policy's digest stays one
            pathlib.Path(self.file).write_bytes(damaged)
            self.call(10 if name == "policy" else 15, "run", "--plan", self.file, err=r"plan file \S+tonight.plan (is damaged \(line \d+\)|was made with another policy)\n  hint: ")
        for cut in (0, 1, thread, len(whole) - 1):
            pathlib.Path(self.file).write_bytes(whole[:cut])
            self.call(15, "run", "--plan", self.file, err=r"is damaged \(line \d+\)")
        pathlib.Path(self.file).write_bytes(whole + b"\n")
        self.call(15, "run", "--plan", self.file)
        self.untouched()

    def test_other_policy(self):
        """A comment is enough: the plan was looked at together with the policy."""
        with open(self.policy, "a", encoding="utf-8") as f:
            f.write("# changed\n")
        self.call(10, "run", "--plan", self.file, err="was made with another policy\n  hint: .*make the plan anew")
        self.untouched()

    def test_other_database(self):
        self.pg.createdb("elsewhere", template=self.world.name)
        text = pathlib.Path(self.policy).read_text(encoding="utf-8")
        self.policy, _ = self.copy.write_policy([RULE], url=self.copy.url().replace(self.copy.name, "elsewhere"))
        self.call(10, "run", "--plan", self.file)
        self.call(0, "plan", "--out", self.file)
        self.pg.psql(f'DROP DATABASE "{self.copy.name}" WITH (FORCE); ALTER DATABASE elsewhere RENAME TO other; CREATE DATABASE elsewhere TEMPLATE "{self.world.name}"')
        self.assertTrue(text)
        plan = pathlib.Path(self.file).read_text(encoding="utf-8")
        self.assertIn('"database":"elsewhere"', plan)
        raw = plan.replace('"database":"elsewhere"', '"database":"another"').splitlines(keepends=True)
        digest = lib.hashlib.sha256("".join(raw[:-1]).encode()).hexdigest()
        raw[-1] = re.sub(r'"digest":"[0-9a-f]+"', f'"digest":"{digest}"', raw[-1])
        pathlib.Path(self.file).write_text("".join(raw), encoding="utf-8")
        self.call(16, "run", "--plan", self.file, err="is of database another on system \\d+, not of elsewhere on ")

    def test_fewer_numbers(self):
        """A list in the header that is too short, under a digest that is right: nothing behind it is taken for its numbers."""
        self.call(0, "plan", "--out", self.file)
        raw = pathlib.Path(self.file).read_text(encoding="utf-8").splitlines(keepends=True)
        for strays in ("[1]", "[]", "[0,0,0,0]", "[0,0,0,0,0,0]", "[0 0,0,0,0]"):
            raw[0] = re.sub(r'"strays":\[[^]]*\]', f'"strays":{strays}', raw[0])
            digest = lib.hashlib.sha256("".join(raw[:-1]).encode()).hexdigest()
            raw[-1] = re.sub(r'"digest":"[0-9a-f]+"', f'"digest":"{digest}"', raw[-1])
            pathlib.Path(self.file).write_text("".join(raw), encoding="utf-8")
            self.call(15, "run", "--plan", self.file, err="damaged|line 1")
        self.untouched()

    def test_out(self):
        """A new plan takes the place of an old one, and of nothing else."""
        self.call(0, "plan", "--out", self.file)
        link, folder, pipe = (os.path.join(self.copy.where, n) for n in ("link", "folder", "pipe"))
        os.symlink(self.file, link)
        os.mkdir(folder)
        os.mkfifo(pipe)
        policy = pathlib.Path(self.policy).read_bytes()
        for path in (self.policy, link, folder, pipe):
            self.call(2, "plan", "--out", path, err=r"is there and is not a plan\n  hint: It was left alone")
        self.assertEqual(pathlib.Path(self.policy).read_bytes(), policy)
        self.assertEqual(os.readlink(link), self.file)
        self.assertTrue(stat.S_ISFIFO(os.lstat(pipe).st_mode))

    def test_place(self):
        """`team/name` is the channel of that team, for a plan and for a run; a name that several teams use is refused."""
        of = self.want.db.channels
        names = collections.Counter(c.name for c in of.values() if c.team)
        due = collections.Counter(self.want.db.threads[r].channel for r in self.want.roots)
        channel = next(c for c, n in due.most_common() if of[c].team and names[of[c].name] > 1)
        channel = of[channel]
        team = channel.team_name
        for place in ([f"{team}/{channel.name}"], [channel.name, "--team", team]):
            plan = json.loads(self.call(0, "plan", "--json", "--channel", *place).out)
            self.assertEqual([s["channel_id"] for s in plan["scopes"]], [channel.id])
        for command in ("plan", "run"):
            self.call(2, command, "--channel", channel.name, err=f'a channel "{channel.name}" is in {names[channel.name]} teams: .*\n.*Write team/channel')
        self.untouched()
        self.call(2, "plan", "--channel", f"{team}/nowhere", err=f'there is no channel "nowhere" in team {team}\n')
        self.call(2, "plan", "--channel", f"{channel.name}x", err=f'there is no channel "{channel.name}x"\n  hint: Did you mean {channel.name}\\?')
        for command in ("plan", "run"):
            self.call(2, command, "--team", team + "x", err=f'there is no team "{team}x"\n  hint: Did you mean {team}\\?')
        self.call(2, "plan", "--team", "9", err='there is no team "9"\n  hint: Use its name')
        lonely = next(c for c in of.values() if not c.team)
        self.call(2, "plan", "--team", team, "--channel", lonely.id, err=f'there is no channel "{lonely.id}" in team {team}\n')
        self.call((0, 3), "run", "--yes", "--channel", f"{team}/{channel.name}")
        left = self.copy.load()
        gone = {r for r in self.want.roots if r not in {left["posts"].get(row, "id") for row in left["posts"].rows}}
        self.assertTrue(gone)
        self.assertEqual({self.want.db.threads[r].channel for r in gone}, {channel.id})

    def test_explain_many(self):
        """A name that many teams use: how many, the first of them, and that there are more."""
        channel = next(c for c in self.want.db.channels.values() if c.team)
        self.pg.psql(f"""UPDATE channels SET name = 'everywhere' WHERE id = '{channel.id}'; INSERT INTO channels SELECT (jsonb_populate_record(c,
            jsonb_build_object('id', lpad(i::text, 26, 'x'), 'teamid', lpad(i::text, 26, 't')))).* FROM channels c, generate_series(1, 6) i WHERE c.id = '{channel.id}'""", db=self.copy.name)
        done = self.call(2, "explain", "everywhere", err='7 channels are called "everywhere"\n  hint: Use team/name or the id: .* and 2 more\\.\n')
        self.assertEqual(done.err.count("/everywhere ("), 5)

    def limited(self, **limit):
        """Nothing goes by age, much by the limit: the plan's document and {root: thread line}."""
        self.policy, _ = self.copy.write_policy([dict(RULE, keep={"for": "80y"}, limit=limit)])
        os.unlink(self.file)
        doc = json.loads(self.call(0, "plan", "--out", self.file, "--json").out)
        due = {x["root"]: x for x in self.lines() if x["k"] == "thread"}
        self.assertGreater(len(due), 20)
        return doc, due

    def test_explain_limit(self):
        """What a limit takes is due now, in the words of a plan; what it leaves says how full the channel is."""
        doc, due = self.limited(per="channel", posts=12, bytes="1GiB")
        root, line = next((r, x) for r, x in due.items() if x["reason"] == "posts")
        scope = next(s for s in doc["scopes"] if s["channel_id"] == line["channel"])
        size = scope["size"]
        told = json.loads(self.call(0, "explain", root, "--json").out)
        self.assertEqual(told["limit"], {"per": "channel", "channels": 1, "posts": size["posts"], "bytes": size["bytes"], "most_posts": 12, "most_bytes": 1 << 30})
        self.assertEqual((told["post"]["due"], told["post"]["reason"]), (True, "posts"))
        text = self.call(0, "explain", root).out
        self.assertRegex(text, rf"(?m)^limit per channel: {size['posts']} of 12 posts, .* of 1\.0 GiB; the oldest threads go first$")
        self.assertRegex(text, r"(?m)^due now, reason: posts; by age due from 2\d{3}-")
        young = max((t for t in self.want.db.threads.values() if t.channel == line["channel"] and all(p.createat for p in t.posts)), key=lambda t: t.newest).root.id
        self.assertNotIn(young, due)
        told = json.loads(self.call(0, "explain", young, "--json").out)
        self.assertEqual((told["post"]["due"], told["post"]["reason"], told["limit"]["posts"]), (False, "young", size["posts"]))
        text = self.call(0, "explain", line["channel"]).out
        self.assertRegex(text, rf"(?m)^due now: {scope['due']['threads']} threads?, {scope['due']['posts']} posts?(; kept by .*)?$")
        self.assertNotIn("that is ", text)

    def test_sizes(self):
        """What every channel holds, and since when, for whoever has no rule yet; asked for by -v, and no part of the plan."""
        policy = pathlib.Path(__file__).resolve().parent.parent.parent / "policies" / "unlimited.yaml"
        self.assertIn("`mmretain plan -v`", policy.read_text(encoding="utf-8"))
        self.policy, _ = self.copy.write_policy([{"name": "unlimited", "match": {}, "keep": "forever"}])
        short, doc = (json.loads(self.call(0, "plan", "--json", "--out", self.file, *more).out) for more in ((), ("-v",)))
        self.assertEqual({(s["size"]["posts"], s["size"]["bytes"], s["oldest"]) for s in short["scopes"]}, {(0, 0, None)})
        self.assertEqual({x["size_posts"] for x in self.lines() if x["k"] == "scope"}, {0})
        text, db = self.call(0, "plan", "-v").out, self.want.db
        for scope in doc["scopes"]:
            posts = db.by_channel.get(scope["channel_id"], [])
            oldest = min((p.createat for p in posts if (p.createat or 0) >= lib.oracle.SANE), default=None)
            self.assertEqual(scope["size"], {"posts": len(posts), "bytes": sum(p.bytes for p in posts)})
            self.assertEqual(scope["oldest"], oldest and datetime.datetime.fromtimestamp(oldest / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
            if oldest:
                self.assertRegex(text, rf"(?m) {len(posts)} +[0-9.]+ [KMG]?i?B +{scope['oldest']}$")
        self.assertGreater(sum(s["size"]["bytes"] for s in doc["scopes"]), 10000)
        channel = max(doc["scopes"], key=lambda s: s["size"]["posts"])
        alone = json.loads(self.call(0, "plan", "-v", "--json", "--channel", channel["channel_id"]).out)["scopes"]
        self.assertEqual(alone, [channel])

    def test_explain_team(self):
        """A limit per team: a channel's share of it, as in the plan of the team."""
        doc, due = self.limited(per="team", posts=60)
        many = collections.Counter(s["team"] for s in doc["scopes"] if s["due"]["threads"] and s["team"])
        team = max(many, key=many.get)
        self.assertGreater(many[team], 1)
        scopes = [s for s in doc["scopes"] if s["team"] == team]
        total = sum(s["size"]["posts"] for s in scopes)
        for scope in scopes:
            told = json.loads(self.call(0, "explain", scope["channel_id"], "--json").out)
            self.assertEqual((told["due"], told["reasons"]), (scope["due"], scope["reasons"]))
            self.assertEqual(told["limit"], {"per": "team", "channels": len(scopes), "posts": total, "bytes": None, "most_posts": 60, "most_bytes": None})
        root = next(r for r, x in due.items() if x["channel"] in {s["channel_id"] for s in scopes})
        self.assertIn(f"limit per team: {total} of 60 posts, in {len(scopes)} channels; the oldest threads go first\n", self.call(0, "explain", root).out)

    def test_limit_unmet(self):
        """A limit that cannot be met: the channel is still over it, by one thread, or by more."""
        self.policy, _ = self.copy.write_policy([dict(RULE, keep="forever", limit={"per": "channel", "posts": 1}, spare={"pinned": "thread"})])
        threads = collections.defaultdict(list)
        for t in self.want.db.threads.values():
            if not t.damage and len(t.posts) > 1:
                threads[t.channel].append(t.root.id)
        channel, roots = max(threads.items(), key=lambda item: len(item[1]))
        for n in (1, 2):
            self.pg.psql(f"UPDATE posts SET ispinned = id = ANY ('{{{','.join(roots[:n])}}}') WHERE channelid = '{channel}'", db=self.copy.name)
            done = self.call(0, "plan", "--channel", channel, err=rf"over its limit of 1: [^\n]*\b{n} thread{'s' if n > 1 else ''} kept \(pinned\)")
            self.assertRegex(done.out, rf"(?m) pinned {n}(, \w+ \d+)* \(still over its limit\)$")

    def test_ties(self):
        """Two rules that tie are one error, with what to do, however many channels it is about."""
        self.policy, _ = self.copy.write_policy([dict(RULE, match={"channel": "town-*"}), dict(RULE, name="too", match={"channel": "*-square"})])
        done = self.call(10, "check", "--db", err=r"rules `all` \(line \d+\) and `too` \(line \d+\) tie for channel .* and \d+ more channels\n  hint: .*priority")
        self.assertEqual(done.err.count(" tie "), 1)

    def test_places(self):
        """What `check --db` finds stands at the word that it is about, in the order of the file, among what `check` finds."""
        departed = os.path.join(self.copy.where, "departed.txt")
        pathlib.Path(departed).write_text("nobody.of.these\n", encoding="utf-8")
        os.chmod(departed, 0o600)
        self.policy, _ = self.copy.write_policy(
            [dict(RULE, match={"team": ["nosuch-team", "accelerator"], "channel": ["town-square", "nosuch-*"]}, spare={"authors": ["nosuch.author", "nosuch.other"]}),
             {"name": "two", "match": {"channel": "nosuch-channel"}, "keep": {"for": "9d"}}],
            holds=[{"name": "court", "match": {"users": ["nosuch.user"], "channels": ["town-square", "nosuch-held"], "teams": "nosuch-held-team"}, "because": "court"}],
            more=["departed_users:", "  after: 90d", f"  only_listed: {departed}", "  except: [nosuch.exception]"])
        lines = pathlib.Path(self.policy).read_text(encoding="utf-8").splitlines()
        found = json.loads(self.call(0, "check", "--db", "--json").out)["problems"]
        self.assertEqual(found, sorted(found, key=lambda p: (p["line"], p["column"])))
        said = {}
        for p in found:
            self.assertEqual(p["severity"], "warning")
            at = lines[p["line"] - 1][p["column"] - 1:].lstrip('"')
            word = re.search(r'"([^"]*)"$', p["text"]) or re.search("(list names no)", p["text"])
            if word:
                said[word[1]] = at
        said.pop("two", None)
        self.assertTrue(said.pop("list names no").startswith(departed))
        self.assertEqual(set(said), {"nosuch-team", "nosuch-*", "nosuch.author", "nosuch.other", "nosuch-channel", "nosuch.user", "nosuch-held", "nosuch-held-team", "nosuch.exception"})
        for word, at in said.items():
            self.assertTrue(at.startswith(word), (word, at))
        text = self.call(0, "check", "--db").err
        self.assertEqual([int(n) for n in re.findall(r"(?m)^\S+\.yaml:(\d+):\d+: warning: ", text)], [p["line"] for p in found])

    def test_missing(self):
        os.unlink(self.file)
        self.call(1, "run", "--plan", self.file, err="cannot open plan file ")

    def runs(self):
        path = os.path.join(self.copy.archive, "ledger", "entries.jsonl")
        return [e for e in lib.ledger(self.copy.archive) if e["type"] in ("run-begin", "run-end")] if os.path.exists(path) else []

    def test_no_run(self):
        """What was named wrongly touches nothing and is no run of the ledger, of which `status` would warn; a run that was refused for what it found is one."""
        whole = pathlib.Path(self.file).read_bytes()
        other = os.path.join(self.copy.where, "other.plan")
        pathlib.Path(other).write_bytes(whole[:-2])
        two = self.copy.pg.psql("SELECT name FROM channels WHERE teamid <> '' GROUP BY name HAVING count(*) > 1 ORDER BY name LIMIT 1", db=self.copy.name)
        for code, args in ((1, ("--plan", self.file + "x")), (2, ("--plan", self.copy.where)), (15, ("--plan", other)), (2, ("--yes", "--team", "nosuch")), (2, ("--yes", "--channel", "nosuch")),
                           (2, ("--yes", "--channel", two)), (2, ("--yes", "-p", "nosuch")), (2, ("--yes", "-p", "nosuch", "--team", "accelerator"))):
            self.call(code, "run", *args)
            self.assertEqual(self.runs(), [], args)
        self.untouched()
        self.assertEqual(json.loads(self.call(0, "status", "--json").out)["warnings"], [])
        kept = pathlib.Path(self.policy).read_text(encoding="utf-8")
        self.copy.write_policy([dict(RULE, guard={"threads": 1})])
        self.call(16, "run", "--yes")
        self.assertEqual([(e["type"], e.get("outcome")) for e in self.runs()], [("run-begin", None), ("run-end", "refused")])
        pathlib.Path(self.policy).write_text(kept, encoding="utf-8")
        self.call(0 if not self.want.lost else 3, "run", "--plan", self.file)
        self.assertEqual(lib.compare(self.want, self.copy), [])

    def test_exactly_the_planned(self):
        """Threads that became due after the plan stay; planned ones that got a reply stay too; a run without the plan takes the new ones."""
        due = sorted(self.want.roots)
        fresh = next(t for t in self.want.db.threads.values() if t.root.id not in self.want.verdict.due and t.root.live and len(t.posts) > 1
                     and not t.root.type and t.root.createat > self.now - 480 * DAY)
        old = self.now - 900 * DAY
        self.copy.pg.psql(f"""UPDATE posts SET createat = {old}, updateat = {old}, editat = 0 WHERE id = '{fresh.root.id}' OR rootid = '{fresh.root.id}'
          OR originalid IN (SELECT id FROM posts WHERE id = '{fresh.root.id}' OR rootid = '{fresh.root.id}');""", db=self.copy.name)
        replied = next(t for t in self.want.db.threads.values() if t.root.id in self.want.roots and t.root.live and len(t.posts) > 1)
        self.copy.pg.psql(f"""INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, message, type, props,
          hashtags, filenames, fileids, hasreactions, ispinned, remoteid) VALUES ('{"n" * 26}', {self.now}, {self.now}, 0, 0, '{replied.root.user}',
          '{replied.channel}', '{replied.root.id}', '', 'still alive', '', '{{}}', '', '[]', '[]', false, false, '')""", db=self.copy.name)
        again = os.path.join(self.copy.where, "new.plan")
        self.call(0, "plan", "--out", again)
        self.assertIn(fresh.root.id, pathlib.Path(again).read_text(encoding="utf-8"))
        db = lib.oracle.Db(self.copy.load())
        want = lib.Expected(self.copy, self.parsed, self.now, db=db, stay=(fresh.root.id, replied.root.id))
        self.assertEqual(sorted(want.roots), sorted(set(due) - {replied.root.id}))
        self.call(3, "run", "--plan", self.file, err="some items were kept back")
        self.assertEqual(lib.compare_database(want, self.copy.load()), [])
        self.call(3 if want.lost else 0, "run", "--yes")
        gone = self.copy.pg.psql(f"SELECT count(*) FROM posts WHERE id = '{fresh.root.id}'", db=self.copy.name)
        stays = self.copy.pg.psql(f"SELECT count(*) FROM posts WHERE id = '{replied.root.id}'", db=self.copy.name)
        self.assertEqual((gone, stays), ("0", "1"))

    def test_expiry(self):
        """A bundle holds threads of one month of expiry, ten calendar years after the last reply, and its name and the ledger say it."""
        self.call(0 if not self.want.lost else 3, "run", "--plan", self.file)
        last = {x["root"]: x["last"] for x in self.lines() if x["k"] == "thread"}
        seen = set()
        for path in lib.bundles(self.copy.archive):
            bundle = lib.Bundle(path)
            months = set()
            for table, row in bundle.rows():
                if table == "posts" and row["id"] in last:
                    at = datetime.datetime.fromtimestamp(last[row["id"]] / 1000, datetime.timezone.utc)
                    months.add((at.year + 10, at.month))
                    seen.add(row["id"])
            (year, month), = months
            entry, = [e for e in lib.ledger(self.copy.archive) if e["type"] == "published" and e["bundle"] in (bundle.name, bundle.name.removesuffix(".tar.zst"))]
            after = datetime.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=datetime.timezone.utc)
            self.assertEqual(entry["expires_ms"], int(after.timestamp()) * 1000)  # when the last of its threads may go
            self.assertRegex(bundle.name, r"-%04d%02d-\d{6}-[0-9a-f]{12}\.tar\.zst$" % (after.year, after.month))
        self.assertEqual(seen, self.want.roots)


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
