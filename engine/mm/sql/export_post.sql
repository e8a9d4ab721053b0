-- Rows of posts of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Found by the location that the fill saw in the same snapshot.
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_post p JOIN posts t ON t.ctid = p.tid
ORDER BY p.seq
