-- Rows of fileinfo of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Found by the location that the fill saw in the same snapshot.
SELECT p.seq, p.thread, t.*
FROM (SELECT seq, thread, tid FROM pg_temp.mmr_file ORDER BY seq, id COLLATE "C" OFFSET 0) p
CROSS JOIN LATERAL (SELECT q.ctid, q.xmin, q.* FROM fileinfo q WHERE q.ctid = p.tid OFFSET 0) t
