-- Posts of a batch that somebody has flagged.  $1 text[]: post ids.  Locks: none.  Index: preferences (name).
SELECT name FROM preferences WHERE category = 'flagged_post' AND name = ANY ($1::text[])
