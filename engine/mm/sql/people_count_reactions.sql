-- Reactions of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user: a scan.
SELECT count(*) FROM reactions WHERE userid = $1::text
