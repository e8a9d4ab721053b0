-- All posts whose content flagging is open: few, and few rows to look at whatever the number of posts.  Parameters: none.  Locks: none.
-- Index: propertyvalues (groupid, targetid, fieldid) WHERE deleteat = 0.  CASE: the value is looked into only where the field is the one.
SELECT v.targetid FROM propertyvalues v
WHERE v.groupid = ANY (ARRAY(SELECT g.id FROM propertygroups g WHERE g.name = 'content_flagging')) AND v.deleteat = 0 AND v.targettype = 'post'
  AND CASE WHEN v.fieldid = ANY (ARRAY(SELECT f.id FROM propertyfields f JOIN propertygroups g ON g.id = f.groupid
                                       WHERE g.name = 'content_flagging' AND f.name = 'status'))
           THEN lower(v.value #>> '{}') IN ('pending', 'assigned') ELSE false END
