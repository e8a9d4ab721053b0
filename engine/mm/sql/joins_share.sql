-- Is a unit of $1 posts less than one in $2 of the table?  By the planner's own row estimate; an unknown size counts as
-- 100,000.
-- Parameters: $1, $2 bigint.  Locks: none (catalogue only).
SELECT $1::bigint * $2::bigint < coalesce((SELECT nullif(reltuples, -1) FROM pg_class WHERE oid = 'posts'::regclass), 100000)
