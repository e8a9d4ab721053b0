-- What of each thread was deleted before the cut-off: how much may go although the thread stays, and whether all of it
-- is gone. A time of deletion before 2000 (946684800000) is none: what somebody hid by hand, with 1 or in seconds, was
-- hidden nobody knows when. Which rows go is said once more, in the same words, in export_parts.sql.  Only rows that
-- may go are read; the others where the root is gone. The comparison of rows is for the planner: it can only be a range
-- of (rootid, deleteat), where `deleteat > 0` could be one of (deleteat).
-- Columns: root id, posts, bytes of them (message, props, files), every row was deleted (bool), the root was and a
-- reply lives (bool).
-- Parameters: $1 root ids, $2 cut-off.  Locks: none.  Indexes: posts primary key, (rootid, deleteat), (originalid);
-- fileinfo (postid).
SELECT k.root, g.posts, g.bytes,
	CASE WHEN r.deleteat >= 946684800000 AND r.deleteat < $2::bigint THEN
		NOT EXISTS (SELECT FROM posts p WHERE p.rootid = k.root AND p.id <> k.root
			    AND (p.deleteat >= 946684800000 AND p.deleteat < $2::bigint) IS NOT TRUE OFFSET 0)
		AND NOT EXISTS (SELECT FROM posts p WHERE p.originalid = k.root AND p.id <> k.root AND coalesce(p.rootid, '') = ''
				AND (p.deleteat >= 946684800000 AND p.deleteat < $2::bigint) IS NOT TRUE OFFSET 0)
		AND NOT EXISTS (SELECT FROM posts c CROSS JOIN LATERAL (SELECT FROM posts p WHERE p.originalid = c.id AND p.id <> k.root
						AND coalesce(p.rootid, '') = ''
						AND (p.deleteat >= 946684800000 AND p.deleteat < $2::bigint) IS NOT TRUE OFFSET 0) p
				WHERE c.rootid = k.root OFFSET 0)
		ELSE false END,
	CASE WHEN r.deleteat > 0 THEN
		EXISTS (SELECT FROM posts p WHERE p.rootid = k.root AND p.id <> k.root AND coalesce(p.deleteat, 0) = 0 OFFSET 0)
		OR EXISTS (SELECT FROM posts p WHERE p.originalid = k.root AND p.id <> k.root AND coalesce(p.rootid, '') = ''
			   AND coalesce(p.deleteat, 0) = 0 OFFSET 0)
		OR EXISTS (SELECT FROM posts c CROSS JOIN LATERAL (SELECT FROM posts p WHERE p.originalid = c.id AND p.id <> k.root
					AND coalesce(p.rootid, '') = '' AND coalesce(p.deleteat, 0) = 0 OFFSET 0) p
			   WHERE c.rootid = k.root OFFSET 0)
		ELSE false END
FROM unnest($1::text[]) k (root)
LEFT JOIN LATERAL (SELECT deleteat FROM posts WHERE id = k.root OFFSET 0) r ON true
CROSS JOIN LATERAL (
	SELECT count(*) AS posts,
		coalesce(sum(coalesce(octet_length(m.message), 0) + coalesce(octet_length(m.props::text), 0)
			     + coalesce((SELECT sum(f.size) FILTER (WHERE f.size BETWEEN 0 AND 1125899906842624) FROM fileinfo f WHERE f.postid = m.id), 0)), 0)::bigint AS bytes
	FROM (
		SELECT p.* FROM (SELECT id, deleteat, originalid, message, props FROM posts
				 WHERE rootid = k.root AND (rootid, deleteat) >= (k.root, 946684800000) OFFSET 0) p
		WHERE p.id <> k.root AND p.deleteat < $2::bigint
		  AND (p.originalid <> ''
		       OR NOT EXISTS (SELECT FROM posts c WHERE c.originalid = p.id
				      AND (c.rootid = k.root AND c.deleteat >= 946684800000 AND c.deleteat < $2::bigint) IS NOT TRUE OFFSET 0)
			  AND NOT EXISTS (SELECT FROM fileinfo f CROSS JOIN LATERAL (
						SELECT FROM posts l WHERE (l.rootid = k.root OR l.id = k.root) AND l.deleteat = 0
						AND strpos(l.fileids, f.id) > 0 OFFSET 0) l
					  WHERE f.postid = p.id OFFSET 0))
		UNION ALL
		SELECT p.id, p.deleteat, p.originalid, p.message, p.props FROM (SELECT id, rootid, deleteat, originalid, message, props FROM posts
				 WHERE originalid = k.root OFFSET 0) p
		WHERE p.id <> k.root AND coalesce(p.rootid, '') = '' AND p.deleteat >= 946684800000 AND p.deleteat < $2::bigint
	) m
) g
