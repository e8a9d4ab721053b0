-- Edit copies whose live post is gone: count.
-- Parameters: none.  Locks: none beyond a read.  Index: posts(originalid), posts primary key.
SELECT count(*)
  FROM posts p
 WHERE p.originalid > '' AND NOT EXISTS (SELECT 1 FROM posts o WHERE o.id = p.originalid)
