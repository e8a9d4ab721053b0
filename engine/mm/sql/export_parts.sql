-- Of the unit's threads only the rows that go although their thread stays: soft-deleted before the cut-off, never the
-- root.
--   An edit copy goes by its own time.  A reply goes with all its copies or not at all, and stays when a live post names a file of it.
--   A copy that names neither the root nor a reply with this root stays.  deleted_parts.sql says the same, and why the rows are compared.
-- Inside a thread: edit copies of the root first, then by createat; edit copies behind their post.  See
-- export_posts_probe.sql.
-- Parameters: $1 cut-off, $2 changed since (ms).  Locks: none.  Indexes: posts (rootid, deleteat), (originalid),
-- primary key; fileinfo (postid).
CREATE TEMPORARY TABLE mmr_post ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY c.thread, c.head <> c.root, c.createat, c.head COLLATE "C", c.copy, c.deleteat, c.id COLLATE "C") AS seq,
       c.thread, c.id, c.tid, false AS root, coalesce(c.updateat >= $2::bigint, false) OR coalesce(c.createat >= $2::bigint, false) AS changed,
       octet_length(c.id) > 26 OR c.id ~ '[\x01-\x1f"\\]' AS odd
FROM (
	SELECT w.thread, w.root, p.id, p.tid, p.createat, p.updateat, p.deleteat, coalesce(nullif(p.originalid, ''), p.id) AS head,
	       coalesce(p.originalid, '') <> '' AS copy
	FROM pg_temp.mmr_thread w
	CROSS JOIN LATERAL (SELECT id, ctid AS tid, createat, updateat, deleteat, originalid FROM posts
			    WHERE rootid = w.root AND (rootid, deleteat) >= (w.root, 946684800000) OFFSET 0) p
	WHERE p.id <> w.root AND p.deleteat < $1::bigint
	  AND (p.originalid <> ''
	       OR NOT EXISTS (SELECT FROM posts c WHERE c.originalid = p.id
			      AND (c.rootid = w.root AND c.deleteat >= 946684800000 AND c.deleteat < $1::bigint) IS NOT TRUE OFFSET 0)
		  AND NOT EXISTS (SELECT FROM fileinfo f CROSS JOIN LATERAL (
					SELECT l.fileids FROM posts l WHERE (l.rootid = w.root OR l.id = w.root) AND l.deleteat = 0 OFFSET 0) l
				  WHERE f.postid = p.id AND strpos(l.fileids, f.id) > 0 OFFSET 0))
	UNION ALL
	SELECT w.thread, w.root, p.id, p.tid, p.createat, p.updateat, p.deleteat, w.root, true
	FROM pg_temp.mmr_thread w
	CROSS JOIN LATERAL (SELECT id, ctid AS tid, createat, updateat, deleteat, rootid FROM posts WHERE originalid = w.root OFFSET 0) p
	WHERE p.id <> w.root AND coalesce(p.rootid, '') = '' AND p.deleteat >= 946684800000 AND p.deleteat < $1::bigint
) c
