-- How long a statement of this session waits for a lock.  $1 text: time with unit.
SELECT set_config('lock_timeout', $1::text, false)
