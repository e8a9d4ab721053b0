-- All rows of the unit's threads: root, rows with that rootid (replies and their edit copies), edit copies of the root,
-- and edit copies of replies that lost their rootid.  Inside a thread: the root first, its edit copies, then by
-- createat; edit copies behind their post. For servers that have rows of the last kind; else export_posts_named.sql is
-- faster.
-- Parameters: $1 changed since (ms), $2 and $3 createat of the first and the last root.  Locks: none.  Indexes:
-- (originalid) for the last kind.
CREATE TEMPORARY TABLE mmr_post ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY c.thread, c.other, c.createat, c.head, c.copy, c.deleteat, c.id) AS seq, c.thread, c.id, c.tid, c.root,
       coalesce(c.updateat >= $1::bigint, false) OR coalesce(c.createat >= $1::bigint, false) AS changed, octet_length(c.id) > 26 OR c.id ~ '[\x01-\x1f"\\]' AS odd
FROM (
	SELECT w.thread, p.id COLLATE "C" AS id, p.ctid AS tid, p.createat, p.updateat, p.deleteat, CASE WHEN p.id = w.root THEN 0 WHEN p.originalid = w.root THEN 1 ELSE 2 END AS other,
	       (CASE WHEN p.id <> w.root AND p.originalid <> '' THEN p.originalid ELSE p.id END) COLLATE "C" AS head,
	       p.id <> w.root AND coalesce(p.originalid, '') <> '' AS copy, p.id = w.root AS root
	FROM posts p
	JOIN pg_temp.mmr_thread w ON w.root = CASE WHEN p.rootid <> '' THEN p.rootid WHEN p.originalid <> '' THEN p.originalid ELSE p.id END
	WHERE p.createat BETWEEN $2::bigint AND $3::bigint OR p.rootid <> '' OR p.originalid <> ''
	UNION ALL
	SELECT w.thread, p.id COLLATE "C", p.ctid, p.createat, p.updateat, p.deleteat, 2, p.originalid COLLATE "C", true, false
	FROM (SELECT id, ctid, createat, updateat, deleteat, originalid FROM posts WHERE originalid > '' AND coalesce(rootid, '') = '' OFFSET 0) p
	JOIN posts r ON r.id = p.originalid
	JOIN pg_temp.mmr_thread w ON w.root = r.rootid
	WHERE p.id <> w.root
) c
