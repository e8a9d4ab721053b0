-- Who wants to be reminded of a post of one of some threads, and of which.
-- Columns: user id, root.  Parameters: $1 roots (text[]).  Locks: none.  Index: posts primary key, posts(rootid),
-- postreminders primary key.
SELECT DISTINCT r.userid, coalesce(nullif(p.rootid, ''), p.id) FROM posts p JOIN postreminders r ON r.postid = p.id
 WHERE p.id = ANY ($1::text[]) OR p.rootid = ANY ($1::text[])
