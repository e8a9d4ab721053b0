-- Uploads that one person began and never finished: how many.
-- Parameters: $1 user id.  Locks: none.  Index: uploadsessions(userid).
SELECT count(*) FROM uploadsessions WHERE userid = $1::text
