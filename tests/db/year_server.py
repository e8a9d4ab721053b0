"""The chat server of year_test.py: what people write between two nights and during one, and what administrators do to channels, teams and accounts."""
import json
import os
import time

import psycopg2

import e2e_lib as lib
import live  # (tests/support, found by e2e_lib)
from e2e_lib import DAY

import pictures  # noqa: E402
from people_world import DOMAIN  # noqa: E402

HOUR = DAY // 24
# Nothing of a channel or a thread that the server removes for good stays: table -> column with the post's id, or with a condition.
HANGING = {"threads": "postid", "threadmemberships": "postid", "reactions": "postid", "postspriority": "postid", "postacknowledgements": "postid",
           "persistentnotifications": "postid", "postreminders": "postid", "drafts": "rootid", "readreceipts": "postid", "temporaryposts": "postid",
           "translations": "objectid", "preferences": "name", "propertyvalues": "targetid"}


class Server(live.Live):
    """Times are those of the simulation: in the day between two nights, or a few milliseconds on from a given moment."""

    def __init__(self, conninfo, data, rng, seed):
        super().__init__(conninfo, seed=seed, old=0.25, roots=400)
        self.data, self.sim, self.clock, self.at = data, rng, self.tick, 0
        self.file_ms = lambda: self.at  # when what is written to the disk says that it was written
        self.gone_channels = set()  # removed for good

    def tick(self):
        self.at += self.sim.randint(1, 40)
        return self.at

    def begin(self, at):
        """From this moment on; whoever and whatever there is by then."""
        self.at = at
        if self.conn:
            self.conn.close()
        self.open()
        with self.conn, self.conn.cursor() as cur:
            cur.execute("SET lock_timeout = '300ms'")
        self.users = [u for u in self.users if not u.startswith("gone")]

    def sql(self, text, *args):
        with self.conn, self.conn.cursor() as cur:
            cur.execute(text, args)
            return cur.fetchall() if cur.description else cur.rowcount

    def one(self, text, *args):
        """One row out of many, or None."""
        rows = self.sql(text + " ORDER BY 1", *args)
        return self.sim.choice(rows) if rows else None

    # ---- people ----
    def write(self):
        """A little of what a day has.  Whatever a run has locked is tried and given up."""
        what = self.sim.choices((self.root, self.reply, self.edit, self.react, self.unreact, self.delete, self.flag, self.unflag, self.pin, self.unpin, self.attach, self.tag, self.extras,
                                 self.edit_file, self.long, self.imported, self.dated_back),
                                (28, 22, 8, 8, 2, 7, 3, 2, 2, 2, 8, 2, 4, 2, 3, 3, 2))[0]
        try:
            return what()
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected):
            self.conn.rollback()
            return None

    def long(self):
        """A message of many words that no other has, so that a bundle is large enough for an index of its own."""
        return self.root(message=" ".join(self.id() for _ in range(self.sim.randint(100, 1800))))

    def imported(self):
        """Somebody imports what was written long ago."""
        now, self.at = self.at, self.at - self.sim.randint(30, 900) * DAY
        try:
            return self.root(message="importiert")
        finally:
            self.at = now

    def dated_back(self):
        """A bridge brings a reply that was written some days ago."""
        now, self.at = self.at, self.at - self.sim.randint(1, 200) * HOUR
        try:
            return self.reply()
        finally:
            self.at = now

    def unflag(self):
        row = self.one("SELECT userid, name FROM preferences WHERE category = 'flagged_post'")
        return row and self.sql("DELETE FROM preferences WHERE category = 'flagged_post' AND userid = %s AND name = %s", *row)

    def unpin(self):
        row = self.one("SELECT id FROM posts WHERE ispinned AND deleteat = 0")
        return row and self.pin(row[0], False)

    def tag(self):
        return self.sql("UPDATE posts SET hashtags = '#keep', updateat = %s WHERE id = %s", self.tick(), self._any())

    def extras(self):
        """Rows of the other kinds, on a post that is there."""
        post, user = self._any(), self.sim.choice(self.users)
        channel, at = self._channel_of(post), self.tick()
        if not channel:
            return
        self.sql("INSERT INTO postreminders (postid, userid, targettime) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", post, user, at // 1000)
        self.sql("INSERT INTO postacknowledgements (postid, userid, acknowledgedat, remoteid, channelid) VALUES (%s, %s, %s, '', %s) ON CONFLICT DO NOTHING", post, user, at, channel)
        self.sql("INSERT INTO translations (objectid, dstlang, objecttype, providerid, normhash, text, confidence, meta, updateat, state, channelid)"
                 " VALUES (%s, 'fr', 'post', 'x', repeat('0', 64), 'traduit', 0.5, NULL, %s, 'ready', NULL) ON CONFLICT DO NOTHING", post, at)
        root = self.one("SELECT coalesce(nullif(rootid, ''), id) FROM posts WHERE id = %s", post)
        self.sql("INSERT INTO drafts (createat, updateat, deleteat, userid, channelid, rootid, message, props, fileids, priority, type)"
                 " VALUES (%s, %s, 0, %s, %s, %s, 'Entwurf', '{}', '[]', NULL, '') ON CONFLICT DO NOTHING", at, at, user, channel, root[0])

    def attach(self):
        """A message with one or two files; rarely one whose file another row has, too."""
        post = self.root() if self.sim.random() < 0.6 else self.reply()
        if not post:
            return
        (user, channel, root), ids = self.sql("SELECT userid, channelid, rootid FROM posts WHERE id = %s", post)[0], []
        shared = self.one("SELECT path, thumbnailpath, previewpath, name, size, mimetype, channelid FROM fileinfo WHERE postid <> '' AND deleteat = 0 AND path LIKE '20%%'") if self.sim.random() < 0.12 else None
        for _ in range(self.sim.choice((1, 1, 2))):
            file, kind = self.id(), self.sim.choice(("txt", "png", "pdf"))
            home = f"{time.strftime('%Y%m%d', time.gmtime(self.at / 1000))}/teams/noteam/channels/{channel}/users/{user}/{file}"
            mime = {"txt": "text/plain", "png": "image/png", "pdf": "application/pdf"}[kind]
            size = self.sim.randint(20, 4000)
            content = (pictures.picture(mime, self.rng, size) if kind == "png" else None) or f"{file} ".encode() * (size // 27 + 1)
            paths = [f"{home}/datei.{kind}"] + [f"{home}/datei_{p}.png" if kind == "png" else "" for p in ("thumb", "preview")]
            if shared:
                paths = list(shared[:3])
            else:
                for path in filter(None, paths):
                    self.put(path, content)
            self.sql("INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, width, height, haspreviewimage, minipreview, content, remoteid, archived, channelid)"
                     " VALUES (%s, %s, %s, %s, %s, 0, %s, %s, %s, %s, %s, %s, %s, 0, 0, false, NULL, '', '', false, %s)",
                     file, user, post, self.at, self.at, *paths, f"datei {file[:5]}.{kind}", kind, len(content), mime, channel)
            ids.append(file)
        self.sql("UPDATE posts SET fileids = %s WHERE id = %s", json.dumps(ids), post)
        return root or post

    def put(self, path, content):
        full = os.path.join(self.data, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(content)
        os.utime(full, (self.file_ms() / 1000,) * 2)

    def edit_file(self):
        """An edit that takes a file off."""
        row = self.one("SELECT p.id, p.fileids FROM posts p WHERE p.deleteat = 0 AND p.originalid = '' AND length(p.fileids) > 10 AND p.type = ''")
        if not row or not self.edit(row[0]):
            return
        ids = json.loads(row[1])
        self.sql("UPDATE posts SET fileids = %s WHERE id = %s", json.dumps(ids[:-1]), row[0])
        self.sql("UPDATE fileinfo SET deleteat = %s, updateat = %s WHERE id = %s", self.at, self.at, ids[-1])

    # ---- administrators ----
    def remove_posts(self, ids):
        """For good, with their files: another program's delete."""
        paths = self.sql("SELECT path, thumbnailpath, previewpath FROM fileinfo f WHERE postid = ANY(%s) AND NOT EXISTS (SELECT FROM fileinfo o WHERE o.path = f.path AND o.postid <> ALL(%s))", ids, ids)
        for table, column in HANGING.items():
            self.sql(f"DELETE FROM {table} WHERE {column} = ANY(%s)", ids)
        self.sql("DELETE FROM sharedchannelattachments WHERE fileid IN (SELECT id FROM fileinfo WHERE postid = ANY(%s))", ids)
        self.sql("DELETE FROM fileinfo WHERE postid = ANY(%s)", ids)
        self.sql("DELETE FROM posts WHERE id = ANY(%s)", ids)
        for path in {p for row in paths for p in row if p and ".." not in p and not p.startswith("/")}:
            full = os.path.join(self.data, path)
            if os.path.isfile(full):
                os.unlink(full)

    def thread_gone(self):
        row = self.one("SELECT id FROM posts WHERE rootid = '' AND originalid = ''")
        ids = [r[0] for r in self.sql("SELECT id FROM posts WHERE id = %s OR rootid = %s OR originalid = %s OR originalid IN (SELECT id FROM posts WHERE rootid = %s)", *row * 4)]
        self.remove_posts(ids)
        return row[0]

    def channel_gone(self):
        row = self.one("SELECT c.id FROM channels c WHERE type IN ('O', 'P', 'D', 'G') AND name NOT IN ('town-square', 'off-topic')")
        if not row or self.sql("SELECT count(*) FROM channels")[0][0] < 25:
            return None
        self.remove_posts([r[0] for r in self.sql("SELECT id FROM posts WHERE channelid = %s OR rootid IN (SELECT id FROM posts WHERE channelid = %s)", *row * 2)])
        for table in ("channelmembers", "channelmemberhistory", "drafts", "threads"):
            self.sql(f"DELETE FROM {table} WHERE channelid = %s", row[0])
        self.sql("DELETE FROM channels WHERE id = %s", row[0])
        self.gone_channels.add(row[0])
        return row[0]

    def channel_archived(self):
        row = self.one("SELECT id, deleteat FROM channels WHERE name NOT IN ('town-square')")
        self.sql("UPDATE channels SET deleteat = %s, updateat = %s WHERE id = %s", 0 if row[1] else self.tick(), self.at, row[0])
        return row[0]

    def channel_renamed(self):
        row = self.one("SELECT id, name FROM channels WHERE type IN ('O', 'P') AND name <> 'town-square'")
        name = self.sim.choice(("alarm-", "projekt-", "gruppe-")) + self.id()[:8]
        self.sql("UPDATE channels SET name = %s, displayname = %s, updateat = %s WHERE id = %s", name, name.title(), self.tick(), row[0])
        return row[0]

    def channel_changed(self):
        """Public or private, or in another team."""
        row = self.one("SELECT id FROM channels WHERE type IN ('O', 'P') AND name NOT IN ('town-square', 'off-topic')")
        if self.sim.random() < 0.5:
            self.sql("UPDATE channels SET type = (CASE type WHEN 'O' THEN 'P' ELSE 'O' END)::channel_type, updateat = %s WHERE id = %s", self.tick(), row[0])
        else:
            team = self.one("SELECT id FROM teams")
            self.sql("UPDATE channels SET teamid = %s, updateat = %s WHERE id = %s AND NOT EXISTS (SELECT FROM channels c JOIN channels d ON d.name = c.name WHERE c.id = %s AND d.teamid = %s)",
                     team[0], self.tick(), row[0], row[0], team[0])
        return row[0]

    def team_archived(self):
        row = self.one("SELECT id, deleteat FROM teams")
        self.sql("UPDATE teams SET deleteat = %s, updateat = %s WHERE id = %s", 0 if row[1] else self.tick(), self.at, row[0])
        return row[0]

    def user_renamed(self):
        row = self.one("SELECT u.id FROM users u WHERE NOT EXISTS (SELECT FROM bots b WHERE b.userid = u.id)")
        self.sql("UPDATE users SET username = %s, updateat = %s WHERE id = %s", "neu." + self.id()[:8], self.tick(), row[0])
        return row[0]

    def thread_moved(self):
        """Into another channel, with everything that names the channel."""
        row, to = self.one("SELECT id FROM posts WHERE rootid = '' AND originalid = '' AND type = ''"), self.one("SELECT id FROM channels WHERE type IN ('O', 'P') AND deleteat = 0")
        ids = [r[0] for r in self.sql("SELECT id FROM posts WHERE id = %s OR rootid = %s OR originalid = %s OR originalid IN (SELECT id FROM posts WHERE rootid = %s)", *row * 4)]
        self.sql("UPDATE posts SET channelid = %s, updateat = greatest(updateat, %s) WHERE id = ANY(%s)", to[0], self.tick(), ids)
        for table in ("threads", "reactions", "fileinfo"):
            self.sql(f"UPDATE {table} SET channelid = %s WHERE postid = ANY(%s)", to[0], ids)
        return row[0]

    def blob_lost(self):
        """An attachment is not on the disk any more, or another one lies in its place.  The path."""
        row = self.one("SELECT path FROM fileinfo WHERE postid <> '' AND path LIKE '20%%'")
        full = row and os.path.join(self.data, row[0])
        if not full or not os.path.isfile(full) or os.path.islink(full):
            return None
        if self.sim.random() < 0.5:
            os.unlink(full)
        else:
            self.put(row[0], b"another content")
        return row[0]

    def user_left(self):
        row = self.one("SELECT id FROM users u WHERE deleteat = 0 AND NOT EXISTS (SELECT FROM bots b WHERE b.userid = u.id)")
        if len(self.users) < 12:
            return None
        self.sql("UPDATE users SET deleteat = %s, updateat = %s WHERE id = %s", self.tick(), self.at, row[0])
        self.sql("DELETE FROM sessions WHERE userid = %s", row[0])
        home = f"users/{row[0]}/profile.png"
        if self.sim.random() < 0.5:
            self.put(home, b"picture")
        self.users.remove(row[0])
        return row[0]

    def user_back(self):
        row = self.one("SELECT id FROM users WHERE deleteat > 0 AND email NOT LIKE %s", "%" + DOMAIN)
        if row:
            self.sql("UPDATE users SET deleteat = 0, updateat = %s WHERE id = %s", self.tick(), row[0])
        return row and row[0]

    def late_reply(self, root, channel):
        """A server that looked for the root before it went."""
        with self.conn, self.conn.cursor() as cur:
            self.reply_insert(cur, self.id(), root, channel, self.sim.choice(self.users), self.tick())

    def late_reaction(self, post, channel):
        self.sql("INSERT INTO reactions (userid, postid, emojiname, createat, updateat, deleteat, remoteid, channelid) VALUES (%s, %s, 'late', %s, %s, 0, '', %s) ON CONFLICT DO NOTHING",
                 self.sim.choice(self.users), post, self.tick(), self.at, channel)
