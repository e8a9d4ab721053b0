-- Group memberships of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user: a scan.
SELECT count(*) FROM groupmembers WHERE userid = $1::text
