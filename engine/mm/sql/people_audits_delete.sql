-- The server's audit rows of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: audits(userid).
DELETE FROM audits WHERE userid = $1::text
