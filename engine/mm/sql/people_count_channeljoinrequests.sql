-- Requests of one person to join a channel, with their texts: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none known: a scan.
SELECT count(*) FROM channeljoinrequests WHERE userid = $1::text
