-- Posts that mention an account name, which stays in their text; the newest first.
-- Words are looked up in the text index and compared as a mention afterwards, so a mention inside a link can be missed.
-- Parameters: $1 account name of letters, digits, '.', '_', '-' only, $2 at most.  Locks: none.  Index: full text of
-- posts.message.
SELECT p.id FROM posts p
 WHERE to_tsvector('english', p.message) @@ plainto_tsquery('english', $1::text)
   AND lower(p.message COLLATE "C") ~ ('(^|[^a-z0-9])@' || replace($1::text, '.', '\.') || '($|[^a-z0-9._-]|[._-]+($|[^a-z0-9]))')
 ORDER BY p.createat DESC, p.id COLLATE "C"
 LIMIT $2::bigint
