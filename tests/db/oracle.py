#!/usr/bin/env python3
"""An independent oracle: which threads must go, written from the design's words and slow on purpose.

    oracle.py --db CONNINFO --policy FILE [--now TIME] [--data DIR]     due threads, one line each: reason, rule, root id
    oracle.py --self-test                                               tables of small cases, no database

Library: Db(tables) -> facts of all threads; judge(db, policy, now_ms) -> Verdict; closure(db, roots) -> rows by table.
Shares nothing with the engine: neither code nor SQL.  Rows are the text of COPY, so that nothing is rounded on the way.
"""
import argparse
import calendar
import collections
import datetime
import fnmatch
import json
import os
import re
import stat
import sys

import oracle_deleted

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

DAY = 86_400_000
UTC = datetime.timezone.utc
FOREVER = 1 << 70
SANE = calendar.timegm((2000, 1, 1, 0, 0, 0)) * 1000  # no chat that somebody imports is older; seconds in place of milliseconds are

# Everything that goes with a post: table -> (column with the post id, further condition).  fileinfo's attachments come on top.
POINTERS = (
    ("threads", "postid", {}), ("threadmemberships", "postid", {}), ("reactions", "postid", {}), ("fileinfo", "postid", {}),
    ("preferences", "name", {"category": ("flagged_post",)}), ("postspriority", "postid", {}), ("postacknowledgements", "postid", {}),
    ("persistentnotifications", "postid", {}), ("postreminders", "postid", {}), ("drafts", "rootid", {}), ("readreceipts", "postid", {}),
    ("temporaryposts", "postid", {}), ("translations", "objectid", {"objecttype": ("post", None)}),
    ("propertyvalues", "targetid", {"targettype": ("post",)}),
)
# What may point at nothing: looked at before and after, no new ones.  table, column, condition, target table.
ORPHANS = POINTERS + (
    ("posts", "rootid", {}), ("posts", "originalid", {}), ("sharedchannelattachments", "fileid", {}),
)
CLOSURE = ("posts",) + tuple(p[0] for p in POINTERS) + ("sharedchannelattachments",)
LEGAL_HOLD = "com.mattermost.plugin-legal-hold"
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


class PolicyError(Exception):
    """The policy cannot be applied to this database."""


# ---- rows ------------------------------------------------------------------------------------------------------------
def field(text):
    """One field of COPY text."""
    if text == "\\N":
        return None
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda m: ESCAPES.get(m.group(1), m.group(1)), text, flags=re.S)


class Table:
    """Column names, the lines of COPY text and the same taken apart."""

    def __init__(self, columns, lines):
        self.columns, self.lines = columns, lines
        self.place = {c: i for i, c in enumerate(columns)}
        self.rows = [tuple(field(f) for f in line.split("\t")) for line in lines]

    def get(self, row, column):
        i = self.place.get(column)
        return None if i is None else row[i]


def number(text):
    return None if text is None else int(text)


def size_of(text):
    return 0 if text is None else len(text.encode("utf-8", "surrogateescape"))


class Post:
    __slots__ = ("id", "createat", "updateat", "deleteat", "editat", "user", "channel", "root", "original", "bytes", "type", "tags", "pinned", "line", "fileids", "filenames")

    @property
    def live(self):
        return not self.deleteat


class Thread:
    __slots__ = ("root", "posts", "channel", "flags", "damage")

    @property
    def newest(self):
        return max(p.createat for p in self.posts)

    def key(self, name):
        """What `from:` names."""
        if name == "root":
            return self.root.createat
        if name == "last_reply":
            return self.newest
        return max(max(p.createat, p.editat or 0) for p in self.posts)


class Scope:
    __slots__ = ("id", "name", "team", "team_name", "type", "archived")


KINDS = {"O": "public", "P": "private", "D": "direct", "G": "group"}


