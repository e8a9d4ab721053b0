-- Has the server a job of the compliance export by now?  Parameters: none.  Locks: none.  Index: jobs (type).
SELECT EXISTS (SELECT FROM jobs WHERE type IN ('message_export', 'cli_message_export'))
