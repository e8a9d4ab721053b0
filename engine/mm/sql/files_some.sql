-- Paths of some attachments of posts: the oldest, which are due first, and the newest.
-- Parameters: none.  Locks: none.  Index: fileinfo (createat), from both ends.
(SELECT path FROM fileinfo WHERE path <> '' AND postid <> '' ORDER BY createat LIMIT 16)
UNION
(SELECT path FROM fileinfo WHERE path <> '' AND postid <> '' ORDER BY createat DESC LIMIT 8)
