-- A thread of which an archived post is in the database was kept, has been put back, or lost its root to the server:
-- our delete takes all of what the bundle has of it or nothing.  Parameters: none.  Locks: none on server tables.
-- Index: posts primary key.
DELETE FROM pg_temp.mmr_gone g
USING (SELECT DISTINCT h.thread, h.bundle FROM pg_temp.mmr_gone h JOIN posts p ON p.id = h.id) x
WHERE g.thread = x.thread AND g.bundle = x.bundle
