-- How many posts the unit has, and how they lie among its threads: equal sums mean equal counts.  Parameters: none.  Locks: none.
SELECT count(*), coalesce(sum(thread), 0)::bigint, coalesce(sum(thread * thread), 0)::bigint FROM pg_temp.mmr_post
