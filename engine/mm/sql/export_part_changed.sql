-- Parts of threads of which a row was written or changed since $1 (ms), or whose root is gone.  Columns: thread.
-- Replies that stay may come and go: they do not matter to what was deleted before.
-- Locks: none.  Indexes: posts primary key.
WITH rootless AS MATERIALIZED (
	SELECT w.thread FROM pg_temp.mmr_thread w WHERE NOT EXISTS (SELECT FROM posts r WHERE r.id = w.root OFFSET 0)
)
SELECT DISTINCT m.thread FROM pg_temp.mmr_post m JOIN posts p ON p.id = m.id WHERE p.updateat >= $1::bigint OR p.createat >= $1::bigint
UNION
SELECT g.thread FROM rootless g WHERE EXISTS (SELECT FROM pg_temp.mmr_post m WHERE m.thread = g.thread)
