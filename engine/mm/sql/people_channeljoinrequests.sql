-- Requests of one person to join a channel, with their texts: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: none known: a scan.
DELETE FROM channeljoinrequests WHERE userid = $1::text
