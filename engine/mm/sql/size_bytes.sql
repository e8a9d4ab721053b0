-- Rows and bytes (message, props as text) of posts per channel.  Block oldest: and its oldest post, of those whose time
-- can be right (thread_rows.sql says why).
-- Parameters: $1 channel ids, or NULL for all.
-- Locks: none.  One pass over posts, hashed; size_settings.sql keeps the planner from walking an index.
-- An empty jsonb takes 5 bytes on disk: its text ("{}" or "[]") need not be made.
SELECT p.channelid, count(*),
	sum(coalesce(octet_length(p.message), 0)
	    + CASE WHEN pg_column_size(p.props) = 5 THEN 2 ELSE coalesce(octet_length(p.props::text), 0) END)
--[oldest
	, min(p.createat) FILTER (WHERE p.createat >= 946684800000)
--]
FROM posts p
WHERE $1::text[] IS NULL OR p.channelid IN (SELECT unnest($1::text[]))
GROUP BY p.channelid
