-- Product notices that one person has seen: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: primary key (userid first).
DELETE FROM productnoticeviewstate WHERE userid = $1::text
