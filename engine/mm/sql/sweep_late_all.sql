-- A small bundle: every post that is gone.  See sweep_late.sql.
-- Parameters: none.  Locks: none on server tables.
INSERT INTO pg_temp.mmr_late (id, root, bundle) SELECT id, root, bundle FROM pg_temp.mmr_gone
