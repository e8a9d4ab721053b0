-- Messages that one person scheduled and that were never sent: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: scheduledposts(userid, ...).
DELETE FROM scheduledposts WHERE userid = $1::text
