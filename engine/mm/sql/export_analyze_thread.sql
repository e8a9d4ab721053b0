-- Tell the planner how large the unit is.  Parameters: none.  Locks: none on server tables.
ANALYZE pg_temp.mmr_thread
