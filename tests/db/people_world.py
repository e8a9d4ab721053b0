"""For people_test.py: traces of a person planted everywhere, and what must be left of them, worked out without the program."""
import json
import re

import psycopg2
import psycopg2.extras

GONE = "Zgonemark"    # planted in every personal column that goes
STAYS = "Zstaysmark"  # planted where the facts say it stays
DOMAIN = "@departed.invalid"

NOTIFY = {"email": "true", "push": "mention", "desktop": "mention", "desktop_sound": "true", "mention_keys": "", "channel": "true",
          "push_status": "online", "comments": "never", "first_name": "false", "desktop_threads": "all", "email_threads": "all",
          "push_threads": "all"}
ZONE = {"useAutomaticTimezone": "true", "automaticTimezone": "", "manualTimezone": ""}
BLANK = {"emailverified": False, "allowmarketing": False, "password": "", "authdata": None, "authservice": "", "position": "",
         "props": {}, "notifyprops": NOTIFY, "timezone": ZONE, "failedattempts": 0, "lastlogin": 0, "mfaactive": False,
         "mfasecret": "", "mfausedtimestamps": []}
BY_USER = ("sessions", "useraccesstokens", "desktoptokens", "oauthaccessdata", "oauthauthdata", "preferences", "status", "drafts",
           "scheduledposts", "recentsearches", "notifyadmin", "productnoticeviewstate", "sidebarcategories", "sidebarchannels",
           "postreminders", "recaps", "uploadsessions", "channeljoinrequests")


class Tables:
    """Every table as a list of dictionaries, from one snapshot."""

    def __init__(self, conninfo):
        conn = psycopg2.connect(conninfo)
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self.data = {}
        with conn, conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
            cur.execute("SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
                        " ORDER BY relname")
            for name in [r["relname"] for r in cur.fetchall()]:
                cur.execute(f'SELECT * FROM "{name}"')
                self.data[name] = [dict(r) for r in cur.fetchall()]
        conn.close()

    def __getitem__(self, name):
        return self.data.get(name, [])

    def users(self):
        return {u["id"]: u for u in self["users"]}

    def bag(self, name):
        return sorted(key(r) for r in self[name])


def key(row):
    return json.dumps(row, sort_keys=True, default=lambda v: bytes(v).hex() if isinstance(v, (memoryview, bytes)) else str(v))


def emails_in(text):
    return set(re.split(r'[\[\]{}"\',;:<>\s]+', text.lower()))


def expect(before, victims, audits="blank", position=True, mfa=True):
    """The tables as they must be when `victims` (ids) are depersonalised; the moments in users are left to the caller."""
    after = Tables.__new__(Tables)
    after.data = {name: [dict(r) for r in rows] for name, rows in before.data.items()}
    users = before.users()
    mails = {users[v]["email"].lower() for v in victims}
    tokens = {t["token"] for t in before["useraccesstokens"] if t["userid"] in victims}
    recaps = {r["id"] for r in before["recaps"] if r["userid"] in victims}
    files = {m for t in ("drafts", "scheduledposts") for r in before[t] if r["userid"] in victims
             for m in re.findall("[A-Za-z0-9]{26}", r["fileids"] or "")}
    marked = {b["fileinfoid"] for b in before["channelbookmarks"] if b["deleteat"] == 0}
    for t in BY_USER:
        if t in after.data:
            after.data[t] = [r for r in after[t] if r["userid"] not in victims]

    def drop(table, which):
        if table in after.data:
            after.data[table] = [r for r in after[table] if not which(r)]

    drop("sessions", lambda r: r["token"] in tokens)
    drop("tokens", lambda r: any(v in r["extra"] for v in victims) or emails_in(r["extra"]) & mails)
    drop("recapchannels", lambda r: r["recapid"] in recaps)
    drop("propertyvalues", lambda r: r["targettype"] == "user" and r["targetid"] in victims)
    drop("fileinfo", lambda r: r["id"] in files - marked and r["creatorid"] in victims and not r["postid"])
    if audits == "delete":
        drop("audits", lambda r: r["userid"] in victims)
    for r in after["audits"]:
        if r["userid"] in victims:
            r.update(ipaddress="", extrainfo="")
    for u in after["users"]:
        if u["id"] in victims:
            values = dict(BLANK, email=u["id"] + DOMAIN)
            values = {k: v for k, v in values.items() if (k != "position" or position) and (k != "mfausedtimestamps" or mfa)}
            u.update(values)
    return after


