-- Posts of a batch whose content flagging is open.  $1 text[]: post ids.  Locks: none.  Index: propertyvalues (targetid, groupid).
SELECT targetid FROM propertyvalues
WHERE targettype = 'post' AND targetid = ANY ($1::text[]) AND lower(value #>> '{}') IN ('pending', 'assigned')
