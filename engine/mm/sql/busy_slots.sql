-- Replication slots that nobody uses, and the write-ahead log that is kept for each (bytes).
-- Parameters: none.  Locks: none.
SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
  FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY slot_name
