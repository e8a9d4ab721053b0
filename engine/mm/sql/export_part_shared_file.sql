-- Rows of sharedchannelattachments of parts of threads, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: unique (fileid, remoteid); see export_shared_file.sql.
SELECT p.seq, p.thread, t.*
FROM pg_temp.mmr_part_file p
CROSS JOIN LATERAL (SELECT s.ctid, s.xmin, s.* FROM sharedchannelattachments s WHERE s.fileid = p.id OFFSET 0) t
ORDER BY p.seq, t.id COLLATE "C"
