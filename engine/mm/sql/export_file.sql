-- Rows of fileinfo of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: primary key.
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_file p JOIN fileinfo t ON t.id = p.id
ORDER BY p.seq, t.id COLLATE "C"
