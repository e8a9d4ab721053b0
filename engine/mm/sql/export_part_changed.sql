-- Parts of threads of which a row was written or changed since the plan, that have another number of rows than the plan
-- counted, or whose root is gone.  Columns: thread. Replies that stay may come and go: they do not matter to what was
-- deleted before.  Grouped as in export_changed.sql.
-- Parameters: none.  Locks: none.  Indexes: posts primary key.
SELECT m.thread
FROM (
	SELECT thread, sum(posts) AS more, bool_or(changed) AS changed, max(root) AS root
	FROM (
		SELECT thread, 1 AS posts, changed, NULL::character varying AS root FROM pg_temp.mmr_post
		UNION ALL SELECT thread, -posts, NULL, root FROM pg_temp.mmr_thread
	) x
	GROUP BY thread
) m
WHERE m.changed IS NOT NULL AND (m.changed OR m.more <> 0 OR NOT EXISTS (SELECT FROM posts r WHERE r.id = m.root OFFSET 0))
