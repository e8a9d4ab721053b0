-- Parts of threads of which a row was written or changed since the plan, or whose root is gone.  Columns: thread.
-- Replies that stay may come and go: they do not matter to what was deleted before.
-- Parameters: none.  Locks: none.  Indexes: posts primary key.
WITH rootless AS MATERIALIZED (
	SELECT w.thread FROM pg_temp.mmr_thread w WHERE NOT EXISTS (SELECT FROM posts r WHERE r.id = w.root OFFSET 0)
)
SELECT thread FROM pg_temp.mmr_post WHERE changed
UNION
SELECT g.thread FROM rootless g WHERE EXISTS (SELECT FROM pg_temp.mmr_post m WHERE m.thread = g.thread)
