-- Reminders that one person set: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user, the table is small.
SELECT count(*) FROM postreminders WHERE userid = $1::text
