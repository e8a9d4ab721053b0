-- How long a statement of this session waits for a lock.  Parameters: $1 text: time with unit.  Locks: none.
SELECT set_config('lock_timeout', $1::text, false)
