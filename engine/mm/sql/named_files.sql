-- Files whose row is gone although a live post of their thread names them.  Columns: place in the arrays, from 1.
-- Parameters: $1 text[] file ids, $2 text[] roots of their threads.  Locks: none.
-- Indexes: fileinfo primary key; posts primary key, (rootid, deleteat): each thread is read once.
WITH live AS MATERIALIZED (
	SELECT r.root, p.fileids, p.filenames FROM (SELECT DISTINCT root FROM unnest($2::text[]) AS u(root)) r
	CROSS JOIN LATERAL (SELECT fileids, filenames FROM posts WHERE id = r.root AND coalesce(deleteat, 0) = 0
			    UNION ALL
			    SELECT fileids, filenames FROM posts WHERE rootid = r.root AND coalesce(deleteat, 0) = 0 OFFSET 0) p
	WHERE length(p.fileids) > 2 OR length(p.filenames) > 2
)
SELECT u.n FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u(id, root, n)
WHERE NOT EXISTS (SELECT FROM fileinfo f WHERE f.id = u.id OFFSET 0)
  AND EXISTS (SELECT FROM live l WHERE l.root = u.root AND (strpos(l.fileids, u.id) > 0 OR strpos(l.filenames, u.id) > 0))
