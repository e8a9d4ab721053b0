-- Posts of a batch whose content flagging is open.  $1 text[]: post ids.  Locks: none.  Index: propertyvalues (targetid, groupid).
SELECT v.targetid FROM propertyvalues v
WHERE v.targettype = 'post' AND v.targetid = ANY ($1::text[]) AND v.deleteat = 0 AND lower(v.value #>> '{}') IN ('pending', 'assigned')
  AND v.fieldid IN (SELECT f.id FROM propertyfields f JOIN propertygroups g ON g.id = f.groupid
                    WHERE g.name = 'content_flagging' AND f.name = 'status')
