-- Posts of a batch that nobody else has locked.  Parameters: $1 text[]: ids.  Locks: those rows, until the caller rolls
-- back at once.
SELECT id FROM posts WHERE id = ANY ($1::text[]) FOR UPDATE SKIP LOCKED
