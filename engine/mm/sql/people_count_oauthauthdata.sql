-- OAuth authorisations in progress of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none, the table is small.
SELECT count(*) FROM oauthauthdata WHERE userid = $1::text
