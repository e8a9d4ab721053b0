-- Threads that name one person as a participant: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none: a scan.
SELECT count(*) FROM threads WHERE participants @> jsonb_build_array($1::text)
