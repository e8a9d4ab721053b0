-- How far one person's profile has been sent to other servers: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user, the table is small.
SELECT count(*) FROM sharedchannelusers WHERE userid = $1::text
