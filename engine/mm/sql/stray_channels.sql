-- Posts whose channel row is gone: count.
-- Parameters: none.  Locks: none beyond a read.  Index: posts(channelid, deleteat, createat): one descent per channel,
-- then the rows of the channels that are gone.
WITH RECURSIVE seen (id) AS (
        SELECT min(channelid) FROM posts
        UNION ALL
        SELECT (SELECT min(p.channelid) FROM posts p WHERE p.channelid > s.id) FROM seen s WHERE s.id IS NOT NULL)
SELECT (SELECT count(*) FROM posts p
         WHERE p.channelid IN (SELECT s.id FROM seen s WHERE s.id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM channels c WHERE c.id = s.id)))
     + (SELECT count(*) FROM posts p WHERE p.channelid IS NULL)
