-- Bytes of the files of posts older than the cut-off, per thread, beside a scan of thread_rows.sql.  A template: mm_template.c.
-- Columns: thread, bytes.  Parameters: $1,$2 channels with their cut-offs, $3 greatest cut-off.  Locks: none.
-- Index: (createat), or one pass over posts.
WITH param AS (SELECT $1::text[], $2::bigint[], $3::bigint)
SELECT CASE WHEN p.rootid <> '' THEN p.rootid WHEN p.originalid <> '' THEN p.originalid ELSE p.id END, sum(f.size)::bigint
FROM posts p JOIN fileinfo f ON f.postid = p.id
--[some
JOIN unnest($1::text[], $2::bigint[]) c (id, cut) ON c.id = p.channelid AND p.createat < c.cut
--]
WHERE p.createat < $3 AND f.postid <> ''
GROUP BY 1
