-- Threads that one person follows or followed: how many.
-- Parameters: $1 user id.  Locks: none.  Index: threadmemberships(userid).
SELECT count(*) FROM threadmemberships WHERE userid = $1::text
