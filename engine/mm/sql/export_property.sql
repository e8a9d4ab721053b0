-- Rows of propertyvalues of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: (targetid, groupid).
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_few p JOIN propertyvalues t ON t.targetid = p.id AND t.targettype = 'post'
ORDER BY p.seq, t.id COLLATE "C"
