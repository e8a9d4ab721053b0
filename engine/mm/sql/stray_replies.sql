-- Replies whose root is gone, and replies that lie in another channel than their root: two counts.
-- Parameters: none.  Locks: none beyond a read.  Reads posts twice (hash join); posts(rootid, deleteat) when replies
-- are few.
SELECT count(*) FILTER (WHERE r.id IS NULL), count(*) FILTER (WHERE r.channelid IS DISTINCT FROM p.channelid AND r.id IS NOT NULL)
  FROM posts p LEFT JOIN posts r ON r.id = p.rootid
 WHERE p.rootid <> ''
