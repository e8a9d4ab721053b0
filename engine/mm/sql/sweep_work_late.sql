-- Posts of mmr_gone that late rows may name.  Vanishes with the transaction.  Parameters: none.  Locks: none on server
-- tables.
CREATE TEMPORARY TABLE mmr_late (id character varying(26) NOT NULL, root boolean NOT NULL, bundle integer NOT NULL) ON COMMIT DROP
