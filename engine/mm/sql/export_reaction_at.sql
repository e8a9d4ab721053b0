-- As export_reaction, of a large unit: found by the location that export_dep.sql saw in the same snapshot.
-- Parameters: none.  Locks: none.
SELECT p.seq, p.thread, t.*
FROM (SELECT seq, thread, tid FROM pg_temp.mmr_dep WHERE kind = 'r' ORDER BY seq, first COLLATE "C", second COLLATE "C" OFFSET 0) p
CROSS JOIN LATERAL (SELECT q.ctid, q.xmin, q.* FROM reactions q WHERE q.ctid = p.tid OFFSET 0) t
