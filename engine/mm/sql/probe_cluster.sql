-- The cluster's system identifier.
-- Parameters: none.  Locks: none.
SELECT system_identifier::text FROM pg_control_system()
