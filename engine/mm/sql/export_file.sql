-- Rows of fileinfo of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: (postid).
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_post p JOIN fileinfo t ON t.postid = p.id
ORDER BY p.seq, t.id COLLATE "C"
