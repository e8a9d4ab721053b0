-- How many posts each thread of the unit has.  Parameters: none.  Locks: none.
SELECT thread, count(*) FROM pg_temp.mmr_post GROUP BY thread
