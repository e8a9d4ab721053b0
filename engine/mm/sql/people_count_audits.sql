-- The server's audit rows of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: audits(userid).
SELECT count(*) FROM audits WHERE userid = $1::text
