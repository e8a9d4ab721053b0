-- Posts of a batch whose content flagging is open.  Parameters: $1 text[]: post ids.  Locks: none.  Index:
-- propertyvalues (targetid, groupid). A join, not `= ANY(array)`: that would be planned for every batch by comparing
-- each id with the column's commonest values, or without looking at the ids become a scan that compares each row with
-- each of them.  CASE: the value is looked into only where the field is the one.
SELECT v.targetid FROM unnest($1::text[]) AS u(id) JOIN propertyvalues v ON v.targetid = u.id
WHERE v.deleteat = 0 AND v.targettype = 'post'
  AND CASE WHEN v.fieldid = ANY (ARRAY(SELECT f.id FROM propertyfields f JOIN propertygroups g ON g.id = f.groupid
                                       WHERE g.name = 'content_flagging' AND f.name = 'status'))
           THEN lower((v.value #>> '{}') COLLATE "C") IN ('pending', 'assigned') ELSE false END
