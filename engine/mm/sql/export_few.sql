-- Posts of the unit that a row of a small table names: one look at the unit for all of them (export_dep.sql), where a
-- join a table would hash it ten times.
-- Parameters: none.  Locks: none on server tables.
INSERT INTO pg_temp.mmr_few (seq, thread, id) SELECT DISTINCT seq, thread, first FROM pg_temp.mmr_dep WHERE kind = 's'
