-- Posts whose time of creation cannot be right (missing, before 2000 (thread_rows.sql says why), more than a day
-- ahead): count.
-- Parameters: $1 the present (ms).  Locks: none beyond a read.  Index: posts(createat, id).
SELECT (SELECT count(*) FROM posts WHERE createat < 946684800000)
     + (SELECT count(*) FROM posts WHERE createat > $1::bigint + 86400000)
     + (SELECT count(*) FROM posts WHERE createat IS NULL)
