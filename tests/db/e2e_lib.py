"""What the end-to-end tests share: worlds to work on, the program, reading bundles and the ledger without it, and comparing."""
import base64
import collections
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SUPPORT = os.path.join(HERE, "..", "support")
sys.path[:0] = [HERE, SUPPORT]
sys.dont_write_bytecode = True

import cluster  # noqa: E402
import seed as seeding  # noqa: E402
import formats  # noqa: E402
import oracle  # noqa: E402
import outcome  # noqa: E402
import scratch  # noqa: E402
from scratch import remove  # noqa: E402,F401

NOW = seeding.NOW
DAY = oracle.DAY
TIMEOUT = 600  # of whatever ends or comes by itself: not how long it may take, but when a test gives up
QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}

# What is ignored for us, as in a job behind `nohup` or `&`, would be ignored by the program as well: it honours that.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


def folder(prefix):
    """A folder that goes with the test, in memory where there is room; scratch.folder() makes one on the disk."""
    return scratch.folder(prefix, scratch.memory())


def clear(where, *servers):
    """The end of a module: what it has come to make; servers in the order in which they stop."""
    for server in servers:
        if server:
            server.stop("immediate")
            server.remove()
    if where:
        remove(where)


def binary():
    path = os.environ.get("MMRETAIN")
    if path:
        return os.path.abspath(path)
    for build in ("dev", "release", "asan"):
        path = os.path.join(HERE, "..", "..", "build", build, "engine", "cli", "mmretain")
        if os.path.exists(path):
            return os.path.abspath(path)
    return None


def sanitized():
    """Memory is no measure then."""
    return re.search(r"/[at]san/", binary()) is not None


