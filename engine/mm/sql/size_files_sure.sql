-- Of size_files_named.sql what a post of that channel has, for channels that seem to be over a limit: no file counts
-- towards a delete that a delete would not take.
-- Parameters: $1 channel ids.  Locks: none.  Indexes: fileinfo (channelid, createat) or one pass, posts by primary key.
SELECT f.channelid, (sum(f.size) FILTER (WHERE f.size BETWEEN 0 AND 1125899906842624))::bigint
FROM fileinfo f JOIN posts p ON p.id = f.postid AND p.channelid = f.channelid
WHERE f.postid <> '' AND f.channelid = ANY ($1::text[])
GROUP BY f.channelid
