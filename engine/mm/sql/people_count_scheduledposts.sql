-- Messages that one person scheduled and that were never sent: how many.
-- Parameters: $1 user id.  Locks: none.  Index: scheduledposts(userid, ...).
SELECT count(*) FROM scheduledposts WHERE userid = $1::text