# ---- worlds --------------------------------------------------------------------------------------------------------------
ODD = """
-- shapes that the generator makes rarely or never; all of them legal on a real server
CREATE TEMP TABLE pick AS SELECT id, rootid, channelid, userid, createat, deleteat, originalid, row_number() OVER (ORDER BY md5(id || 'odd')) AS n FROM posts
 WHERE userid IS NOT NULL AND channelid IS NOT NULL AND type NOT LIKE 'system%' AND type <> 'burn_on_read' AND createat > 1000000000000 AND createat < 1900000000000;
UPDATE posts p SET ispinned = true FROM pick WHERE pick.id = p.id AND n % 61 = 1;
UPDATE posts p SET hashtags = CASE n % 5 WHEN 0 THEN '#keep' WHEN 1 THEN '#other #KEEP' WHEN 2 THEN '#keeper' WHEN 3 THEN '#WICHTIG.!' ELSE '#Ärger' END FROM pick WHERE pick.id = p.id AND n % 53 = 2;
UPDATE posts p SET editat = least(p.createat + 200 * 86400000::bigint, 1793491199000) FROM pick WHERE pick.id = p.id AND n % 97 = 3;
INSERT INTO preferences SELECT (SELECT min(id) FROM users), 'flagged_post', id, CASE n % 2 WHEN 0 THEN 'true' ELSE '' END FROM pick WHERE n % 47 = 4 ON CONFLICT DO NOTHING;
INSERT INTO reactions SELECT userid, id, 'eyes', createat, createat, CASE n % 2 WHEN 0 THEN 0 ELSE createat + 1 END, '', channelid FROM pick WHERE n % 31 = 5 ON CONFLICT DO NOTHING;
INSERT INTO postreminders SELECT id, userid, createat / 1000 FROM pick WHERE n % 89 = 6 ON CONFLICT DO NOTHING;
INSERT INTO postacknowledgements SELECT id, userid, createat, '', channelid FROM pick WHERE n % 83 = 7 ON CONFLICT DO NOTHING;
INSERT INTO postspriority SELECT id, channelid, 'urgent', NULL, NULL FROM pick WHERE n % 79 = 8 ON CONFLICT DO NOTHING;
INSERT INTO persistentnotifications SELECT id, createat, NULL, 0, 3 FROM pick WHERE n % 103 = 9 ON CONFLICT DO NOTHING;
INSERT INTO readreceipts SELECT id, userid, createat FROM pick WHERE n % 101 = 10 ON CONFLICT DO NOTHING;
INSERT INTO drafts (createat, updateat, deleteat, userid, channelid, rootid, message, props, fileids, priority, type)
 SELECT createat, createat, 0, userid, channelid, id, E'tab\\there \\\\ and\\nline', '{}', '[]', NULL, '' FROM pick WHERE n % 67 = 11 ON CONFLICT DO NOTHING;
INSERT INTO translations (objectid, dstlang, objecttype, providerid, normhash, text, confidence, meta, updateat, state, channelid)
 SELECT id, 'fr', 'post', 'x', repeat('0', 64), E'bell\\x07 "q" \\u2028', 0.1, '{"n": 1.50, "big": 123456789012345678901234567890}', createat, 'ready', NULL FROM pick WHERE n % 59 = 12 ON CONFLICT DO NOTHING;
INSERT INTO propertyvalues SELECT substr(md5(id), 1, 26), id, 'post', 'otherotherotherotherothero', 'fieldfieldfieldfieldfieldf', '"pending"', 1, 1, 0 FROM pick WHERE n % 73 = 13;
INSERT INTO propertyvalues SELECT substr(md5(id || 'c'), 1, 26), id, 'channel', 'otherotherotherotherothero', 'fieldfieldfieldfieldfieldf', 'null', 1, 1, 0 FROM pick WHERE n % 73 = 14;
INSERT INTO threadmemberships SELECT coalesce(nullif(rootid, ''), id), userid, true, NULL, createat, 0 FROM pick WHERE n % 29 = 15 ON CONFLICT DO NOTHING;
UPDATE posts p SET props = '{"zahl": 12345678901234567890123.50, "klein": 1e-30, "tief": [[{"a": null}]], "z": "\\u2028\\u0007"}' FROM pick WHERE pick.id = p.id AND n % 37 = 18;
INSERT INTO sharedchannelattachments SELECT substr(md5(id), 1, 26), id, 'remoteremoteremoteremotere', createat, 0 FROM fileinfo WHERE ascii(id) % 4 = 1 ON CONFLICT DO NOTHING;
-- names that nobody should have
UPDATE channels c SET name = h.name FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM channels WHERE type IN ('O', 'P') AND name NOT IN ('town-square', 'off-topic')) p
  JOIN (VALUES (1, E'quote\\'s "and" \\\\ $x `y`'), (2, '../../../etc/passwd'), (3, repeat('😀', 64)), (4, E'new\\nline\\tand\\x1b[31m'), (5, '-rf'), (6, '')) h(n, name) ON h.n = p.n WHERE c.id = p.id;
UPDATE teams SET name = E'../Team \\'"\\n' WHERE id = (SELECT max(id) FROM teams);
-- a post with every nullable column NULL
INSERT INTO posts (id, createat, userid, channelid) SELECT substr(md5(id || 'bare'), 1, 26), createat, NULL, channelid FROM pick WHERE n % 113 = 17;
"""

# an edit copy of a reply that carries no root: a server that has any is read in another way
LOST = """
INSERT INTO posts (id, createat, updateat, deleteat, userid, channelid, rootid, originalid, message, type, props, editat)
 SELECT substr(md5(id || 'copy'), 1, 26), createat, createat + 5, createat + 5, userid, channelid, '', id, 'before', '', '{"a": [1, 2.0, "\\u00e9"]}', 0 FROM posts WHERE ascii(md5(id)) % 16 = 1 AND rootid <> '' AND originalid = '';
"""


