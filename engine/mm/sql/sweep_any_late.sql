-- Is there any reply since $1 (ms, with two minutes to spare) whose root is gone?  Indexes: posts (createat, id), primary key.
SELECT EXISTS (SELECT FROM posts p WHERE p.createat >= $1::bigint - 120000 AND p.rootid <> ''
               AND NOT EXISTS (SELECT FROM posts r WHERE r.id = p.rootid))
