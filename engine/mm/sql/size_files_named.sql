-- Bytes of files per channel, as their own rows name it; of those that name none ('' or NULL) as well, which
-- size_files.sql counts.  A file whose post is gone is among them (size_files_sure.sql).
-- Parameters: none.  Locks: none.  One pass over fileinfo by parallel workers: looking up each file's post takes six
-- times as long.
SELECT f.channelid, (sum(f.size) FILTER (WHERE f.size BETWEEN 0 AND 1125899906842624))::bigint FROM fileinfo f WHERE f.postid <> '' GROUP BY f.channelid
