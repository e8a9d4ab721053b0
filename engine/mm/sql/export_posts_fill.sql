-- All rows of the unit's threads: root, rows with that rootid (replies and their edit copies), edit copies of the root, and
-- edit copies of replies that lost their rootid.  Inside a thread: the root first, then by createat; edit copies behind their post.
-- One pass over posts: every row but the last kind names its thread's root itself.
-- Parameters: none.  Locks: none.  Indexes: (originalid) for the last kind.
INSERT INTO pg_temp.mmr_post (seq, thread, id, tid)
SELECT row_number() OVER (ORDER BY c.thread, c.other, c.createat, c.head, c.copy, c.deleteat, c.id), c.thread, c.id, c.tid
FROM (
	SELECT w.thread, p.id COLLATE "C" AS id, p.ctid AS tid, p.createat, p.deleteat, p.id <> w.root AND coalesce(p.originalid, '') <> w.root AS other,
	       (CASE WHEN p.id <> w.root AND p.originalid <> '' THEN p.originalid ELSE p.id END) COLLATE "C" AS head,
	       p.id <> w.root AND coalesce(p.originalid, '') <> '' AS copy
	FROM posts p
	JOIN pg_temp.mmr_thread w ON w.root = CASE WHEN p.rootid <> '' THEN p.rootid WHEN p.originalid <> '' THEN p.originalid ELSE p.id END
	UNION ALL
	SELECT w.thread, p.id COLLATE "C", p.ctid, p.createat, p.deleteat, true, p.originalid COLLATE "C", true
	FROM (SELECT id, ctid, createat, deleteat, originalid FROM posts WHERE originalid > '' AND coalesce(rootid, '') = '' OFFSET 0) p
	JOIN posts r ON r.id = p.originalid
	JOIN pg_temp.mmr_thread w ON w.root = r.rootid
	WHERE p.id <> w.root
) c
