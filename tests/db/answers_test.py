#!/usr/bin/env python3
"""What the archive answers, about people, places, texts and files that are unusual and real: names that look like ids or that two people had one after the other,
spellings, files that an edit took off, webhooks, threads that came back or went in parts.  The answer to each question is known from the rows that were made.

usage: MMRETAIN=BINARY answers_test.py [-k NAME]
"""
import csv
import email
import email.policy
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import zipfile

import e2e_lib as lib
from e2e_lib import DAY, NOW

CASE = ("--case", "17/26", "--reason", "answers")
OLD = NOW - 400 * DAY     # due in the first night
YOUNG = NOW - 200 * DAY   # in the second one
SECOND = NOW + 320 * DAY
PG = WORLD = WHERE = COPY = POLICY = None


def oid(text):
    """An id that can be read."""
    return f"{text:0<26}"


# Somebody who gave the name up, who took it, and a name that looks like an id; letters of two kinds that look the same.
ALICE, NEXT, BOB, LONG, HOOK, QUIET, LEFT = (oid(f"u{n}") for n in ("alice", "next", "bob", "long", "hook", "quiet", "left"))
LONG_NAME, LONG_PLACE, LONG_TEAM = "maximilianmustermannhausen", "abcdefghijklmnopqrstuvwxyz", "teamwithanameof26characters"[:26]
TEAM, WIDE, PLACE, MOVED = oid("tone"), oid("twide"), oid("cone"), oid("cmoved")
FILES = {"fmac": "U\u0308bersicht vom Mac.pdf", "fpc": "Übersicht vom PC.pdf", "fbrackets": "Rechnung [1].pdf", "fslash": "back\\slash*.txt"}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 60


