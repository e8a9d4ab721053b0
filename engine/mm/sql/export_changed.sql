-- Threads of the unit with a row that was written or changed since $1 (ms), or whose root is gone (the server's permanent delete leaves
-- the edit copies of a root).  Columns: thread.
-- Locks: none.  Indexes: posts (updateat), (createat): cost follows what was written since, or the unit, whichever the planner finds less.
SELECT DISTINCT m.thread FROM pg_temp.mmr_post m JOIN posts p ON p.id = m.id WHERE p.updateat >= $1::bigint OR p.createat >= $1::bigint
UNION
SELECT w.thread FROM pg_temp.mmr_thread w
WHERE EXISTS (SELECT FROM pg_temp.mmr_post m WHERE m.thread = w.thread)
  AND NOT EXISTS (SELECT FROM pg_temp.mmr_post m WHERE m.thread = w.thread AND m.id = w.root)
