-- Posts of the bundles, each with the bundle's number; rows of those that are still there are taken out again.  Vanishes with the transaction.
CREATE TEMPORARY TABLE mmr_gone (id character varying(26) NOT NULL, root boolean NOT NULL, bundle integer NOT NULL) ON COMMIT DROP
