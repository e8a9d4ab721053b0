-- The same for some channels with a cut-off each; soft-deleted posts are not counted (few, and this is an estimate).
-- Parameters: $1 channels, $2 cut-offs, $3 ceiling.  Locks: none.  Index: (channelid, deleteat, createat), index-only.
SELECT count(*) FROM (
	SELECT FROM unnest($1::text[], $2::bigint[]) c (id, cut) CROSS JOIN LATERAL (
		SELECT FROM posts p WHERE p.channelid = c.id AND p.deleteat = 0 AND p.createat < c.cut LIMIT $3::bigint) p
	LIMIT $3::bigint) x
