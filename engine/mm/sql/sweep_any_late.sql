-- Is there any reply since then, with two minutes to spare, whose root is gone?  Also where it is not that late yet:
-- then the clock was set back, and no time tells.  What is dated more than a day ahead came from elsewhere, and would
-- be new for ever.  Parameters: $1 ms.  Locks: none.
-- Indexes: posts (createat, id), primary key.
SELECT $1::bigint - 120000 > c.now_ms OR
       EXISTS (SELECT FROM posts p WHERE p.createat >= $1::bigint - 120000 AND p.createat < c.now_ms + 86400000 AND p.rootid <> ''
               AND NOT EXISTS (SELECT FROM posts r WHERE r.id = p.rootid))
FROM (SELECT (extract(epoch FROM now()) * 1000)::bigint AS now_ms) c
