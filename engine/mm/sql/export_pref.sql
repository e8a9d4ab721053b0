-- Rows of preferences of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: (name).
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_few p JOIN preferences t ON t.name = p.id AND t.category = 'flagged_post'
ORDER BY p.seq, t.userid COLLATE "C"
