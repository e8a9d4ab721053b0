-- Something for the log, so that this transaction's commit makes those before it durable.  Parameters: none.  Locks:
-- none.
SELECT pg_logical_emit_message(true, 'mmretain', 'barrier')
