-- Replies written since then, to take their threads out of the remaining work.  Parameters: $1 ms.  Locks: none.
-- Index: posts (createat, id).
SELECT rootid, id FROM posts WHERE createat >= $1::bigint AND rootid <> ''
