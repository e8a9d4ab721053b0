-- Requests for paid features by one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: primary key (userid first).
SELECT count(*) FROM notifyadmin WHERE userid = $1::text
