-- Put one row of fileinfo back of which only a part of the thread went.  Parameters: $1 jsonb: an object with every
-- column; $2 a row with the JSON nulls, or NULL. Not deleted when its post is live and names it: a server that restored
-- an earlier version meant to undelete it.  A row that is there already stays as it is.  Locks: the new row; waits for
-- whoever is inserting one with the same key.  Index: primary keys of fileinfo and posts.
INSERT INTO fileinfo SELECT * FROM jsonb_populate_record($2::fileinfo, $1::jsonb || CASE
	WHEN EXISTS (SELECT FROM posts p WHERE p.id = $1::jsonb ->> 'postid' AND coalesce(p.deleteat, 0) = 0 AND strpos(p.fileids, $1::jsonb ->> 'id') > 0)
	THEN '{"deleteat": 0}'::jsonb ELSE '{}'::jsonb END)
ON CONFLICT DO NOTHING
