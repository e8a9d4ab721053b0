-- How the planner may join a unit; ends with the transaction.  Parameters: $1 text 'off' for index probes, 'on' for
-- hash joins.  Locks: none.
SELECT set_config('enable_hashjoin', $1::text, true), set_config('enable_mergejoin', $1::text, true),
       set_config('enable_seqscan', $1::text, true)
