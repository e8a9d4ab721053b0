-- Members of LDAP groups that a legal hold names.  Parameters: $1 group ids.  Locks: none.  Index: primary key (groupid
-- first).
SELECT DISTINCT userid FROM groupmembers WHERE groupid = ANY ($1::text[]) AND coalesce(deleteat, 0) = 0
