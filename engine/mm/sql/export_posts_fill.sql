-- All rows of the unit's threads: root, rows with that rootid (replies and their edit copies), edit copies of the root, and
-- edit copies of replies that lost their rootid.  Inside a thread: the root first, then by createat; edit copies behind their post.
-- Parameters: none.  Locks: none.  Indexes: posts primary key, (rootid, deleteat), (originalid).
INSERT INTO pg_temp.mmr_post (seq, thread, id, tid)
SELECT row_number() OVER (ORDER BY c.thread, c.head <> c.root, c.createat, c.head COLLATE "C", c.copy, c.deleteat, c.id COLLATE "C"),
       c.thread, c.id, c.tid
FROM (
	SELECT w.thread, w.root, p.id, p.ctid AS tid, p.createat, p.deleteat, p.id AS head, false AS copy
	FROM pg_temp.mmr_thread w JOIN posts p ON p.id = w.root
	UNION ALL
	SELECT w.thread, w.root, p.id, p.ctid, p.createat, p.deleteat, coalesce(nullif(p.originalid, ''), p.id), coalesce(p.originalid, '') <> ''
	FROM pg_temp.mmr_thread w JOIN posts p ON p.rootid = w.root
	WHERE p.id <> w.root
	UNION ALL
	SELECT w.thread, w.root, p.id, p.ctid, p.createat, p.deleteat, p.originalid, true
	FROM pg_temp.mmr_thread w JOIN posts p ON p.originalid = w.root
	WHERE p.id <> w.root AND coalesce(p.rootid, '') = ''
	UNION ALL
	SELECT r.thread, r.root, p.id, p.ctid, p.createat, p.deleteat, p.originalid, true
	FROM (SELECT w.thread, w.root, q.id FROM pg_temp.mmr_thread w JOIN posts q ON q.rootid = w.root OFFSET 0) r
	JOIN posts p ON p.originalid = r.id
	WHERE p.id <> r.root AND coalesce(p.rootid, '') = ''
) c
