-- How many posts name this thread.  Parameters: $1 text: root id.  Locks: none.  Index: posts(rootid).
SELECT count(*) FROM posts WHERE rootid = $1::text
