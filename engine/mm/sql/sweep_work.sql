-- Posts of the bundles, each with its thread's root and the bundle's number; threads of which one is still there are
-- taken out again.  Vanishes with the transaction.  Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_gone (id character varying(26) NOT NULL, thread character varying(26) NOT NULL, root boolean NOT NULL,
				 bundle integer NOT NULL) ON COMMIT DROP
