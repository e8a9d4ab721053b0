-- Desktop sign-in tokens of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: none, the table is small.
DELETE FROM desktoptokens WHERE userid = $1::text
