-- Tell the planner how many posts have rows in small tables.  Parameters: none.  Locks: none on server tables.
ANALYZE pg_temp.mmr_few
