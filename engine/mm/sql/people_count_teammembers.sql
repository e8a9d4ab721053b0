-- Team memberships of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: teammembers(userid).
SELECT count(*) FROM teammembers WHERE userid = $1::text
