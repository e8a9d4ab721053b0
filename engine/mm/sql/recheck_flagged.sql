-- Posts of a batch that somebody has flagged.  Parameters: $1 text[]: post ids.  Locks: none.  Index: preferences
-- (name).
SELECT p.name FROM preferences p WHERE p.category = 'flagged_post' AND p.name IN (SELECT u.id FROM unnest($1::text[]) AS u(id))
