-- Who saved a post of one of some threads, and of which.
-- Columns: user id, root.  Parameters: $1 roots (text[]).  Locks: none.  Index: posts primary key, posts(rootid),
-- preferences(name).
SELECT DISTINCT f.userid, coalesce(nullif(p.rootid, ''), p.id) FROM posts p JOIN preferences f ON f.name = p.id AND f.category = 'flagged_post'
 WHERE p.id = ANY ($1::text[]) OR p.rootid = ANY ($1::text[])
