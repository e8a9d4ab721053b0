-- Tell the planner how many posts have rows in small tables.
ANALYZE pg_temp.mmr_few
