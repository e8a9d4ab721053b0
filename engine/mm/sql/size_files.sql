-- Bytes of the files of posts per channel.  Parameters: $1 channel ids, or NULL for all.
-- Locks: none.  One pass over fileinfo, posts probed by primary key (files are few beside posts: hashing posts costs more).
SELECT p.channelid, sum(f.size)::bigint
FROM fileinfo f CROSS JOIN LATERAL (SELECT q.channelid FROM posts q WHERE q.id = f.postid OFFSET 0) p
WHERE f.postid <> '' AND ($1::text[] IS NULL OR p.channelid IN (SELECT unnest($1::text[])))
GROUP BY p.channelid
