-- Product notices that one person has seen: how many.
-- Parameters: $1 user id.  Locks: none.  Index: primary key (userid first).
SELECT count(*) FROM productnoticeviewstate WHERE userid = $1::text
