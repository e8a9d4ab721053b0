-- OAuth authorisations in progress of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: none, the table is small.
DELETE FROM oauthauthdata WHERE userid = $1::text
