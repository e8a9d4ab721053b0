-- As export_thread, of a large unit: found by the location that export_dep.sql saw in the same snapshot.
-- Parameters: none.  Locks: none.
SELECT p.seq, p.thread, t.*
FROM (SELECT seq, thread, tid FROM pg_temp.mmr_dep WHERE kind = 't' ORDER BY seq OFFSET 0) p
CROSS JOIN LATERAL (SELECT q.ctid, q.xmin, q.* FROM threads q WHERE q.ctid = p.tid OFFSET 0) t
