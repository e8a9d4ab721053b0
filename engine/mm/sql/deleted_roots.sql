-- Threads of some channels with a row that was soft-deleted, or replaced by an edit, before the cut-off.  Columns: root
-- id.
-- Parameters: $1 channels, $2 cut-off.  Locks: none.  Indexes: (channelid, deleteat, createat): cost follows what was
-- deleted before the cut-off and is still there (deleted_parts.sql says why not before 2000); posts primary key for
-- copies that name no root.
SELECT DISTINCT CASE WHEN p.rootid <> '' THEN p.rootid
	WHEN p.originalid <> '' THEN coalesce((SELECT nullif(o.rootid, '') FROM posts o WHERE o.id = p.originalid), p.originalid)
	ELSE p.id END
FROM unnest($1::text[]) c (id) CROSS JOIN LATERAL (
	SELECT q.id, q.rootid, q.originalid FROM posts q
	WHERE q.channelid = c.id AND q.deleteat >= 946684800000 AND q.deleteat < $2::bigint OFFSET 0) p
