-- Room for the joins and sorts of one unit, small samples of its work tables, and whether other processors may help;
-- ends with the transaction.
-- Parameters: $1 parallel workers, at most, or NULL: as many as the server gives.  Locks: none.
SELECT set_config('work_mem', '64MB', true), set_config('default_statistics_target', '10', true),
       set_config('max_parallel_workers_per_gather', coalesce($1::text, current_setting('max_parallel_workers_per_gather')), true)
