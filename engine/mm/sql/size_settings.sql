-- For size_bytes.sql, size_files.sql, size_files_named.sql and size_files_sure.sql only: a pass by parallel workers,
-- hashed with memory for it.
-- Parameters: $1: index scans, $2: sorts and joins by hash or merge; on or off.  Locks: none.
SELECT set_config('enable_indexscan', $1::text, true), set_config('enable_sort', $2::text, true),
	set_config('enable_hashjoin', $2::text, true), set_config('enable_mergejoin', $2::text, true),
	set_config('work_mem', '64MB', true), set_config('parallel_setup_cost', '100', true), set_config('parallel_tuple_cost', '0.001', true)