class Db:
    """A database as plain facts, no policy yet."""

    def __init__(self, tables):
        self.tables, self.copies = tables, None
        self.posts, self.by_channel = {}, collections.defaultdict(list)
        t = tables["posts"]
        for line, row in zip(t.lines, t.rows):
            p = Post()
            p.id, p.user, p.channel, p.line = t.get(row, "id"), t.get(row, "userid"), t.get(row, "channelid"), line
            p.createat, p.updateat, p.deleteat, p.editat = (number(t.get(row, c)) for c in ("createat", "updateat", "deleteat", "editat"))
            p.root, p.original, p.type = t.get(row, "rootid") or "", t.get(row, "originalid") or "", t.get(row, "type") or ""
            p.tags = (t.get(row, "hashtags") or "").lower().split()
            p.pinned = t.get(row, "ispinned") == "t"
            p.fileids = t.get(row, "fileids") or ""
            p.filenames = t.get(row, "filenames") or ""
            p.bytes = size_of(t.get(row, "message")) + size_of(t.get(row, "props"))
            self.posts[p.id] = p
            self.by_channel[p.channel].append(p)
        self.pointing = {}
        for table, column, condition in POINTERS:
            index = self.pointing[table] = collections.defaultdict(list)
            t = tables.get(table)
            if t is None:
                continue
            where, tests = t.place[column], [(t.place[c], values) for c, values in condition.items() if c in t.place]
            for line, row in zip(t.lines, t.rows):
                if all(row[i] in values for i, values in tests):
                    index[row[where]].append((line, row))
        files = tables["fileinfo"]
        for post, rows in self.pointing["fileinfo"].items():
            if post in self.posts:
                self.posts[post].bytes += sum(number(files.get(r, "size")) or 0 for _, r in rows)
        self.scopes()
        self.people = {}
        t = tables["users"]
        for row in t.rows:
            self.people[t.get(row, "id")] = self.people[t.get(row, "username")] = t.get(row, "id")
        self.find_threads()
        self.content_flags()
        self.legal_holds()
        self.compliance()

    def scopes(self):
        t = self.tables["teams"]
        teams = {t.get(r, "id"): (t.get(r, "name"), bool(number(t.get(r, "deleteat")))) for r in t.rows}
        t = self.tables["channels"]
        self.channels = {}
        for row in t.rows:
            s = Scope()
            s.id, s.name, s.team = t.get(row, "id"), t.get(row, "name"), t.get(row, "teamid") or ""
            s.team_name, gone = teams.get(s.team, ("", False))
            s.type = KINDS.get(t.get(row, "type"), "?")
            s.archived = gone or bool(number(t.get(row, "deleteat")))
            self.channels[s.id] = s

    def find_threads(self):
        replies, copies = collections.defaultdict(list), collections.defaultdict(list)
        for p in self.posts.values():
            if p.root:
                replies[p.root].append(p)
            if p.original:
                copies[p.original].append(p)
        self.threads = {}
        for root in self.posts.values():
            if root.root or root.original:
                continue
            t = Thread()
            t.root, t.channel, t.flags, t.damage = root, root.channel, set(), set()
            members = {root.id: root}
            for p in replies[root.id]:
                members[p.id] = p
            for p in list(members.values()):
                for q in copies[p.id]:
                    members[q.id] = q
            t.posts = list(members.values())
            for p in t.posts:
                # a row that points into the thread and is not of it would be left hanging
                for q in replies[p.id] + copies[p.id]:
                    if q.id not in members:
                        t.damage.add("points into it")
                if p.root and p.root != root.id:
                    t.damage.add("torn")
                if p.channel != root.channel:
                    t.damage.add("other channel")
                if p.pinned and p.live:
                    t.flags.add("pinned")
                # named by the post alone, as before there was a table of files; an edit copy repeats its post
                if '"' in p.filenames and not p.original and not self.pointing["fileinfo"].get(p.id):
                    t.flags.add("unlisted")
                if self.pointing["preferences"].get(p.id):
                    t.flags.add("flagged")
                if p.type == "burn_on_read" or self.pointing["temporaryposts"].get(p.id):
                    t.flags.add("burn_on_read")
            if root.channel not in self.channels:
                t.damage.add("no channel")
            self.threads[root.id] = t

    def content_flags(self):
        """Posts that somebody reported and nobody judged yet."""
        self.reported = set()
        fields, groups, values = (self.tables.get(n) for n in ("propertyfields", "propertygroups", "propertyvalues"))
        if not (fields and groups and values):
            return
        group = {groups.get(r, "id") for r in groups.rows if groups.get(r, "name") == "content_flagging"}
        status = {fields.get(r, "id") for r in fields.rows if fields.get(r, "name") == "status" and fields.get(r, "groupid") in group}
        for row in values.rows:
            if values.get(row, "targettype") == "post" and values.get(row, "fieldid") in status and not number(values.get(row, "deleteat")):
                value = json.loads(values.get(row, "value"))
                if isinstance(value, str) and value.lower() in ("pending", "assigned"):
                    self.reported.add(values.get(row, "targetid"))

    def legal_holds(self):
        """(begin, end, channels) of each hold in the plugin's store."""
        self.plugin_holds = []
        store, history = self.tables.get("pluginkeyvaluestore"), self.tables.get("channelmemberhistory")
        members = self.tables.get("groupmembers")
        for row in store.rows if store else ():
            if store.get(row, "pluginid") != LEGAL_HOLD or not store.get(row, "pkey").startswith("kvstore_legal_hold_"):
                continue
            hold = json.loads(bytes.fromhex(store.get(row, "pvalue")[2:]))
            begin, end = hold.get("starts_at") or 0, hold.get("ends_at") or FOREVER
            users = set(hold.get("user_ids") or ())
            for r in members.rows if members else ():
                if members.get(r, "groupid") in (hold.get("group_ids") or ()) and not number(members.get(r, "deleteat")):
                    users.add(members.get(r, "userid"))
            channels = set()
            for r in history.rows if history else ():
                left = number(history.get(r, "leavetime"))
                if history.get(r, "userid") in users and number(history.get(r, "jointime")) < end and (left is None or left >= begin):
                    scope = self.channels.get(history.get(r, "channelid"))
                    if scope and (scope.type != "public" or hold.get("include_public_channels")):
                        channels.add(scope.id)
            self.plugin_holds.append((begin, end, channels))

    def compliance(self):
        """How far the server's own compliance export has come; None when there is none."""
        self.exported = None
        jobs = self.tables.get("jobs")
        rows = [{c: jobs.get(row, c) for c in ("type", "status", "createat", "data")} for row in jobs.rows] if jobs else []
        own = [r for r in rows if r["type"] == "message_export"]
        of_export = own or [r for r in rows if r["type"] == "cli_message_export"]
        if not of_export:
            return
        ended = [r for r in of_export if r["status"] in ("success", "warning")]
        newest = max((number(r["createat"]) or 0 for r in ended), default=None)
        cursors = [cursor(r["data"]) for r in ended if (number(r["createat"]) or 0) == newest]
        self.exported = min(cursors, default=(0, ""))


