-- OAuth access of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: oauthaccessdata(userid).
SELECT count(*) FROM oauthaccessdata WHERE userid = $1::text
