-- Rows of posts in some channels, counted up to a number: enough to say that a share of them is small.
-- Parameters: $1 channel ids, $2 where to stop.  Locks: none.  Index: (channelid, deleteat, createat), index-only.
SELECT count(*) FROM (
	SELECT FROM unnest($1::text[]) c (id) CROSS JOIN LATERAL (SELECT FROM posts p WHERE p.channelid = c.id LIMIT $2::bigint) p
	LIMIT $2::bigint) x
