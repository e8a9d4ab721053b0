-- Channels that one person made: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by creator: a scan.
SELECT count(*) FROM channels WHERE creatorid = $1::text
