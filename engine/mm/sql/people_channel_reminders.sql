-- Who of some accounts wants to be reminded of a post of a thread that a hold covers.
-- Columns: user id.  Parameters: $1 user ids, $2 channels of the hold (text[]), $3, $4 since and until (ms).  Locks:
-- none. Index: none by user, the table is small; posts primary key, posts(rootid).
SELECT DISTINCT r.userid FROM postreminders r
 WHERE r.userid = ANY ($1::text[])
   AND EXISTS (SELECT FROM posts p
		WHERE p.id = r.postid AND p.channelid = ANY ($2::text[])
		  AND (p.createat IS NULL OR (p.createat >= $3::bigint AND p.createat < $4::bigint)
		       OR EXISTS (SELECT FROM posts q
				   WHERE (q.id = coalesce(nullif(p.rootid, ''), nullif(p.originalid, ''), p.id)
					  OR q.rootid = coalesce(nullif(p.rootid, ''), nullif(p.originalid, ''), p.id))
				     AND (q.createat IS NULL OR (q.createat >= $3::bigint AND q.createat < $4::bigint))))
	       OFFSET 0)
