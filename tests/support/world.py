"""Teams, people, channels and everything that hangs on them, but not on posts."""
import hashlib
import itertools
import json
import math

from words import FIRST_NAMES, LAST_NAMES, EN_WORDS, DE_FIRST, DE_LAST, EMOJI_NAMES, plain

DAY = 86_400_000
YEAR = 365 * DAY
HOSTILE = ['Robert"); DROP TABLE users;--', "../../etc/passwd", "line\nbreak", "tab\tand\x1b[31mred\x07", "‮gnirts‬",
           "ß" * 64, "😀" * 64, "<img src=x onerror=alert(1)>", "back\\slash", "' OR ''='", "%s%n%x", "=1+1", "   ",
           "\u2028"]


def js(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class User:
    __slots__ = ("id", "name", "first", "last", "nick", "createat", "deleteat", "kind", "language", "teams", "guest")


class Channel:
    __slots__ = ("id", "kind", "team", "name", "display", "start", "end", "createat", "deleteat", "pool", "members",
                 "posts", "roots", "firstpost", "lastpost", "lastroot", "updateat", "shared", "creator", "recent")


class Team:
    __slots__ = ("id", "name", "display", "createat", "deleteat", "users")


class World:
    """Who and where. `out.row(table, **values)` takes the rows; `rng` is the only source of chance."""

    def __init__(self, out, rng, seed, posts, now, hostile=False):
        self.out, self.rng, self.seed, self.now, self.hostile = out, rng, seed, now, hostile
        self.begin = now - 5 * YEAR
        self.count = {"users": max(30, int(2 * math.sqrt(posts))), "channels": max(30, int(2.6 * math.sqrt(posts))),
                      "teams": max(5, int(math.sqrt(posts) / 14))}
        self.make_teams()
        self.make_users()
        self.make_channels()

    def id(self, kind, number):
        return self.out.id(kind, number)

    # -- make --------------------------------------------------------------------------------------------------
    def make_teams(self):
        rng, self.teams = self.rng, []
        names = ["accelerator", "it", "photon-science", "facility", "admin"]
        for i in range(self.count["teams"]):
            t = Team()
            t.id, t.name = self.id("team", i), names[i] if i < 5 else f"group-{i:03}"
            t.display = t.name.replace("-",
                                       " ").title() if i % 2 else f"Gruppe {rng.choice(DE_FIRST).title()} & Söhne {i}"
            if self.hostile and i:
                t.display = HOSTILE[i % len(HOSTILE)][:64]
            t.createat = self.begin - int(rng.random() * YEAR)
            t.deleteat = self.now - int((0.3 + rng.random()) * YEAR) if i and i % 7 == 3 else 0
            t.users = {}
            self.teams.append(t)

    def make_users(self):
        rng, count = self.rng, self.count["users"]
        self.heavy_count = max(2, round(count * 0.01))
        self.users, seen = [], set()
        for i in range(count):
            u = User()
            u.id = self.id("user", i)
            u.first, u.last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
            u.nick = "" if rng.random() < 0.7 else rng.choice([u.first[:4] + "i", "Käpt'n", "☕ " + u.first,
                    "der " + u.last])
            u.language = "de" if rng.random() < 0.6 else "en"
            u.createat = self.begin - int(rng.random() * YEAR)
            u.deleteat, u.guest = 0, False
            draw = rng.random()
            if i == 0:
                u.kind = "admin"
            elif i <= self.heavy_count:
                u.kind = "bot" if i % 2 else "normal"
            else:
                u.kind = "bot" if draw < 0.04 else "remote" if draw < 0.07 else "admin" if draw < 0.08 else "normal"
                u.guest = u.kind == "normal" and draw > 0.94
                if rng.random() < 0.4:
                    u.createat = self.begin + int(rng.random() * 4.8 * YEAR)
                if rng.random() < 0.16 and u.kind in ("normal", "bot"):
                    last = self.now - DAY
                    u.deleteat = u.createat + int((last - u.createat) * (0.2 + 0.8 * rng.random()))
                    if i % 5 == 0:  # some within the usual 90 days of grace
                        u.deleteat = max(u.createat + DAY, self.now - int(rng.random() * 85 * DAY) - DAY)
            base = {"bot": rng.choice(DE_FIRST) + "-bot"}.get(u.kind, f"{plain(u.first)}.{plain(u.last)}")
            base = {0: "sysadmin", 1: "alarm-bot"}.get(i, base)
            name, n = base, 2
            while name in seen:
                name, n = f"{base}{n}", n + 1
            seen.add(name)
            u.name = name + (":partner" if u.kind == "remote" else "")
            if u.kind == "bot":
                u.last, u.nick = "", ""
            if self.hostile and i > 1:
                text = HOSTILE[i % len(HOSTILE)]
                u.nick, u.first, u.last = (text[:64], u.first, u.last) if i % 3 else (u.nick, text[:64], text[:64])
            u.teams = [0] if i == 0 else sorted({rng.randrange(len(self.teams)) for _ in range(1 if u.guest else 1 + int(rng.random() * 3))})
            self.users.append(u)
            for t in u.teams:
                self.teams[t].users.setdefault(i, u.createat)
        self.heavy = list(range(1, self.heavy_count + 1))
        self.names = [u.name for u in self.users]

    def make_channels(self):
        rng = self.rng
        self.channels, self.pairs = [], set()
        for t in range(len(self.teams)):
            self.add_channel("O", t, "town-square", "Town Square")
            self.add_channel("O", t, "off-topic", "Off-Topic")
        while len(self.channels) < self.count["channels"]:
            draw = rng.random()
            number = len(self.channels)
            if draw < 0.66:
                team = int(rng.random() ** 1.6 * len(self.teams))
                word, tail = rng.choice(DE_FIRST), rng.choice(DE_LAST)
                alarm = draw < 0.05
                display = f"Alarm {word.title()}" if alarm else f"{word.title()}{tail} {rng.choice(EN_WORDS)}"
                if self.hostile and number % 2:
                    display = HOSTILE[number % len(HOSTILE)]
                name = (f"alarm-{plain(word)}-{number}" if alarm else f"{plain(word)}-{plain(tail)}-{number}")[:64]
                self.add_channel("O" if draw < 0.42 else "P", team, name, display[:64])
            else:
                self.add_direct(draw < 0.92)
        # sizes: one channel of a hundred holds half of everything
        total = len(self.channels)
        top = max(1, round(total * 0.01))
        order = [i for i,
                 c in enumerate(self.channels) if c.kind in "OP" and not self.teams[c.team].deleteat and c.end == 1.0]
        rest = [i for i in range(total) if i not in set(order[:top])]
        rng.shuffle(rest)
        head = list(itertools.accumulate(1 / (k + 1) ** 0.6 for k in range(top)))
        tail = list(itertools.accumulate(1 / (k + 4) ** 0.8 for k in range(len(rest))))
        self.order = order[:top] + rest
        self.weights = [0.5 * w / head[-1] for w in head] + [0.5 + 0.5 * w / tail[-1] for w in tail]

    def add_channel(self, kind, team, name, display):
        rng, c = self.rng, Channel()
        number = len(self.channels)
        c.id, c.kind, c.team, c.name, c.display = self.id("channel", number), kind, team, name, display
        c.start, c.end = 0.0, 1.0
        if number >= 2 * len(self.teams):
            draw = rng.random()
            if draw < 0.2:
                c.start = rng.random() * 0.9
            if rng.random() < 0.13 and kind in "OP":
                c.end = c.start + (0.97 - c.start) * (0.2 + 0.8 * rng.random())
        if team is not None and self.teams[team].deleteat:
            c.end = min(c.end, (self.teams[team].deleteat - self.begin) / (5 * YEAR))
            c.start = min(c.start, c.end / 2)
        if team is not None:
            people = list(self.teams[team].users)
            size = min(len(people), 3 + int(rng.paretovariate(1.0)))
            c.pool = people if name == "town-square" else rng.sample(people, size)
            c.creator = c.pool[0] if c.pool else 0
            if not c.pool:
                c.pool = [0]
        c.members, c.posts, c.roots, c.lastpost, c.lastroot, c.firstpost, c.recent = {}, 0, 0, 0, 0, None, []
        c.shared = kind == "O" and number % 29 == 11
        c.createat = self.begin + int(c.start * 5 * YEAR) - int(rng.random() * 30 * DAY)
        c.deleteat = c.updateat = 0
        self.channels.append(c)
        return c

    def add_direct(self, pair):
        rng = self.rng
        count = 2 if pair else 3 + int(rng.random() * 6)
        first = rng.choice(self.heavy) if rng.random() < 0.5 else rng.randrange(len(self.users))
        pool = [first]
        if not (pair and rng.random() < 0.04):  # a note to self has the same id twice
            while len(pool) < count:
                other = rng.randrange(len(self.users))
                if other not in pool:
                    pool.append(other)
        key = tuple(sorted(pool))
        if key in self.pairs:
            return
        self.pairs.add(key)
        ids = sorted(self.users[i].id for i in pool)
        if pair:
            name, display = f"{ids[0]}__{ids[-1]}", ""
        else:
            name = hashlib.sha1("".join(ids).encode()).hexdigest()
            display = ", ".join(sorted(self.users[i].name for i in pool))[:64]
        c = self.add_channel("D" if pair else "G", None, name, display)
        c.pool, c.creator = pool, pool[0]
        c.createat = max(c.createat, min(self.now - DAY, max(self.users[i].createat for i in pool)))
        c.start = max(c.start, min(0.99, (c.createat - self.begin) / (5 * YEAR)))

    # -- use ---------------------------------------------------------------------------------------------------
    def pick_channel(self):
        return self.channels[self.rng.choices(self.order, cum_weights=self.weights)[0]]

    def active(self, index, at):
        u = self.users[index]
        return u.createat <= at and (not u.deleteat or at < u.deleteat)

    def author(self, c, at):
        """Somebody of the channel who was there at that time; 1 % of the people write 70 % of the posts."""
        rng = self.rng
        if c.kind in "OP" and rng.random() < 0.84:
            return self.heavy[int(rng.random() ** 1.5 * len(self.heavy))]
        pool = c.pool
        for _ in range(6):
            index = pool[int(rng.random() ** 1.3 * len(pool))]
            if self.active(index, at):
                return index
        return pool[0] if c.kind in "DG" else 0

    # -- write -------------------------------------------------------------------------------------------------
    def write(self):
        """All rows; called when the posts are made, because channels and members carry counters."""
        self.write_channels()
        self.write_members()
        self.write_teams()
        self.write_users()
        self.write_system()

    def write_teams(self):
        for i, t in enumerate(self.teams):
            self.out.row("teams", id=t.id, createat=t.createat, updateat=t.deleteat or t.createat, deleteat=t.deleteat,
                         displayname=t.display, name=t.name, description=f"Beschreibung {i}",
                         email=f"team{i}@example.org",
                         type="O" if i % 3 else "I", inviteid=self.id("invite", i), schemeid="",
                         allowopeninvite=i % 3 > 0,
                         companyname="", alloweddomains="", groupconstrained=False)
            for index, createat in sorted(t.users.items()):
                u = self.users[index]
                gone = u.deleteat if u.deleteat and index % 2 else 0
                self.out.row("teammembers", teamid=t.id, userid=u.id, roles="", deleteat=gone, schemeuser=not u.guest,
                             schemeadmin=index == 0, schemeguest=u.guest, createat=max(createat, t.createat))

    def write_channels(self):
        rng = self.rng
        for i, c in enumerate(self.channels):
            if c.end < 0.99 and c.kind in "OP" and not self.teams[c.team].deleteat and c.name not in ("town-square",
                    "off-topic"):
                c.deleteat = max(c.lastpost, self.begin + int(c.end * 5 * YEAR)) + int(rng.random() * 20 * DAY)
                c.deleteat = min(c.deleteat, self.now - 1)
            c.createat = min(c.createat, c.firstpost or c.createat)
            c.updateat = c.deleteat or c.createat
            team = self.teams[c.team].id if c.team is not None else ""
            header = f"Bereitschaft: @{rng.choice(self.names)} https://wiki.example.org/{i}" if i % 4 == 0 and c.kind in "OP" else ""
            purpose = f"Alles über {rng.choice(DE_FIRST)}" if i % 3 == 0 and c.kind in "OP" else ""
            creator = "" if c.kind in "DG" else self.users[c.creator].id
            self.out.row("channels", id=c.id, createat=c.createat, updateat=c.updateat, deleteat=c.deleteat,
                         teamid=team,
                         type=c.kind, displayname=c.display, name=c.name, header=header, purpose=purpose,
                         lastpostat=c.lastpost, totalmsgcount=c.posts, extraupdateat=0, creatorid=creator,
                         schemeid=None,
                         groupconstrained=None, shared=True if c.shared else None, totalmsgcountroot=c.roots,
                         lastrootpostat=c.lastroot, bannerinfo=None)
            if c.kind == "O":
                self.out.row("publicchannels", id=c.id, deleteat=c.deleteat, teamid=team, displayname=c.display,
                             name=c.name,
                             header=header, purpose=purpose)

    def write_members(self):
        rng, now = self.rng, self.now
        for i, c in enumerate(self.channels):
            for index in c.pool:
                c.members.setdefault(index, max(c.createat, self.users[index].createat))
            team = self.teams[c.team] if c.team is not None else None
            for index, joined in sorted(c.members.items()):
                u = self.users[index]
                if team:
                    team.users.setdefault(index, u.createat)
                joined = max(c.createat, min(joined, now - 1))
                left = None
                if c.kind in "OP" and rng.random() < 0.06:
                    left = min(now - 1, joined + int(rng.random() * YEAR))
                if c.kind != "D":
                    self.out.row("channelmemberhistory", channelid=c.id, userid=u.id, jointime=joined, leavetime=left)
                if left:
                    continue
                behind = int(rng.random() ** 6 * min(c.posts, 40))
                viewed = max(joined, c.lastpost - behind * 3_600_000) if c.posts else 0
                self.out.row("channelmembers", channelid=c.id, userid=u.id, roles="", lastviewedat=viewed,
                             msgcount=c.posts - behind, mentioncount=behind // 7, lastupdateat=viewed,
                             schemeuser=not u.guest,
                             schemeadmin=index == c.creator, schemeguest=u.guest, mentioncountroot=behind // 9,
                             msgcountroot=max(0, c.roots - behind), urgentmentioncount=1 if behind > 30 else 0,
                             notifyprops=js({"desktop": "default", "email": "default",
                                             "mark_unread": "mention" if index % 11 == 0 else "all",
                                             "push": "default", "ignore_channel_mentions": "default"}))
                if i % 6 == 0 and index % 4 == 0 and team:
                    self.out.row("sidebarchannels", channelid=c.id, userid=u.id, sortorder=10 * i,
                                 categoryid=f"{'favorites' if index % 8 else 'channels'}_{u.id}_{team.id}")
            if c.shared:
                self.out.row("sharedchannels", channelid=c.id, teamid=team.id, home=True, readonly=False,
                             sharename=c.name,
                             sharedisplayname=c.display, sharepurpose="", shareheader="", creatorid=self.users[0].id,
                             createat=c.createat, updateat=c.createat, remoteid=None)
                last = c.recent[-1] if c.recent else ""
                self.out.row("sharedchannelremotes", id=self.id("scr", i), channelid=c.id, creatorid=self.users[0].id,
                             createat=c.createat, updateat=c.createat, isinviteaccepted=True, isinviteconfirmed=True,
                             remoteid=self.id("remote", 0), lastpostupdateat=c.lastpost, lastpostid=last,
                             lastpostcreateat=c.lastpost, lastpostcreateid=last)

    def write_users(self):
        rng, now = self.rng, self.now
        services = ("", "", "", "ldap", "ldap", "saml", "gitlab")
        for i, u in enumerate(self.users):
            bot, remote = u.kind == "bot", u.kind == "remote"
            service = "" if bot or remote or i == 0 else rng.choice(services)
            props = {}
            if remote:
                props = {"RemoteUsername": u.name.split(":")[0], "RemoteEmail": f"user{i}@partner.example",
                         "OriginalRemoteId": self.id("remote", 0)}
            elif rng.random() < 0.3:
                props = {"customStatus": js({"emoji": "palm_tree",
                                             "text": f"Urlaub bis {1 + i % 28}.8. – Tel. 040 {1000 + i}",
                                             "duration": "date_and_time", "expires_at": "2026-08-31T22:00:00Z"})}
            notify = {"email": "true", "push": "mention", "desktop": "mention", "desktop_sound": "true",
                      "mention_keys": f"{u.name},@{u.name},{u.last}", "channel": "true", "push_status": "online",
                      "comments": "never", "first_name": "false", "desktop_threads": "all", "email_threads": "all",
                      "push_threads": "all"}
            if i % 6 == 0:
                notify["auto_responder_message"] = f"Bin im Urlaub, privat unter 0171 {100000 + i}"
                notify["highlight_keys"] = u.last.lower()
            zone = {"useAutomaticTimezone": "true", "automaticTimezone": rng.choice(["Europe/Berlin", "Europe/Paris",
                    "America/New_York"]), "manualTimezone": ""}
            mfa = not bot and i % 5 == 1
            roles = ("system_user system_admin" if u.kind == "admin" else "system_guest" if u.guest else "system_user")
            last_login = 0 if bot else min(now - 1, (u.deleteat or now) - int(rng.random() * 20 * DAY))
            self.out.row(
                "users", id=u.id, createat=u.createat, updateat=u.deleteat or min(now - 1,
                        u.createat + int(rng.random() * YEAR)),
                deleteat=u.deleteat, username=u.name, password="" if service or bot else "$2a$10$" + self.out.hash("pw",
                        i)[:53],
                authdata=f"uid={plain(u.first)}{i}" if service else None, authservice=service,
                email=f"{u.name}@localhost" if bot else f"{self.id('mail', i)}@remote.partner" if remote else f"{plain(u.first)}.{plain(u.last)}{i}@example.org",
                emailverified=not bot, nickname=u.nick, firstname=u.first, lastname=u.last, roles=roles,
                allowmarketing=i % 9 == 0, props=js(props), notifyprops=js({} if bot else notify),
                lastpasswordupdate=u.createat,
                lastpictureupdate=u.createat + 5000 if i % 3 else 0, failedattempts=i % 4 == 3 and 1 or 0,
                locale=u.language,
                mfaactive=mfa, mfasecret=self.out.hash("mfa", i)[:16].upper() if mfa else "",
                position="" if bot else rng.choice(["Physikerin", "Ingenieur", "Operateur", "Doktorand", "Professor",
                        "", "IT"]),
                timezone=js({} if bot else zone), remoteid=self.id("remote", 0) if remote else None,
                lastlogin=max(0, last_login),
                mfausedtimestamps=js([last_login // 30000]) if mfa else None)
            if bot:
                self.out.row("bots", userid=u.id, description="Meldet Störungen", createat=u.createat,
                             updateat=u.createat,
                             ownerid=self.users[0].id if i % 2 else "com.example.plugin", deleteat=u.deleteat,
                             lasticonupdate=0)
                continue
            self.write_personal(i, u, last_login)

    def write_personal(self, i, u, last_login):
        rng, now, out = self.rng, self.now, self.out
        out.row("status", userid=u.id, status="offline" if u.deleteat else rng.choice(["online", "away", "offline",
                "dnd"]),
                manual=i % 7 == 0, lastactivityat=max(0, last_login), dndendtime=0, prevstatus="")
        for k in range(0 if u.deleteat else 1 + i % 3):
            out.row("sessions", id=self.id("session", f"{i}-{k}"), token=self.id("sessiontoken", f"{i}-{k}"),
                    userid=u.id,
                    createat=max(u.createat, last_login), expiresat=now + 30 * DAY, lastactivityat=max(0, last_login),
                    deviceid="apple_rn-v2:" + out.hash("device", i) if k == 1 else "", roles="system_user",
                    props=js({"browser": "Firefox/131.0", "os": "Linux", "platform": "Linux",
                              "csrf": self.id("csrf", i), "isMobile": str(k == 1).lower()}))
        for k in range(2 + int(rng.random() * 6)):
            at = u.createat + int(rng.random() * max(1, (u.deleteat or now) - u.createat))
            out.row("audits", id=self.id("audit", f"{i}-{k}"), createat=at, userid=u.id,
                    sessionid=self.id("session", f"{i}-0"),
                    action=rng.choice(["/api/v4/users/login", "/api/v4/posts", "/api/v4/users/me/patch"]),
                    extrainfo=f"attempt - login_id={u.name}" if k == 0 else f"email={plain(u.first)}.{plain(u.last)}{i}@example.org",
                    ipaddress=f"131.169.{i % 256}.{k + 1}")
        preferences = {("display_settings", "name_format"): rng.choice(["username", "nickname_full_name", "full_name"]),
                       ("tutorial_step", u.id): "999", ("recommended_next_steps", "hide"): "true"}
        if i % 4 == 0:
            preferences[("theme", "")] = js({"type": "custom", "sidebarBg": "#145dbf", "sidebarText": "#ffffff"})
            preferences[("recent_custom_statuses", u.id)] = js([{"emoji": "car", "text": "Arzttermin"}])
        if i % 5 == 0:
            preferences[("direct_channel_show", self.users[(i * 7 + 1) % len(self.users)].id)] = "true"
        for (category, name), value in preferences.items():
            out.row("preferences", userid=u.id, category=category, name=name, value=value)
        if i % 9 == 2:
            out.row("useraccesstokens", id=self.id("uat", i), token=self.id("uattoken", i), userid=u.id,
                    description=f"Skript von {u.first} {u.last}", isactive=i % 2 == 0)
        if i % 8 == 3:
            out.row("tokens", token=self.out.hash("token", i)[:64], createat=now - i * 1000,
                    type="password_recovery" if i % 2 else "verify_email",
                    extra=js({"UserId": u.id, "Email": f"{plain(u.first)}.{plain(u.last)}{i}@example.org"}))
        if i % 11 == 4:
            out.row("desktoptokens", token=self.out.hash("desktop", i)[:64], createat=now // 1000 - i, userid=u.id)
            out.row("oauthaccessdata", token=self.id("oauth", i), refreshtoken=self.id("refresh", i),
                    redirecturi="https://app.example.org/cb",
                    clientid=self.id("app", 0), userid=u.id, expiresat=now + DAY, scope="user")
        if i % 17 == 5:
            out.row("oauthauthdata", clientid=self.id("app", 0), userid=u.id, code=self.out.hash("code", i),
                    expiresin=600,
                    createat=now - 1000, redirecturi="https://app.example.org/cb", state="s", scope="user")
        if i % 3 == 0:
            out.row("usertermsofservice", userid=u.id, termsofserviceid=self.id("tos", 0), createat=u.createat + 1)
            out.row("productnoticeviewstate", userid=u.id, noticeid=self.id("notice", 1), viewed=1,
                    timestamp=now // 1000)
        if i % 13 == 6:
            out.row("notifyadmin", userid=u.id, createat=now - DAY, requiredplan="professional",
                    requiredfeature="mattermost.feature.guest_accounts", trial=False, sentat=0)
            out.row("recentsearches", userid=u.id, searchpointer=0, query=js({"terms": "geheim " + u.last}),
                    createat=now - DAY)
            out.row("uploadsessions", id=self.id("upload", i), type="attachment", createat=now - DAY, userid=u.id,
                    channelid=self.channels[0].id, filename="angefangen.bin", filesize=1 << 20, fileoffset=1000,
                    path=f"20261030/teams/noteam/channels/{self.channels[0].id}/users/{u.id}/{self.id('upload', i)}/angefangen.bin",
                    remoteid="", reqfileid="")
        if i % 2 == 0:
            for field, value in (("Telefon", f"+49 40 8998 {i:04}"), ("Abteilung", f"Gruppe {i % 12}")):
                out.row("propertyvalues", id=self.id("cpa", f"{i}{field}"), targetid=u.id, targettype="user",
                        groupid=self.id("pgroup", "cpa"),
                        fieldid=self.id("pfield", field), value=js(value), createat=u.createat + 1,
                        updateat=u.createat + 1, deleteat=0)
        for t in u.teams[:2]:
            team = self.teams[t]
            for order, kind in enumerate(("favorites", "channels", "direct_messages")):
                out.row("sidebarcategories", id=f"{kind}_{u.id}_{team.id}", userid=u.id, teamid=team.id,
                        sortorder=order * 10,
                        sorting="recent" if kind == "direct_messages" else "", type=kind,
                        displayname=kind.replace("_", " ").title())
            if i % 10 == 0:
                out.row("sidebarcategories", id=self.id("category", f"{i}-{t}"), userid=u.id, teamid=team.id,
                        sortorder=15, sorting="manual",
                        type="custom", displayname=f"Privat {u.first}"[:64])
        if i % 6 == 1:
            out.row("groupmembers", groupid=self.id("group", i % 2), userid=u.id, createat=u.createat,
                    deleteat=u.deleteat)

    def write_system(self):
        out, now, begin, admin = self.out, self.now, self.begin, self.users[0].id
        for name, value in (("DiagnosticId", self.id("diagnostic", 0)), ("InstallationDate", str(begin)),
                            ("FirstServerRunTimestamp", str(begin)),
                            ("AsymmetricSigningKey", "{}"), ("PostActionCookieSecret", "{}")):
            out.row("systems", name=name, value=value)
        for i, name in enumerate(("system_user", "system_admin", "system_guest", "team_user", "team_admin",
                                  "channel_user", "channel_admin")):
            out.row("roles", id=self.id("role", i), name=name, displayname=name, description="", createat=begin,
                    updateat=begin,
                    permissions=" create_post read_channel add_reaction ", schememanaged=True, builtin=True,
                    schemeid=None)
        out.row("schemes", id=self.id("scheme", 0), name="strict", displayname="Strict", description="", createat=begin,
                updateat=begin, scope="channel")
        out.row("termsofservice", id=self.id("tos", 0), createat=begin, userid=admin, text="Nutzungsordnung")
        out.row("remoteclusters", remoteid=self.id("remote", 0), remoteteamid="", name="partner", displayname="Partner",
                siteurl="https://partner.example",
                createat=begin, lastpingat=now, token=self.id("rt", 0), remotetoken=self.id("rt", 1), topics="",
                creatorid=admin)
        for i in range(3):
            out.row("emoji", id=self.id("emoji", i), createat=begin, updateat=begin, creatorid=admin,
                    name=("party_parrot", "strahl", "alt")[i], deleteat=begin + DAY if i == 2 else 0)
            out.row("jobs", id=self.id("job", i), type=("migrations", "plugins", "expiry_notify")[i], priority=0,
                    createat=begin, startat=begin,
                    lastactivityat=begin, status="success", progress=100, data=js({}))
            out.row("linkmetadata", hash=1000 + i, url=f"https://wiki.example.org/{i}",
                    timestamp=begin // 3_600_000 * 3_600_000, type="opengraph", data=js({"title": "Seite"}))
        for i in range(2):
            out.row("usergroups", id=self.id("group", i), name=("operateure", "bereitschaft")[i],
                    displayname=("Operateure", "Bereitschaft")[i],
                    description="", source="ldap" if i else "custom", remoteid=f"cn=g{i}" if i else None,
                    createat=begin, updateat=begin, allowreference=True)
        town = self.channels[0]
        team = self.teams[0].id
        out.row("groupteams", groupid=self.id("group", 1), teamid=team, autoadd=True, createat=begin, updateat=begin)
        out.row("groupchannels", groupid=self.id("group", 1), channelid=town.id, autoadd=True, createat=begin,
                updateat=begin)
        out.row("incomingwebhooks", id=self.id("hook", 0), createat=begin, updateat=begin, userid=admin,
                channelid=town.id, teamid=team, displayname="Grafana")
        out.row("outgoingwebhooks", id=self.id("hook", 1), token=self.id("hooktoken", 1), createat=begin,
                updateat=begin, creatorid=admin, channelid=town.id,
                teamid=team, triggerwords='["status"]', callbackurls='["https://bot.example.org"]')
        out.row("commands", id=self.id("command", 0), token=self.id("hooktoken", 2), createat=begin, updateat=begin,
                creatorid=admin, teamid=team,
                trigger="wetter", method="P", username="wetter", url="https://bot.example.org/wetter")
        out.row("oauthapps", id=self.id("app", 0), creatorid=admin, createat=begin, updateat=begin, name="Kalender",
                clientsecret=self.id("secret", 0),
                callbackurls='["https://app.example.org/cb"]', homepage="https://app.example.org", istrusted=True)
        out.row("compliances", id=self.id("compliance", 0), createat=now - YEAR, userid=admin, status="finished",
                count=12, desc="Fall 1", type="adhoc",
                startat=begin, endat=now - YEAR, keywords="vertrag", emails="a@example.org")
        out.row("pluginkeyvaluestore", pluginid="com.example.plugin", pkey="mmi_botid", pvalue=b"\x00\x01\xffbytes",
                expireat=0)
        for key, name in (("cpa", "custom_profile_attributes"), ("flagging", "content_flagging")):
            out.row("propertygroups", id=self.id("pgroup", key), name=name)
        for group, names in (("cpa", ("Telefon", "Abteilung")),
                             ("flagging", ("flagged_post_id", "status", "reporting_user_id", "reporting_comment",
                                           "reporting_reason", "reporting_time",
                                           "reviewer_user_id", "actor_user_id", "actor_comment", "action_time"))):
            for name in names:
                kind = "select" if name == "status" else "user" if name.endswith("user_id") else "text"
                out.row("propertyfields", id=self.id("pfield", name), groupid=self.id("pgroup", group), name=name,
                        type=kind, attrs=js({"editable": True}),
                        targetid="", targettype="", createat=begin, updateat=begin, deleteat=0)
        out.row("contentflaggingteamsettings", teamid=team, enabled=True)
        out.row("contentflaggingteamreviewers", teamid=team, userid=admin)
        out.row("contentflaggingcommonreviewers", userid=admin)
