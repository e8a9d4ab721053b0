-- How far the server's compliance export has come: number of export jobs in any state, cursor of the newest that ended
-- (ms; NULL: none has, or it is not readable), and the last of that millisecond's posts that it has, in order of their
-- ids (NULL: not told).  A job that missed an attachment ends as a warning, and the server goes on from it as from a
-- success; of one that failed, was cancelled or is at work, it begins again at the cursor before.  It never goes on
-- from a job of the command line, whose cursor therefore counts only where there are no others.
-- Parameters: none.  Locks: none.  Index: jobs (type).
WITH job AS (SELECT j.type, j.status, j.createat, j.data ->> 'batch_start_id' AS id,
		    coalesce(nullif(j.data ->> 'batch_start_time', ''), j.data ->> 'batch_start_timestamp') AS at
	       FROM jobs j WHERE j.type IN ('message_export', 'cli_message_export')),
newest AS (SELECT e.at, e.id FROM job e
	    WHERE e.status IN ('success', 'warning') AND (e.type = 'message_export' OR NOT EXISTS (SELECT FROM job s WHERE s.type = 'message_export'))
	    ORDER BY e.createat DESC NULLS LAST, length(e.at) NULLS FIRST, e.at, e.id NULLS FIRST LIMIT 1)
SELECT (SELECT count(*) FROM job), CASE WHEN n.at ~ '^[0-9]{1,18}$' THEN n.at::bigint END, n.id
  FROM (VALUES (1)) one LEFT JOIN newest n ON true
