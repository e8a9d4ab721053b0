-- Whether one person reviews flagged content: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none, the table is small.
SELECT count(*) FROM contentflaggingcommonreviewers WHERE userid = $1::text
