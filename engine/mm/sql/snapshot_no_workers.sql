-- One processor for a plan beside a chat, which answers with the others.  Ends with the transaction.
-- Parameters: none.  Locks: none.
SELECT set_config('max_parallel_workers_per_gather', '0', true)
