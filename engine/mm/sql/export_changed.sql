-- Threads of the unit with a row that was written or changed since the plan, with another number of posts than the plan
-- counted (times alone do not tell: bridges date replies back, a transaction may commit long after the moment that its
-- rows carry), or whose root is gone (the server's permanent delete leaves the edit copies of a root).  A thread
-- without posts is none of them.  Columns: thread. Both tables are grouped as one: a small unit's transaction has no
-- other join than nested loops, and this one would be of all with all.
-- Parameters: none.  Locks: none.
SELECT thread
FROM (
	SELECT thread, 1 AS posts, changed, root FROM pg_temp.mmr_post
	UNION ALL SELECT thread, -posts, NULL, NULL FROM pg_temp.mmr_thread
) x
GROUP BY thread
HAVING bool_or(changed) OR NOT bool_or(root) OR count(root) > 0 AND sum(posts) <> 0
