-- Tell the planner how many attachments the unit has.  Parameters: none.  Locks: none on server tables.
ANALYZE pg_temp.mmr_file
