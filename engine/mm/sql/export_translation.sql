-- Rows of translations of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: primary key (objectid first).
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_few p JOIN translations t ON t.objectid = p.id AND (t.objecttype = 'post' OR t.objecttype IS NULL)
ORDER BY p.seq, t.dstlang COLLATE "C"
