-- Limits of one depersonalising transaction: never wait long behind the server.
-- Parameters: $1 lock timeout (ms).  Locks: none.
SELECT set_config('lock_timeout', $1::text, true)
