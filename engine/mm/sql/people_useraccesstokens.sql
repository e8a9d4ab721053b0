-- Personal access tokens of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: useraccesstokens(userid).
DELETE FROM useraccesstokens WHERE userid = $1::text
