-- Compliance reports that one person asked for: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none, the table is small.
SELECT count(*) FROM compliances WHERE userid = $1::text
