-- Attachments of the unit, to look at their blobs before a row is written.
-- Columns: thread, file id, path, thumbnailpath, previewpath, size.  Found by location, as export_file.sql.
-- Parameters: none.  Locks: none.
SELECT p.thread, t.id, t.path, t.thumbnailpath, t.previewpath, t.size
FROM (SELECT seq, thread, id, tid FROM pg_temp.mmr_file ORDER BY seq, id COLLATE "C" OFFSET 0) p
CROSS JOIN LATERAL (SELECT q.id, q.path, q.thumbnailpath, q.previewpath, q.size FROM fileinfo q WHERE q.ctid = p.tid OFFSET 0) t
