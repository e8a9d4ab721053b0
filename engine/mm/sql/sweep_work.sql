-- Posts of one bundle; rows of those that are still there are taken out again.  Vanishes with the transaction.
CREATE TEMPORARY TABLE mmr_gone (id character varying(26) NOT NULL, root boolean NOT NULL) ON COMMIT DROP
