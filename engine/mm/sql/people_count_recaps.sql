-- Summaries that were made for one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: recaps(userid).
SELECT count(*) FROM recaps WHERE userid = $1::text
