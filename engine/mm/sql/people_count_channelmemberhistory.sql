-- Times at which one person joined and left channels: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user: a scan.
SELECT count(*) FROM channelmemberhistory WHERE userid = $1::text