def display_name(user, setting):
    """Mattermost's rule for TeammateNameDisplay."""
    full = " ".join(p for p in (user["firstname"], user["lastname"]) if p)
    if setting == "nickname_full_name":
        return user["nickname"] or full or user["username"]
    if setting == "full_name":
        return full or user["username"]
    return user["username"]


def complaints(user):
    """The server's own rules for a user row on its next save."""
    bad = []
    for column, value in user.items():
        if value is None and column not in ("authdata", "remoteid", "props", "notifyprops", "timezone", "mfausedtimestamps"):
            bad.append(f"{column} is NULL")
    mail = user["email"]
    if not mail or len(mail.encode()) > 128 or mail != mail.lower() or not re.fullmatch(r"[a-z0-9._+-]+@[a-z0-9.-]+", mail):
        bad.append(f"email {mail}")
    if not re.fullmatch(r"[a-z0-9._-]{1,64}", user["username"]) or user["username"] in ("all", "channel", "matterbot", "system"):
        bad.append(f"username {user['username']}")
    if user["locale"] and len(user["locale"]) > 5:
        bad.append("locale")
    if len(json.dumps(user["timezone"])) > 256:
        bad.append("timezone")
    if "customStatus" in user["props"]:
        json.loads(user["props"]["customStatus"])
    if user["authdata"] and (not user["authservice"] or user["password"]):
        bad.append("authdata")
    if user["authdata"] == "":
        bad.append("authdata is empty, not NULL")
    for column, value in user.items():
        if column in ("props", "notifyprops", "timezone") and not (isinstance(value, dict) and all(isinstance(v, str) for v in value.values())):
            bad.append(f"{column} does not load")
    return bad


def ident(number, letter="z"):
    return f"{letter}{number:025}"


