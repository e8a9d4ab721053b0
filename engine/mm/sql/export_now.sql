-- Database clock at the start of the transaction, in ms, and an upper bound of every transaction that its snapshot
-- shows.  Parameters: none.
-- Locks: none.
SELECT (extract(epoch FROM now()) * 1000)::bigint, pg_snapshot_xmax(pg_current_snapshot())::text
