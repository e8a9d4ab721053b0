-- Parts of threads of which a row was written or changed since the plan, that have another number of rows than the plan counted, or whose root is
-- gone.  Columns: thread.
-- Replies that stay may come and go: they do not matter to what was deleted before.
-- Parameters: none.  Locks: none.  Indexes: posts primary key.
SELECT m.thread
FROM (SELECT thread, count(*) AS posts, bool_or(changed) AS changed FROM pg_temp.mmr_post GROUP BY thread) m
JOIN pg_temp.mmr_thread w ON w.thread = m.thread
WHERE m.changed OR m.posts <> w.posts OR NOT EXISTS (SELECT FROM posts r WHERE r.id = w.root OFFSET 0)
