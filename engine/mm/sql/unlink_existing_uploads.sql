-- Entries of a file or an upload that still exists: their files stay.  Parameters: none.  Locks: none.  Indexes:
-- primary keys.
SELECT u.n FROM pg_temp.mmr_unlink u JOIN fileinfo f ON f.id = u.id
UNION ALL SELECT u.n FROM pg_temp.mmr_unlink u JOIN uploadsessions s ON s.id = u.id
