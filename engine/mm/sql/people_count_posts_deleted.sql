-- Posts that one person (or a moderator) deleted in Mattermost and that are still in the table: how many.
-- Parameters: $1 user id.  Locks: none.  Index: posts(userid).
SELECT count(*) FROM posts WHERE userid = $1::text AND deleteat > 0 AND coalesce(originalid, '') = ''
