-- Who of some accounts has a post that changed after the compliance export's cursor, so that it is still to be
-- exported.  Deleted posts and earlier versions are exported, system messages are not.
-- Columns: user id.  Parameters: $1 user ids, $2 cursor (ms), $3 the last post of that millisecond that is exported.
-- Locks: none.  Index: posts(updateat) or posts(userid), whichever has less.
SELECT DISTINCT p.userid FROM posts p
 WHERE p.userid = ANY ($1::text[]) AND ((p.updateat, p.id) > ($2::bigint, $3::text) OR p.updateat IS NULL) AND starts_with(coalesce(p.type, ''), 'system_') IS FALSE
