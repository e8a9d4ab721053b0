-- Sidebar categories of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: sidebarcategories(userid, teamid).
SELECT count(*) FROM sidebarcategories WHERE userid = $1::text
