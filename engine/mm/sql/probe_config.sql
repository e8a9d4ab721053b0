-- The active configuration of a server that keeps it in the database: JSON text.
-- Parameters: none.  Locks: none beyond a read.
SELECT value FROM configurations WHERE active
