"""A stand-in for mmretain, for proving that the harness can fail: does what the oracle says, or one thing wrong.

Takes the same command line (init, plan, run).  FAKE_FAULT names the mistake; see MISTAKES.  Only the tests' self test uses it.
"""
import argparse
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e_lib  # noqa: E402
import oracle  # noqa: E402
import psycopg2  # noqa: E402
import yaml  # noqa: E402

KIND = {"posts": "post", "fileinfo": "file", "reactions": "reaction", "threads": "thread", "threadmemberships": "member", "preferences": "pref"}
# mistake -> words that the report must contain
MISTAKES = {
    "one-row-left": "still there, but due", "one-row-too-many": "deleted, but must stay", "row-changed": "new or changed", "row-added": "new or changed",
    "one-thread-left": "still there, but due", "reaction-left": "new orphans", "row-not-archived": "not in a bundle", "value-altered": "nearest",
    "column-lost": "not in a bundle", "number-rounded": "not in a bundle", "row-twice": "too many", "blob-left": "still there: ", "blob-gone": "gone, but must stay", "blob-changed": "changed: ",
    "blob-not-archived": "its bytes are not in", "chain-broken": "chain is broken", "bundle-unlisted": "not in the ledger", "partial-left": "left over",
    "plan-one-more": "plan", "plan-one-less": "plan", "second-run-deletes": "second run", "exit-code": "exit code", "manifest-wrong": "is not what",
    "order-told": "ledger: mmr1-fake", "order-inside": "bundle mmr1-fake",
}


class Copy:
    def __init__(self, data):
        self.data = data

    def files(self):
        return {}


