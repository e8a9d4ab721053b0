-- Rows and bytes (message, props as text, files) of posts per channel.  Parameters: $1 channel ids, or NULL for all.
-- Locks: none.  One pass over posts and one over fileinfo, hashed; size_settings.sql keeps the planner from walking an index.
-- An empty jsonb takes 5 bytes on disk: its text ("{}" or "[]") need not be made.
SELECT p.channelid, count(*),
	sum(coalesce(octet_length(p.message), 0)
	    + CASE WHEN pg_column_size(p.props) = 5 THEN 2 ELSE coalesce(octet_length(p.props::text), 0) END + coalesce(f.size, 0))::bigint
FROM posts p
LEFT JOIN (SELECT g.postid, sum(g.size)::bigint AS size FROM fileinfo g WHERE g.postid <> '' GROUP BY g.postid) f ON f.postid = p.id
WHERE $1::text[] IS NULL OR p.channelid IN (SELECT unnest($1::text[]))
GROUP BY p.channelid
