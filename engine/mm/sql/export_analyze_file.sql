-- Tell the planner how many attachments the unit has.
ANALYZE pg_temp.mmr_file
