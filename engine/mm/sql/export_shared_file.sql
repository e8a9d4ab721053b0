-- Rows of sharedchannelattachments of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: unique (fileid, remoteid); LATERAL with OFFSET 0, since the planner takes the
-- empty table of most servers for a large one.  Empty, it is not asked once a file.
SELECT p.seq, p.thread, t.*
FROM pg_temp.mmr_file p
CROSS JOIN LATERAL (SELECT s.ctid, s.xmin, s.* FROM sharedchannelattachments s WHERE s.fileid = p.id OFFSET 0) t
WHERE EXISTS (SELECT FROM sharedchannelattachments)
ORDER BY p.seq, t.id COLLATE "C"
