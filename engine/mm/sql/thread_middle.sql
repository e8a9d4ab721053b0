-- The time that halves the posts older than the cut-off, as an array of one.
-- Parameters: $1 cut-off, $2 half of their number.  Locks: none.  Index: (createat), index-only.
SELECT ARRAY[coalesce((SELECT p.createat FROM posts p WHERE p.createat < $1::bigint ORDER BY p.createat OFFSET $2::bigint LIMIT 1), $1::bigint)]::text