PLANT = """
UPDATE users SET email = lower('{G}' || '{n}' || '@example.org'), password = '{G}', authdata = CASE WHEN '{n}' = '0' THEN NULL ELSE '{G}' || id END,
  authservice = 'ldap', position = '{G}', mfaactive = true, mfasecret = '{G}', allowmarketing = true, emailverified = true,
  props = '{{"customStatus": "{{\\\\"text\\\\": \\\\"{G}\\\\"}}", "{G}": "{G}"}}', failedattempts = 3, lastlogin = 1750000000000, lastpictureupdate = 5,
  notifyprops = notifyprops || '{{"mention_keys": "{G}", "highlight_keys": "{G}", "auto_responder_message": "{G}"}}',
  timezone = '{{"automaticTimezone": "{G}", "manualTimezone": "{G}", "useAutomaticTimezone": "false"}}', roles = 'system_user system_admin'
 WHERE id = '{u}';
INSERT INTO sessions (id, token, userid, createat, expiresat, lastactivityat, deviceid, roles, isoauth, props, expirednotify)
 VALUES ('{i1}', '{i1}', '{u}', 1, 1, 1, '{G}', '', false, '{{"os": "{G}"}}', false), ('{i2}', '{i2}', 'somebodyelsesomebodyelses', 1, 1, 1, '{G}', '', false, '{{}}', false);
INSERT INTO useraccesstokens (id, token, userid, description, isactive) VALUES ('{i1}', '{i2}', '{u}', '{G}', true);
INSERT INTO tokens (token, createat, type, extra) VALUES ('{G}1{u}', 1, 'verify_email', '{{"UserId":"{u}","Email":"other@example.org"}}'),
 ('{G}2{u}', 1, 'team_invitation', '{{"teamId":"x","email":"{g}{n}@example.org","senderId":"y"}}'),
 ('{S}3{u}', 1, 'team_invitation', '{{"teamId":"x","email":"not.{s}.{g_hidden}{n}@example.org"}}');
INSERT INTO desktoptokens (token, createat, userid) VALUES ('{G}{u}', 1, '{u}');
INSERT INTO oauthaccessdata (token, refreshtoken, redirecturi, clientid, userid, expiresat, scope) VALUES ('{i1}', '{i1}', '{G}', '{i1}', '{u}', 1, 'user');
INSERT INTO oauthauthdata (clientid, userid, code, expiresin, createat, redirecturi, state, scope) VALUES ('{i1}', '{u}', '{G}{u}', 1, 1, '{G}', '{G}', 'user');
INSERT INTO preferences (userid, category, name, value) VALUES ('{u}', '{G}', '{G}', '{G}'), ('{u}', 'flagged_post', '{i1}', 'true');
INSERT INTO status (userid, status, manual, lastactivityat, dndendtime, prevstatus) VALUES ('{u}', '{G}', false, 1, 0, '{G}')
 ON CONFLICT (userid) DO UPDATE SET status = '{G}', prevstatus = '{G}';
INSERT INTO audits (id, createat, userid, action, extrainfo, ipaddress, sessionid) VALUES ('{i1}', 1, '{u}', '/api/v4/{S}', '{G}', '{G}', '{i1}'), ('{i2}', 1, '{u}', 'x', NULL, NULL, '');
INSERT INTO fileinfo (id, creatorid, postid, createat, updateat, deleteat, path, thumbnailpath, previewpath, name, extension, size, mimetype, archived)
 VALUES ('{i1}', '{u}', '', 1, 1, 0, '20260101/teams/noteam/channels/c/users/{u}/{i1}/{G}.png', '20260101/teams/noteam/channels/c/users/{u}/{i1}/{G}_thumb.png', '', '{G}.png', 'png', 3, 'image/png', false),
        ('{i2}', '{u}', '', 1, 1, 0, '20260101/teams/noteam/channels/c/users/{u}/{i2}/{G}.bin', '', '', '{G}.bin', 'bin', 3, 'x', false),
        ('{i3}', '{u}', 'somepostsomepostsomepostso', 1, 1, 0, 'posted/{u}', '', '', '{S}.png', 'png', 3, 'image/png', false),
        ('{i4}', 'somebodyelsesomebodyelses', '', 1, 1, 0, 'other/{u}', '', '', '{S}.png', 'png', 3, 'image/png', false);
INSERT INTO drafts (createat, updateat, deleteat, userid, channelid, rootid, message, props, fileids, priority) VALUES (1, 1, 0, '{u}', '{i1}', '', '{G}', '{{"x": "{G}"}}', '["{i1}","{i3}","{i4}"]', NULL), (1, 1, 0, '{u}', '{i2}', '', '{G}', '{{}}', '', NULL);
INSERT INTO recentsearches (userid, searchpointer, query, createat) VALUES ('{u}', 99, '{{"terms": "{G}"}}', 1);
INSERT INTO notifyadmin (userid, createat, requiredplan, requiredfeature, trial) VALUES ('{u}', 1, '{G}', '{G}', false);
INSERT INTO productnoticeviewstate (userid, noticeid, viewed, timestamp) VALUES ('{u}', '{G}', 1, 1);
INSERT INTO sidebarcategories (id, userid, teamid, sortorder, sorting, type, displayname) VALUES ('{G}_{u}', '{u}', 'x', 1, '', 'custom', '{G}');
INSERT INTO sidebarchannels (channelid, userid, categoryid, sortorder) VALUES ('{i1}', '{u}', '{G}_{u}', 1);
INSERT INTO postreminders (postid, userid, targettime) VALUES ('{G}', '{u}', 1);
INSERT INTO uploadsessions (id, type, createat, userid, channelid, filename, path, filesize, fileoffset, remoteid, reqfileid)
 VALUES ('{i5}', 'attachment', 1, '{u}', '{i1}', '{G}', '20260101/teams/noteam/channels/c/users/{u}/{i5}/{G}', 9, 3, '', '');
INSERT INTO usertermsofservice (userid, termsofserviceid, createat) VALUES ('{u}', '{S}', 1) ON CONFLICT (userid) DO UPDATE SET termsofserviceid = '{S}';
INSERT INTO compliances (id, createat, userid, status, count, "desc", type, keywords, emails) VALUES ('{i1}', 1, '{u}', '', 0, '{S}', '', '{S}', '{S}');
INSERT INTO incomingwebhooks (id, createat, updateat, deleteat, userid, channelid, teamid, displayname) VALUES ('{i1}', 1, 1, 0, '{u}', 'x', 'y', '{S}');
INSERT INTO channelmemberhistory (channelid, userid, jointime, leavetime) VALUES ('{S}{n}', '{u}', 1, NULL);
INSERT INTO threadmemberships (postid, userid, following, lastviewed, lastupdated, unreadmentions) VALUES ('{S}{n}', '{u}', true, 1, 1, 0);
INSERT INTO postacknowledgements (postid, userid, acknowledgedat) VALUES ('{S}', '{u}', 1);
INSERT INTO reactions (userid, postid, emojiname, createat) VALUES ('{u}', '{S}', '{S}', 1);
"""
PLANT_LATER = {
    "scheduledposts": """INSERT INTO scheduledposts (id, createat, updateat, userid, channelid, rootid, message, props, fileids, scheduledat)
 VALUES ('{i1}', 1, 1, '{u}', 'x', '', '{G}', '{{"x": "{G}"}}', '["{i2}"]', 1)""",
    "propertyvalues": """INSERT INTO propertyvalues (id, targetid, targettype, groupid, fieldid, value, createat, updateat, deleteat) VALUES
 ('{i1}', '{u}', 'user', 'g', 'f', '"{G}"', 1, 1, 0), ('{i2}', '{u}', 'user', 'g', 'f', '"{G}"', 1, 1, 5), ('{i3}', '{u}', 'post', 'g', 'p', '"{S}"', 1, 1, 0)""",
    "recaps": """INSERT INTO recaps (id, userid, title, createat, updateat, deleteat, totalmessagecount, status, readat, botid) VALUES ('{i1}', '{u}', '{G}', 1, 1, 0, 1, 'done', 0, '');
INSERT INTO recapchannels (id, recapid, channelid, channelname, highlights, actionitems, sourcepostids, createat) VALUES ('{i1}', '{i1}', 'x', '{G}', '{G}', '{G}', '[]', 1)""",
    "channeljoinrequests": "INSERT INTO channeljoinrequests VALUES ('{i1}', 'x', '{u}', '{G}', '{G}', 'open', 1, 1)",
    "readreceipts": "INSERT INTO readreceipts (postid, userid, expireat) VALUES ('{S}', '{u}', 1)",
}


