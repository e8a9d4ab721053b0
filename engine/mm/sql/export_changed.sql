-- Threads of the unit with a row that was written or changed since the plan, with another number of posts than the plan counted (times alone do
-- not tell: bridges date replies back, a transaction may commit long after the moment that its rows carry), or whose root is gone (the server's
-- permanent delete leaves the edit copies of a root).  A thread without posts is none of them.  Columns: thread.
-- Parameters: none.  Locks: none.
SELECT m.thread
FROM (SELECT thread, count(*) AS posts, bool_or(changed) AS changed, bool_or(root) AS root FROM pg_temp.mmr_post GROUP BY thread) m
JOIN pg_temp.mmr_thread w ON w.thread = m.thread
WHERE m.changed OR NOT m.root OR m.posts <> w.posts
