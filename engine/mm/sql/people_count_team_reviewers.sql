-- Teams whose flagged content one person reviews: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none, the table is small.
SELECT count(*) FROM contentflaggingteamreviewers WHERE userid = $1::text
