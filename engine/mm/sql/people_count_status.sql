-- Online status of one person; without a row the server shows offline: how many.
-- Parameters: $1 user id.  Locks: none.  Index: primary key.
SELECT count(*) FROM status WHERE userid = $1::text
