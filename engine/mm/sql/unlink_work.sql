-- Files that the journal names; n: number of the entry.  Vanishes with the transaction.  Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_unlink (n bigint NOT NULL, id text NOT NULL, path text NOT NULL, thumbnail text NOT NULL, preview text NOT NULL) ON COMMIT DROP