def cursor(data):
    """How far one export job came, and the last post of that millisecond that it took; (0, "") when it does not say."""
    values = json.loads(data or "{}") or {}
    at = values.get("batch_start_time") or values.get("batch_start_timestamp") or ""
    return (int(at), values.get("batch_start_id") or "") if re.fullmatch(r"[0-9]{1,18}", at) else (0, "")


# ---- the policy ------------------------------------------------------------------------------------------------------
def many(value):
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def back(now_ms, duration):
    """now minus a duration of the policy: days and weeks exactly, months and years by the UTC calendar."""
    m = re.fullmatch(r"(\d+)(d|w|mo|y)", str(duration))
    if not m:
        raise PolicyError(f"bad duration {duration}")
    n, unit = int(m.group(1)), m.group(2)
    if unit in "dw":
        return now_ms - n * DAY * (7 if unit == "w" else 1)
    seconds, ms = divmod(now_ms, 1000)
    at = datetime.datetime.fromtimestamp(seconds, UTC)
    months = at.year * 12 + at.month - 1 - n * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    if year < 1:
        return -FOREVER
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return calendar.timegm((year, month + 1, day, at.hour, at.minute, at.second)) * 1000 + ms


def bytes_of(text):
    m = re.fullmatch(r"(\d+)(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", str(text))
    if not m:
        raise PolicyError(f"bad size {text}")
    unit = m.group(2)
    power = "BKMGT".index(unit[0].upper())
    return int(m.group(1)) * (1024 if "i" in unit else 1000) ** power


def named(pattern, ident, name):
    return pattern in (ident, name) or fnmatch.fnmatchcase(name, pattern)


def about(pattern, match, scope):
    """Names of direct and group channels are made of ids: a glob must say that it means them."""
    if scope.type not in ("direct", "group") or scope.type in many(match.get("type")) or not set("*?[") & set(pattern):
        return True
    return not pattern.strip("*?") or "__" in pattern or any(len(word) >= 26 for word in re.split(r"\[[^]]*\]|[*?]", pattern))


def matches(match, scope):
    if scope.type not in KINDS.values() and not {scope.id, scope.name} & set(many(match.get("channel"))):
        return False
    if "team" in match and not (scope.team and any(named(p, scope.team, scope.team_name) for p in many(match["team"]))):
        return False
    if "channel" in match and not any(named(p, scope.id, scope.name) for p in many(match["channel"]) if about(p, match, scope)):
        return False
    if "type" in match and scope.type not in many(match["type"]):
        return False
    return "archived" not in match or scope.archived == match["archived"]


def rung(match):
    if "channel" in match:
        return 3
    if "team" in match:
        return 2
    return 1 if match else 0


def winner(rules, scope):
    """The rule that has the say over a channel, or None."""
    candidates = [(rung(r["match"]), r.get("priority", 0), r) for r in rules if matches(r["match"], scope)]
    if not candidates:
        return None
    best = max(c[:2] for c in candidates)
    first = [c[2] for c in candidates if c[:2] == best]
    if len(first) > 1:
        raise PolicyError(f"tie of {', '.join(r['name'] for r in first)} at channel {scope.name}")
    return first[0]


