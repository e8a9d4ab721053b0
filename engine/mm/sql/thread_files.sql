-- Bytes of the files of posts older than the cut-off, per thread, beside a split scan of thread_rows.sql.
-- Columns: thread, bytes.  Parameters: $1 cut-off.  Locks: none.  Index: (createat), or one pass over posts.
SELECT CASE WHEN p.rootid <> '' THEN p.rootid WHEN p.originalid <> '' THEN p.originalid ELSE p.id END, (sum(f.size) FILTER (WHERE f.size BETWEEN 0 AND 1125899906842624))::bigint
FROM posts p JOIN fileinfo f ON f.postid = p.id
WHERE p.createat < $1::bigint AND f.postid <> ''
GROUP BY 1
