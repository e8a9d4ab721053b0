-- Tell the planner how many: usually none.  Parameters: none.  Locks: none on server tables.
ANALYZE pg_temp.mmr_late
