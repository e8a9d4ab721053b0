-- Attachments of the unit, to look at their blobs before a row is written.
-- Columns: thread, file id, path, thumbnailpath, previewpath, size.  Index: fileinfo primary key.
SELECT p.thread, f.id, f.path, f.thumbnailpath, f.previewpath, f.size
FROM pg_temp.mmr_file p JOIN fileinfo f ON f.id = p.id
ORDER BY p.seq, f.id COLLATE "C"
