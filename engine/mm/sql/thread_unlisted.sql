-- Threads with attachments that only their post names, from before the table fileinfo, beside a scan of thread_rows.sql.
-- An edit copy repeats its post.  Asked only where the scan came across such names: it is one more pass over posts.
-- Columns: thread, bits.  Parameters: none.  Locks: none.  Index: fileinfo (postid), or a hash of it.
SELECT CASE WHEN p.rootid <> '' THEN p.rootid ELSE p.id END, 2048
FROM posts p
WHERE strpos(p.filenames, '"') > 0 AND coalesce(p.originalid, '') = '' AND NOT EXISTS (SELECT FROM fileinfo f WHERE f.postid = p.id)
