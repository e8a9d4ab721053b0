-- Per channel, the createat below which about so many posts lie (NULL: fewer are there): where a limit begins to look.
-- Parameters: $1 channel ids, $2 how many.  Locks: none.  Index: (channelid, deleteat, createat), index-only; cost
-- follows $2.
SELECT c.id, (SELECT p.createat FROM posts p WHERE p.channelid = c.id AND p.deleteat = 0 ORDER BY p.createat OFFSET c.n LIMIT 1)
FROM unnest($1::text[], $2::bigint[]) c (id, n)
