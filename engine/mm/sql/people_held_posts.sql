-- Who wrote in one of some threads, and in which.  Deleted posts and earlier versions count.
-- Columns: user id, root.  Parameters: $1 roots (text[]).  Locks: none.  Index: posts primary key, posts(rootid).
SELECT DISTINCT p.userid, coalesce(nullif(p.rootid, ''), p.id) FROM posts p
 WHERE (p.id = ANY ($1::text[]) OR p.rootid = ANY ($1::text[])) AND p.userid <> ''
