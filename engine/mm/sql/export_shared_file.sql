-- Rows of sharedchannelattachments of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  Index: unique (fileid, remoteid).
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_post p JOIN fileinfo f ON f.postid = p.id JOIN sharedchannelattachments t ON t.fileid = f.id
ORDER BY p.seq, t.id COLLATE "C"
