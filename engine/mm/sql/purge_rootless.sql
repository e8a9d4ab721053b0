-- Which of these posts are gone?  Columns: place in the array, from 1.  Parameters: $1 text[]: ids.  Locks: none.
-- Index: posts primary key.
SELECT u.n FROM unnest($1::text[]) WITH ORDINALITY AS u(id, n) WHERE NOT EXISTS (SELECT FROM posts p WHERE p.id = u.id OFFSET 0)
