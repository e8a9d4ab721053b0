-- Posts of one person that everybody can read: how many.
-- Parameters: $1 user id.  Locks: none.  Index: posts(userid).
SELECT count(*) FROM posts WHERE userid = $1::text AND deleteat = 0
