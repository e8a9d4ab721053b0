-- How far the server's compliance export has come: number of finished export jobs, newest readable cursor (ms).
-- Parameters: none.  Locks: none.  Index: jobs (type).
SELECT count(*), max(CASE WHEN c.at ~ '^[0-9]{1,18}$' THEN c.at::bigint END)
FROM jobs j CROSS JOIN LATERAL (SELECT coalesce(nullif(j.data ->> 'batch_start_time', ''), nullif(j.data ->> 'batch_start_timestamp', ''),
						nullif(j.data ->> 'job_end_time', '')) AS at) c
WHERE j.type IN ('message_export', 'cli_message_export') AND j.status = 'success'
