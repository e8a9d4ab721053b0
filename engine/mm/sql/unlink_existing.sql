-- Entries whose file row still exists (rolled back, or put back by the sweep): their blobs stay.  Parameters: none.
-- Locks: none. Index: fileinfo primary key.
SELECT u.n FROM pg_temp.mmr_unlink u JOIN fileinfo f ON f.id = u.id
