-- As export_file_fill, of a large unit.
-- Parameters: none.  Locks: none on server tables.
INSERT INTO pg_temp.mmr_file (seq, thread, id, tid) SELECT seq, thread, first, tid FROM pg_temp.mmr_dep WHERE kind = 'f'
