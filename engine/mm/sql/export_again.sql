-- Before the unit's posts are found in another way.  Parameters: none.  Locks: none on server tables.
DROP TABLE pg_temp.mmr_post
