-- A small unit: every post of it.  See export_few.sql.
-- Parameters: none.  Locks: none on server tables.
INSERT INTO pg_temp.mmr_few (seq, thread, id) SELECT seq, thread, id FROM pg_temp.mmr_post
