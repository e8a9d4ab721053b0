-- Threads and posts of each bundle that are gone, out of the work table after what stayed was taken out of it.
-- Parameters: none.  Locks: none.
SELECT bundle, count(DISTINCT thread), count(*) FROM pg_temp.mmr_gone GROUP BY bundle
