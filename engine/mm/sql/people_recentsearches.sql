-- Searches of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: primary key (userid first).
DELETE FROM recentsearches WHERE userid = $1::bpchar