class Rows:
    """Rows for a database and its attachment folder."""

    def __init__(self, copy):
        self.copy, self.sql = copy, []

    def row(self, table, **values):
        texts = ["NULL" if v is None else str(v) if isinstance(v, (int, bool)) else lib.cluster.literal(v) for v in values.values()]
        self.sql.append(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(texts)})")

    def user(self, ident, name, first, last):
        self.row("users", id=ident, createat=1, updateat=1, deleteat=0, username=name, email=name + "@example.invalid", nickname="", firstname=first, lastname=last, roles="system_user",
                 authservice="", lastlogin=0)

    def team(self, ident, name):
        self.row("teams", id=ident, createat=1, updateat=1, deleteat=0, displayname=name, name=name, description="", email="", type="O", inviteid=ident)

    def channel(self, ident, team, name, kind="O", display=None):
        self.row("channels", id=ident, createat=1, updateat=1, deleteat=0, teamid=team, type=kind, displayname=name if display is None else display, name=name, header="", purpose="", lastpostat=0, totalmsgcount=0,
                 extraupdateat=0, creatorid="", totalmsgcountroot=0)

    def post(self, ident, user, message, at, channel=PLACE, root="", original="", deleted=0, edited=0, kind="", props=None, files=()):
        self.row("posts", id=oid(ident), createat=at, updateat=max(at, deleted, edited), deleteat=deleted, editat=edited, userid=user, channelid=channel, rootid=root and oid(root),
                 originalid=original and oid(original), message=message, type=kind, props=json.dumps(props or {}), hashtags="", filenames="[]",
                 fileids=json.dumps([oid(f) for f in files]), hasreactions=False, ispinned=False)

    def file(self, ident, post, user, name, at, deleted=0, mime="text/plain", content=None):
        path = f"{ident}/{ident}"
        full = os.path.join(self.copy.data, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(content or ident.encode())
        self.row("fileinfo", id=oid(ident), creatorid=user, postid=oid(post), createat=at, updateat=at, deleteat=deleted, path=path, thumbnailpath="", previewpath="", name=name,
                 extension="", size=os.path.getsize(full), mimetype=mime, width=0, height=0, haspreviewimage=False, content="", remoteid="", channelid=PLACE)

    def member(self, channel, user):
        self.row("channelmembers", channelid=channel, userid=user, roles="", autotranslation=False, autotranslationdisabled=False)

    def done(self):
        self.copy.pg.psql(";\n".join(self.sql), db=self.copy.name)
        self.sql = []


def first_rows(r):
    for ident, name, first, last in ((ALICE, "alice", "Alice", "One"), (BOB, "bob", "Bob", "Beta"), (LONG, LONG_NAME, "Max", "M"), (HOOK, "j.doe", "John", "Doe")):
        r.user(ident, name, first, last)
    r.team(TEAM, "teamone")
    r.team(WIDE, LONG_TEAM)
    for ident, team, name in ((PLACE, TEAM, "general"), (MOVED, TEAM, "wandering"), (oid("clong"), WIDE, LONG_PLACE)):
        r.channel(ident, team, name)
    r.post("pold", ALICE, "zqone words of Alice", OLD)
    r.post("plong", LONG, "zqlong words of a long name", OLD, channel=oid("clong"))
    r.post("pmoved", ALICE, "zqmoved words", OLD, channel=MOVED)
    r.post("pmac", BOB, "Der Schlu\u0308ssel vom Mac", OLD)
    r.post("ppc", BOB, "Der Schlüssel vom PC", OLD)
    r.post("pfiles", BOB, "files", OLD, files=FILES)
    for ident, name in FILES.items():
        r.file(ident, "pfiles", BOB, name, OLD)
    # an edit took one of two files off; another edit none
    r.post("pcut", BOB, "zqcut now", OLD + 1, edited=OLD + DAY, files=["fstays"])
    r.post("pcutold", BOB, "zqcut before", OLD + 1, original="pcut", deleted=OLD + DAY, files=["fstays", "ftaken"])
    r.file("fstays", "pcut", BOB, "stays.txt", OLD)
    r.file("ftaken", "pcut", BOB, "taken.png", OLD, deleted=OLD + DAY, mime="image/png", content=PNG)
    r.post("pkept", BOB, "zqkept now", OLD + 2, edited=OLD + DAY, files=["fkept"])
    r.post("pkeptold", BOB, "zqkept before", OLD + 2, original="pkept", deleted=OLD + DAY, files=["fkept"])
    r.file("fkept", "pkept", BOB, "kept.txt", OLD)
    r.post("phook", HOOK, "zqhook build failed", OLD + 3, kind="slack_attachment", props={"from_webhook": "true", "override_username": "Git\u202eLab", "webhook_display_name": "CI"})
    r.post("pplain", HOOK, "zqhook by hand", OLD + 4, props={"from_webhook": "false", "override_username": "Nobody"})
    r.post("pback", ALICE, "zqback begins", OLD + 8, files=["fback"])
    r.post("pbackreply", BOB, "zqback reply as it was", OLD + 9, root="pback")
    r.post("pbackgone", HOOK, "zqback of somebody who was deleted", OLD + 10, root="pback")
    r.file("fback", "pback", ALICE, "back.txt", OLD)
    r.post("psame", BOB, "zqsame comes back as it was", OLD + 11)
    # in a direct and in a group message without a word; and no member any more of the latter
    r.user(QUIET, "zqquiet", "Zqfirst", "Zqlast")
    r.user(LEFT, "zqleft", "", "")
    r.channel(oid("cdirect"), "", f"{BOB}__{QUIET}", "D", "")
    r.channel(oid("cgroup"), "", "f" * 40, "G", "bob, zqleft, zqquiet")
    for user in (BOB, QUIET, ALICE):
        r.member(oid("cgroup"), user)
    r.post("pdirect", BOB, "zqdirect words", OLD + 13, channel=oid("cdirect"))
    r.post("pgroup", BOB, "zqgroup words", OLD + 14, channel=oid("cgroup"))
    # of somebody whose account is no more
    r.post("pnobody", oid("unobody"), "zqnobody begins", OLD + 15)
    r.post("pask", BOB, "zqask", OLD + 16)
    r.post("panswer", oid("unobody"), "zqask answer", OLD + 17, root="pask")
    for user in (oid("unobody"), ALICE):
        r.row("reactions", userid=user, postid=oid("pask"), emojiname="heart", createat=OLD + 18, updateat=OLD + 18, deleteat=0, remoteid="", channelid=PLACE)
    r.post("pnight", BOB, "zqnight of the first hour in Berlin", 1704063600000)
    r.post("ptold", BOB, "zqtold", OLD + 19, files=["ftold"])
    r.file("ftold", "ptold", "nouser", "zqcontract of a moved thread.txt", OLD)
    # a counter beyond 2^63, as the server writes what a program gave it
    r.post("pcard", HOOK, "", OLD + 23, kind="slack_attachment", props={"attachments": [{"text": "zqcard says", "fields": [{"title": "bytes", "value": 18446744073709552000}]}]})
    # versions of a reply that somebody removed from the table by hand, and one of a reply that is there
    r.post("porphan", BOB, "zqorphan begins", OLD + 20)
    for ident, text in (("porphan1", "zqorphan first text"), ("porphan2", "zqorphan second text")):
        r.post(ident, HOOK, text, OLD + 21, root="porphan", original="pnowhere", deleted=OLD + DAY)
    r.post("porphanedit", BOB, "zqorphan now", OLD + 22, root="porphan", edited=OLD + DAY)
    r.post("porphanold", BOB, "zqorphan before", OLD + 22, root="porphan", original="porphanedit", deleted=OLD + DAY)
    # Bob deletes a thread of Alice, and with it the reply of somebody else; who deletes what is their own needs no word
    r.post("pmod", ALICE, "zqmod begins", OLD + 5, deleted=OLD + DAY, props={"deleteBy": BOB})
    r.post("pmodreply", HOOK, "zqmod reply", OLD + 6, root="pmod", deleted=OLD + DAY, props={"deleteBy": BOB})
    r.post("pmodown", BOB, "zqmod own", OLD + 7, root="pmod", deleted=OLD + DAY, props={"deleteBy": BOB})
    # of a thread that is young two parts go: of two people
    r.post("pyoung", BOB, "zqyoung begins", YOUNG)
    r.post("pgone", ALICE, "zqgone words", YOUNG + 1, root="pyoung", deleted=YOUNG + DAY, props={"deleteBy": ALICE})
    r.post("pedit", HOOK, "zqedit now", YOUNG + 2, root="pyoung", edited=YOUNG + DAY)
    r.post("peditold", HOOK, "zqedit before", YOUNG + 2, root="pyoung", original="pedit", deleted=YOUNG + DAY)


def second_rows(r):
    r.user(NEXT, "alice", "Alice", "Two")
    r.post("pnew", NEXT, "zqnext words of the other Alice", NOW + 1)
    r.post("pmoved2", ALICE, "zqmoved again", NOW + 2, channel=MOVED)


# What an administrator does with SQL or `mmctl user delete`: no edit leaves an earlier version of that.
CHANGED = f"""
UPDATE posts SET message = 'zqback reply as it is', updateat = {NOW + DAY} WHERE id = '{oid("pbackreply")}';
DELETE FROM posts WHERE id = '{oid("pbackgone")}';
UPDATE posts SET ispinned = true, updateat = {NOW + DAY} WHERE id = '{oid("psame")}';
"""
RENAMED = f"""
UPDATE users SET username = 'alice.married', email = 'married@example.invalid' WHERE id = '{ALICE}';
UPDATE teams SET name = 'teamnew' WHERE id = '{TEAM}';
UPDATE channels SET name = 'wandered' WHERE id = '{MOVED}';
"""


def setUpModule():
    global PG, WORLD, WHERE, COPY, POLICY
    WHERE = lib.folder("answers")
    PG = lib.cluster.Cluster(settings=lib.QUICK).start()
    WORLD = lib.World(PG, "world", 50, 3, legacy=False, hostile=False, odd=False, lost=False)
    COPY = WORLD.clone("answers", os.path.join(WHERE, "answers"))
    rows = Rows(COPY)
    POLICY, _ = COPY.write_policy([{"name": "all", "match": {}, "keep": {"for": "300d"}}], purge_after="30d")
    first_rows(rows)
    rows.done()
    night("init")
    night("run", "--yes", "--no-purge")  # everything is in two bundles after the next one
    night("run", "--yes")
    night("restore", *CASE, oid("pback"), oid("psame"), "--yes")
    night("hold", "release", *CASE[:2], oid("pback"), oid("psame"))
    PG.psql(CHANGED, db=COPY.name)
    PG.psql(RENAMED, db=COPY.name)
    second_rows(rows)
    rows.done()
    night("run", "--yes", now=SECOND)


def tearDownModule():
    lib.clear(WHERE, PG)


def night(*args, now=NOW, code=0):
    done = lib.call(COPY, POLICY, *args, now_ms=now)
    if done.code != code:
        raise AssertionError(f"{args}: status {done.code}\n{done.out}{done.err}")
    return done


class Answers(unittest.TestCase):
    maxDiff = None

    def ask(self, command, *words, code=0):
        done = lib.call(COPY, POLICY, command, *CASE, *words, now_ms=SECOND)
        self.assertEqual(done.code, code, (words, done.out, done.err))
        return done

    def hits(self, *words):
        return json.loads(self.ask("find", "--json", "--limit", "0", *words).out)["hits"]

    def posts(self, *words):
        return sorted(h["post"].rstrip("0") for h in self.hits(*words))

    def out(self, name):
        return os.path.join(tempfile.mkdtemp(dir=WHERE), name)


class Names(Answers):
    def test_name_like_an_id(self):
        """26 letters are a name as much as an id."""
        self.assertEqual(len(LONG_NAME), 26)
        for words in (("--user", LONG_NAME), ("--user", "@" + LONG_NAME), ("--user", LONG), ("--channel", LONG_PLACE), ("--team", LONG_TEAM),
                      ("--channel", f"{LONG_TEAM}/{LONG_PLACE}"), ("--team", LONG_TEAM, "--channel", LONG_PLACE, "--user", LONG_NAME)):
            self.assertEqual(self.posts(*words), ["plong"], words)
        self.assertEqual(self.posts("--user", oid("unobody")), ["panswer", "pnobody"])
        self.assertEqual(self.posts("--user", oid("unever")), [])

    def test_erased_by_such_a_name(self):
        """Nobody is told that there is nothing of somebody whose name looks like an id."""
        for word in (LONG_NAME, "@" + LONG_NAME, LONG):
            doc = json.loads(lib.call(COPY, POLICY, "erase", "--user", word, *CASE, "-n", "--json", now_ms=SECOND).out)
            self.assertEqual((doc["user"], doc["rows"]), (LONG, {"post": 2}), word)  # in both bundles
        doc = json.loads(lib.call(COPY, POLICY, "erase", "--user", oid("unobody"), *CASE, "-n", "--json", now_ms=SECOND).out)
        self.assertEqual((doc["user"], doc["rows"]), (oid("unobody"), {"post": 4, "reaction": 2}))

    def test_two_names_of_one(self):
        """What one word of a list means already, another may mean too."""
        for words in (("--user", "bob,bob"), ("--user", f"bob,{BOB}")):
            self.assertEqual(self.posts("der", *words), ["pmac", "ppc"], words)
        for words in (("--channel", "wandering,wandered"), ("--channel", "teamone/wandering,wandering"), ("--channel", "teamone/wandering,teamnew/wandered")):
            self.assertEqual(self.posts(*words), ["pmoved", "pmoved2"], words)
        self.assertEqual(self.posts("words", "--user", "alice.married,alice"), ["pgone", "pmoved", "pnew", "pold"])

    def test_one_name_of_two(self):
        """Whose posts are among the hits is said, and their ids."""
        done = self.ask("find", "--user", "alice")
        self.assertIn(f'the name "alice" means 2 people in the bundles, one after another: {ALICE}, {NEXT}', done.err)
        out = self.out("two.csv")
        self.assertIn(f"{ALICE}, {NEXT}", self.ask("export", "--user", "@alice", "--out", out).err)
        self.assertEqual(self.posts("words", "--user", ALICE), ["pgone", "pmoved", "pold"])
        self.assertEqual(self.posts("--user", NEXT), ["pnew"])
        for words in (("--user", "alice.married"), ("--user", ALICE), ("--user", LONG_NAME), ("--user", "bob,alice.married")):
            self.assertNotIn("warning: the name", self.ask("find", *words).err)

    def test_who_was_told(self):
        """A direct message names the one who said nothing, too."""
        self.assertEqual([h["place"] for h in self.hits("zqdirect")], ["direct: bob, zqquiet"])
        self.assertEqual(self.ask("show", oid("pdirect")).out.partition("\n")[0], "direct: bob, zqquiet")

    def test_with(self):
        """Direct and group messages of somebody, whoever wrote them, and of several people only what they have in common."""
        for words, posts in ((("zqquiet",), ["pdirect", "pgroup"]), ((QUIET,), ["pdirect", "pgroup"]), (("@zqleft",), ["pgroup"]), (("bob,zqquiet",), ["pdirect", "pgroup"]),
                             (("zqquiet,zqleft",), ["pgroup"]), (("zqquiet", "zqdirect"), ["pdirect"]), (("zqquiet", "--user", "bob", "zqgroup"), ["pgroup"]),
                             (("zqquiet", "--channel", oid("cgroup")), ["pgroup"]), (("zqquiet", "--user", "zqquiet"), [])):
            self.assertEqual(self.posts("--with", *words), posts, words)
            self.assertEqual(self.posts("--scan", "--with", *words), posts, words)
        for words in (("alice",), ("zqquiet,alice",), ("zqquiet", "--channel", "wandering")):
            self.assertIn("no bundle knows a direct or group message with", self.ask("find", "--with", *words, code=1).err)
        self.assertIn('no bundle knows a direct or group message with "nobody"', self.ask("find", "--with", "bob,nobody", code=1).err)
        self.assertIn("have no team", self.ask("find", "--with", "bob", "--team", "teamone", code=2).err)
        out = self.out("with.jsonl")
        self.assertIn("2 threads", self.ask("export", "--with", "zqquiet", "--out", out).out)
        with open(out, encoding="utf-8") as f:
            self.assertEqual({json.loads(line)["id"] for line in f if '"k":"post"' in line}, {oid("pdirect"), oid("pgroup")})

    def test_erased_without_a_word(self):
        """The names of who said nothing go, out of every list that has them."""
        archive, policy = os.path.join(tempfile.mkdtemp(dir=WHERE), "archive"), os.path.join(WHERE, "erased.yaml")
        shutil.copytree(COPY.archive, archive)
        with open(POLICY, encoding="utf-8") as f, open(policy, "w", encoding="utf-8") as to:
            to.write(f.read().replace(lib.flow(COPY.archive), lib.flow(archive)))
        for user, words, group in ((QUIET, (b"zqquiet", b"Zqfirst", QUIET.encode()), "bob, zqleft, erased"), (LEFT, (b"zqleft", LEFT.encode()), "bob, erased, erased")):
            self.assertTrue(traces(archive, words[:1]))
            done = lib.call(COPY, policy, "erase", "--user", user, *CASE, "--yes", now_ms=SECOND)
            self.assertEqual(done.code, 0, done.err)
            self.assertEqual(traces(archive, words), [])
            hits = json.loads(lib.call(COPY, policy, "find", *CASE, "zqgroup", "--json", now_ms=SECOND).out)["hits"]
            self.assertEqual([h["place"] for h in hits], [f"group: {group}"])


def traces(archive, words):
    """Where one of the words is, in files as they are and unpacked."""
    found = []
    for folder, _, names in os.walk(archive):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                data = f.read()
            if name.endswith(".zst"):
                data += subprocess.run(["zstd", "-dcq", os.path.join(folder, name)], capture_output=True, check=True).stdout
            found += [(name, word) for word in words if word in data]
    return found


class Texts(Answers):
    def test_spellings(self):
        """A letter and its mark are the letter with its mark, in every question."""
        for word in ("Schlüssel", "Schlu\u0308ssel"):
            self.assertEqual(self.posts(word), ["pmac", "ppc"])
            self.assertEqual(self.posts("--regex", f"der {word.lower()} vom"), ["pmac", "ppc"])
        for word in ("übersicht", "U\u0308bersicht", "*übersicht*.pdf", "[Üx]bersicht*"):
            self.assertEqual(sorted(h["file"] for h in self.hits("--file-name", word, "--user", BOB)), sorted([FILES["fmac"], FILES["fpc"]]), word)

    def test_signs_in_file_names(self):
        """A name as it is finds its file, whatever it would mean as a pattern."""
        for word, name in (("Rechnung [1].pdf", "fbrackets"), ("[1]", "fbrackets"), ("back\\slash", "fslash"), ("slash*.txt", "fslash"), ("RECHNUNG*", "fbrackets"), ("*[[]1]*", "fbrackets")):
            self.assertEqual([h["file"] for h in self.hits("--file-name", word, "--user", BOB)], [FILES[name]], word)
        self.assertEqual(self.hits("--file-name", "[2]", "--user", BOB), [])

    def test_files_of_nobody(self):
        """What the server names nobody for, as of a moved thread, is a file of whose post it is on."""
        for user, want in (("bob", ["ptold"]), (f"alice,{BOB}", ["ptold"]), ("alice", [])):
            self.assertEqual(self.posts("--file-name", "zqcontract", "--user", user), want)
            self.assertEqual(self.posts("zqcontract", "--user", user), want)
            self.assertEqual(self.posts("--regex", "zqcontract", "--scan", "--user", user), want)

    def test_days(self):
        """A day alone is one of UTC; with an offset it is that of a place."""
        for words, want in ((("--after", "2024-01-01"), []), (("--after", "2024-01-01T00:00+01:00"), ["pnight"]), (("--after", "2024-01-01T00:01+01:00"), []),
                            (("--before", "2024-01-01"), ["pnight"]), (("--before", "2024-01-01T00:00+01:00"), []), (("--before", "2023-12-31"), [])):
            self.assertEqual(self.posts("zqnight", *words), want, words)

    def test_files_taken_off(self):
        """An earlier version with a file that its post has no more is an answer; one that says nothing new is not, unless it alone answers."""
        def answers(*words):
            return [(h["post"].rstrip("0"), h["earlier_version"], h["files"]) for h in self.hits("--has", "file", *words)]

        both = [("pcut", False, ["stays.txt", "taken.png"]), ("pcutold", True, ["stays.txt", "taken.png"])]
        self.assertEqual(answers("zqcut"), both)
        self.assertEqual(answers("zqkept"), [("pkept", False, ["kept.txt"])])
        self.assertEqual(answers("zqkept", "before"), [("pkeptold", True, ["kept.txt"])])
        self.assertEqual([a for a in answers("--user", "bob") if a[0].startswith("pcut")], both)
        self.assertEqual(answers("--scan", "zqcut"), both)


class Shown(Answers):
    """What is said of a post beside its text, in every form."""

    def forms(self, *posts):
        """The same threads as everything that can be made of them."""
        ids = [oid(p) for p in posts]
        found = {"show": "".join(self.ask("show", i).out for i in ids)}
        for form in ("html", "csv", "eml"):
            out = self.out(f"shown.{form}")
            self.ask("export", *ids, "--as", form, "--out", out)
            if form != "eml":
                with open(out, newline="", encoding="utf-8") as f:
                    found[form] = f.read()
        found["csv"] = list(csv.DictReader(found["csv"].splitlines(), strict=True))
        found["eml"] = {}
        for path in glob.glob(os.path.join(out, "*.eml")):
            with open(path, "rb") as f:
                mail = email.message_from_binary_file(f, policy=email.policy.default)
            self.assertEqual(mail.defects, [])
            found["eml"][mail["X-Mattermost-Post"].rstrip("0")] = mail
        return found

    def test_webhook(self):
        """Nobody is taken for the author of what a webhook wrote in their name."""
        found, said = self.forms("phook", "pplain"), 'by webhook, as "Git\\u{202e}Lab"'
        self.assertIn(f"@j.doe  [{said}]", found["show"])
        self.assertEqual(found["show"].count("by webhook"), 1)
        self.assertEqual(found["html"].count("by webhook, as"), 1)
        self.assertNotIn("\u202e", found["html"])
        self.assertEqual([(r["Post Id"].rstrip("0"), r["User Type"], r["Webhook"]) for r in found["csv"]],
                         [("phook", "bot", 'by webhook, as "Git\u202eLab"'), ("pplain", "user", "")])
        self.assertEqual(found["eml"]["phook"]["X-Mattermost-Webhook"], 'by webhook, as "Git\u202eLab"')
        self.assertEqual(str(found["eml"]["phook"]["From"].addresses[0].display_name), 'John Doe (by webhook, as "Git\u202eLab")')
        self.assertEqual(str(found["eml"]["pplain"]["From"].addresses[0].display_name), "John Doe")
        self.assertEqual([(h["post"].rstrip("0"), h["webhook"]) for h in self.hits("zqhook")], [("phook", "Git\u202eLab"), ("pplain", None)])
        self.assertIn(f"@j.doe  [{said}]", self.ask("find", "zqhook").out)
        self.assertIn(f"@j.doe  [{said}]", self.ask("find", "--thread", oid("phook")).out)

    def test_deleted_by(self):
        """Who deleted what others wrote."""
        found = self.forms("pmod")
        day = lib.stamp(OLD + DAY)
        self.assertEqual(found["show"].count(f"[deleted {day} by @bob]"), 2)
        self.assertEqual(found["show"].count(f"[deleted {day}]"), 1)
        self.assertEqual(found["html"].count("deleted by @bob, "), 2)
        self.assertEqual([r["Deleted By"] for r in found["csv"]], ["bob"] * 3)
        self.assertEqual([found["eml"][p]["X-Mattermost-Deleted-By"] for p in ("pmod", "pmodreply", "pmodown")], ["bob", "bob", None])

    def test_deleted_files(self):
        """A file that an edit took off does not pass for one of the post."""
        found, day = self.forms("pcut"), lib.stamp(OLD + DAY)
        self.assertRegex(found["show"], rf"file taken\.png  [^\n]*\[deleted {day}\]")
        self.assertNotRegex(found["show"], r"file stays\.txt  [^\n]*deleted")
        self.assertRegex(found["html"], r"<figcaption>taken\.png, [^<]*, deleted 20")
        self.assertNotRegex(found["html"], r"stays\.txt</a><span class=\"how\">[^<]*deleted")
        parts = {p.get_filename(): p["Content-Description"] for p in found["eml"]["pcut"].walk() if p.get_filename()}
        self.assertEqual(parts, {"stays.txt": None, "taken.png": f"deleted {day}"})

    def test_whose_version(self):
        """An earlier version without its post names its author."""
        text = self.forms("pyoung")["show"]
        self.assertIn(f"earlier version, until {lib.stamp(YOUNG + DAY)}, of @j.doe\n", text)


    def test_numbers_of_a_card(self):
        """None is too large to show a card, or to import it."""
        page = self.forms("pcard")["html"]
        self.assertIn("zqcard says", page)
        self.assertRegex(page, r"<dd class=\"msg\">1\.84467440737[0-9]*e\+19</dd>")
        out = self.out("card")
        self.ask("export", oid("pcard"), "--as", "mattermost", "--out", out)
        with open(os.path.join(out, "import.jsonl"), encoding="utf-8") as f:
            card, = json.loads(f.read().splitlines()[1])["post"]["props"]["attachments"]
        self.assertEqual((card["text"], card["fields"]), ("zqcard says", [{"title": "bytes", "value": float(18446744073709552000)}]))

    def test_versions_without_a_post(self):
        """Each is shown once, as what it is, with whose text it was."""
        found, posts = self.forms("porphan"), ["porphan", "porphan1", "porphan2", "porphanedit", "porphanold"]
        self.assertEqual([r["Post Id"].rstrip("0") for r in found["csv"]], posts)
        self.assertEqual(sorted(found["eml"]), posts)
        for text in ("begins", "first text", "second text", "now", "before"):
            self.assertEqual(found["html"].count(f"zqorphan {text}"), 1, text)
            self.assertEqual(found["show"].count(f"zqorphan {text}"), 1, text)
        self.assertEqual(re.findall(r'<article class="post" id="p-(\w+?)0*">', found["html"]), posts[:-1])


class States(Answers):
    """All that the archive has of a thread: as it was last, the parts that went before, and what only an earlier state says."""

    def exported(self, *words, form="csv"):
        out = self.out(f"states.{form}")
        self.ask("export", *words, "--as", form, "--out", out)
        with open(out, newline="", encoding="utf-8") as f:
            if form == "csv":
                return [(r["Post Id"].rstrip("0"), r["Extent"]) for r in csv.DictReader(f, strict=True) if not r["File Name"]]
            return f.read()

    def test_parts(self):
        """A question leads to all of a thread, whatever part of it has the answer; an id likewise."""
        want = [("pyoung", "whole"), ("pedit", "whole"), ("pgone", "part"), ("peditold", "part")]
        for words in ("zqgone", "zqedit before", "zqyoung", "zqgone OR zqyoung"):
            self.assertEqual(self.exported("--words", words), want, words)
        for ids in (("pgone",), ("pyoung", "pedit"), ("peditold", "pgone", "pyoung")):
            self.assertEqual(self.exported(*map(oid, ids)), want, ids)

    def test_case_log(self):
        """It has one thread as one, whatever there is of it."""
        for words, threads, thread in (((oid("pyoung"),), 1, oid("pyoung")), (("--words", "zqback"), 1, oid("pback")), ((oid("pyoung"), oid("pback"), oid("pgone")), 2, None)):
            self.exported(*words)
            last = json.loads(lib.call(COPY, POLICY, "report", "--access", "--json").out)["access"][-1]
            self.assertEqual((last["command"], last["threads"], last.get("thread")), ("export", threads, thread))

    def test_same(self):
        """A state with nothing of its own is left out: everything here was in two bundles at first."""
        self.assertEqual(self.exported("--words", "zqsame"), [("psame", "whole")])
        self.assertEqual(self.exported(oid("pmod")), [("pmod", "whole"), ("pmodreply", "whole"), ("pmodown", "whole")])
        self.assertNotIn("earlier state", self.ask("show", oid("psame")).out)

    def test_earlier(self):
        """What it had no more when it was archived last is shown as that."""
        want = [("pback", "whole"), ("pbackreply", "whole")] + [(p, "earlier state") for p in ("pback", "pbackreply", "pbackgone")]
        for words in (("--words", '"as it was" zqback'), ("--words", '"as it is"'), (oid("pback"),), (oid("pbackgone"),)):
            self.assertEqual(self.exported(*words), want, words)
        text = self.ask("show", oid("pback")).out
        now, then = text.split("\n\nteamone/general\n")
        self.assertIn("reply as it is", now)
        self.assertNotIn("reply as it was", now)
        self.assertIn("an earlier state of the thread", then)
        self.assertIn("reply as it was", then)
        self.assertIn("of somebody who was deleted", then)
        rows = [json.loads(line) for line in self.ask("show", "--json", oid("pback")).out.splitlines()]
        self.assertEqual([r["k"] for r in rows if r["k"] in ("post", "deletion")], ["post"] * 2 + ["deletion"] + ["post"] * 3 + ["deletion"])
        page = self.exported(oid("pback"), form="html")
        marks = re.findall(r'<article class="post[^"]*" id="([^"]*)"', page)
        self.assertEqual((len(marks), len(set(marks))), (5, 5))
        self.assertEqual(page.count("an earlier state of the thread above"), 1)

    def test_earlier_elsewhere(self):
        """In mails they are mails of their own; an import cannot have both."""
        out = self.out("mails")
        self.ask("export", oid("pback"), "--as", "eml", "--out", out)
        mails = []
        for path in sorted(glob.glob(os.path.join(out, "*"))):
            with open(path, "rb") as f:
                mails.append(email.message_from_binary_file(f, policy=email.policy.default))
        self.assertEqual(len({m["Message-ID"] for m in mails}), 5)
        self.assertEqual(sum("an earlier state" in (m["X-Mmretain-Part"] or "") for m in mails), 3)
        out = self.out("import")
        done = self.ask("export", oid("pback"), "--as", "mattermost", "--out", out, "--json")
        self.assertEqual([json.loads(done.out)[k] for k in ("threads", "posts", "left_out")], [1, 2, {"threads": 0, "posts": 3}])
        self.assertIn("it is an earlier state", done.err)


class Import(Answers):
    """A bulk import as the importer takes it: whoever it names exists, and a file's name is the end of its path."""

    def lines(self, *ids):
        out = self.out("import.zip")
        done = self.ask("export", *map(oid, ids), "--as", "mattermost", "--out", out, "--json")
        with zipfile.ZipFile(out) as z:
            self.assertEqual(z.testzip(), None)
            posts = [line[line["type"]] for line in map(json.loads, z.read("import.jsonl").decode().splitlines()) if line["type"] != "version"]
            files = {n: z.read(n) for n in z.namelist() if n.startswith("data/")}
            listed = dict(line.split("  ", 1)[::-1] for line in z.read("manifest-sha256.txt").decode().splitlines())
            self.assertEqual(set(listed), set(z.namelist()) - {"manifest-sha256.txt"})
        return json.loads(done.out), posts, files

    def test_names_of_files(self):
        doc, posts, files = self.lines("pfiles", "pcut")
        names = {a["path"].rpartition("/")[2]: files["data/" + a["path"]] for p in posts for a in p["attachments"]}
        self.assertEqual(names, {"Ubersicht_vom_Mac.pdf": b"fmac", "Ubersicht_vom_PC.pdf": b"fpc", "Rechnung__1_.pdf": b"fbrackets", "back_slash_.txt": b"fslash", "stays.txt": b"fstays"})
        self.assertEqual((len(files), doc["files"]), (5, 5))

    def test_nobody(self):
        """One name that the server does not know would stop all of it."""
        doc, posts, _ = self.lines("pask", "pnobody")
        self.assertEqual([(p["user"], [r["user"] for r in p["reactions"]], "replies" in p) for p in posts], [("bob", ["alice"], False)])
        self.assertEqual((doc["posts"], doc["left_out"]), (1, {"threads": 1, "posts": 2}))
        self.assertEqual([p["channel_members"] for p in self.lines("pdirect")[1]], [["bob", "zqquiet"]])


if __name__ == "__main__":
    lib.outcome.main(verbosity=2)
