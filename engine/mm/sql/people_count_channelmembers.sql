-- Channel memberships of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: channelmembers(userid, ...).
SELECT count(*) FROM channelmembers WHERE userid = $1::text
