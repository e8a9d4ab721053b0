-- Each file's post is looked up (block before of thread_files.sql): the planner takes every page of an index to come from the
-- disk and hashes all old posts.
-- Parameters: $1: off before it, on after it.  Locks: none.
SELECT set_config('enable_hashjoin', $1::text, true), set_config('enable_mergejoin', $1::text, true)
