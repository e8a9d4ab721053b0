-- Root and channel of one post.  Parameters: $1 post id.  Locks: none.  Index: primary key.
SELECT CASE WHEN p.rootid <> '' THEN p.rootid
	WHEN p.originalid <> '' THEN coalesce((SELECT nullif(o.rootid, '') FROM posts o WHERE o.id = p.originalid), p.originalid)
	ELSE p.id END, p.channelid
FROM posts p WHERE p.id = $1::text
