-- Summaries that were made for one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: recaps(userid).
DELETE FROM recaps WHERE userid = $1::text
