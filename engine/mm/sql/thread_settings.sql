-- For a pass over posts: hash instead of sorting, with memory for it, and parallel workers where the server has some.
-- Parameters: $1: off before it, on after it.  Locks: none.
SELECT set_config('enable_sort', $1::text, true), set_config('work_mem', '64MB', true),
	set_config('parallel_setup_cost', '100', true), set_config('parallel_tuple_cost', '0.001', true)
