"""Rows about export, plan, delete, the whole night and verification."""
import os
import random
import shutil
import subprocess
import time

from bench_lib import CHILDREN_AND_POSTS, DAY, FULL_SPEED, Cpu, Row, cluster, median

SHARE = 0.2   # of the posts: what export and delete are measured with


def age(days):
    return [f"keep: {{for: {days}d}}"]


# ---- export ------------------------------------------------------------------------------------------------------------
def pipe_seconds(b, db, out):
    """psql COPY of the same rows, posts first, then each child table, into one zstd -3 -T0, then sync."""
    copies = []
    for table, column, more in CHILDREN_AND_POSTS:
        copies += ["-c", f"COPY (SELECT t.* FROM {table} t JOIN bench.victims v ON t.{column} = v.id {more}) TO STDOUT"]
    begin = time.monotonic()
    psql = subprocess.Popen([os.path.join(cluster.pg_bin(), "psql"), "-Xq", "-d", b.pg.conninfo(db), *copies], stdout=subprocess.PIPE)
    subprocess.run(["zstd", "-q", "-f", "-3", "-T0", "-o", out], stdin=psql.stdout, check=True)
    psql.stdout.close()
    if psql.wait():
        raise SystemExit("COPY failed")
    subprocess.run(["sync", out], check=True)
    return time.monotonic() - begin


def export_rows(b, rows, wanted):
    db = b.database(b.args.posts)
    days = b.cut_days(db, SHARE)
    n = b.victims(db, days)
    out = os.path.join(b.where, "copy.zst")
    e1 = Row("E1", "export, rows to bundle, level 3", 1.25, 1.0)
    e2 = Row("E2", "export, level 6", 1.6, 1.4)
    e2b = Row("E2b", "bytes a post, level 6", 82, 82, "bytes")
    e3 = Row("E3", "run --no-purge, all of it", 2.5, 1.8)
    b.warm(db)
    cpu = {"base": [], "E1": [], "E3": []}
    for _ in range(b.args.rounds):
        with Cpu(b.pg.pid) as used:
            base = pipe_seconds(b, db, out)
        cpu["base"].append(used.seconds)
        if "E1" in wanted:
            path = b.policy(db, age(days), extra="level: 3")
            with Cpu(b.pg.pid) as used:
                run = b.tool("run", path, "--yes", "--no-purge", row="E1")
            cpu["E1"].append(used.seconds)
            e1.add(run.step("export"), base)
            e1.notes = [f"first bundle, with finding all rows, {run.steps[1]['ms'] / 1000:.2f} s of {run.step('export'):.2f} s; {median(e1.base):.2f} s"]
            base = pipe_seconds(b, db, out)
        if "E2" in wanted or "E3" in wanted:
            path = b.policy(db, age(days))
            with Cpu(b.pg.pid) as used:
                run = b.tool("run", path, "--yes", "--no-purge", row="E3")
            cpu["E3"].append(used.seconds)
            e2.add(run.step("export"), base)
            e3.add(run.wall, base)
            e2b.fixed = sum(os.path.getsize(f) for f in b.bundles()) / max(1, run.posts("export"))
            if run.posts("export") != n:
                e2.notes.append(f"{run.posts('export')} posts exported, {n} expected")
            e3.notes = [f"{name} {run.step(name):.2f} s" for name in ("plan", "export", "publish", "index")] + [f"wall {run.wall:.2f} s, {len(b.bundles())} bundles"]
    e2b.notes.append(f"{n} posts; baseline {os.path.getsize(out) / n:.1f} bytes a post at level 3")
    for row, key in ((e1, "E1"), (e3, "E3")):
        if cpu[key]:
            row.notes.append(f"CPU of client and server, whole run: {median(cpu[key]):.1f} s against {median(cpu['base']):.1f} s")
    rows += [r for r in (e1, e2, e2b, e3) if r.tool or r.fixed]


