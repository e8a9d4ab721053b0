-- Files that the journal names.  Vanishes with the transaction.
CREATE TEMPORARY TABLE mmr_unlink (id text NOT NULL, path text NOT NULL, thumbnail text NOT NULL, preview text NOT NULL) ON COMMIT DROP
