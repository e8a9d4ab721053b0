-- Tell the planner how large the unit is.
ANALYZE pg_temp.mmr_thread
