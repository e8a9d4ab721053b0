-- Memory for the hash joins of a pass over posts, for the rest of the transaction.
SELECT set_config('work_mem', '64MB', true)
