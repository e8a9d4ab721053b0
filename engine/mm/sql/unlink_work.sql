-- Files that the journals name; n: number of the entry, journal: of its journal.  Vanishes with the transaction.
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_unlink (n bigint NOT NULL, journal bigint NOT NULL, id text NOT NULL, path text NOT NULL, thumbnail text NOT NULL, preview text NOT NULL) ON COMMIT DROP
