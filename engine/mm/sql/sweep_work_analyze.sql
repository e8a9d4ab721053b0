-- Tell the planner how many.
ANALYZE pg_temp.mmr_gone