def day_ms(value, after=False):
    """A date, or a time, of a hold; `after`: the moment when that day is over."""
    if value in (None, "open"):
        return None
    if isinstance(value, datetime.datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(value, str):
        value = datetime.date.fromisoformat(value)
    at = calendar.timegm((value.year, value.month, value.day, 0, 0, 0)) * 1000
    return at + DAY if after else at


class Hold:
    def __init__(self, db, spec):
        match = spec.get("match") or {}
        self.name = spec["name"]
        self.users = {db.people[u] for u in many(match.get("users")) if u in db.people}
        self.channels = set()
        for s in db.channels.values():
            if any(named(p, s.id, s.name) for p in many(match.get("channels"))) or (
                    s.team and any(named(p, s.team, s.team_name) for p in many(match.get("teams")))):
                self.channels.add(s.id)
        since, until = day_ms(spec.get("since")), day_ms(spec.get("until"), after=True)
        self.since, self.until = -FOREVER if since is None else since, FOREVER if until is None else until

    def covers(self, thread):
        return any(self.since <= p.createat < self.until and (p.user in self.users or p.channel in self.channels) for p in thread.posts)


class Verdict:
    """due: root -> (reason, rule); kept: root -> reasons, for threads that something wanted; rule: channel -> rule;
    part: root -> (ids of posts, rows of further files) where the thread stays and only these go."""

    def __init__(self):
        self.due, self.kept, self.rule, self.unreached, self.part = {}, {}, {}, [], {}

    def going(self, db, root):
        """The posts that go with this root."""
        return [p for p in db.threads[root].posts if root not in self.part or p.id in self.part[root][0]]

    def files(self, db, root):
        """(line, row) of the attachments that go with it."""
        rows = [x for p in self.going(db, root) for x in db.pointing["fileinfo"].get(p.id, ())]
        return rows + [x for x in self.part.get(root, ((), ()))[1] if x not in rows]


def judge_limit(db, rule, channels, threads, why, key, v, leaving):
    """The oldest threads until the rest fits; leaving: what goes without them, by root."""
    limit = rule["limit"]
    units = collections.defaultdict(list)
    for c in channels:
        team = db.channels[c].team if limit["per"] == "team" else ""
        units[team or c].append(c)
    top_posts = limit.get("posts", FOREVER)
    top_bytes = bytes_of(limit["bytes"]) if "bytes" in limit else FOREVER
    for unit, members in units.items():
        posts = sum(len(db.by_channel[c]) for c in members)
        size = sum(p.bytes for c in members for p in db.by_channel[c])
        mine = [t for t in threads if t.channel in members]
        for t in mine:
            if t.root.id in v.due:
                posts -= len(t.posts)
                size -= sum(p.bytes for p in t.posts)
            posts -= leaving.get(t.root.id, (0, 0))[0]
            size -= leaving.get(t.root.id, (0, 0))[1]
        for t in sorted(mine, key=lambda t: (t.key(key), t.root.id.encode())):
            if posts <= top_posts and size <= top_bytes:
                break
            if t.root.id in v.due:
                continue
            if why[t.root.id]:
                v.kept[t.root.id] = why[t.root.id]
                continue
            v.due[t.root.id] = ("posts" if posts > top_posts else "bytes", rule)
            posts -= len(t.posts) - leaving.get(t.root.id, (0, 0))[0]
            size -= sum(p.bytes for p in t.posts) - leaving.get(t.root.id, (0, 0))[1]
        if posts > top_posts or size > top_bytes:
            v.unreached.append((rule["name"], unit))


def judge(db, policy, now_ms):
    """Apply a policy (as yaml.safe_load gives it), and under `held` the threads that the ledger holds.  Raises PolicyError on a tie."""
    v = Verdict()
    rules = policy.get("rules") or []
    deleted = back(now_ms, policy["deleted_posts"]["purge_after"]) if policy.get("deleted_posts") else None
    for scope in db.channels.values():
        rule = winner(rules, scope)
        if rule is not None:
            v.rule[scope.id] = rule
    holds = [Hold(db, h) for h in policy.get("holds") or []]
    held = set(policy.get("held") or ())
    in_channel = collections.defaultdict(list)
    for t in db.threads.values():
        in_channel[t.channel].append(t)

    for rule in rules:
        channels = [c for c, r in v.rule.items() if r is rule]
        keep, limit, spare = rule["keep"], rule.get("limit") or {}, rule.get("spare") or {}
        aged = isinstance(keep, dict)
        key = (keep.get("from") if aged else None) or "last_reply"
        cut = back(now_ms, keep["for"]) if aged else -FOREVER
        floor = back(now_ms, rule["floor"]) if "floor" in rule else FOREVER
        authors = {db.people[u] for u in many(spare.get("authors")) if u in db.people}
        tags = {h.lower() for h in many(spare.get("hashtags"))}

        def protections(t):
            why = set()
            if spare.get("pinned") and "pinned" in t.flags:
                why.add("pinned")
            if spare.get("flagged") and "flagged" in t.flags:
                why.add("flagged")
            if any(p.user in authors for p in t.posts):
                why.add("author")
            if any(p.live and tags.intersection(p.tags) for p in t.posts):
                why.add("hashtag")
            if t.newest >= floor:
                why.add("floor")
            if t.root.id in held or any(h.covers(t) for h in holds):
                why.add("hold")
            if any(t.channel in c and any(b <= p.createat < e for p in t.posts) for b, e, c in db.plugin_holds):
                why.add("legal_hold")
            if any(p.id in db.reported for p in t.posts):
                why.add("content_flag")
            # the export leaves out system messages
            if db.exported is not None and any(p.updateat is None or (p.updateat, p.id) > db.exported for p in t.posts if not p.type.startswith("system_")):
                why.add("compliance")
            if "burn_on_read" in t.flags:
                why.add("burn_on_read")
            if "unlisted" in t.flags and rule.get("files") != "keep":
                why.add("file_missing")
            return why

        threads = []
        for c in channels:
            for t in in_channel[c]:
                if t.damage or any(p.createat is None or p.createat < SANE or p.createat > now_ms + DAY for p in t.posts):
                    v.kept[t.root.id] = {"damaged"}
                else:
                    threads.append(t)
        why = {t.root.id: protections(t) for t in threads}
        for t in threads:
            if t.key(key) < cut:
                if why[t.root.id]:
                    v.kept[t.root.id] = why[t.root.id]
                else:
                    v.due[t.root.id] = ("age", rule)
        if limit:
            going = oracle_deleted.leaving(db, threads, deleted, lambda t: t.key(key) < cut, lambda t: why[t.root.id]) if deleted else {}
            judge_limit(db, rule, channels, threads, why, key, v, going)
        if deleted:
            oracle_deleted.judge(db, threads, deleted, lambda t: t.key(key) < cut, lambda t: why[t.root.id], v, rule)
    return v


# ---- what goes with the threads ----------------------------------------------------------------------------------------
def closure(db, roots, verdict=None):
    """{table: [(line, row, root)]} of every row that goes with these threads, or by the verdict with parts of them."""
    verdict = verdict or Verdict()
    out = {table: [] for table in CLOSURE}
    attachments = db.tables.get("sharedchannelattachments")
    by_file = collections.defaultdict(list)
    for line, row in zip(attachments.lines, attachments.rows) if attachments else ():
        by_file[attachments.get(row, "fileid")].append((line, row))
    posts, files = db.tables["posts"], db.tables["fileinfo"]
    rows = {posts.get(r, "id"): r for r in posts.rows}
    for root in roots:
        for p in verdict.going(db, root):
            out["posts"].append((p.line, rows[p.id], root))
            for table, _, _ in POINTERS:
                if table != "fileinfo":
                    out[table] += [(line, row, root) for line, row in db.pointing[table].get(p.id, ())]
        for line, row in verdict.files(db, root):
            out["fileinfo"].append((line, row, root))
            out["sharedchannelattachments"] += [(*x, root) for x in by_file[files.get(row, "id")]]
    return out


def regular(data, path):
    """Where an attachment lies, or None when it is not a regular file below the folder."""
    if not path or path.startswith("/") or ".." in path.split("/"):
        return None
    at = data
    for part in path.split("/"):
        at = os.path.join(at, part)
        try:
            mode = os.lstat(at).st_mode
        except OSError:
            return None
        if stat.S_ISLNK(mode):
            return None
    return at if stat.S_ISREG(mode) else None


def readable(data, path):
    """The content of an attachment, or None."""
    at = regular(data, path)
    if at is None:
        return None
    with open(at, "rb") as f:
        return f.read()


class Files:
    """The attachments of a verdict: lost (roots that stay because a blob cannot be read), stored (id -> bytes), gone (paths that must
    go), loose (either way), stuck (would have to go, but are no regular files: never touched, told as kept back once, and their pictures stay)."""

    def __init__(self, db, verdict, data):
        t = db.tables["fileinfo"]
        self.lost, self.stored, self.rows = set(), {}, {}
        mode = {root: rule.get("files", "archive") for root, (_, rule) in verdict.due.items()}
        content = {}
        for root in verdict.due:
            for _, row in verdict.files(db, root):
                path = t.get(row, "path")
                if mode[root] == "archive":
                    if path not in content:
                        content[path] = readable(data, path)
                    if content[path] is None:
                        self.lost.add(root)
                self.rows[t.get(row, "id")] = (root, row)
        names = ("path", "thumbnailpath", "previewpath")
        going = {i for i, (root, _) in self.rows.items() if root not in self.lost}
        used = {t.get(r, n) for r in t.rows if t.get(r, "id") not in going for n in names}
        self.gone, keep = set(), set()
        for i in going:
            root, row = self.rows[i]
            folder = os.path.dirname(t.get(row, "path"))  # what lies elsewhere is no picture of it that the server made
            paths = {t.get(row, n) for n in names if t.get(row, n) and os.path.dirname(t.get(row, n)) == folder} - used
            if mode[root] == "keep":
                keep |= paths
            elif t.get(row, "path") in paths and self.odd(data, t.get(row, "path")):
                self.gone.add(t.get(row, "path"))
            else:
                self.gone |= paths
            if mode[root] == "archive":
                self.stored[i] = content[t.get(row, "path")]
        self.loose = self.gone & keep
        self.stuck = {p for p in self.gone - keep if self.odd(data, p)}
        self.gone -= self.loose | self.stuck

    @staticmethod
    def odd(data, path):
        return os.path.lexists(os.path.join(data, path)) and regular(data, path) is None


def orphans(db):
    """{(table, column): ids that point at a post (or file) which does not exist, with how often}."""
    files = {db.tables["fileinfo"].get(r, "id") for r in db.tables["fileinfo"].rows}
    found = {}
    for table, column, condition in ORPHANS:
        t = db.tables.get(table)
        if t is None:
            continue
        where, tests = t.place[column], [(t.place[c], values) for c, values in condition.items() if c in t.place]
        target = files if column == "fileid" else db.posts
        found[table, column] = collections.Counter(row[where] for row in t.rows
                                                   if row[where] and row[where] not in target and all(row[i] in v for i, v in tests))
    return found


# ---- reading a database --------------------------------------------------------------------------------------------------
def load(conninfo):
    """Every table of a database as {name: Table}, from one snapshot."""
    import dump
    import psycopg2
    lines = dump.dump(conninfo)
    columns = collections.defaultdict(list)
    conn = psycopg2.connect(conninfo)
    with conn.cursor() as cur:
        cur.execute("SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped"
                    " AND c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace ORDER BY a.attnum")
        for table, column in cur.fetchall():
            columns[table].append(column)
    conn.close()
    return {name: Table(columns[name], rows) for name, rows in lines.items()}


def parse_time(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


# ---- self test -------------------------------------------------------------------------------------------------------------
def ms(*parts):
    return calendar.timegm(tuple(parts) + (0,) * (6 - len(parts))) * 1000


EMPTY = {
    "posts": "id createat updateat deleteat editat userid channelid rootid originalid message type props hashtags ispinned fileids",
    "channels": "id name teamid type deleteat", "teams": "id name deleteat", "users": "id username",
    "fileinfo": "id postid size path thumbnailpath previewpath deleteat", "threads": "postid", "threadmemberships": "postid userid",
    "reactions": "postid userid emojiname", "preferences": "userid category name value", "postspriority": "postid", "postacknowledgements": "postid",
    "persistentnotifications": "postid", "postreminders": "postid", "drafts": "rootid", "readreceipts": "postid", "temporaryposts": "postid",
    "translations": "objectid objecttype", "propertyvalues": "id targetid targettype fieldid value deleteat", "propertyfields": "id name groupid",
    "propertygroups": "id name", "sharedchannelattachments": "id fileid", "pluginkeyvaluestore": "pluginid pkey pvalue",
    "channelmemberhistory": "channelid userid jointime leavetime", "groupmembers": "groupid userid deleteat", "jobs": "type status createat data",
}


def small(**rows):
    """A Db out of dictionaries; what is not named is empty."""
    tables = {}
    base = {"channels": [dict(id="c1", name="town", teamid="t1", type="O", deleteat=0), dict(id="c2", name="alarm-1", teamid="t1", type="P", deleteat=0),
                         dict(id="d1", name="a__b", teamid="", type="D", deleteat=0)],
            "teams": [dict(id="t1", name="acc", deleteat=0)], "users": [dict(id="u1", username="ann"), dict(id="u2", username="bob")]}
    for name, columns in EMPTY.items():
        columns = columns.split()
        lines = []
        for r in rows.get(name, base.get(name, [])):
            values = dict(dict.fromkeys(columns, ""), **r)
            lines.append("\t".join("\\N" if values[c] is None else str(values[c]) for c in columns))
        tables[name] = Table(columns, lines)
    return Db(tables)


def post(i, createat, root="", channel="c1", **more):
    return dict(dict(id=i, createat=createat, updateat=createat, deleteat=0, editat=0, userid="u1", channelid=channel, rootid=root, props="{}", ispinned="f"), **more)


def self_test():
    failed = passed = 0

    def equal(what, got, wanted):
        nonlocal failed, passed
        if got == wanted:
            passed += 1
        else:
            failed += 1
            print(f"FAIL {what}: {got!r}, wanted {wanted!r}")

    now = ms(2026, 3, 31, 12)
    for text, wanted in (("1mo", ms(2026, 2, 28, 12)), ("1y", ms(2025, 3, 31, 12)), ("25mo", ms(2024, 2, 29, 12)), ("90d", now - 90 * DAY), ("2w", now - 14 * DAY),
                         ("3mo", ms(2025, 12, 31, 12)), ("4mo", ms(2025, 11, 30, 12))):
        equal(f"back {text}", back(now, text), wanted)
    equal("leap day", back(ms(2024, 2, 29), "1y"), ms(2023, 2, 28))
    for text, wanted in (("500MiB", 500 << 20), ("2GB", 2_000_000_000), ("10KiB", 10240), ("7B", 7), ("3kB", 3000)):
        equal(f"size {text}", bytes_of(text), wanted)

    def deleted(policy_rule, posts, **rows):
        rule = dict({"name": "r", "match": {}, "keep": "forever"}, **policy_rule)
        db = small(posts=posts, **rows)
        v = judge(db, {"rules": [rule], "deleted_posts": {"purge_after": "5d"}}, now)
        return {root: (why, sorted(p.id for p in v.going(db, root)), sorted(r[0] for _, r in v.files(db, root))) for root, (why, _) in v.due.items()}

    def due(policy_rule, posts, holds=(), **rows):
        rule = dict({"name": "r", "match": {}, "keep": {"for": "10d"}}, **policy_rule)
        v = judge(small(posts=posts, **rows), {"rules": [rule], "holds": list(holds)}, now)
        return {root: why for root, (why, _) in v.due.items()}

    old, cut = now - 20 * DAY, now - 10 * DAY
    equal("old", due({}, [post("a", old)]), {"a": "age"})
    equal("cut is exclusive", due({}, [post("a", cut), post("b", cut - 1)]), {"b": "age"})
    equal("young reply", due({}, [post("a", old), post("b", now, "a")]), {})
    equal("young soft-deleted reply", due({}, [post("a", old), post("b", now, "a", deleteat=now)]), {})
    equal("from root", due({"keep": {"for": "10d", "from": "root"}}, [post("a", old), post("b", now, "a")]), {"a": "age"})
    equal("from last_edit", due({"keep": {"for": "10d", "from": "last_edit"}}, [post("a", old, editat=now), post("b", old)]), {"b": "age"})
    equal("floor", due({"floor": "15d"}, [post("a", old), post("b", cut - 1)]), {"a": "age"})
    equal("floor is inclusive", due({"floor": "20d"}, [post("a", old), post("b", old - 1)]), {"b": "age"})
    equal("pinned reply", due({"spare": {"pinned": "thread"}}, [post("a", old), post("b", old, "a", ispinned="t")]), {})
    equal("pinned copy", due({"spare": {"pinned": "thread"}}, [post("a", old), post("b", old, originalid="a", deleteat=old, ispinned="t")]), {"a": "age"})
    equal("hashtag", due({"spare": {"hashtags": ["#Keep"]}}, [post("a", old, hashtags="#x #KEEP"), post("b", old, hashtags="#keeper")]), {"b": "age"})
    equal("author", due({"spare": {"authors": ["bob"]}}, [post("a", old), post("b", old, "a", userid="u2", deleteat=old)]), {})
    equal("flagged", due({"spare": {"flagged": True}}, [post("a", old), post("b", old)], preferences=[dict(userid="u1", category="flagged_post", name="b")]), {"a": "age"})
    hold = {"name": "h", "match": {"users": ["ann"]}, "since": datetime.date(2026, 3, 10), "until": datetime.date(2026, 3, 11), "because": "x"}
    for at, goes in ((ms(2026, 3, 9, 23, 59, 59), True), (ms(2026, 3, 10), False), (ms(2026, 3, 11, 23, 59, 59) + 999, False), (ms(2026, 3, 12), True)):
        equal(f"hold at {at}", due({}, [post("a", at)], [hold]), {"a": "age"} if goes else {})
    equal("damaged", due({}, [post("a", None), post("b", 0), post("c", old), post("d", old, "c", "c2"), post("e", old, channel="gone"), post("f", now + 2 * DAY)]), {})
    equal("second level", due({}, [post("a", old), post("b", old, "a"), post("c", old, "b")]), {})
    jobs = (("success", 5, "message_export", {"a": "age"}), ("warning", 5, "message_export", {"a": "age"}), ("in_progress", 5, "message_export", {}), ("error", 5, "message_export", {}),
            ("success", 5, "cli_message_export", {"a": "age"}), ("success", 5, "data_retention", {"a": "age", "b": "age"}))
    for status, createat, kind, wanted in jobs:
        row = dict(type=kind, status=status, createat=createat, data=json.dumps({"batch_start_time": str(old + 1)}))
        equal(f"export {status} {kind}", due({}, [post("a", old), post("b", old + 1)], jobs=[row]), wanted)
        later = dict(row, status="success", createat=6, type="message_export", data=json.dumps({"batch_start_time": str(old)}))
        row["data"] = json.dumps({"batch_start_time": str(old), "batch_start_id": "a"})
        equal(f"export {status} {kind}, in the middle of a millisecond", due({}, [post("a", old), post("b", old)], jobs=[row]), dict.fromkeys(wanted if kind == "data_retention" else list(wanted)[:1], "age"))
        equal(f"export {status} {kind}, one more", due({}, [post("a", old), post("b", old - 1)], jobs=[row, later]), {"b": "age"})
    equal("burn", due({}, [post("a", old), post("b", old, type="burn_on_read")], temporaryposts=[dict(postid="a")]), {})
    equal("limit posts", due({"keep": "forever", "limit": {"per": "channel", "posts": 2}},
                             [post("a", old), post("b", old + 1), post("c", old + 1, "b"), post("d", old + 2), post("e", old, channel="c2")]), {"a": "posts", "b": "posts"})
    equal("limit skips", due({"keep": "forever", "limit": {"per": "channel", "posts": 2}, "spare": {"pinned": "thread"}},
                             [post("a", old, ispinned="t"), post("b", old + 1), post("c", old + 2), post("d", old + 3)]), {"b": "posts", "c": "posts"})
    equal("limit per team", due({"keep": "forever", "limit": {"per": "team", "posts": 2}},
                                [post("a", old), post("b", old + 1, channel="c2"), post("c", old + 2), post("d", old + 3), post("e", 5, channel="d1")]), {"a": "posts", "b": "posts"})
    equal("limit bytes", due({"keep": "forever", "limit": {"per": "channel", "bytes": "10B"}}, [post("a", old, message="1234"), post("b", old + 1, message="1"), post("c", old + 2, message="ü")],
                             fileinfo=[dict(id="f", postid="b", size=4)]), {"a": "bytes", "b": "bytes"})
    equal("tie order is bytewise", due({"keep": "forever", "limit": {"per": "channel", "posts": 2}}, [post("b", old), post("B", old), post("a", old)]), {"B": "posts"})

    gone = now - 6 * DAY
    thread = [post("a", old), post("b", old, "a", deleteat=gone), post("c", now, "a")]
    equal("deleted reply", deleted({}, thread), {"a": ("deleted", ["b"], [])})
    equal("no rule, nothing goes", deleted({"match": {"channel": "alarm-*"}}, thread), {})
    equal("deleted cut is exclusive", deleted({}, [post("a", old), post("b", old, "a", deleteat=now - 5 * DAY), post("c", old, "a", deleteat=now - 5 * DAY - 1)]),
          {"a": ("deleted", ["c"], [])})
    equal("age takes the whole", deleted({"keep": {"for": "10d"}}, thread[:2]), {"a": ("age", ["a", "b"], [])})
    equal("deleted in a spared thread", deleted({"spare": {"pinned": "thread"}}, thread + [post("d", old, "a", ispinned="t")]), {})
    equal("deleted thread", deleted({}, [post("a", old, deleteat=gone), post("b", old, "a", deleteat=gone)]), {"a": ("deleted", ["a", "b"], [])})
    equal("deleted root, live reply", deleted({}, [post("a", old, deleteat=gone), post("b", old, "a"), post("c", old, "a", deleteat=gone)]), {})
    copies = [post("a", old, fileids="[f2]"), post("x", old, originalid="a", deleteat=gone, fileids="[f1,f2]"), post("y", old, originalid="a", deleteat=now)]
    files = [dict(id="f1", postid="a", size=1, deleteat=gone), dict(id="f2", postid="a", size=1, deleteat=gone), dict(id="f3", postid="a", size=1, deleteat=gone)]
    equal("edit copy and its file", deleted({}, copies, fileinfo=files), {"a": ("deleted", ["x"], ["f1"])})
    equal("a later copy names the file", deleted({}, copies[:2] + [dict(copies[2], fileids="[f1]")], fileinfo=files), {"a": ("deleted", ["x"], [])})
    limit = {"limit": {"per": "channel", "posts": 3}}
    old_ones = [post("e", old - 1), post("f", old)]
    equal("a limit that is kept by what was deleted", deleted(limit, old_ones + thread[:2]), {"a": ("deleted", ["b"], [])})
    equal("a limit that is not", deleted(limit, old_ones + thread + [post("d", now)]), {"e": ("posts", ["e"], []), "f": ("posts", ["f"], []), "a": ("deleted", ["b"], [])})
    equal("a limit that takes the thread itself", deleted({"limit": {"per": "channel", "posts": 1}}, thread[:2] + [post("d", now)]), {"a": ("posts", ["a", "b"], [])})
    equal("hidden by hand", deleted({}, [post("a", old), post("b", old, "a", deleteat=1), post("c", old, "a", deleteat=gone // 1000), post("d", old, "a", deleteat=gone)]), {"a": ("deleted", ["d"], [])})
    equal("hidden by hand, all of it", deleted({}, [post("a", old, deleteat=1), post("b", old, "a", deleteat=gone // 1000)]), {})
    equal("hidden by hand, file", deleted({}, copies[:2], fileinfo=[dict(files[0], deleteat=1)]), {"a": ("deleted", ["x"], [])})
    equal("reply with a young copy", deleted({}, [post("a", old), post("b", old, "a", deleteat=gone), post("x", old, "a", originalid="b", deleteat=now)]), {})
    equal("another live post names the file", deleted({}, copies[:2] + [post("r", old, "a", fileids="[f1]")], fileinfo=files), {"a": ("deleted", ["x"], [])})
    equal("live post names its file", deleted({}, [post("a", old, fileids="[f1]"), post("b", old, "a", deleteat=gone)], fileinfo=[dict(id="f1", postid="b", size=1, deleteat=0)]), {})

    channels = {c.name: c for c in small().channels.values()}
    rules = [{"name": "all", "match": {}}, {"name": "type", "match": {"type": ["private"]}}, {"name": "team", "match": {"team": "a*"}},
             {"name": "team2", "match": {"team": ["acc"]}, "priority": 5}, {"name": "channel", "match": {"channel": "alarm-*"}}]
    equal("ladder", [winner(rules, channels[n])["name"] for n in ("town", "alarm-1", "a__b")], ["team2", "channel", "all"])
    board = Scope()
    board.id, board.name, board.team, board.team_name, board.type, board.archived = "c9", "board", "t1", "acc", "BO", False
    equal("unknown type", [winner([{"name": "r", "match": m}], board) is not None for m in ({}, {"team": "*"}, {"channel": "*"}, {"channel": "boar?"}, {"channel": ["x", "board"]}, {"channel": "c9"})],
          [False] * 4 + [True] * 2)
    talk = Scope()
    talk.id, talk.name, talk.team, talk.team_name, talk.type, talk.archived = "c8", "a" * 26 + "__" + "b" * 26, "", "", "direct", False
    equal("globs and direct channels", [winner([{"name": "r", "match": m}], talk) is not None for m in ({"channel": "a*"}, {"channel": ["*ab*", "[ab]*"]}, {"channel": "*"}, {"channel": "*__*"},
          {"channel": "a*", "type": "direct"}, {"channel": "a*", "type": ["group"]}, {"channel": "*" + "b" * 26}, {"channel": "c8"})], [False] * 2 + [True] * 3 + [False] + [True] * 2)
    equal("no rule", winner(rules[4:], channels["town"]), None)
    equal("direct has no team", winner([{"name": "t", "match": {"team": "*"}}], channels["a__b"]), None)
    try:
        winner(rules[:1] * 2, channels["town"])
        equal("tie", "no error", "error")
    except PolicyError:
        passed += 1
    equal("field", field("a\\tb\\\\n\\nü"), "a\tb\\n\nü")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main(argv):
    parser = argparse.ArgumentParser(description="Which threads must go.")
    parser.add_argument("--db")
    parser.add_argument("--policy")
    parser.add_argument("--now", default="2026-11-01T00:00:00Z")
    parser.add_argument("--data", help="attachment folder: threads with a lost blob are named")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args(argv)
    if args.self_test:
        return self_test()
    if not args.db or not args.policy:
        parser.error("--db and --policy are needed")
    import yaml
    with open(args.policy, encoding="utf-8") as f:
        policy = yaml.safe_load(f)
    db = Db(load(args.db))
    verdict = judge(db, policy, parse_time(args.now))
    lost = Files(db, verdict, args.data).lost if args.data else set()
    for root, (reason, rule) in sorted(verdict.due.items()):
        print(f"{'lost' if root in lost else reason}\t{rule['name']}\t{root}\t{len(verdict.going(db, root))}")
    print(f"{len(verdict.due)} due, {len(verdict.kept)} kept back", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
