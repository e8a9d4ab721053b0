-- Desktop sign-in tokens of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none, the table is small.
SELECT count(*) FROM desktoptokens WHERE userid = $1::text
