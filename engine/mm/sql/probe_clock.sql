-- The database clock in milliseconds since the epoch.
-- Parameters: none.  Locks: none.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
