-- OAuth access of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: oauthaccessdata(userid).
DELETE FROM oauthaccessdata WHERE userid = $1::text
