-- Who of some accounts wrote in a thread that a hold covers.  Deleted posts and earlier versions count.  An account at
-- a time, so that the index on its posts is used and its first post of such a thread ends the look.
-- Columns: user id.  Parameters: $1 user ids, $2 channels of the hold (text[]), $3, $4 since and until (ms).  Locks:
-- none. Index: posts(userid), posts primary key, posts(rootid).
SELECT a.id FROM unnest($1::text[]) a (id)
 WHERE EXISTS (SELECT FROM posts p
		WHERE p.userid = a.id AND p.channelid = ANY ($2::text[])
		  AND (p.createat IS NULL OR (p.createat >= $3::bigint AND p.createat < $4::bigint)
		       OR EXISTS (SELECT FROM posts q
				   WHERE (q.id = coalesce(nullif(p.rootid, ''), nullif(p.originalid, ''), p.id)
					  OR q.rootid = coalesce(nullif(p.rootid, ''), nullif(p.originalid, ''), p.id))
				     AND (q.createat IS NULL OR (q.createat >= $3::bigint AND q.createat < $4::bigint))))
	       OFFSET 0)
