-- Sidebar categories of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: sidebarcategories(userid, teamid).
DELETE FROM sidebarcategories WHERE userid = $1::text
