-- Rows of persistentnotifications of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: primary key.
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_few p JOIN persistentnotifications t ON t.postid = p.id
ORDER BY p.seq
