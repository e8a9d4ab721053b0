-- Posts that one person confirmed to have read: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user: a scan.
SELECT count(*) FROM readreceipts WHERE userid = $1::text
