-- Terms of service that one person accepted: how many.
-- Parameters: $1 user id.  Locks: none.  Index: primary key.
SELECT count(*) FROM usertermsofservice WHERE userid = $1::text
