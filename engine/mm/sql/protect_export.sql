-- How far the server's compliance export has come: number of export jobs in any state, cursor of the newest that ended
-- (ms; NULL: none has, or it is not readable).  A job that missed an attachment ends as a warning, and the server goes
-- on from it as from a success; of one that failed, was cancelled or is at work, it begins again at the cursor before.
-- It never goes on from a job of the command line, whose cursor therefore counts only where there are no others.
-- Parameters: none.  Locks: none.  Index: jobs (type).
WITH job AS (SELECT j.type, j.status, j.createat, coalesce(nullif(j.data ->> 'batch_start_time', ''), j.data ->> 'batch_start_timestamp') AS at
	       FROM jobs j WHERE j.type IN ('message_export', 'cli_message_export'))
SELECT (SELECT count(*) FROM job),
       (SELECT CASE WHEN e.at ~ '^[0-9]{1,18}$' THEN e.at::bigint END FROM job e
	 WHERE e.status IN ('success', 'warning') AND (e.type = 'message_export' OR NOT EXISTS (SELECT FROM job s WHERE s.type = 'message_export'))
	 ORDER BY e.createat DESC NULLS LAST, length(e.at) NULLS FIRST, e.at LIMIT 1)