class World:
    """A template database with its attachment folder, read once."""

    def __init__(self, pg, name, posts, number, spice="", legacy=True, hostile=True, odd=True, lost=True, locale=None):
        self.pg, self.name, self.data = pg, name, os.path.join(pg.directory, "data-" + name)
        pg.createdb(name, locale=locale)
        seeding.seed(pg.conninfo(name), posts=posts, seed=number, data_dir=self.data, legacy=legacy, hostile=hostile, analyze=False)
        if odd:
            pg.psql(ODD, db=name)
        if lost:
            pg.psql(LOST, db=name)
        if spice:
            pg.psql(spice, db=name)
        pg.psql("ANALYZE", db=name)
        self.read()

    def read(self):
        self.db = oracle.Db(oracle.load(self.pg.conninfo(self.name)))
        self.orphans = oracle.orphans(self.db)

    def clone(self, name, where):
        """A copy of database and attachments to run on."""
        self.pg.createdb(name, template=self.name, strategy="file_copy")
        return Copy(self, name, where)


class Copy:
    def __init__(self, world, name, where):
        self.world, self.pg, self.name, self.where = world, world.pg, name, where
        self.data, self.archive = os.path.join(where, "data"), os.path.join(where, "archive")
        os.makedirs(where)
        shutil.copytree(world.data, self.data)

    def load(self):
        return oracle.load(self.pg.conninfo(self.name))

    def url(self, user=None):
        return f"postgresql:///{self.name}?host={self.pg.socket_dir}&port={self.pg.port}&user={user or self.pg.user}"

    def env(self, **more):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "MM_", "MMR_"))}
        return {**keep, "MM_FILESETTINGS_DIRECTORY": self.data, "MM_FILESETTINGS_DRIVERNAME": "local", **more}

    def remove(self):
        self.pg.dropdb(self.name)
        shutil.rmtree(self.where, ignore_errors=True)

    def write_policy(self, rules, holds=(), user=None, bundle_size="1MiB", store=None, url=None, more=(), purge_after=None, blob_grace="1ms", throttle=None, archive=()):
        """The YAML file; returns (path, parsed policy).  archive: further lines of that section."""
        lines = ["version: 1", "database:", f"  url: {flow(url or self.url(user))}", "archive:", f"  store: {flow(store or self.archive)}",
                 f"  bundle_size: {bundle_size}", *archive, "throttle: " + (throttle or f"{{preset: fast, pause_factor: 0, export_pause_factor: 0, blob_grace: {blob_grace}}}"), "rules:"]
        for key, entries in (("rules", rules), ("holds", holds)):
            if key == "holds" and entries:
                lines.append("holds:")
            for entry in entries:
                for i, (k, v) in enumerate(entry.items()):
                    lines.append(f"  {'-' if i == 0 else ' '} {k}: {flow(v)}")
        if purge_after:
            lines.append(f"deleted_posts: {{purge_after: {purge_after}}}")
        lines += more
        path = os.path.join(self.where, "policy.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        return path, dict({"rules": list(rules), "holds": list(holds)}, **({"deleted_posts": {"purge_after": purge_after}} if purge_after else {}))

    def state(self):
        """Database and files; moments of the last hour, which differ between two runs, by the same word."""
        now = int(time.time() * 1000)

        def moment(m):
            return "NOW" if now - 3_600_000 < int(m.group()) <= now + 1000 else m.group()

        return {name: sorted(re.sub(r"\d{13}", moment, line) for line in t.lines) for name, t in self.load().items()}, self.files()

    def files(self):
        """{path below the attachment folder: (size, sha256)}; special files by their kind."""
        found = {}
        for folder, _, names in os.walk(self.data):
            for n in names:
                full = os.path.join(folder, n)
                rel = os.path.relpath(full, self.data)
                if os.path.islink(full) or not os.path.isfile(full):
                    found[rel] = "special"
                    continue
                with open(full, "rb") as f:
                    content = f.read()
                found[rel] = (len(content), hashlib.sha256(content).hexdigest())
        return found


PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*|\d+(d|w|mo|y|B|KB|kB|MB|KiB|MiB)")


def flow(value):
    """A value as YAML in flow style, quoted where plain text could be misread."""
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    if isinstance(value, str):
        if PLAIN.fullmatch(value) and value.lower() not in ("yes", "no", "true", "false", "null", "on", "off", "y", "n"):
            return value
        return json.dumps(value)
    return str(value)


# ---- the program ---------------------------------------------------------------------------------------------------------
Done = collections.namedtuple("Done", "code out err args env")


PROGRAM = None  # a command that a test puts in place of the binary


def program():
    """The command: the binary, or whatever MMRETAIN names; a .py file runs in this interpreter."""
    if PROGRAM:
        return PROGRAM
    path = binary()
    if path is None:
        raise SystemExit("no mmretain binary: set MMRETAIN")
    return [sys.executable, path] if path.endswith(".py") else [path]


def command_line(policy, args, now_ms):
    return program() + ["-c", policy, *(["--now", stamp(now_ms)] if now_ms else []), *args]


def call(copy, policy, *args, now_ms=NOW, env=None, timeout=TIMEOUT, **popen):
    """Run mmretain on a copy, with the policy and the clock (None: the real one)."""
    command = command_line(policy, args, now_ms)
    full = copy.env(**(env or {}))
    try:
        p = subprocess.run(command, env=full, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, **popen)
    except subprocess.TimeoutExpired as late:
        return Done(-999, "", f"no end after {timeout} s\n{(late.stderr or b'').decode(errors='replace')}", command, env or {})
    return Done(p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace"), command, env or {})


def start(copy, policy, *args, now_ms=NOW, env=None, **popen):
    """The same in the background: a Popen."""
    return subprocess.Popen(command_line(policy, args, now_ms), env=copy.env(**(env or {})), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)


def finish(process, timeout=TIMEOUT):
    """Wait for start()'s process: Done."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return Done(-999, "", f"no end after {timeout} s\n{err.decode(errors='replace')}", process.args, {})
    return Done(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), process.args, {})


def stopped(process, timeout=TIMEOUT):
    """Wait until a process has stopped itself (fault action `stop`); False when it ended or did not."""
    end = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < end:
        with open(f"/proc/{process.pid}/stat", encoding="utf-8", errors="replace") as f:
            if f.read().rpartition(")")[2].split()[0] == "T":
                return True
        time.sleep(0.01)
    return False


def flip(path):
    """One bit in the middle of a file is another."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 1]))


def stamp(now_ms):
    at = oracle.datetime.datetime.fromtimestamp(now_ms // 1000, oracle.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def tail(text, lines=6):
    """The end of stderr, without warnings about the policy."""
    kept, warned = [], False
    for line in text.strip().splitlines():
        warned = ": warning: " in line or (warned and line.startswith("  hint:"))
        if not warned:
            kept.append("      " + line)
    return "\n".join(kept[-lines:])


# ---- reading an archive without the program --------------------------------------------------------------------------------
class Damage(Exception):
    """The archive is not what its format says."""


class Token(str):
    """A JSON number as written: nothing is rounded."""


def loads(text):
    return json.loads(text, parse_int=Token, parse_float=Token, parse_constant=Token)


def canonical(value):
    """JSON as comparable text: numbers as written, keys sorted."""
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(k) + ":" + canonical(value[k]) for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value)


def cell(value, kind):
    """A value of a bundle row, or of an absent key, in the text form of COPY."""
    if value is None:
        return None
    if kind in ("json", "jsonb"):
        return canonical(value)
    if value is True or value is False:
        return "t" if value else "f"
    if isinstance(value, (dict, list)):
        raise Damage(f"a {kind} holds {value!r}")
    if kind in ("real", "double precision"):
        return repr(float(value))
    return {"true": "t", "false": "f"}.get(str(value), str(value)) if kind == "boolean" else str(value)


def from_copy(value, kind):
    """The same for a field of the database."""
    if value is None:
        return None
    if kind in ("json", "jsonb"):
        return canonical(loads(value))
    return repr(float(value)) if kind in ("real", "double precision") else value


class Bundle:
    """One .tar.zst, opened with zstd and tarfile alone."""

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)
        done = subprocess.run(["zstd", "-dcq", path], capture_output=True)
        if done.returncode:
            raise Damage(f"{self.name}: zstd: {done.stderr.decode(errors='replace').strip()}")
        self.members = {}
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            for m in tar:
                if not m.isfile():
                    continue
                top, _, rest = m.name.partition("/")
                if rest in self.members:
                    raise Damage(f"{self.name}: member {m.name} twice")
                self.members[rest] = tar.extractfile(m).read()
        self.manifests()
        self.schema = self.read_schema()
        self.blobs = {}
        for name, content in self.members.items():
            if name.startswith("data/files/"):
                digest = name.rpartition("/")[2]
                if hashlib.sha256(content).hexdigest() != digest or name.split("/")[2] != digest[:2]:
                    raise Damage(f"{self.name}: {name} is not its digest")
                self.blobs[digest] = content

    def manifests(self):
        """Every payload file is in the manifest and has that digest, every tag file likewise."""
        for name, prefix in (("manifest-sha256.txt", "data/"), ("tagmanifest-sha256.txt", "")):
            listed = {}
            for line in self.members[name].decode().splitlines():
                digest, _, member = line.partition("  ")
                listed[member] = digest
                if member not in self.members or hashlib.sha256(self.members[member]).hexdigest() != digest:
                    raise Damage(f"{self.name}: {member} is not what {name} says")
            if prefix:
                rest = {m for m in self.members if m.startswith(prefix)} - set(listed)
                if rest:
                    raise Damage(f"{self.name}: not in the manifest: {sorted(rest)[:3]}")

    def read_schema(self):
        """{kind: (table, {column: (type, value of an absent key)})}."""
        return {spec["kind"]: (spec["table"], {c["name"]: (base_type(c["type"]), cell(c["absent"], base_type(c["type"]))) for c in spec["columns"]})
                for spec in loads(self.members["data/schema.json"])["kinds"]}

    def row(self, line):
        """(table, {column: text}) of a line."""
        row = loads(line)
        if next(iter(row)) != "k":
            raise Damage(f"{self.name}: a row does not begin with its kind")
        table, columns = self.schema[row.pop("k")]
        for key in [k for k in row if k.endswith("!b64")]:
            row[key[:-4]] = base64.b64decode(row.pop(key)).decode("utf-8", "surrogateescape")
        unknown = set(row) - set(columns)
        if unknown:
            raise Damage(f"{self.name}: columns not in schema.json: {sorted(unknown)}")
        return table, {c: cell(row[c], kind) if c in row else absent for c, (kind, absent) in columns.items()}

    def rows(self):
        """The same of every row."""
        for name in sorted(m for m in self.members if m.startswith("data/threads/")):
            for line in self.members[name].decode("utf-8").rstrip("\n").split("\n"):
                yield self.row(line)


def base_type(text):
    return re.sub(r"\(.*\)", "", text or "").strip()


def bundles(archive):
    found = []
    for folder, _, names in os.walk(os.path.join(archive, "bundles")):
        for n in names:
            if n.endswith(".tar.zst"):
                found.append(os.path.join(folder, n))
            elif not n.endswith((".idx", ".tar.zst.lost")):
                raise Damage(f"bundles/ holds {n}")
    return sorted(found)


with open(os.path.join(HERE, "..", "..", "docs", "formats.md"), encoding="utf-8") as page:
    LINES = formats.ledger_types(page.read())


def ledger(archive, torn=False):
    """All entries; checks sequence, chain, and that docs/formats.md has their fields. torn: the last line may be cut (after a crash)."""
    path = os.path.join(archive, "ledger", "entries.jsonl")
    if torn and not os.path.exists(path):
        return []
    with open(path, "rb") as f:
        raw = f.read()
    lines = raw.split(b"\n")
    if lines.pop() and not torn:
        raise Damage("the ledger's last line is cut")
    entries, before = [], b"0" * 64
    for n, line in enumerate(lines):
        entry = json.loads(line)
        body, mark, _ = line.rpartition(b',"hash":')
        if not mark or tuple(entry)[:4] != formats.HEAD or list(entry)[-1] != "hash":
            raise Damage(f"ledger line {n + 1}: keys {list(entry)}")
        if not set(list(entry)[4:-1]) <= LINES.get(entry["type"], set()):
            raise Damage(f"ledger line {n + 1}: docs/formats.md has no such line: {entry['type']} with {list(entry)[4:-1]}")
        digest = hashlib.sha256(body).hexdigest().encode()
        if entry["hash"].encode() != digest or entry["prev"].encode() != before:
            raise Damage(f"ledger line {n + 1}: the chain is broken")
        if entries and entry["seq"] != entries[-1]["seq"] + 1:
            raise Damage(f"ledger line {n + 1}: sequence {entry['seq']}")
        before = digest
        entries.append(entry)
    return entries


KNOWN = re.compile(r"0=mmretain_archive_1|README\.txt|FORMAT\.md|keys/[\w-]+|ledger/entries\.jsonl|catalog\.sqlite(-journal)?|bundles/\d{4}/\d\d/[a-z0-9.-]+\.(tar\.zst|idx)")


def write_ledger(archive, kind, **fields):
    """Appends a line as docs/formats.md says."""
    path = os.path.join(archive, "ledger", "entries.jsonl")
    before = ledger(archive) if os.path.exists(path) else []
    head = {"seq": len(before) + 1, "at": stamp(int(time.time() * 1000)), "prev": before[-1]["hash"] if before else "0" * 64, "type": kind}
    body = json.dumps({**head, **fields}, separators=(",", ":"))[:-1].encode()
    with open(path, "ab") as f:
        f.write(body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n')


def leftovers(archive):
    """Files that a finished run must not leave: work in progress, unlink journals, anything that the format does not name."""
    found = []
    for folder, _, names in os.walk(archive):
        found += [os.path.normpath(os.path.join(os.path.relpath(folder, archive), n)) for n in names]
    return sorted(f for f in found if not KNOWN.fullmatch(f))


# ---- comparing -----------------------------------------------------------------------------------------------------------
TYPES = {}


def column_types():
    """{table: {column: type}} from the schema's CSV."""
    if not TYPES:
        import schema
        for row in schema.rows("columns"):
            TYPES.setdefault(row["table_name"], {})[row["column_name"]] = row["type"]
    return TYPES


def as_record(table, columns, row):
    kinds = column_types().get(table, {})
    return (table,) + tuple(sorted((c, from_copy(v, kinds.get(c, "text"))) for c, v in zip(columns, row)))


def short(text, width=300):
    text = str(text)
    return text if len(text) <= width else text[:width] + "…"


class Expected:
    """What a policy must do to a copy: made once, before the run."""

    def __init__(self, copy, policy, now_ms, db=None, stay=()):
        """stay: roots that are due, but must be kept for what happened in the meantime."""
        self.copy, self.policy, self.now = copy, policy, now_ms
        self.db = db or copy.world.db
        self.verdict = oracle.judge(self.db, policy, now_ms)
        for root in stay:
            self.verdict.due.pop(root, None)
        self.attachments = oracle.Files(self.db, self.verdict, copy.data)
        self.lost = self.attachments.lost
        self.code = 3 if self.lost or self.attachments.stuck else 0  # what a run that could do all else returns
        self.roots = set(self.verdict.due) - self.lost
        self.rows = oracle.closure(self.db, self.roots, self.verdict)
        self.files = copy.files()

    def archived(self, root):
        return self.verdict.due[root][1].get("archive") != "none"

    def records(self):
        """Every row that must be in a bundle, comparable: Counter."""
        out = collections.Counter()
        for table, rows in self.rows.items():
            if rows:
                columns = self.db.tables[table].columns
                out.update(as_record(table, columns, row) for _, row, root in rows if self.archived(root))
        return out


def minimal(problems, most=2):
    """Of problems that begin alike the first few, and how many more there are."""
    kinds, out = collections.OrderedDict(), []
    for p in problems:
        kinds.setdefault(re.split(r"[,:(]", p.partition(": ")[2] or p)[0][:40] + p.partition(": ")[0], []).append(p)
    for group in kinds.values():
        out += group[:most]
        if len(group) > most:
            out.append(f"... and {len(group) - most} more like it")
    return out


def compare_database(want, after):
    """Problems of the database after the run: exactly the closure is gone, nothing came."""
    problems = []
    for name, table in want.db.tables.items():
        before, now = collections.Counter(table.lines), collections.Counter(after[name].lines if name in after else [])
        wanted = collections.Counter(line for line, _, _ in want.rows.get(name, ()))
        root_of = {line: root for line, _, root in want.rows.get(name, ())}
        for line in (before - now) - wanted:
            problems.append(f"{name}: deleted, but must stay: {short(line)}")
        for line in wanted - (before - now):
            reason, rule = want.verdict.due[root_of[line]]
            problems.append(f"{name}: still there, but due ({reason}, rule {rule['name']}, thread {root_of[line]}): {short(line)}")
        for line in now - before:
            problems.append(f"{name}: new or changed: {short(line)}")
    problems += [f"{name}: a new table" for name in after if name not in want.db.tables]
    earlier = oracle.orphans(want.db)
    for place, ids in oracle.orphans(oracle.Db(after)).items():
        for ident, count in (ids - earlier[place]).items():
            problems.append(f"{'.'.join(place)}: {count} new orphans of {ident}")
    return minimal(problems)


def read_bundles(archive, problems, skip=()):
    out = []
    for path in bundles(archive):
        if path not in skip:
            try:
                out.append(Bundle(path))
            except (Damage, KeyError, ValueError, tarfile.TarError) as e:
                problems.append(f"bundle {os.path.basename(path)}: {type(e).__name__} {e}")
    return out


def compare_archive(want, found, exact=True):
    """Every deleted row in a bundle with every value equal, every due blob's bytes; nothing else when exact."""
    problems, records, where = [], collections.Counter(), {}
    for b in found:
        for table, row in b.rows():
            records[(table,) + tuple(sorted(row.items()))] += 1
            if table == "fileinfo":
                where[row["id"]] = b
    wanted = want.records()
    missing, extra = wanted - records, records - wanted
    for r in missing:
        near = [x for x in extra if x[0] == r[0] and dict(x[1:]).get("id") == dict(r[1:]).get("id") and "id" in dict(r[1:])]
        note = f"; nearest: {short(sorted(set(near[0][1:]) ^ set(r[1:]), key=str))}" if near else ""
        problems.append(f"{r[0]}: not in a bundle: {short(dict(r[1:]))}{note}")
    if exact:
        for r in extra:
            problems.append(f"{r[0]}: {extra[r]} too many in the bundles: {short(dict(r[1:]))}")
    for ident, content in want.attachments.stored.items():
        if content is None or not want.archived(want.attachments.rows[ident][0]):
            continue
        digest = hashlib.sha256(content).hexdigest()
        if ident in where and where[ident].blobs.get(digest) != content:
            problems.append(f"attachments: its bytes are not in {where[ident].name}: {ident}")
    return minimal(problems)


def compare_files(want, copy):
    """The attachment folder: what had to go is gone, everything else is as it was."""
    problems, now = [], copy.files()
    for path, what in want.files.items():
        if path in want.attachments.gone:
            if path in now:
                problems.append(f"attachment folder: still there: {path}")
        elif path not in want.attachments.loose and now.get(path) != what:
            problems.append(f"attachment folder: {'changed' if path in now else 'gone, but must stay'}: {path}")
    problems += [f"attachment folder: new file: {p}" for p in now if p not in want.files]
    return minimal(problems)


def compare_order(found, entries):
    """Each published bundle names the one published before it, in the ledger and in itself."""
    problems, before = [], ""
    inside = {b.name: json.loads(b.members["mmretain.json"])["previous_rows_sha256"] for b in found}
    for e in entries:
        if e["type"] != "published":
            continue
        if e["previous_digest"] != before:
            problems.append(f"ledger: {e['bundle']} follows {e['previous_digest']!r}, not {before!r}")
        if inside.get(e["bundle"], before) != before:
            problems.append(f"bundle {e['bundle']} follows {inside[e['bundle']]!r}, not {before!r}")
        before = e["rows_digest"]
    return minimal(problems)


def compare(want, copy, exact=True):
    """All problems after a finished run."""
    problems = compare_database(want, copy.load())
    try:
        found, entries = read_bundles(copy.archive, problems), ledger(copy.archive)
        problems += compare_archive(want, found, exact) + compare_order(found, entries)
        named = json.dumps(entries)
        problems += [f"bundle {os.path.basename(p)} is not in the ledger" for p in bundles(copy.archive) if os.path.basename(p) not in named]
    except (Damage, OSError, ValueError) as e:
        problems.append(f"archive: {e}")
    problems += [f"left over: {p}" for p in leftovers(copy.archive)]
    return problems + compare_files(want, copy)


def nowhere(want, copy):
    """Rows and blobs that are neither in the database nor in a published bundle, and should be: none at any time."""
    problems = []
    records, blobs = set(), set()
    waived = {name: {line for line, _, root in rows if not want.archived(root)} for name, rows in want.rows.items()}
    for b in read_bundles(copy.archive, problems):
        records |= {(table,) + tuple(sorted(row.items())) for table, row in b.rows()}
        blobs |= set(b.blobs)
    after = copy.load()
    for name, table in want.db.tables.items():
        now = collections.Counter(after[name].lines)
        for line, row in zip(table.lines, table.rows):
            if now[line] > 0:
                now[line] -= 1
            elif line not in waived.get(name, ()) and as_record(name, table.columns, row) not in records:
                problems.append(f"{name}: in neither place: {short(line)}")
    files = copy.files()
    needed = set(want.files) - want.attachments.gone - want.attachments.loose
    place = want.db.tables["fileinfo"].place["path"]
    needed |= {want.attachments.rows[ident][1][place] for ident in want.attachments.stored}
    for path in sorted(needed & set(want.files)):
        if path not in files and want.files[path][1] not in blobs:
            problems.append(f"attachments: in neither place: {path}")
    return minimal(problems)


def ledger_state(archive):
    """The ledger's entries, or what is wrong with it."""
    try:
        return ledger(archive, torn=True), []
    except (Damage, OSError, ValueError) as e:
        return [], [f"ledger: {e}"]


def differences(state, wanted):
    """Problems where one Copy.state() is not the other."""
    (tables, files), (want_tables, want_files) = state, wanted
    problems = []
    for name in want_tables:
        for line in sorted(set(tables[name]) ^ set(want_tables[name]))[:2]:
            problems.append(f"{name}: not as after an undisturbed run: {short(line)}")
    if files != want_files:
        problems.append(f"files: not as after an undisturbed run: {sorted(set(files.items()) ^ set(want_files.items()))[:2]}")
    return problems


# ---- a test's frame --------------------------------------------------------------------------------------------------------
class Tally:
    """Counts checks, prints failures with their detail, ends with one clear line."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, problems):
        problems = [problems] if isinstance(problems, str) and problems else list(problems or ())
        if not problems:
            self.passed += 1
            print(f"ok    {name}", flush=True)
            return True
        self.failed += 1
        print(f"FAIL  {name}", flush=True)
        for p in problems[:8]:
            print(f"      {p}")
        if len(problems) > 8:
            print(f"      and {len(problems) - 8} more")
        sys.stdout.flush()
        return False

    def skip(self, name, why):
        if outcome.forbidden():
            self.check(name, f"skipped, and MMR_NO_SKIP=1: {why}")
            return
        self.skipped += 1
        outcome.tell(name, why)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return outcome.status(self.passed, self.failed, self.skipped)
