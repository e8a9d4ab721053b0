-- Tell the planner how many posts the unit has.
ANALYZE pg_temp.mmr_post
