-- Tell the planner how many posts the unit has.  Parameters: none.  Locks: none on server tables.
ANALYZE pg_temp.mmr_post
