-- The same for some channels with a cut-off each: an array in their order.
-- Parameters: $1 channels, $2 cut-offs.  Locks: none.  Index: (channelid, deleteat, createat), index-only.
SELECT array_agg(coalesce((SELECT p.createat FROM posts p WHERE p.channelid = c.id AND p.deleteat = 0 AND p.createat < c.cut
			   ORDER BY p.createat OFFSET n.posts / 2 LIMIT 1), c.cut) ORDER BY c.at)::text
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY c (id, cut, at)
CROSS JOIN LATERAL (SELECT count(*) AS posts FROM posts p WHERE p.channelid = c.id AND p.deleteat = 0 AND p.createat < c.cut) n
