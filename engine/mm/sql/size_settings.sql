-- For size_bytes.sql only: hash over a sequential scan, with memory for it.  $1: off before it, on after it.
SELECT set_config('enable_indexscan', $1::text, true), set_config('enable_sort', $1::text, true), set_config('work_mem', '64MB', true)
