-- Locks of the server's migration tool that have not expired: count.  expireat was seen in seconds and in milliseconds.
-- Parameters: none.  Locks: none beyond a read.
SELECT count(*)
  FROM db_lock
 WHERE expireat IS NULL
    OR CASE WHEN expireat < 100000000000 THEN expireat * 1000 ELSE expireat END > extract(epoch FROM clock_timestamp()) * 1000
