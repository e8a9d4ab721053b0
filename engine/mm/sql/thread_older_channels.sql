-- The same for some channels with a cut-off each; soft-deleted posts are not counted (few, and this is an estimate).
-- Parameters: $1 channels, $2 cut-offs.  Locks: none.  Index: (channelid, deleteat, createat), index-only.
WITH ceiling AS (
	SELECT greatest(2000, CASE WHEN reltuples > 0 THEN reltuples ELSE pg_relation_size(oid) / 400.0 END / 20)::bigint AS n
	FROM pg_class WHERE oid = 'posts'::regclass
)
SELECT (SELECT count(*) FROM (
	SELECT FROM unnest($1::text[], $2::bigint[]) c (id, cut) CROSS JOIN LATERAL (
		SELECT FROM posts p WHERE p.channelid = c.id AND p.deleteat = 0 AND p.createat < c.cut LIMIT (SELECT n FROM ceiling)) p
	LIMIT (SELECT n FROM ceiling)) x), n FROM ceiling
