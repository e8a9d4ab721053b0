-- Fields that hold the state of a content flag.  Parameters: none.  Locks: none.
SELECT f.id FROM propertyfields f JOIN propertygroups g ON g.id = f.groupid WHERE g.name = 'content_flagging' AND f.name = 'status'