# ---- plan --------------------------------------------------------------------------------------------------------------
def floor_age(days):
    cut = f"(extract(epoch FROM now()) * 1000)::bigint - {days} * {DAY}::bigint"
    return (f"WITH live AS (SELECT DISTINCT rootid FROM posts WHERE createat >= {cut} AND rootid <> '') SELECT count(*) FROM posts p WHERE p.createat < {cut}"
            " AND NOT EXISTS (SELECT FROM live l WHERE l.rootid = CASE WHEN p.rootid = '' THEN p.id ELSE p.rootid END)")


FLOOR_POSTS = ("SELECT count(x.createat) FROM channels c LEFT JOIN LATERAL (SELECT createat FROM posts p WHERE p.channelid = c.id AND p.deleteat = 0"
               " ORDER BY p.createat DESC OFFSET {n} LIMIT 1) x ON true")
FLOOR_BYTES = "SELECT count(*), sum(n) FROM (SELECT channelid, sum(octet_length(message)) AS n FROM posts GROUP BY channelid) x"


def floor_deleted(days):
    return f"SELECT count(*) FROM posts WHERE deleteat > 0 AND deleteat < (extract(epoch FROM now()) * 1000)::bigint - {days} * {DAY}::bigint"


def plan_pair(b, row, db, rule, floor, top=""):
    """Returns row. top: lines of the policy beside its rules."""
    path = b.policy(db, rule, throttle=f"{FULL_SPEED}\n{top}")
    for _ in range(b.args.rounds):
        base = b.sql_seconds(floor, db)
        run = b.tool("plan", path, row=row.name)
        row.add(run.wall, base)
    due = run.json()["due"]
    row.notes.append(f"{due['threads']} threads, {due['posts']} posts due; {median(row.tool):.2f} s against {median(row.base):.2f} s")
    return row


def largest(b, db, what, group):
    """Nine tenths of the largest channel or team: about one night's excess is due."""
    sql = (f"SELECT max(n) FROM (SELECT {group} AS g, {what} AS n FROM posts p JOIN channels c ON c.id = p.channelid"
           " LEFT JOIN (SELECT postid, sum(size) AS size FROM fileinfo WHERE postid <> '' GROUP BY postid) f ON f.postid = p.id GROUP BY 1) x WHERE g <> ''")
    return int(int(b.pg.psql(sql, db=db)) * 0.9)


def limit(per, size):
    return ["keep: forever", f"limit: {{per: {per}, {size}}}"]