def plant(conninfo, user, number):
    """Marks in every place, for one user.  Returns the paths of files that the rows speak of: {path: must it go}."""
    i = [ident(number * 10 + k) for k in range(6)]
    words = {"u": user, "n": number, "G": GONE, "g": GONE.lower(), "S": STAYS, "s": STAYS.lower(), "g_hidden": "zg-onemark",
             **{f"i{k}": i[k] for k in range(6)}}
    conn = psycopg2.connect(conninfo)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'")
        tables = {r[0] for r in cur.fetchall()}
        cur.execute(PLANT.format(**words).replace("\\\\", "\\"))
        for table, sql in PLANT_LATER.items():
            if table in tables:
                cur.execute(sql.format(**words))
        if "scheduledposts" not in tables:
            cur.execute("DELETE FROM fileinfo WHERE id = %s", (i[2],))
        cur.execute("SELECT count(*) FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'mfausedtimestamps'")
        if cur.fetchone()[0]:
            cur.execute("UPDATE users SET mfausedtimestamps = '[1, 2]' WHERE id = %s", (user,))
    conn.close()
    home = f"20260101/teams/noteam/channels/c/users/{user}"
    return {f"{home}/{i[1]}/{GONE}.png": True, f"{home}/{i[1]}/{GONE}_thumb.png": True, f"{home}/{i[2]}/{GONE}.bin": "scheduledposts" in tables,
            f"{home}/{i[5]}/{GONE}": True, f"posted/{user}": False, f"other/{user}": False, f"users/{user}/profile.png": True}
