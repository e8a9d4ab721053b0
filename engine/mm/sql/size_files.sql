-- Bytes of the files of posts per channel.  Parameters: $1 channel ids, or NULL for all.
-- Locks: none.  One pass over fileinfo by parallel workers, posts probed by primary key (files are few beside posts: hashing posts costs
-- more); size_settings.sql keeps the planner to that.
SELECT p.channelid, sum(f.size)::bigint
FROM fileinfo f JOIN posts p ON p.id = f.postid
WHERE f.postid <> '' AND ($1::text[] IS NULL OR p.channelid IN (SELECT unnest($1::text[])))
GROUP BY p.channelid
