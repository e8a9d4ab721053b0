-- Rows of posts of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Found by the location that the fill saw in the same snapshot, one by one in that
-- order: a join would read the whole table and sort whole rows.  The work table was filled in order of seq and is read
-- in that order, which mm_export.c checks row by row; sorting it again took a fiftieth of an export.
SELECT p.seq, p.thread, t.*
FROM (SELECT seq, thread, tid FROM pg_temp.mmr_post OFFSET 0) p
CROSS JOIN LATERAL (SELECT q.ctid, q.xmin, q.* FROM posts q WHERE q.ctid = p.tid OFFSET 0) t
