-- Online status of one person; without a row the server shows offline: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: primary key.
DELETE FROM status WHERE userid = $1::text
