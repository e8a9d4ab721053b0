-- How far each replica is behind, a line each (one line with NULLs where there is none), and what a request of the chat
-- costs at the moment. The cost is taken by the server's own clock, five times, and the middle one counts: the session
-- sleeps for a millisecond, so that it must be given a processor like one that a request wakes, and reads a recent post
-- by its primary key.  How slow the way here or the asking program is does not matter. A sleep is rounded up to whole
-- milliseconds; one of exactly 1 ms may become two. Who only receives write-ahead log replays nothing: then what it has
-- written counts.  A base backup follows nobody. Without pg_read_all_stats the state of others is NULL, their name is
-- not.
-- Parameters: $1 whether the cost is wanted (boolean).  Locks: none.  Index: posts (createat, id), the primary key.
SELECT cost.us, r.pid, r.application_name, r.state,
       GREATEST(pg_wal_lsn_diff(pg_current_wal_lsn(), COALESCE(r.replay_lsn, r.write_lsn, r.sent_lsn)), 0)::bigint,
       (extract(epoch FROM r.replay_lag) * 1000)::bigint
  FROM (SELECT CASE WHEN $1::boolean THEN
               (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM t.ended - t.began) * 1000000 - 1000) FILTER (WHERE t.found IS NOT NULL)
                  FROM (SELECT clock_timestamp() AS began, pg_sleep(0.0009), (SELECT count(p.updateat) FROM posts p WHERE p.id = n.id) AS found,
                               clock_timestamp() AS ended
                          FROM (SELECT id FROM posts ORDER BY createat DESC, id DESC LIMIT 5) n
                        OFFSET 0) t)
               END::bigint AS us) cost
  LEFT JOIN pg_stat_replication r ON r.state IS DISTINCT FROM 'backup' AND r.application_name IS DISTINCT FROM 'pg_basebackup'
