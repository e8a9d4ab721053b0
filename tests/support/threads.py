"""Threads with everything that points at their posts, in the row shapes a live server leaves behind."""
import math
import os
import random
import time

from pictures import picture
from words import TAGS, NASTY, EMOJI_NAMES, plain
from world import DAY, YEAR, HOSTILE, js

UNTAGGED = ("slack_attachment", "custom_calls", "me", "reminder")
SYSTEM = ("system_join_channel", "system_add_to_channel", "system_leave_channel", "system_header_change",
          "system_remove_from_channel",
          "system_displayname_change", "system_purpose_change", "system_join_team")
UNCOUNTED = {"system_join_channel", "system_add_to_channel", "system_leave_channel", "system_remove_from_channel",
             "system_join_team"}
IMAGE = bytes.fromhex("89504e470d0a1a0a0000000d49484452")
KINDS = (("pdf", "application/pdf", b"%PDF-1.5\n"), ("png", "image/png", IMAGE),
         ("jpg", "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
         ("txt", "text/plain", b""), ("csv", "text/csv", b"t;value\n"), ("zip", "application/zip", b"PK\x03\x04"),
         ("log", "text/plain", b""), ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                                      b"PK\x03\x04"))
BIG_PROPS = (
    {"nested": {"a": [1, [2, [3, {"b": None}]]], "leer": {}, "liste": []},
     "text": "Zeile\nmit \"Anführung\" und \\ und \u0001\u001b\u2028"},
    {"zahl": 12345678901234567890123, "klein": 1e-30, "bruch": 0.1234567890123456789, "neg": -0.0,
     "groß": 18446744073709551616},
    {"schlüssel": "ü\u00e4\U0001F600", "": "empty key", "a.b": {"$ref": "#/x"}, "lang": "x" * 3000},
)


class Post:
    __slots__ = ("id", "createat", "updateat", "deleteat", "user", "root", "message", "type", "props", "tags",
                 "fileids", "reacted",
                 "editat", "pinned", "remote", "files", "language", "counted")


