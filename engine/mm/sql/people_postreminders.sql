-- Reminders that one person set: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: none by user, the table is small.
DELETE FROM postreminders WHERE userid = $1::text
