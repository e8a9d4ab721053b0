-- Posts that one person acknowledged: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user: a scan.
SELECT count(*) FROM postacknowledgements WHERE userid = $1::text