def pack(members, path):
    """A tar of the members, compressed with zstd."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo("bundle/" + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["zstd", "-q", "-o", path], input=out.getvalue(), check=True)


class Ledger:
    def __init__(self, path):
        self.path = path
        self.seq, self.prev = 0, "0" * 64
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    last = json.loads(line)
                    self.seq, self.prev = last["seq"], last["hash"]

    def add(self, kind, **more):
        self.seq += 1
        body = json.dumps({"seq": self.seq, "at": "2026-11-01T00:00:00Z", "prev": self.prev, "type": kind, **more})[:-1]
        self.prev = hashlib.sha256(body.encode()).hexdigest()
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(f'{body},"hash":"{self.prev if mistake() != "chain-broken" else self.prev[::-1]}"}}\n')


def held(store):
    """Threads that the ledger holds; the stand-in knows no release."""
    path = store + "/ledger/entries.jsonl"
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [root for e in map(json.loads, f) if e["type"] == "hold" for root in e["roots"]]


def mistake():
    return os.environ.get("FAKE_FAULT", "")


def row_json(table, columns, row, lost):
    types = e2e_lib.column_types()[table]
    parts = [f'"k":"{KIND.get(table, table)}"']
    for c, v in zip(columns, row):
        if c in lost:
            continue
        kind = types[c]
        if v is None:
            text = "null"
        elif kind in ("bigint", "integer", "smallint", "real", "jsonb", "json"):
            text = v
        elif kind == "boolean":
            text = {"t": "true", "f": "false"}[v]
        else:
            text = json.dumps(v, ensure_ascii=False)
        parts.append(f'"{c}":{text}')
    return "{" + ",".join(parts) + "}"


def run(policy, db, now, conn, data):
    store = policy["archive"]["store"]
    want = e2e_lib.Expected(Copy(data), policy, now, db)
    roots = sorted(want.roots)
    code = want.code
    odd = mistake()
    if odd == "one-thread-left":
        want.rows = oracle.closure(db, roots[1:])
    if os.path.exists(store + "/keys/again"):
        if odd == "second-run-deletes":
            with conn, conn.cursor() as cur:
                cur.execute("DELETE FROM posts WHERE id = (SELECT min(id) FROM posts)")
        return code
    with open(store + "/keys/again", "w", encoding="utf-8"):
        pass
    book = Ledger(store + "/ledger/entries.jsonl")
    book.add("run-begin")
    lines, schema = [], {}
    members = {}
    for table, rows in want.rows.items():
        if not rows:
            continue
        columns, types = db.tables[table].columns, e2e_lib.column_types()[table]
        schema[table] = {"kind": KIND.get(table, table), "table": table, "columns": [{"name": c, "type": types[c], "absent": None} for c in columns]}
        for n, (_, row, root) in enumerate(rows):
            if not want.archived(root):
                continue
            row = list(row)
            lost = ()
            if n == 0 and table == "posts":
                if odd == "row-not-archived":
                    continue
                if odd == "value-altered":
                    row[columns.index("message")] = (row[columns.index("message")] or "") + " "
                lost = ("createat",) if odd == "column-lost" else ()
            if odd == "number-rounded" and table == "posts":
                row = [v if types[c] != "jsonb" or v is None else json.dumps(json.loads(v)) for c, v in zip(columns, row)]
            lines += [row_json(table, columns, row, lost)] * (2 if odd == "row-twice" and n == 0 and table == "posts" else 1)
    for content in list(want.attachments.stored.values()):
        digest = hashlib.sha256(content).hexdigest()
        members[f"data/files/{digest[:2]}/{digest}"] = content
    if odd == "blob-not-archived":
        members.clear()
    members["data/threads/000001.jsonl"] = "".join(x + "\n" for x in lines).encode("utf-8", "surrogateescape")
    members["data/schema.json"] = json.dumps({"kinds": list(schema.values())}).encode()
    for name, prefix in (("manifest-sha256.txt", "data/"), ("tagmanifest-sha256.txt", "manifest")):
        members[name] = "".join(f"{hashlib.sha256(c).hexdigest() if odd != 'manifest-wrong' else '0' * 64}  {m}\n" for m, c in members.items() if m.startswith(prefix)).encode()
    members["mmretain.json"] = json.dumps({"previous_rows_sha256": "1" if odd == "order-inside" else ""}).encode()
    if lines:
        pack(members, store + "/bundles/2026/11/mmr1-fake-never-000001-0123456789ab.tar.zst")
        book.add("published", bundle="mmr1-fake-never-000001-0123456789ab.tar.zst" if odd != "bundle-unlisted" else "other", previous_digest="1" if odd == "order-told" else "",
                 rows_digest="0")
    with conn, conn.cursor() as cur:
        first = True
        for table, rows in want.rows.items():
            for _, row, _ in rows:
                if odd == "one-row-left" and table == "posts" and first:
                    first = False
                    continue
                if odd == "reaction-left" and table == "reactions":
                    continue
                key = {"posts": ("id",), "fileinfo": ("id",)}.get(table, db.tables[table].columns)
                test = " AND ".join(f'"{c}"::text IS NOT DISTINCT FROM %s' if e2e_lib.column_types()[table][c] != "boolean" else f'"{c}" IS NOT DISTINCT FROM %s::boolean' for c in key)
                cur.execute(f'DELETE FROM "{table}" WHERE {test}', [row[db.tables[table].place[c]] for c in key])
        if odd == "one-row-too-many":
            cur.execute("DELETE FROM reactions WHERE ctid = (SELECT min(ctid) FROM reactions)")
        if odd == "row-changed":
            cur.execute("UPDATE channels SET totalmsgcount = totalmsgcount + 1 WHERE id = (SELECT min(id) FROM channels)")
        if odd == "row-added":
            cur.execute("INSERT INTO systems VALUES ('mmretain', '1')")
    gone = sorted(want.attachments.gone)
    kept = sorted(p for p in os.listdir(data) if p == "bookmark")
    for path in gone[1:] if odd == "blob-left" else gone:
        if os.path.exists(os.path.join(data, path)):
            os.unlink(os.path.join(data, path))
    if odd in ("blob-gone", "blob-changed"):
        for folder, _, names in os.walk(os.path.join(data, kept[0])):
            for n in names:
                if odd == "blob-gone":
                    os.unlink(os.path.join(folder, n))
                else:
                    open(os.path.join(folder, n), "a").write("x")
    if odd == "partial-left":
        open(store + "/partial/x.part", "w").close()
    book.add("run-end")
    return 1 if odd == "exit-code" else code


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-c")
    parser.add_argument("--now")
    parser.add_argument("command")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out")
    args = parser.parse_args()
    with open(args.c, encoding="utf-8") as f:
        policy = yaml.safe_load(f)
    store = policy["archive"]["store"]
    if args.command == "init":
        for part in ("bundles", "ledger", "partial", "keys"):
            os.makedirs(os.path.join(store, part))
        return 0
    url = re.sub(r"^postgresql:///(\w+)\?", r"dbname=\1&", policy["database"]["url"]).replace("&", " ")
    policy["held"] = held(store)
    db = oracle.Db(oracle.load(url))
    now = oracle.parse_time(args.now)
    try:
        verdict = oracle.judge(db, policy, now)
    except oracle.PolicyError as e:
        print(e, file=sys.stderr)
        return 10
    if args.command == "plan":
        due = sorted(verdict.due)
        due = due[1:] if mistake() == "plan-one-less" else due + sorted(set(db.threads) - set(due))[:1] if mistake() == "plan-one-more" else due
        if args.out:
            with open(args.out, "w", encoding="utf-8") as f:
                f.write("".join(json.dumps({"root": root}) + "\n" for root in due))
        print(json.dumps({"due_threads": len(due)}))
        return 0
    return run(policy, db, now, psycopg2.connect(url), os.environ["MM_FILESETTINGS_DIRECTORY"])


if __name__ == "__main__":
    sys.exit(main())
