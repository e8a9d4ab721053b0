-- As export_posts_fill, by index probes: for a unit that is small beside the table.  LATERAL with OFFSET 0 keeps the
-- planner from turning the probes into scans (most posts share the empty rootid, which it takes for the usual case).
-- Parameters: $1 changed since (ms).  Locks: none.  Indexes: posts primary key, (rootid, deleteat), (originalid).
CREATE TEMPORARY TABLE mmr_post ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY c.thread, c.id <> c.root, c.head <> c.root, c.createat, c.head COLLATE "C", c.copy, c.deleteat, c.id COLLATE "C") AS seq,
       c.thread, c.id, c.tid, c.id = c.root AS root,
       coalesce(c.updateat >= $1::bigint, false) OR coalesce(c.createat >= $1::bigint, false) AS changed, octet_length(c.id) > 26 OR c.id ~ '[\x01-\x1f"\\]' AS odd
FROM (
	SELECT w.thread, w.root, p.id, p.tid, p.createat, p.updateat, p.deleteat, p.id AS head, false AS copy
	FROM pg_temp.mmr_thread w
	CROSS JOIN LATERAL (SELECT id, ctid AS tid, createat, updateat, deleteat FROM posts WHERE id = w.root OFFSET 0) p
	UNION ALL
	SELECT w.thread, w.root, p.id, p.tid, p.createat, p.updateat, p.deleteat, coalesce(nullif(p.originalid, ''), p.id), coalesce(p.originalid, '') <> ''
	FROM pg_temp.mmr_thread w
	CROSS JOIN LATERAL (SELECT id, ctid AS tid, createat, updateat, deleteat, originalid FROM posts WHERE rootid = w.root OFFSET 0) p
	WHERE p.id <> w.root
	UNION ALL
	SELECT w.thread, w.root, p.id, p.tid, p.createat, p.updateat, p.deleteat, w.root, true
	FROM pg_temp.mmr_thread w
	CROSS JOIN LATERAL (SELECT id, ctid AS tid, createat, updateat, deleteat, rootid FROM posts WHERE originalid = w.root OFFSET 0) p
	WHERE p.id <> w.root AND coalesce(p.rootid, '') = ''
	UNION ALL
	SELECT w.thread, w.root, p.id, p.tid, p.createat, p.updateat, p.deleteat, p.originalid, true
	FROM pg_temp.mmr_thread w
	CROSS JOIN LATERAL (SELECT id FROM posts WHERE rootid = w.root OFFSET 0) r
	CROSS JOIN LATERAL (SELECT id, ctid AS tid, createat, updateat, deleteat, rootid, originalid FROM posts WHERE originalid = r.id OFFSET 0) p
	WHERE p.id <> w.root AND coalesce(p.rootid, '') = ''
) c
