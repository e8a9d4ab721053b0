-- Former versions of one person's edited posts: how many.
-- Parameters: $1 user id.  Locks: none.  Index: posts(userid).
SELECT count(*) FROM posts WHERE userid = $1::text AND originalid <> ''
