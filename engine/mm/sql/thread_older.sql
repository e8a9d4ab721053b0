-- How many posts are older than the cut-off, counted up to a twentieth of the table; and that ceiling.
-- Parameters: $1 cut-off.  Locks: none.  Index: (createat), index-only.
WITH ceiling AS (
	SELECT greatest(2000, CASE WHEN reltuples > 0 THEN reltuples ELSE pg_relation_size(oid) / 400.0 END / 20)::bigint AS n
	FROM pg_class WHERE oid = 'posts'::regclass
)
SELECT (SELECT count(*) FROM (SELECT FROM posts WHERE createat < $1::bigint LIMIT (SELECT n FROM ceiling)) x), n FROM ceiling
