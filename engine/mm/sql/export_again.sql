-- Before the unit's posts are found in another way.
DROP TABLE pg_temp.mmr_post
