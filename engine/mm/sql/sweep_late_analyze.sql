-- Tell the planner how many: usually none.
ANALYZE pg_temp.mmr_late
