-- Personal access tokens of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: useraccesstokens(userid).
SELECT count(*) FROM useraccesstokens WHERE userid = $1::text
