-- How many posts the unit has, how many roots at the place that the plan's counts give them, and was any post written
-- or changed since? When all are there, every thread but the last has as many posts as the plan counted; the last, when
-- the sum is the plan's too.  And has any an id that no server makes (export_odd.sql)?
-- Parameters: none.  Locks: none.
SELECT count(*), count(*) FILTER (WHERE placed), coalesce(bool_or(changed), false), coalesce(bool_or(odd), false) FROM pg_temp.mmr_post
