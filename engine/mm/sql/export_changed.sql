-- Threads of the unit with a row that was written or changed since the plan, or whose root is gone (the server's permanent delete leaves the
-- edit copies of a root).  Columns: thread.
-- Parameters: none.  Locks: none.
SELECT thread FROM pg_temp.mmr_post GROUP BY thread HAVING bool_or(changed) OR NOT bool_or(root)