def plan_rows(b, rows, wanted):
    db = b.database(b.args.posts)
    b.warm(db)
    days = b.cut_days(db, SHARE)
    text = "sum(octet_length(message) + octet_length(props::text))"
    size = text + " + coalesce(sum(f.size), 0)"
    n, first = largest(b, db, "count(*)", "c.id"), 1000
    kib = {(per, what): largest(b, db, what, group) // 1024 for per, group in (("channel", "c.id"), ("team", "c.teamid")) for what in (size, text)}
    work = (
        ("P1", "plan, age rule", 1.3, 1.0, age(days), floor_age(days)),
        ("P2", f"plan, at most {n} posts a channel", 2.0, 1.2, limit("channel", f"posts: {n}"), FLOOR_POSTS.format(n=n)),
        ("P2f", f"the same the first time, {first} posts a channel", 0, 0, limit("channel", f"posts: {first}"), FLOOR_POSTS.format(n=first)),
        ("P3", f"plan, at most {kib['channel', size]} KiB a channel", 1.5, 1.1, limit("channel", f"bytes: {kib['channel', size]}KiB"), FLOOR_BYTES),
        ("P3t", f"plan, at most {kib['team', size]} KiB a team", 1.5, 1.1, limit("team", f"bytes: {kib['team', size]}KiB"), FLOOR_BYTES),
        ("P3f", f"the first time, {kib['channel', text]} KiB a channel", 0, 0, limit("channel", f"bytes: {kib['channel', text]}KiB"), FLOOR_BYTES),
        ("P3tf", f"the first time, {kib['team', text]} KiB a team", 0, 0, limit("team", f"bytes: {kib['team', text]}KiB"), FLOOR_BYTES),
    )
    for name, what, must, aim, rule, floor in work:
        if name[:2] in wanted:
            b.attempt(rows, [name], lambda: rows.append(plan_pair(b, Row(name, what, must, aim), db, rule, floor)))
    if "PD" in wanted:
        pd = Row("PD", "plan, all that was deleted 30 days ago or earlier, the first time", 0, 0)
        b.attempt(rows, ["PD"], lambda: rows.append(plan_pair(b, pd, db, ["keep: forever"], floor_deleted(30), "deleted_posts: {purge_after: 30d}")))
    if "P4" in wanted:
        b.attempt(rows, ["P4"], lambda: rows.append(small_share(b, db)))


def small_share(b, db):
    """The same number of posts due, out of all posts and out of a quarter of them."""
    small = b.database(b.args.posts // 4)
    b.warm(small)
    row = Row("P4", "plan, 0.2 % due, against a quarter of the posts", 1.3, 1.1)
    big_path = b.policy(db, age(b.cut_days(db, 0.002)), archive="big")
    small_path = b.policy(small, age(b.cut_days(small, 0.008)), archive="small")
    for _ in range(b.args.rounds):
        base = b.tool("plan", small_path)
        run = b.tool("plan", big_path, row="P4")
        row.add(run.wall, base.wall)
    row.notes.append(f"{run.json()['due']['posts']} and {base.json()['due']['posts']} posts due; {median(row.tool):.3f} s against {median(row.base):.3f} s")
    return row


# ---- delete ------------------------------------------------------------------------------------------------------------
def plain_delete(b, db):
    """One statement a table, one transaction. Returns (seconds, bytes of WAL)."""
    lsn = b.wal_bytes()
    sql = "BEGIN;" + "".join(f"DELETE FROM {t} t USING bench.victims v WHERE t.{c} = v.id {more};" for t, c, more in CHILDREN_AND_POSTS) + "COMMIT;"
    return b.sql_seconds(sql, db), b.wal_bytes(lsn)


def any_delete(b, db, batch=3000, pause=0.0, until=None):
    """id = ANY(array), a statement a table, a transaction a batch. Returns (seconds, posts)."""
    conn = b.pg.connect(db)
    done = 0
    with conn.cursor() as cur:
        cur.execute("SET plan_cache_mode = force_custom_plan")
        cur.execute("SELECT id FROM bench.victims ORDER BY ctid")
        ids = [r[0] for r in cur.fetchall()]
        conn.commit()
        for i, (t, c, more) in enumerate(CHILDREN_AND_POSTS):
            cur.execute(f"PREPARE d{i} (text[]) AS DELETE FROM {t} t WHERE t.{c} = ANY ($1) {more}")
        conn.commit()
        begin = time.monotonic()
        for at in range(0, len(ids), batch):
            part = ids[at:at + batch]
            for i in range(len(CHILDREN_AND_POSTS)):
                cur.execute(f"EXECUTE d{i} (%s)", (part,))
            conn.commit()
            done += len(part)
            if pause:
                time.sleep(pause)
            if until and time.monotonic() > until:
                break
        seconds = time.monotonic() - begin
    conn.close()
    return seconds, done


def closure_counts(b, db):
    return b.pg.psql(" UNION ALL ".join(f"SELECT '{t}', count(*) FROM {t}" for t, _, _ in CHILDREN_AND_POSTS), db=db)


def tool_delete(b, db, days, row):
    """Seconds of the deleting transactions and of sweep and unlink, WAL of all from the first of them on, posts."""
    lsn = b.wal_bytes()
    run = b.tool("run", b.policy(db, age(days)), "--yes", row=row, ok=(0, 3))
    return run.step("delete"), run.step("sweep") + run.step("unlink"), b.wal_bytes(lsn), run.posts("delete"), run


def delete_rows(b, rows, wanted):
    seed = b.database(b.args.posts)
    days = b.cut_days(seed, SHARE)
    n = b.victims(seed, days)
    d1 = Row("D1", "delete of the closure against plain DELETE", 1.25, 0.9)
    d1s = Row("D1s", "same, closing sweep included", 1.25, 0.9)
    d2 = Row("D2", "same against id = ANY of 3000", 0.30, 0.15)
    d3 = Row("D3", "WAL of the delete", 1.05, 1.0)
    any_s, posts = [], 0
    for i in range(b.args.rounds):
        db = b.clone(seed)
        base, wal = plain_delete(b, db)
        left = closure_counts(b, db)
        b.drop(db)
        db = b.clone(seed)
        tool, rest, tool_wal, posts, run = tool_delete(b, db, days, "D1")
        if closure_counts(b, db) != left and posts == n:
            d1.notes.append("rows left differ from the plain delete's")
        b.drop(db)
        d1.add(tool, base)
        d1s.add(tool + rest, base)
        d3.add(tool_wal, wal)
        if "D2" in wanted and i < (b.args.rounds + 1) // 2:
            db = b.clone(seed)
            seconds, done = any_delete(b, db)
            b.drop(db)
            any_s.append(seconds)
            d2.add(tool, seconds)
    d1.notes.append(f"{posts} of {n} posts, {median(d1.tool) / posts * 1e6:.1f} us a post against {median(d1.base) / n * 1e6:.1f}")
    b.per_post = {b.args.posts: median(d1.tool) / posts * 1e6}
    rows += [r for r in (d1, d1s, d2, d3) if r.tool]


def growth_row(b, rows):
    small = b.database(b.args.posts // 4)
    days = b.cut_days(small, SHARE)
    cost = []
    for _ in range(b.args.rounds):
        db = b.clone(small)
        tool, _, _, posts, _ = tool_delete(b, db, days, "G1 small")
        b.drop(db)
        cost.append(tool / posts * 1e6)
    row = Row("G1", f"us a deleted post, {b.args.posts} against {b.args.posts // 4} posts", 1.25, 1.0)
    big = getattr(b, "per_post", {}).get(b.args.posts)
    if big is None:
        db = b.clone(b.database(b.args.posts))
        tool, _, _, posts, _ = tool_delete(b, db, b.cut_days(db, SHARE), "D1")
        b.drop(db)
        big = tool / posts * 1e6
    row.add(big, median(cost))
    row.notes.append(f"{big:.1f} us against {median(cost):.1f} us")
    rows.append(row)


# ---- the whole night ---------------------------------------------------------------------------------------------------
def night_row(b, rows, keep_for=None):
    seed = b.database(b.args.posts)
    days = b.cut_days(seed, 0.5)
    n = b.victims(seed, days)
    name = "T1m" if keep_for else "T1"
    row = Row(name, "whole night, half of the posts" + (f", keep_for: {keep_for}" if keep_for else ""), 1.6, 1.2)
    out = os.path.join(b.where, "copy.zst")
    rule = age(days) + ([f"archive: {{keep_for: {keep_for}}}"] if keep_for else [])
    for _ in range(max(1, (b.args.rounds + 1) // 2) if not keep_for else 1):
        db = b.clone(seed)
        copy = pipe_seconds(b, db, out)
        delete, _ = plain_delete(b, db)
        b.drop(db)
        db = b.clone(seed)
        run = b.tool("run", b.policy(db, rule), "--yes", row=name, ok=(0, 3))
        b.drop(db)
        row.add(run.wall, copy + delete)
    steps = ", ".join(f"{s} {run.step(s):.1f}" for s in ("plan", "export", "publish", "index", "delete", "sweep", "unlink"))
    row.notes.append(f"{run.posts('delete')} of {n} posts, {len(b.bundles())} bundles; {run.wall:.1f} s ({steps}) against {copy:.1f} + {delete:.1f}")
    rows.append(row)


# ---- attachments -------------------------------------------------------------------------------------------------------
def write_files(b, db, data):
    """The attachments of the victims, with thumbnails and previews, of random bytes as large as their rows say. Returns (paths, bytes)."""
    rows = b.pg.psql("SELECT p, CASE WHEN p = f.path THEN f.size ELSE 4096 END FROM fileinfo f JOIN bench.victims v ON v.id = f.postid,"
                     " unnest(ARRAY[f.path, f.thumbnailpath, f.previewpath]) p WHERE p <> ''", db=db)
    shutil.rmtree(data, ignore_errors=True)
    sizes = {path: int(size) for path, size in (line.rsplit("|", 1) for line in rows.splitlines())}
    for path, size in sizes.items():
        os.makedirs(os.path.dirname(os.path.join(data, path)), exist_ok=True)
        with open(os.path.join(data, path), "wb") as f:
            f.write(random.Random(path).randbytes(size))
    subprocess.run(["sync", "-f", data], check=True)
    return list(sizes), sum(sizes.values())


def tar_seconds(data, paths, out):
    """All of them into one tar and zstd -3, then sync, then removed."""
    begin = time.monotonic()
    tar = subprocess.Popen(["tar", "-C", data, "-c", "--null", "-T", "-", "-f", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    zstd = subprocess.Popen(["zstd", "-q", "-f", "-3", "-T0", "-o", out], stdin=tar.stdout)
    tar.stdout.close()
    tar.stdin.write("\0".join(paths).encode())
    tar.stdin.close()
    if tar.wait() or zstd.wait():
        raise SystemExit("tar failed")
    subprocess.run(["sync", out], check=True)
    for path in paths:
        os.unlink(os.path.join(data, path))
    return time.monotonic() - begin


def files_row(b, rows):
    seed = b.database(b.args.posts // 4)
    days = b.cut_days(seed, SHARE)
    b.victims(seed, days)
    data, out = os.path.join(b.where, "data"), os.path.join(b.where, "copy.zst")
    row = Row("A1", "whole night with attachments, a quarter of the posts", 0, 0)
    for _ in range(max(1, (b.args.rounds + 1) // 2)):
        paths, size = write_files(b, seed, data)
        db = b.clone(seed)
        base = pipe_seconds(b, db, out) + plain_delete(b, db)[0] + tar_seconds(data, paths, out)
        b.drop(db)
        write_files(b, seed, data)
        db = b.clone(seed)
        run = b.tool("run", b.policy(db, age(days), throttle=FULL_SPEED[:-1] + ", blob_grace: 1ms}", files="archive"), "--yes", row="A1", ok=(0, 3), data=data)
        b.drop(db)
        row.add(run.wall, base)
    left = sum(len(names) for _, _, names in os.walk(data))
    row.notes.append(f"{run.posts('delete')} posts with {len(paths)} files of {size / 1e6:.0f} MB, {left} of them left, which posts that stay have too; {run.wall:.1f} s ("
                     + ", ".join(f"{s} {run.step(s):.1f}" for s in ("plan", "export", "publish", "index", "delete", "sweep", "unlink")) + f") against {base:.1f}")
    rows.append(row)


def verify_row(b, rows):
    """Of the bundles that the last run left; a run of its own when there are none."""
    db = b.database(b.args.posts)
    path = b.policy(db, age(b.cut_days(db, SHARE)))
    b.tool("run", path, "--yes", "--no-purge")
    files = b.bundles()
    row = Row("V1", "verify against zstd -dc | openssl dgst", 1.5, 1.0)
    for _ in range(b.args.rounds):
        begin = time.monotonic()
        for f in files:
            zstd = subprocess.Popen(["zstd", "-q", "-dc", f], stdout=subprocess.PIPE)
            subprocess.run(["openssl", "dgst", "-sha256"], stdin=zstd.stdout, stdout=subprocess.DEVNULL, check=True)
            zstd.stdout.close()
            zstd.wait()
        base = time.monotonic() - begin
        row.add(b.tool("verify", path, row="V1").wall, base)
    row.notes.append(f"{len(files)} bundles, {sum(map(os.path.getsize, files)) / 1e6:.1f} MB; {median(row.tool):.2f} s against {median(row.base):.2f} s")
    rows.append(row)
