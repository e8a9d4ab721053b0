-- Profile attributes of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: propertyvalues(targetid, groupid).
SELECT count(*) FROM propertyvalues WHERE targetid = $1::text AND targettype = 'user'
