-- Room for the joins and sorts of one unit, and small samples of its work tables; ends with the transaction.
SELECT set_config('work_mem', '64MB', true), set_config('default_statistics_target', '10', true)
