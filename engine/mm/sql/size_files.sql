-- Bytes of the files of posts per channel, where a file's own row does not name its channel (written by a server before
-- 8.0).  Here as elsewhere a size below 0 or above 1 PiB is damage and counts as nothing: it must make no channel look
-- full.
-- Block named: the column is there; without it all files are looked at.
-- Parameters: $1 channel ids, or NULL for all.
-- Locks: none.  One pass over fileinfo by parallel workers, posts probed by primary key (files are few beside posts:
-- hashing posts costs more); size_settings.sql keeps the planner to that.
SELECT p.channelid, (sum(f.size) FILTER (WHERE f.size BETWEEN 0 AND 1125899906842624))::bigint
FROM fileinfo f JOIN posts p ON p.id = f.postid
WHERE f.postid <> '' AND ($1::text[] IS NULL OR p.channelid IN (SELECT unnest($1::text[])))
--[named
  AND (f.channelid <> '') IS NOT TRUE
--]
GROUP BY p.channelid
