-- Requests for paid features by one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: primary key (userid first).
DELETE FROM notifyadmin WHERE userid = $1::text
