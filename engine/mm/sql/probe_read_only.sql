-- Whether transactions of this session may not write: default_transaction_read_only of the database, the role or the
-- server.
-- Parameters: none.  Locks: none.
SELECT current_setting('transaction_read_only') = 'on'