class Threads:
    def __init__(self, world, out, rng, text, posts, blobs):
        self.world, self.out, self.rng, self.text, self.posts = world, out, rng, text, posts
        self.now = world.now
        self.blobs = blobs
        self.made = self.files = self.threads = self.copies = 0
        self.flags = max(5, posts // 4000)
        self.burn = max(4, posts // 3000)
        self.huge = [0, 1, 2] + [0] * (posts // 100_000) if posts >= 1000 else []
        self.shareable = None
        self.roots_seen = []

    # -- shape -------------------------------------------------------------------------------------------------
    def size(self):
        """Posts in a thread: 89 % one, 10 % up to 15, 1 % more, with a heavy tail."""
        draw = self.rng.random()
        if draw < 0.89:
            return 1
        if draw < 0.99:
            return min(15, 2 + int(self.rng.expovariate(0.33)))
        return min(1 + int(15 * self.rng.paretovariate(1.9)), max(60, self.posts // 30), 4000)

    def when(self, begin, end):
        """A moment; mostly working days and hours, more in later years."""
        rng = self.rng
        at = begin + int((end - begin) * rng.random() ** 0.8)
        day = at // DAY
        if (day + 4) % 7 in (0, 6) and rng.random() < 0.85:
            day -= 2
        if rng.random() < 0.93:
            at = day * DAY + int(min(max(rng.gauss(11.5, 2.8), 0.1), 23.9) * 3_600_000)
        return max(begin, min(at, end - 2))

    def run(self, progress):
        """Make threads until all posts are there."""
        big = min(self.posts // 25, 3000) if self.posts >= 5000 else 0
        self.middle = self.posts // 3
        while self.made < self.posts:
            size = min(self.size(), self.posts - self.made)
            if big and self.made > self.middle:
                size, big = big, 0
            self.thread(size)
            if self.threads % 512 == 0:
                progress(self.made)

    def post(self, number, k, channel, at, user, root):
        p = Post()
        p.id = self.out.id("post", f"{number}.{k}")
        p.createat = p.updateat = at
        p.deleteat = p.editat = 0
        p.user, p.root, p.type, p.props, p.tags, p.fileids, p.files = user, root, "", "{}", "", "[]", []
        p.reacted = p.pinned = False
        p.remote = "" if self.rng.random() < 0.3 else None
        p.counted = True
        p.language = self.world.users[user].language
        return p

    def thread(self, size, channel=None):
        rng, world, now = self.rng, self.world, self.now
        number = self.threads
        self.threads += 1
        c = channel or world.pick_channel()
        if size > 200:
            c = world.channels[world.order[0]]
        begin, end = world.begin + int(c.start * 5 * YEAR), min(now - 60_000, world.begin + int(c.end * 5 * YEAR))
        root_at = self.when(begin, max(begin + 10, end))
        times, at = [root_at], root_at
        late = size > 1 and rng.random() < 0.03
        for k in range(1, size):
            at += 900 + int(rng.lognormvariate(12.1, 1.7))
            if late and k == size - 1:
                at += int((20 + 380 * rng.random()) * DAY)
            times.append(at)
        if times[-1] > end:
            scale = max(1, end - root_at - size) / (times[-1] - root_at)
            times = [root_at + int((t - root_at) * scale) + k for k, t in enumerate(times)]
        posts = []
        for k, t in enumerate(times):
            user = world.author(c, t)
            p = self.post(number, k, c, t, user, posts[0].id if k else "")
            self.fill(p, c, number, k, size)
            posts.append(p)
        self.made += size
        self.special(number, c, posts)
        self.events(number, c, posts, end)
        self.emit(number, c, posts)

    # -- one post ----------------------------------------------------------------------------------------------
    def fill(self, p, c, number, k, size):
        rng, world = self.rng, self.world
        user = world.users[p.user]
        if size == 1 and c.kind in "OP" and rng.random() < 0.06:
            return self.system(p, c)
        draw = rng.random()
        if draw < 0.03:
            p.tags = " ".join(dict.fromkeys(rng.choice(TAGS) for _ in range(1 + int(rng.random() * 2))))
        p.message = self.text.message(p.language, world.names, p.tags)
        if self.huge and rng.random() < 3.0 * len(self.huge) / self.posts + (0.01 if self.made > self.posts * 0.8 else 0):
            p.message, p.tags = self.text.huge(self.huge.pop()), ""
        if user.kind == "bot" and draw > 0.3:
            p.props = js({"from_bot": "true"})
            if draw > 0.7 and not p.root:
                p.type = "slack_attachment"
                p.props = js({"from_webhook": "true", "override_username": rng.choice(["Grafana", "Zabbix",
                        "Jürgen's Hook"]), "webhook_display_name": "Alarm",
                              "attachments": [{"id": 0, "fallback": p.message[:40], "color": "#ff0000",
                                               "title": f"Alarm {rng.randrange(1000)}",
                                               "fields": [{"short": True, "title": "Wert",
                                                       "value": round(rng.random() * 100, 3)},
                                                          {"short": True, "title": "Grenze",
                                                                  "value": rng.randrange(100)}],
                                                                  "ts": p.createat // 1000}]})
        elif draw > 0.93:
            p.props = js({"disable_group_highlight": True})
        elif draw > 0.92:
            p.props = js({"channel_mentions": {"town-square": {"display_name": "Town Square",
                    "team_name": "accelerator"}}})
        elif draw > 0.915 and c.recent:
            p.props = js({"previewed_post": rng.choice(c.recent)})
        elif draw > 0.911:
            p.props = js(rng.choice(BIG_PROPS))
        elif draw > 0.909:
            p.type = "me"
        elif draw > 0.908 and not p.root:
            p.type, p.message, p.props = "custom_calls", "Call started", js({"title": "", "start_at": p.createat,
                    "end_at": p.createat + 600000, "participants": [user.id]})
        p.pinned = draw < 0.008
        if c.shared and draw > 0.9:
            p.remote = self.out.id("remote", 0)
        if rng.random() < 0.05 and p.type == "":
            self.attach(p, c, number, k)
        p.reacted = rng.random() < 0.095

    def system(self, p, c):
        rng, world = self.rng, self.world
        user = world.users[p.user]
        p.type = rng.choice(SYSTEM)
        p.counted = p.type not in UNCOUNTED
        other = world.users[rng.randrange(len(world.users))]
        if p.type in ("system_add_to_channel", "system_remove_from_channel"):
            p.message = f"{other.name} added to the channel by {user.name}."
            p.props = js({"addedUserId": other.id, "addedUsername": other.name, "userId": user.id,
                          "username": user.name})
        elif p.type == "system_header_change":
            p.message = f"{user.name} updated the channel header from: alt to: neu {rng.randrange(1000)}"
            p.props = js({"username": user.name, "old_header": "alt", "new_header": f"neu @{other.name}"})
        else:
            p.message = f"{user.name} {p.type[7:].replace('_', ' ')}."
            p.props = js({"username": user.name})

    def special(self, number, c, posts):
        """A few single posts become burn-on-read, flagged content, urgent or reminder posts."""
        rng, out, world = self.rng, self.out, self.world
        p, users = posts[0], world.users
        if p.type:
            return
        people = c.pool
        if len(posts) == 1 and self.burn and not p.files and (p.createat > self.now - 120 * DAY or self.made > self.posts * 0.9):
            self.burn -= 1
            expire = p.createat + 7 * DAY if self.burn % 3 else p.createat + 600_000
            p.type, p.pinned, p.tags, p.reacted = "burn_on_read", False, "", False
            p.props = js({"expire_at": expire, "read_duration": 600_000})
            out.row("temporaryposts", postid=p.id, type=p.type, expireat=expire, message="Geheim: " + p.message[:2000],
                    fileids="[]")
            for index in people[:2]:
                out.row("readreceipts", postid=p.id, userid=users[index].id,
                        expireat=p.createat + 600_000 * (1 + index % 3))
            p.message = ""
            return
        if self.flags and rng.random() < 4 * self.flags / max(1, self.posts - self.made):
            self.flag(number, c, p, posts)
        draw = rng.random()
        if draw < 0.015:
            ack = draw < 0.01
            persistent = draw < 0.005
            out.row("postspriority", postid=p.id, channelid=c.id,
                    priority="urgent" if persistent else ("important", "", "urgent")[number % 3],
                    requestedack=ack,
                    persistentnotifications=persistent if number % 2 else (True if persistent else None))
            if ack:
                for index in people[:1 + number % 4]:
                    out.row("postacknowledgements", postid=p.id, userid=users[index].id, remoteid="", channelid=c.id,
                            acknowledgedat=0 if index % 9 == 8 else min(self.now - 1,
                                    p.createat + 1000 + int(rng.random() * DAY)))
            if persistent:
                out.row("persistentnotifications", postid=p.id, createat=p.createat,
                        lastsentat=min(self.now - 1, p.createat + 300_000), sentcount=1,
                        deleteat=0 if number % 3 == 0 else min(self.now - 1, p.createat + 900_000))
        elif draw < 0.018:
            out.row("postreminders", postid=posts[-1].id, userid=users[posts[-1].user].id,
                    targettime=(p.createat + 3 * DAY) // 1000 if number % 2 else (self.now + 3 * DAY) // 1000)

    def flag(self, number, c, p, posts):
        out, users = self.out, self.world.users
        self.flags -= 1
        status = ("pending", "assigned", "removed", "retained", "Pending")[self.flags % 5]
        at = min(self.now - 1, posts[-1].createat + 60_000)
        values = {"flagged_post_id": p.id, "status": status, "reporting_user_id": users[0].id,
                  "reporting_comment": f"{plain('Grüße')} unpassend",
                  "reporting_reason": "Spam", "reporting_time": at}
        if status in ("assigned", "removed", "retained"):
            values["reviewer_user_id"] = users[0].id
        if status in ("removed", "retained"):
            values.update(actor_user_id=users[0].id, actor_comment="erledigt", action_time=at + 1)
        for name, value in values.items():
            out.row("propertyvalues", id=out.id("flag", f"{number}{name}"), targetid=p.id, targettype="post",
                    groupid=out.id("pgroup", "flagging"),
                    fieldid=out.id("pfield", name), value=js(value), createat=at, updateat=at, deleteat=0)
        if status == "removed" and len(posts) == 1:
            p.message, p.tags, p.fileids, p.props, p.reacted = "", "", "[]", "{}", False
            p.deleteat = p.updateat = at + 1
            for f in p.files:
                f["gone"] = True
            p.files = []

    # -- files -------------------------------------------------------------------------------------------------
    def attach(self, p, c, number, k):
        rng = self.rng
        ids = []
        for n in range(1 if rng.random() < 0.7 else 2 + int(rng.random() * (9 if rng.random() < 0.05 else 2))):
            ext, mime, magic = KINDS[min(len(KINDS) - 1, int(rng.random() ** 1.3 * len(KINDS)))]
            name = f"{rng.choice(['Protokoll', 'messung', 'Screenshot', 'Übersicht', 'log', 'plan v2'])}_{number}.{ext}"
            if self.world.hostile and rng.random() < 0.3:
                name = rng.choice(['a"b\'c.txt', "..", "x\ny.png", "ü" * 120 + ".pdf", "n" * 251 + ".txt", "-rf *.log",
                                   "CON.txt", "\u202efdp.exe", ".hidden", "a b\tc.csv"])
                ext = name.rpartition(".")[2][:60] if "." in name.strip(".") else ""
            size = min(int(rng.lognormvariate(7.6, 1.3)) + len(magic) + 1, 262_144)
            ids.append(self.file(p, c, name, ext, mime, magic, size))
        p.fileids = js(ids)

    def file(self, p, c, name, ext, mime, magic, size):
        rng, out, world = self.rng, self.out, self.world
        number = self.files
        self.files += 1
        fid = out.id("file", number)
        day = time.strftime("%Y%m%d", time.gmtime(p.createat / 1000))
        team = world.teams[c.team].id if c.team is not None and rng.random() < 0.4 else "noteam"
        user = world.users[p.user].id
        creator = user if rng.random() > 0.03 else "nouser"
        if rng.random() < 0.02 and p.createat < world.begin + YEAR:
            folder = f"teams/{team}/channels/{c.id}/users/{creator}/{fid}"
        else:
            folder = f"{day}/teams/{team}/channels/{c.id}/users/{creator}/{fid}"
        shared = None
        if self.shareable and rng.random() < 0.02:
            shared = self.shareable
        image = mime.startswith("image/")
        stem = name[:-len(ext) - 1] if ext else name
        picture = "png" if mime == "image/png" else "jpg"
        stored = name if name != ".." else "..unnamed"
        f = {"id": fid, "creatorid": creator, "postid": p.id, "createat": p.createat - 2000,
             "updateat": p.createat - 1500, "deleteat": 0,
             "path": f"{folder}/{stored}", "thumbnailpath": f"{folder}/{stem[:200]}_thumb.{picture}" if image else "",
             "previewpath": f"{folder}/{stem[:200]}_preview.{picture}" if image else "", "name": name, "extension": ext,
             "size": size,
             "mimetype": mime, "width": 640 if image else 0, "height": 480 if image else 0, "haspreviewimage": image,
             "minipreview": b"\xff\xd8" + bytes(range(40)) if image else None, "remoteid": "", "archived": False,
             "channelid": c.id,
             "content": " ".join(self.text.words(p.language, 25)) if ext in ("txt", "pdf", "csv") else ""}
        if shared:
            for column in ("path", "thumbnailpath", "previewpath", "name", "extension", "size", "mimetype", "width",
                           "height", "haspreviewimage", "minipreview", "content"):
                f[column] = shared[column]
            self.shareable = None
        else:
            if rng.random() < 0.1:
                self.shareable = dict(f)
            self.blob(f, magic)
        p.files.append(f)
        return fid

    def blob(self, f, magic):
        """The bytes on disk; from their own stream, so that rows do not depend on whether blobs are wanted."""
        if self.blobs is None or self.blobs.left <= 0:
            return
        self.blobs.left -= 1
        self.blobs.write(f["path"], f["id"], magic, f["size"], f["mimetype"])
        for kind in ("thumbnailpath", "previewpath"):
            if f[kind]:
                self.blobs.write(f[kind], f["id"] + kind, magic, len(magic) + 300, f["mimetype"])

    # -- what happens to posts later ---------------------------------------------------------------------------
    def events(self, number, c, posts, end):
        """Edits, deletes, reactions; then the rows that follow from them."""
        rng, now = self.rng, self.now
        self.history = []
        root = posts[0]
        for k, p in enumerate(posts):
            if p.deleteat or p.type.startswith(("system_", "burn")):
                continue
            if rng.random() < 0.03:
                self.edit(number, k, p)
        fate = rng.random()
        gone_at = 0
        if fate < 0.016 and not root.deleteat and root.type != "burn_on_read":
            gone_at = self.later(max(posts[-1].createat, max(p.updateat for p in posts)))
        dropped = []
        for p in posts[1:]:
            if rng.random() < 0.025:
                p.deleteat = p.updateat = self.later(p.updateat)
                p.props = self.deleted_by(p)
                dropped.append(p)
                for f in p.files:
                    f["deleteat"] = f["updateat"] = p.deleteat
        for p in posts:
            if p.reacted and not p.deleteat:
                self.react(c, p)
            elif p.reacted:
                p.reacted = False
        if len(posts) > 1:
            last = max(p.createat if not p.deleteat else p.deleteat for p in posts[1:])
            if not root.deleteat:
                root.updateat = max(root.updateat, last)
        lost = {id(p) for p in dropped}
        living = [p for p in posts[1:] if id(p) not in lost]
        if gone_at:
            gone_at = max(gone_at, max(p.updateat for p in posts))
            for p in posts:
                p.props = self.deleted_by(p)
                p.deleteat = p.updateat = gone_at
                for f in p.files:
                    f["deleteat"] = f["deleteat"] or gone_at
            for h in self.history:
                if h[1].root:
                    h[0]["deleteat"] = h[0]["updateat"] = gone_at
                    h[0]["props"] = self.deleted_by(h[1])
        if len(posts) > 1:
            self.follow(number, c, posts, living, gone_at)

    def later(self, at):
        return min(self.now - 1, at + 5_000 + int(self.rng.lognormvariate(14, 2)))

    def deleted_by(self, p):
        mark = f'"deleteBy":"{self.world.users[p.user].id}"'
        if '"deleteBy"' in p.props:
            return p.props
        return "{" + mark + "}" if p.props == "{}" else p.props[:-1] + "," + mark + "}"

    def edit(self, number, k, p):
        rng = self.rng
        times = 1 if rng.random() < 0.8 else 2 + int(rng.random() * 2)
        before = 0
        for n in range(times):
            at = min(self.now - 1, max(p.editat, p.createat) + 2_000 + int(rng.lognormvariate(11, 1.5)))
            copy = {"id": self.out.id("copy", f"{number}.{k}.{n}"), "editat": before, "updateat": at, "deleteat": at,
                    "fileids": p.fileids, "props": p.props,
                    "message": p.message if n else (p.message[:65500] + " " + rng.choice(("x", "tippfeler",
                            "ups"))) if len(p.message) < 60_000 else p.message[:60_000]}
            self.history.append((copy, p))
            p.message = p.message[:65500] + " (edit)" if n == times - 1 and rng.random() < 0.3 else p.message
            before = p.editat = at
            p.updateat = max(p.updateat, at)
        if p.files and rng.random() < 0.3:
            f = p.files[-1]
            f["deleteat"] = f["updateat"] = p.editat
            p.fileids = js([g["id"] for g in p.files[:-1]])

    def react(self, c, p):
        rng, out, users = self.rng, self.out, self.world.users
        count = 1 + min(40, int(rng.expovariate(0.9)))
        live = 0
        seen = set()
        at = p.updateat
        for _ in range(count):
            index = c.pool[int(rng.random() * len(c.pool))]
            name = EMOJI_NAMES[int(rng.random() ** 2.5 * len(EMOJI_NAMES))]
            if (index, name) in seen:
                continue
            seen.add((index, name))
            at = min(self.now - 1, at + 500 + int(rng.expovariate(1 / 600_000)))
            gone = min(self.now - 1, at + 3000) if rng.random() < 0.05 else 0
            live += not gone
            updated = gone or at
            out.fast("reactions", (users[index].id, p.id, name, str(at), str(updated), str(gone), "", c.id))
            p.updateat = max(p.updateat, updated)
        p.reacted = live > 0

    def follow(self, number, c, posts, living, gone_at):
        """The threads row and its memberships."""
        rng, out, world, users = self.rng, self.out, self.world, self.world.users
        root = posts[0]
        order = {}
        for p in living:
            order.pop(p.user, None)
            order[p.user] = p.createat
        team = world.teams[c.team].id if c.team is not None else ""
        last = living[-1].createat if living else 0
        out.row("threads", postid=root.id, replycount=len(living), lastreplyat=last,
                participants=js([users[i].id for i in order]), channelid=c.id,
                threaddeleteat=gone_at if gone_at else (None if number % 10 == 0 else 0), threadteamid=team)
        followers = {root.user: root.createat}
        for p in posts[1:]:
            followers[p.user] = p.createat
        for index in c.pool[:3]:
            if rng.random() < 0.2:
                followers.setdefault(index, root.createat)
        for index, at in followers.items():
            unread = rng.random() < 0.25 and last > at
            viewed = at if unread else max(last, at)
            out.row("threadmemberships", postid=root.id, userid=users[index].id, following=rng.random() > 0.06,
                    lastviewed=viewed,
                    lastupdated=max(viewed, at), unreadmentions=int(rng.random() * 3) if unread else 0)

    # -- rows --------------------------------------------------------------------------------------------------
    def emit(self, number, c, posts):
        rng, out, world, users = self.rng, self.out, self.world, self.world.users
        root = posts[0]
        for p in posts:
            uid = users[p.user].id
            if p.user not in c.members or c.members[p.user] > p.createat:
                c.members[p.user] = p.createat - 1000
            self.line(p.createat, p.id, p.createat, p.updateat, p.deleteat, uid, c.id, p.root, "", p.message, p.type,
                      p.props, p.tags, p.fileids, p.reacted, p.editat, p.pinned, p.remote)
            if p.counted:
                c.posts += 1
                c.roots += not p.root
                c.lastpost = max(c.lastpost, p.createat)
                if not p.root:
                    c.lastroot = max(c.lastroot, p.createat)
            c.firstpost = min(c.firstpost or p.createat, p.createat)
            for f in p.files:
                out.row("fileinfo", **f)
                if c.shared:
                    out.row("sharedchannelattachments", id=out.id("sca", f["id"]), fileid=f["id"],
                            remoteid=out.id("remote", 0), createat=p.createat, lastsyncat=p.createat + 1000)
            if not p.deleteat:
                self.dependants(number, c, p)
        for copy, p in self.history:
            self.copies += 1
            self.line(copy["deleteat"], copy["id"], p.createat, copy["updateat"], copy["deleteat"], users[p.user].id,
                      c.id, p.root, p.id, copy["message"], p.type,
                      copy["props"], p.tags, copy["fileids"], False, copy["editat"], p.pinned, p.remote)
        if not root.deleteat:
            if len(c.recent) < 40:
                c.recent.append(root.id)
            else:
                c.recent[number % 40] = root.id

    def dependants(self, number, c, p):
        rng, out, users = self.rng, self.out, self.world.users
        draw = rng.random()
        if draw < 0.02:
            for index in c.pool[:1 + int(rng.random() * 2)]:
                out.row("preferences", userid=users[index].id, category="flagged_post", name=p.id, value="true")
        elif draw < 0.035 and p.message:
            target = "en" if p.language == "de" else "de"
            out.row("translations", objectid=p.id, dstlang=target, objecttype="post", providerid="libretranslate",
                    normhash=out.hash("norm", p.id)[:64],
                    text=f"[{target}] " + p.message[:500], confidence=0.93,
                    meta=None if number % 3 else js({"type": "string"}), updateat=p.createat + 900, state="ready",
                    channelid=c.id)
        elif draw < 0.037 and not p.root and not p.type:
            index = c.pool[-1]
            out.row("drafts", createat=self.now - DAY, updateat=self.now - DAY // 2, userid=users[index].id,
                    channelid=c.id, rootid=p.id,
                    message="Entwurf: " + p.message[:200], props="{}", fileids="[]", priority="null", type="")
        elif draw < 0.038 and not p.type:
            out.row("scheduledposts", id=out.id("scheduled", p.id), createat=self.now - DAY, updateat=self.now - DAY,
                    userid=users[c.pool[0]].id, channelid=c.id,
                    rootid=p.id if not p.root else p.root, message="Später: " + p.message[:100], props="{}",
                    fileids="[]", priority="{}", scheduledat=self.now + DAY, type="")

    def line(self, order, pid, createat, updateat, deleteat, user, channel, root, original, message, kind, props, tags,
             fileids, reacted, editat, pinned, remote):
        escape = self.out.escape
        self.out.fast("posts", (str(order), pid, str(createat), str(updateat), str(deleteat), user, channel, root,
                                original, escape(message), kind, escape(props), escape(tags),
                                "[]", fileids, "t" if reacted else "f", str(editat), "t" if pinned else "f",
                                "\\N" if remote is None else remote))


class Blobs:
    """Attachment files below the data folder, as the server's local driver writes them."""

    def __init__(self, folder, limit, seed):
        self.folder, self.left, self.seed = folder, limit, seed
        self.made = set()

    def write(self, path, key, magic, size, mime=""):
        full = os.path.join(self.folder, path)
        where = os.path.dirname(full)
        if where not in self.made:
            os.makedirs(where, 0o750, exist_ok=True)
        rng = random.Random(f"{self.seed}:{key}")
        image = picture(mime, rng, size) if mime in ("image/png", "image/jpeg") else None
        if image:
            magic, body = b"", image
        elif mime.startswith("text/"):
            line = f"{rng.randrange(1 << 30)};alarm;{rng.random():.6f};ok\n".encode()
            body = (line * (size // len(line) + 1))[:size - len(magic)]
        else:
            body = rng.randbytes(size - len(magic))
        descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as f:
            f.write(magic + body)


def extras(world, out, text, blobs):
    """Bookmarks, boards files, pending uploads, recaps, drafts of roots to come, a translation of something else."""
    rng, now, users = world.rng, world.now, world.users
    number = 0
    for i, c in enumerate(world.channels):
        if c.kind not in "OP" or i % 9 != 1:
            continue
        number += 1
        team = world.teams[c.team].id
        fid = out.id("bookmarkfile", i)
        path = f"bookmark/teams/{team}/channels/{c.id}/{fid}/Handbuch.pdf"
        size = 500 + i
        out.row("fileinfo", id=fid, creatorid="bookmark", postid="", createat=world.begin, updateat=world.begin,
                deleteat=0, path=path, name="Handbuch.pdf", extension="pdf",
                size=size, mimetype="application/pdf", haspreviewimage=False, minipreview=None, channelid=c.id,
                archived=False)
        if blobs:
            blobs.write(path, fid, b"%PDF-1.5\n", size)
        out.row("channelbookmarks", id=out.id("bookmark", i), ownerid=users[0].id, channelid=c.id, fileinfoid=fid,
                createat=world.begin, updateat=world.begin,
                deleteat=0 if i % 2 else world.begin + DAY, displayname="Handbuch", sortorder=1, linkurl=None,
                imageurl=None, emoji="book", type="file", originalid=None, parentid=None)
        out.row("channelbookmarks", id=out.id("bookmarklink", i), ownerid=users[0].id, channelid=c.id, fileinfoid=None,
                createat=world.begin, updateat=world.begin,
                displayname="Wiki", sortorder=2, linkurl="https://wiki.example.org", imageurl=None, emoji="",
                type="link", originalid=None, parentid=None)
    for i in range(5):
        fid = out.id("boardsfile", i)
        path = f"boards/20240{1 + i}15/{fid}.png"
        out.row("fileinfo", id=fid, creatorid="boards", postid="", createat=world.begin + i * DAY, updateat=world.begin,
                deleteat=0, path=path, name=f"{fid}.png",
                extension="png", size=700 + i, mimetype="image/png", width=10, height=10, minipreview=None,
                channelid="", archived=False)
        if blobs:
            blobs.write(path, fid, IMAGE, 700 + i)
        fid, u, c = out.id("pendingfile", i), users[i], world.channels[i]
        path = f"20261031/teams/noteam/channels/{c.id}/users/{u.id}/{fid}/offen.txt"
        out.row("fileinfo", id=fid, creatorid=u.id, postid="", createat=now - 3_600_000, updateat=now - 3_600_000,
                deleteat=0, path=path, name="offen.txt", extension="txt",
                size=100, mimetype="text/plain", minipreview=None, channelid=c.id, archived=False)
        if blobs:
            blobs.write(path, fid, b"", 100, "text/plain")
        out.row("drafts", createat=now - 3_600_000, updateat=now - 3_600_000, userid=u.id, channelid=c.id, rootid="",
                message="Hallo", props="{}", fileids=js([fid]), priority="null", type="")
        ids = c.recent[:3]
        out.row("recaps", id=out.id("recap", i), userid=u.id, title="Zusammenfassung",
                createat=now - i * 40 * DAY - DAY, updateat=now - DAY, deleteat=0, totalmessagecount=len(ids),
                status="completed", readat=0, botid=users[1].id)
        out.row("recapchannels", id=out.id("recapchannel", i), recapid=out.id("recap", i), channelid=c.id,
                channelname=c.name, highlights=js([text.sentences("de", 12)]),
                actionitems="[]", sourcepostids=js(ids), createat=now - i * 40 * DAY - DAY)
        out.row("translations", objectid=world.channels[i].id, dstlang="en", objecttype="channel_header",
                providerid="libretranslate", normhash=out.hash("norm", i)[:64],
                text="on call", confidence=None, meta=None, updateat=now - DAY, state="ready", channelid=c.id)


def legacy(world, out):
    """Damaged and ancient shapes; returns nothing, every id is out.id("legacy", name)."""
    now, user, c, d = world.now, world.users[0].id, world.channels[0], world.channels[1]
    old = now - 3 * YEAR

    def post(name, channel=c.id, createat=old, root="", original="", message=None, **more):
        values = dict(id=out.id("legacy", name), createat=createat, updateat=createat, deleteat=0, editat=0,
                      userid=user, channelid=channel, rootid=root, originalid=original,
                      message=message or f"legacy {name}", type="", props="{}", hashtags="", filenames="[]",
                      fileids="[]", hasreactions=False, ispinned=False, remoteid=None)
        values.update(more)
        out.row("posts", order=createat if createat is not None else old, **values)
        return values["id"]

    for i in range(3):
        post(f"orphan-reply-{i}", root=out.id("legacy", "gone-root"), createat=old + i)
        post(f"orphan-channel-{i}", channel=out.id("legacy", "gone-channel"), createat=old + i)
    post("orphan-channel-reply", channel=out.id("legacy", "gone-channel"), root=out.id("legacy", "orphan-channel-0"),
         createat=old + 9)
    post("orphan-copy", original=out.id("legacy", "gone-original"), deleteat=old + 5, updateat=old + 5)
    root = post("cross-root")
    post("cross-reply", channel=d.id, root=root, createat=old + 10)
    nested = post("nested-reply", root=post("nested-root"), createat=old + 10)
    post("nested-reply-reply", root=nested, createat=old + 20)
    for name, value in (("zero", 0), ("negative", -1), ("null", None), ("future", now + 50 * YEAR),
                        ("largest", 9223372036854775807), ("seconds", old // 1000)):
        post(f"createat-{name}", createat=value)
    post("null-root", root=None)
    post("null-original", original=None)
    post("null-both", root=None, original=None, type=None, hashtags=None, filenames=None, fileids=None, ispinned=None,
         editat=None, hasreactions=None, props=None)
    post("null-deleteat", deleteat=None)
    post("null-user", userid=None)
    post("gone-user", userid=out.id("legacy", "gone-user"))
    post("filenames", filenames='["/xx/yy/alt.txt"]')
    post("reply-older-than-root", root=root, createat=old - 1000)
    post("self-root", root=out.id("legacy", "self-root"))
    post("null-channel", channel=None)
    out.row("threads", postid=out.id("legacy", "gone-root"), replycount=3, lastreplyat=old + 2, participants=js([user]),
            channelid=c.id, threaddeleteat=0, threadteamid=None)
    out.row("threads", postid=root, replycount=2, lastreplyat=old + 10, participants=js([user]), channelid=c.id,
            threaddeleteat=0, threadteamid="")
    out.row("threadmemberships", postid=out.id("legacy", "gone-root"), userid=user, following=True, lastviewed=old,
            lastupdated=old, unreadmentions=1)
    out.row("reactions", userid=user, postid=out.id("legacy", "gone-root"), emojiname="smile", createat=old,
            updateat=old, deleteat=0, remoteid="", channelid="")
    out.row("preferences", userid=user, category="flagged_post", name=out.id("legacy", "gone-root"), value="true")
    out.row("fileinfo", id=out.id("legacy", "file"), creatorid=user, postid=out.id("legacy", "gone-root"), createat=old,
            updateat=old, path=f"20231101/teams/noteam/channels/{c.id}/users/{user}/x/gone.txt",
            name="gone.txt", extension="txt", size=5, mimetype="text/plain", minipreview=None, channelid=c.id)
    for i, path in enumerate(("../../../etc/passwd", "/etc/passwd", "", "20231101/./x/../y.txt", "20231101//double.txt",
                              "20231101/" + "p" * 480)):
        out.row("fileinfo", id=out.id("legacy", f"path-{i}"), creatorid=user, postid=root, createat=old, updateat=old,
                path=path, name="x.txt", extension="txt", size=5,
                mimetype="text/plain", minipreview=None, channelid=c.id)
