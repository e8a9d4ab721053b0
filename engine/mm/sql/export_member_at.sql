-- As export_member, of a large unit: found by the location that export_dep.sql saw in the same snapshot.
-- Parameters: none.  Locks: none.
SELECT p.seq, p.thread, t.*
FROM (SELECT seq, thread, tid FROM pg_temp.mmr_dep WHERE kind = 'm' ORDER BY seq, first COLLATE "C" OFFSET 0) p
CROSS JOIN LATERAL (SELECT q.ctid, q.xmin, q.* FROM threadmemberships q WHERE q.ctid = p.tid OFFSET 0) t
