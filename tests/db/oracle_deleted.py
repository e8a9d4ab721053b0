"""The oracle's part about `deleted_posts`: what users deleted, and earlier texts, in threads that stay.

From the words of docs/deleting.md, slow on purpose; shares nothing with the engine.
"""


SANE = 946_684_800_000  # the year 2000: what somebody hid by hand with another number than milliseconds was hidden nobody knows when


def gone_before(post, cut):
    """Was it soft-deleted, or replaced by an edit, before the cut-off?"""
    return bool(post.deleteat) and SANE <= post.deleteat < cut


def part_of(db, thread, cut):
    """Ids of the posts that go although the thread stays."""
    root, ids = thread.root, set()
    copies = {}
    for p in db.posts.values() if db.copies is None else ():
        copies.setdefault(p.original, []).append(p)
    if db.copies is None:
        db.copies = copies
    live_names = [p.fileids for p in thread.posts if p.live and (p is root or p.root == root.id)]
    for p in thread.posts:
        if p is root or not gone_before(p, cut):
            continue
        if p.original:
            if p.root == root.id or (not p.root and p.original == root.id):
                ids.add(p.id)
            continue
        if p.root != root.id or any(not gone_before(c, cut) or c.root != root.id for c in db.copies.get(p.id, ())):
            continue
        files = db.tables["fileinfo"]
        mine = [files.get(row, "id") for _, row in db.pointing["fileinfo"].get(p.id, ())]
        if not any(f in names for f in mine for names in live_names):
            ids.add(p.id)
    return ids


def extra_files(db, thread, ids, cut):
    """(line, row) of files that an edit took off a post which stays, when the copies that still name them go and no live post of the thread does."""
    out, files = {}, db.tables["fileinfo"]
    for i in ids:
        copy = db.posts[i]
        if not copy.original:
            continue
        for line, row in db.pointing["fileinfo"].get(copy.original, ()):
            ident, deleted = files.get(row, "id"), int(files.get(row, "deleteat") or 0)
            if not SANE <= deleted < cut or ident not in copy.fileids:
                continue
            others = [db.posts[copy.original]] if copy.original in db.posts else []
            others += (db.copies or {}).get(copy.original, [])
            others += [p for p in thread.posts if p.live and (p is thread.root or p.root == thread.root.id)]
            if not any(ident in o.fileids for o in others if o.id not in ids):
                out[ident] = (line, row)
    return list(out.values())


def leaving(db, threads, cut, aged, protected):
    """{root: (posts, bytes)} of what goes out of threads that the rule's age leaves: a limit need not take others for it."""
    out = {}
    for t in threads:
        if aged(t) or protected(t) or (t.root.deleteat and t.root.deleteat > 0 and any(p.live for p in t.posts)):
            continue
        gone = t.posts if all(gone_before(p, cut) for p in t.posts) else [p for p in t.posts if p.id in part_of(db, t, cut)]
        if gone:
            out[t.root.id] = len(gone), sum(p.bytes for p in gone)
    return out


def judge(db, threads, cut, aged, protected, verdict, rule):
    """Adds to the verdict.  aged: does the rule's age want the thread?  protected: why it stays, or nothing."""
    for t in threads:
        root = t.root.id
        if root in verdict.due or aged(t):
            continue
        whole = all(gone_before(p, cut) for p in t.posts)
        ids = part_of(db, t, cut)
        if not whole and not ids:
            continue
        if protected(t):
            verdict.kept[root] = protected(t)
        elif t.root.deleteat and t.root.deleteat > 0 and any(p.live for p in t.posts):
            verdict.kept[root] = {"deleted root with live replies"}
        else:
            verdict.due[root] = ("deleted", rule)
            if not whole:
                verdict.part[root] = (ids, extra_files(db, t, ids, cut))
