-- Rows of posts per channel: live, soft-deleted, edit copies, strays.  Parameters: $1 channel ids.
-- Locks: none.  Index: (channelid, deleteat, createat), index-only.
SELECT c.id, (SELECT count(*) FROM posts p WHERE p.channelid = c.id) FROM unnest($1::text[]) c (id)
