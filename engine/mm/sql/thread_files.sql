-- Bytes of the files of posts older than the cut-off, per thread, beside a split scan of thread_rows.sql.  A template:
-- every: all of them.  before: those that are older than the cut-off themselves, each post looked up: a quarter of the
-- time where few posts have files.  since: the others, of the threads $2 alone, which have a row that was changed since
-- the cut-off: that is how the server gives an old post a newer file.
-- Columns: thread, bytes.  Parameters: $1 cut-off; $2 root ids.
-- Locks: none.  Indexes: posts (createat), or one pass over posts; before: fileinfo (createat), posts (id); since: posts
-- (id), (rootid, deleteat), (originalid), fileinfo (postid).
SELECT CASE WHEN p.rootid <> '' THEN p.rootid WHEN p.originalid <> '' THEN p.originalid ELSE p.id END, (sum(f.size) FILTER (WHERE f.size BETWEEN 0 AND 1125899906842624))::bigint
--[every
FROM posts p JOIN fileinfo f ON f.postid = p.id
WHERE p.createat < $1::bigint AND f.postid <> '' AND $2::text[] IS NULL
--]
--[before
FROM posts p JOIN fileinfo f ON f.postid = p.id
WHERE p.createat < $1::bigint AND f.postid <> '' AND f.createat < $1::bigint AND $2::text[] IS NULL
--]
--[since
FROM (SELECT DISTINCT unnest($2::text[]) AS id) w
CROSS JOIN LATERAL (
	SELECT r.id, r.rootid, r.originalid, r.createat FROM posts r WHERE r.id = w.id AND (r.rootid <> '' OR r.originalid <> '') IS NOT TRUE
	UNION ALL
	SELECT r.id, r.rootid, r.originalid, r.createat FROM posts r WHERE r.rootid = w.id AND r.rootid <> ''
	UNION ALL
	SELECT r.id, r.rootid, r.originalid, r.createat FROM posts r WHERE r.originalid = w.id AND r.originalid <> '' AND coalesce(r.rootid, '') = ''
) p
CROSS JOIN LATERAL (SELECT g.size FROM fileinfo g WHERE g.postid = p.id AND (g.createat < $1::bigint) IS NOT TRUE OFFSET 0) f
WHERE p.createat < $1::bigint
--]
GROUP BY 1
