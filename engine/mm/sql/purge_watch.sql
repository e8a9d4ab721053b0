-- Replies written since $1 (ms), to take their threads out of the remaining work.  Index: posts (createat, id).
SELECT rootid, id FROM posts WHERE createat >= $1::bigint AND rootid <> ''
