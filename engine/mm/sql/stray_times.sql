-- Posts whose time of creation cannot be right (missing, not after 1970, more than a day ahead): count.
-- Parameters: $1 the present (ms).  Locks: none beyond a read.  Index: posts(createat, id).
SELECT (SELECT count(*) FROM posts WHERE createat <= 0)
     + (SELECT count(*) FROM posts WHERE createat > $1::bigint + 86400000)
     + (SELECT count(*) FROM posts WHERE createat IS NULL)
