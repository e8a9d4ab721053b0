-- Tell the planner how many.  Parameters: none.  Locks: none on server tables.
ANALYZE pg_temp.mmr_unlink
