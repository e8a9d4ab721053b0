"""What must be true after every step of year_test.py: kept beside the program, from the words of the documents, and from bundles opened with zstd and tar alone."""
import calendar
import collections
import datetime
import glob
import json
import os
import re

import e2e_lib as lib
import oracle
from e2e_lib import DAY
from people_world import BY_USER, DOMAIN

SILENCE = 32 * DAY
OWNERS = {"fileinfo": "creatorid"}  # else userid
# Rows that go with an account, beside those of BY_USER, and rows that change with it.
OF_PEOPLE = set(BY_USER) | {"tokens", "propertyvalues", "recapchannels", "fileinfo", "audits"}
CHANGED = {"users", "audits"}


def forward(at_ms, duration):
    """A moment plus a duration: months and years by the calendar, in UTC."""
    n, unit = re.fullmatch(r"(\d+)(d|w|mo|y)", duration).groups()
    if unit in "dw":
        return at_ms + int(n) * DAY * (7 if unit == "w" else 1)
    at = datetime.datetime.fromtimestamp(at_ms // 1000, oracle.UTC)
    year, month = divmod(at.year * 12 + at.month - 1 + int(n) * (12 if unit == "y" else 1), 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return calendar.timegm((year, month + 1, day, at.hour, at.minute, at.second)) * 1000 + at_ms % 1000


def month_end(at_ms):
    """The first moment after the month."""
    at = datetime.datetime.fromtimestamp(at_ms // 1000, oracle.UTC)
    return calendar.timegm((at.year + at.month // 12, at.month % 12 + 1, 1, 0, 0, 0)) * 1000


class Book(lib.Bundle):
    """A bundle as facts."""

    def __init__(self, path):
        super().__init__(path)
        about = json.loads(self.members["data/bundle.json"])
        self.rule, self.parts, self.cut = about["rule"], bool(about.get("parts")), about["cutoff_ms"]
        self.expires = about["expires_ms"]
        self.generation = re.sub(r"(-e\d{1,4})?\.tar\.zst", "", self.name)
        self.records, self.posts, self.erased, self.order = set(), {}, {}, []
        for table, row in self.rows():
            self.records.add((table,) + tuple(sorted(row.items())))
            if table == "posts":
                self.posts[row["id"]] = row
                self.order.append(row["id"])
        self.newest = max([int(r["createat"]) for r in self.posts.values()], default=None)
        self.roots = set() if self.parts else {i for i, r in self.posts.items() if not r["rootid"] and not r["originalid"]}
        self.roots |= {i for i, e in self.erased.items() if not self.parts and not e.get("rootid") and not e.get("originalid")}
        lines = self.members.get("data/files.jsonl", b"").decode().splitlines()
        files = [json.loads(line) for line in lines if line]
        self.files = {e["file"] for e in files if e.get("sha256") in self.blobs}
        self.all_files = {e["file"] for e in files}
        self.number = int(re.search(r"-(\d{6})-[0-9a-f]{12}", self.name)[1])
        self.members = None

    def row(self, line):
        row = lib.loads(line)
        if row["k"] != "erased":
            return super().row(line)
        if row["kind"] == "post":
            self.erased[row["id"]] = row
        return "erased", {"line": line}

    def thread_of(self, post):
        """The root of a post in it."""
        row = self.posts.get(post)
        if row is None:
            return None
        if row["rootid"]:
            return row["rootid"]
        return self.thread_of(row["originalid"]) or row["originalid"] if row["originalid"] else post

    def threads(self):
        return {self.thread_of(p) for p in self.posts} | self.roots


class Snap:
    """Database and attachments at one moment."""

    def __init__(self, copy):
        self.tables = copy.load()
        self.db = oracle.Db(self.tables)
        self.files = copy.files()
        self.counts = {name: collections.Counter(t.lines) for name, t in self.tables.items()}

    def paths(self):
        """Every path that a row names."""
        t = self.tables["fileinfo"]
        return {t.get(r, n) for r in t.rows for n in ("path", "thumbnailpath", "previewpath")}

    def users(self):
        t = self.tables["users"]
        return {t.get(r, "id"): dict(zip(t.columns, r)) for r in t.rows}


def differences(before, after):
    """{table: (gone, come)}: lines."""
    out = {}
    for name, now in after.counts.items():
        gone, come = before.counts.get(name, collections.Counter()) - now, now - before.counts.get(name, collections.Counter())
        if gone or come:
            out[name] = gone, come
    return out


class Model:
    def __init__(self, copy):
        self.copy = copy
        self.books = {}  # path -> Book
        self.keep_for, self.newest = {}, {}  # of a bundle without its generation: what its rule said, and the time of its newest post
        self.owed = {}    # record that a run took -> why it may do without a bundle, or None
        self.may_go, self.must_go = {}, {}  # path -> mode of `files`
        self.holds = collections.defaultdict(set)  # case -> roots
        self.erased, self.drafts = set(), set()
        self.touched = set()  # paths whose file somebody removed or wrote anew
        self.lines = None, []
        self.waived = set()  # posts of them
        self.lent = {}  # record -> root, of what went without an archive: a late reply brings it back in the same run

    # ---- the archive ----
    def ledger(self):
        """Its lines; read again when it has grown."""
        path = os.path.join(self.copy.archive, "ledger", "entries.jsonl")
        size = os.path.getsize(path) if os.path.exists(path) else None
        if self.lines[0] != size or size is None:
            self.lines = size, lib.ledger(self.copy.archive, torn=True)
        return self.lines[1]

    def held(self):
        return set().union(*self.holds.values()) if self.holds else set()

    def ledger_holds(self, entries):
        out = collections.defaultdict(set)
        for e in entries:
            if e["type"] == "hold":
                out[e["case"]] |= set(e["roots"])
            elif e["type"] == "release":
                out[e["case"]] -= set(e["roots"])
        return {case: roots for case, roots in out.items() if roots}

    @staticmethod
    def owing(entries):
        """Names of bundles and lists that some run still owes a step."""
        out = set()
        for e in entries:
            if e["type"] in ("published", "waived"):
                out.add(e["bundle"])
            elif e["type"] == "bundle-done":
                out.discard(e["bundle"])
        return out

    def unfinished(self, entries):
        """The books among them, and those that no line names."""
        owing, known = self.owing(entries), {e["bundle"] for e in entries if e["type"] == "published"}
        return [b for b in self.books.values() if b.generation + ".tar.zst" in owing or b.generation + ".tar.zst" not in known]

    def read_archive(self, policy, now, holds, problems):
        """New bundles are read, and each that is gone had a right to go."""
        paths, rules = set(lib.bundles(self.copy.archive)), {r["name"]: r for r in policy["rules"]}
        fresh = {p: Book(p) for p in sorted(paths - set(self.books))}
        gone = {p: self.books.pop(p) for p in set(self.books) - paths}
        self.books.update(fresh)
        for b in fresh.values():
            self.keep_for.setdefault(b.generation, self.keeps(rules.get(b.rule)))
            self.newest.setdefault(b.generation, b.newest)
        have = self.have()
        for b in gone.values():
            successor = next((x for x in self.books.values() if x.generation == b.generation), None)
            if successor:
                self.replaced(b, successor, have, problems)
            else:
                self.expired(b, rules.get(b.rule), now, holds, have, problems)

    @staticmethod
    def keeps(rule):
        archive = rule.get("archive") if rule else None
        return archive["keep_for"] if isinstance(archive, dict) else None

    def have(self):
        return set().union(*(b.records for b in self.books.values())) if self.books else set()

    def replaced(self, old, new, have, problems):
        posts = set(new.erased)
        for r in old.records - have:
            row = dict(r[1:])
            owner = row.get(OWNERS.get(r[0], "userid"))
            if owner not in self.erased and not (r[0] in ("translations", "temporaryposts", "fileinfo") and {row.get("objectid"), row.get("postid")} & posts):
                problems.append(f"an erasure took a row of somebody else: {lib.short(r)}")
            self.owed.pop(r, None)

    def ends(self, book, rule):
        """When its time is up by the policy of today; None: never."""
        keep = [self.keep_for[book.generation]]
        if rule:
            keep.append(self.keeps(rule))
        since = max(self.newest[book.generation], book.cut if book.parts else 0)
        return None if None in keep else max(month_end(forward(since, k)) for k in keep)

    def covers(self, book, holds):
        """Strictly: what must keep the bundle."""
        held = self.held() & book.threads()
        return f"thread {min(held)} is held" if held else next((f"hold {h.name}" for h in holds for p in book.posts.values()
                                                                 if h.since <= int(p["createat"]) < h.until and (p["userid"] in h.users or p["channelid"] in h.channels)), None)

    def expired(self, book, rule, now, holds, have, problems):
        ends, why = self.ends(book, rule), self.covers(book, holds)
        if ends is None or ends > now:
            problems.append(f"bundle {book.name} went before its time ({ends and lib.stamp(ends)})")
        if why:
            problems.append(f"bundle {book.name} went, but {why}")
        for r in book.records - have:
            self.owed.pop(r, None)

    def late_rows(self):
        """Records of rows that came after their bundle."""
        out = set()
        for path in glob.glob(os.path.join(self.copy.archive, "ledger", "late-*.jsonl")):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    entry = lib.loads(line)
                    table = {"reaction": "reactions", "member": "threadmemberships", "thread": "threads", "pref": "preferences", "draft": "drafts", "reminder": "postreminders",
                             "ack": "postacknowledgements", "translation": "translations"}.get(entry["k"], entry["k"])
                    kinds = lib.column_types().get(table, {})
                    out.add((table,) + tuple(sorted((c, lib.cell(v, kinds.get(c, "text"))) for c, v in entry["row"].items())))
        return out

    # ---- one step ----
    def record(self, snap, table, line):
        t = snap.tables[table]
        return lib.as_record(table, t.columns, [oracle.field(f) for f in line.split("\t")])

    def step(self, before, after, allowed, people, problems, waived=(), verdict=None):
        """What the program took and brought.  allowed: {table: {line: root}}; people: accounts that may be depersonalised; verdict: to say more of what should not have gone."""
        have, late = self.have(), None
        back = set(after.db.threads) - set(before.db.threads)
        for name, (gone, come) in differences(before, after).items():
            for line in gone:
                root = allowed.get(name, {}).get(line)
                record = self.record(before, name, line)
                if name == "threads" and root and root not in before.db.posts:
                    continue  # a late reply's, of a thread that came back to it and went again
                if root in waived:
                    self.lent[record] = root
                    self.waived |= {line.split("\t")[0]} if name == "posts" else set()
                elif record in have and (root or (name == "reactions" and line.split("\t")[1] not in before.db.posts)):  # late ones, of a thread that came back and went again
                    self.owed[record] = root
                elif name in OF_PEOPLE | CHANGED and (any(u in line for u in people) or (people and name == "recapchannels")):
                    self.unposted(before.tables[name], line)
                elif name == "threads" and (line.split("\t")[0] in back or line.split("\t")[0] not in before.db.posts):
                    continue  # a late reply's: it counts again when the thread is back
                else:
                    late = self.late_rows() if late is None else late
                    if record in late or any(f in self.waived - set(before.db.posts) for f in line.split("\t")):
                        continue  # a list without an archive keeps no late rows either
                    problems.append(f"{name}: gone, and {'in no bundle' if root else 'nothing wanted it'}: {lib.short(line)}{about(before, name, line, verdict)}")
            for line in come:
                record = self.record(after, name, line)
                if name in oracle.CLOSURE and (record in have or record in self.lent):
                    self.owed.pop(record, None)
                    if name == "fileinfo" and dict(record[1:])["path"] not in after.files and self.stored(dict(record[1:])["id"]):
                        problems.append(f"fileinfo: came back without its attachment, which is in a bundle: {lib.short(line)}")
                elif name == "threads" and line.split("\t")[0] in back:
                    self.counted(after.db, line, problems)
                elif not (name in CHANGED and any(u in line for u in people)):
                    near = [dict(r[1:]) for r in have if r[0] == name and name == "posts" and dict(r[1:])["id"] == line.split("\t")[0]]
                    problems.append(f"{name}: new: {lib.short(line)}" + (f" {near}" if near else ""))
        self.hanging(before, after, problems)

    def stored(self, file):
        """Is its content in the newest bundle that has the file?  A thread that came back once may have gone again by a rule with `files: drop`."""
        newest = max((b for b in self.books.values() if file in b.all_files), key=lambda b: b.number, default=None)
        return newest is not None and file in newest.files

    @staticmethod
    def counted(db, line, problems):
        """The row of a thread that came back to a late reply counts both."""
        root, count = line.split("\t")[:2]
        live = sum(1 for p in db.threads[root].posts if p.root == root and not p.original and p.live)
        if int(count) != live:
            problems.append(f"threads: {live} replies, and the row says {count}: {lib.short(line)}")

    def unposted(self, table, line):
        """Files of drafts, and of uploads that came to no end, go with the account."""
        row = [oracle.field(f) for f in line.split("\t")]
        self.drafts.add(row[0])
        self.may_go.update({table.get(row, n): "people" for n in ("path", "thumbnailpath", "previewpath") if table.get(row, n) and not table.get(row, "postid")})

    def hanging(self, before, after, problems):
        """No row that was there before lost what it points at; of files of drafts the seed has some that are shared."""
        was = oracle.orphans(before.db)
        for (table, column), ids in oracle.orphans(after.db).items():
            t = after.tables[table]
            for ident in ids - was.get((table, column), collections.Counter()):
                if (table in ("preferences", "translations", "propertyvalues") and ident not in before.db.posts) or (table == "sharedchannelattachments" and ident in self.drafts):
                    continue
                for line, row in zip(t.lines, t.rows):
                    if t.get(row, column) == ident and before.counts[table][line]:
                        problems.append(f"{table}: left without its post {ident}: {lib.short(line)}")

    def attachments(self, before, after, problems, complete):
        """What is gone from the disk had to; complete: all that had to is gone."""
        used = after.paths()
        for path in set(before.files) - set(after.files):
            if path not in self.may_go and not path.startswith("users/"):
                problems.append(f"attachment folder: gone, but must stay: {path}")
            elif path in used:
                problems.append(f"attachment folder: gone, and a row still names it: {path}")
        for path in set(before.files) & set(after.files):
            if before.files[path] != after.files[path]:
                problems.append(f"attachment folder: changed: {path}")
        for path in sorted(self.must_go):
            if path in used or path not in after.files:
                self.must_go.pop(path)
                self.may_go.pop(path, None)
            elif complete and os.path.dirname(path) not in {os.path.dirname(p) for p in self.touched}:
                problems.append(f"attachment folder: still there, and no row names it: {path}")
                self.must_go.pop(path)

    def taken(self, before, after, allowed, want, last, problems):
        """What becomes of the attachments of the rows that are gone.  last: what earlier nights decided, {root: (rule, part)}."""
        t = before.tables["fileinfo"]
        gone, _ = differences(before, after).get("fileinfo", ({}, {}))
        for line, row in zip(t.lines, t.rows):
            root = allowed.get("fileinfo", {}).get(line)
            if line not in gone or not root:
                continue
            rule = want.verdict.due[root][1] if root in want.verdict.due else last[root][0] if root in last else want.verdict.rule[before.db.threads[root].channel]
            mode, folder = rule.get("files", "archive"), os.path.dirname(t.get(row, "path"))
            for n in ("path", "thumbnailpath", "previewpath"):
                path = t.get(row, n)
                if path and mode != "keep" and os.path.dirname(path) == folder:
                    self.may_go[path] = mode
                    if want.files.get(path, "special") != "special" and path not in want.attachments.loose and t.get(row, "path") not in self.touched:
                        self.must_go[path] = mode
            content = before.files.get(t.get(row, "path"), "special")
            if mode == "archive" and content != "special" and not any(content[1] in b.blobs for b in self.books.values()):
                problems.append(f"attachment folder: the row is gone, and its content is in no bundle: {t.get(row, 'path')}")

    def safe(self, after, problems):
        """Everything that runs took is in a bundle, or had a right to leave it."""
        have = self.have()
        for r in [r for r in self.owed if r not in have]:
            problems.append(f"in neither place: {lib.short(r)}")
            self.owed.pop(r)

    # ---- accounts ----
    def victims(self, snap, policy, now):
        """Accounts that are due to be depersonalised."""
        people = policy.get("people")
        if not people:
            return set()
        db, users, bots = snap.db, snap.users(), {snap.tables["bots"].get(r, "userid") for r in snap.tables["bots"].rows}
        kept, places = self.keepers(snap, policy)
        return {i for i, u in users.items() if int(u["deleteat"] or 0) > oracle.SANE and forward(int(u["deleteat"]), people["after"]) < now and i not in bots | kept and not u["remoteid"]
                and not is_done(u) and i not in places and i not in {db.people.get(n) for n in people.get("except", ())}}

    def keepers(self, snap, policy):
        """Accounts that a hold names, or that have a part in what is held."""
        db = snap.db
        named, places, channels, posts = self.plugin(snap), set(), set(), set()
        for root in self.held() & set(db.threads):
            posts |= {p.id for p in db.threads[root].posts}
            places |= {p.user for p in db.threads[root].posts}
        for spec in policy["holds"]:
            hold = oracle.Hold(db, spec)
            named |= hold.users
            channels |= hold.channels
            for t in db.threads.values():
                if any(hold.since <= p.createat < hold.until and p.channel in hold.channels for p in t.posts if p.createat is not None):
                    posts |= {p.id for p in t.posts}
                    places |= {p.user for p in t.posts}
        for table, column in (("postreminders", "postid"), ("preferences", "name"), ("drafts", "rootid")):
            t = snap.tables[table]
            places |= {t.get(r, "userid") for r in t.rows if t.get(r, column) in posts and (table != "preferences" or t.get(r, "category") == "flagged_post")}
        for table in ("drafts", "scheduledposts"):
            t = snap.tables[table]
            places |= {t.get(r, "userid") for r in t.rows if t.get(r, "channelid") in channels}
        return named, places

    @staticmethod
    def plugin(snap):
        """Persons of the legal-hold plugin, those in its groups included."""
        store, members, named = snap.tables["pluginkeyvaluestore"], snap.tables["groupmembers"], set()
        for row in store.rows:
            if store.get(row, "pluginid") == oracle.LEGAL_HOLD and store.get(row, "pkey").startswith("kvstore_legal_hold_"):
                hold = json.loads(bytes.fromhex(store.get(row, "pvalue")[2:]))
                named |= set(hold.get("user_ids") or ())
                named |= {members.get(r, "userid") for r in members.rows if members.get(r, "groupid") in (hold.get("group_ids") or ()) and not oracle.number(members.get(r, "deleteat"))}
        return named

    def people(self, before, after, victims, complete, problems):
        was, now = before.users(), after.users()
        fresh = {i for i in now if is_done(now[i]) and not is_done(was[i])}
        for i in fresh - victims:
            problems.append(f"account {was[i]['username']} was depersonalised, and must not")
        for i in (victims - fresh) if complete else ():
            problems.append(f"account {was[i]['username']} is due to be depersonalised, and was not")
        for i in [i for i in now if complete and is_done(now[i]) and f"users/{i}/profile.png" in after.files]:
            problems.append(f"account {now[i]['username']} is depersonalised, and its picture is there")
        for i in fresh:
            for c in ("id", "username", "nickname", "firstname", "lastname", "deleteat", "createat", "locale"):
                if was[i][c] != now[i][c]:
                    problems.append(f"account {was[i]['username']}: {c} is another one")
            for table in BY_USER:
                t = after.tables.get(table)
                if t and any(t.get(r, "userid") == i for r in t.rows):
                    problems.append(f"account {was[i]['username']}: rows are left in {table}")


def about(snap, table, line, verdict):
    """Whose thread a post was of, and what the verdict says of it."""
    p = snap.db.posts.get(line.split("\t")[0]) if table == "posts" and verdict else None
    root = p and (p.root or (snap.db.posts[p.original].root or p.original if p.original in snap.db.posts else p.id))
    t = root and snap.db.threads.get(root)
    if not t:
        return ""
    rule = verdict.rule.get(t.channel)
    rows = [(x.id, x.createat, x.deleteat, x.editat, x.root, x.original, x.pinned, x.fileids) for x in t.posts]
    return f" of thread {root}: {verdict.due.get(root, ('not due',))[0]}, kept {verdict.kept.get(root)}, part {verdict.part.get(root)}, rule {rule and rule['name']}, {t.flags} {t.damage} {rows}"


def is_done(user):
    return re.fullmatch(re.escape(user["id"]) + r"(-\d+)?" + re.escape(DOMAIN), user["email"]) is not None and not user["password"] and not user["authdata"]


def silent(entries, now):
    """Was the ledger silent for too long, not long enough ago?  entries: before the run."""
    at = [oracle.parse_time(e["at"]) for e in entries] + [now]
    return any(b - a > SILENCE and now - b < SILENCE for a, b in zip(at, at[1:]))
