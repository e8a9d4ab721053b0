-- Profile attributes of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: propertyvalues(targetid, groupid).
DELETE FROM propertyvalues WHERE targetid = $1::text AND targettype = 'user'
