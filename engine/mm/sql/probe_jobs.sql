-- The server's own data retention: jobs that run or wait to run, and the end of the last success (ms, 0 = never).
-- Parameters: none.  Locks: none beyond a read.  Index: jobs(status, type) where the server has it.
SELECT count(*) FILTER (WHERE status IN ('pending', 'in_progress', 'cancel_requested')),
       COALESCE(max(lastactivityat) FILTER (WHERE status = 'success'), 0)
  FROM jobs
 WHERE type = 'data_retention'
