-- Channels that one legal hold covers: where a held user was a member at some time of the window.
-- Parameters: $1 user ids, $2 begin, $3 end (ms), $4 public channels too, $5 only the channels of these roots (NULL:
-- all).
-- Locks: none.  Index: primary key (channelid, userid) with $5, else one pass over channelmemberhistory.
SELECT DISTINCT h.channelid
FROM channelmemberhistory h JOIN channels c ON c.id = h.channelid
WHERE h.userid = ANY ($1::text[]) AND h.jointime < $3::bigint AND (h.leavetime IS NULL OR h.leavetime >= $2::bigint)
  AND ($4::boolean OR c.type::text IS DISTINCT FROM 'O')
  AND ($5::text[] IS NULL OR h.channelid IN (SELECT p.channelid FROM posts p WHERE p.id = ANY ($5::text[])))
