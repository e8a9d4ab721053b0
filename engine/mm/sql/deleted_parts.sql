-- What of each thread was deleted before the cut-off: how much may go although the thread stays, and whether all of it is gone.
-- Which rows go is said once more, in the same words, in export_parts.sql.
-- Columns: root id, posts, bytes of them (message, props, files), every row was deleted (bool), the root was and a reply lives (bool).
-- Parameters: $1 root ids, $2 cut-off.  Locks: none.  Indexes: posts primary key, (rootid, deleteat), (originalid); fileinfo (postid).
WITH member AS (
	SELECT k.root, p.* FROM unnest($1::text[]) k (root)
	CROSS JOIN LATERAL (SELECT id, deleteat, rootid, originalid, message, props FROM posts WHERE id = k.root OFFSET 0) p
	UNION ALL
	SELECT k.root, p.* FROM unnest($1::text[]) k (root)
	CROSS JOIN LATERAL (SELECT id, deleteat, rootid, originalid, message, props FROM posts WHERE rootid = k.root OFFSET 0) p
	WHERE p.id <> k.root
	UNION ALL
	SELECT k.root, p.* FROM unnest($1::text[]) k (root)
	CROSS JOIN LATERAL (SELECT id, deleteat, rootid, originalid, message, props FROM posts WHERE originalid = k.root OFFSET 0) p
	WHERE p.id <> k.root AND coalesce(p.rootid, '') = ''
	UNION ALL
	SELECT k.root, p.* FROM unnest($1::text[]) k (root)
	CROSS JOIN LATERAL (SELECT id FROM posts WHERE rootid = k.root OFFSET 0) r
	CROSS JOIN LATERAL (SELECT id, deleteat, rootid, originalid, message, props FROM posts WHERE originalid = r.id OFFSET 0) p
	WHERE p.id <> k.root AND coalesce(p.rootid, '') = ''
),
judged AS MATERIALIZED (
	SELECT m.*, m.id <> m.root AND coalesce(m.deleteat > 0 AND m.deleteat < $2::bigint, false)
		AND (m.rootid = m.root OR m.originalid = m.root)
		AND (m.originalid <> ''
		     OR NOT EXISTS (SELECT FROM posts c WHERE c.originalid = m.id
				    AND (c.rootid = m.root AND c.deleteat > 0 AND c.deleteat < $2::bigint) IS NOT TRUE OFFSET 0)
			AND NOT EXISTS (SELECT FROM fileinfo f CROSS JOIN LATERAL (
						SELECT l.fileids FROM posts l WHERE (l.rootid = m.root OR l.id = m.root) AND l.deleteat = 0 OFFSET 0) l
					WHERE f.postid = m.id AND strpos(l.fileids, f.id) > 0 OFFSET 0)) AS goes
	FROM member m
)
SELECT j.root, count(*) FILTER (WHERE j.goes),
	coalesce(sum(coalesce(octet_length(j.message), 0) + coalesce(octet_length(j.props::text), 0) + coalesce(f.size, 0))
		 FILTER (WHERE j.goes), 0)::bigint,
	bool_and(coalesce(j.deleteat > 0 AND j.deleteat < $2::bigint, false)),
	bool_or(j.id = j.root AND j.deleteat > 0) AND bool_or(coalesce(j.deleteat, 0) = 0)
FROM judged j
LEFT JOIN LATERAL (SELECT sum(g.size)::bigint AS size FROM fileinfo g WHERE j.goes AND g.postid = j.id) f ON true
GROUP BY j.root
