-- Threads with a post that another table protects, beside a scan of thread_rows.sql.  A template: mm_template.c.
-- Columns: thread, bits (enum mm_protection).  Parameters: $1 status fields of content flagging.  Locks: none.
-- Indexes: preferences (category), posts primary key; or a hash join where marks are many.
SELECT CASE WHEN p.rootid <> '' THEN p.rootid
	WHEN p.originalid <> '' THEN coalesce((SELECT nullif(o.rootid, '') FROM posts o WHERE o.id = p.originalid), p.originalid)
	ELSE p.id END, m.bits
FROM (
	SELECT NULL::text AS id, 0 AS bits WHERE $1::text[] IS NULL AND false
--[flagged
	UNION ALL
	SELECT f.name, 2 FROM preferences f WHERE f.category = 'flagged_post'
--]
--[temporary
	UNION ALL
	SELECT t.postid, 256 FROM temporaryposts t
--]
--[property
	UNION ALL
	SELECT v.targetid, 64 FROM propertyvalues v
	WHERE v.targettype = 'post' AND v.fieldid = ANY ($1) AND v.deleteat = 0 AND lower((v.value #>> '{}') COLLATE "C") IN ('pending', 'assigned')
--]
) m
JOIN posts p ON p.id = m.id
