-- Rows of readreceipts of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: primary key (postid first).
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_few p JOIN readreceipts t ON t.postid = p.id
ORDER BY p.seq, t.userid COLLATE "C"
