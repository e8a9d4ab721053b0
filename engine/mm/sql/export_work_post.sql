-- The posts of the unit in bundle order: seq numbers them, tid is where the snapshot saw them; is it a root, and was it written or changed
-- since the plan?
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_post (seq bigint NOT NULL, thread bigint NOT NULL, id character varying(26) NOT NULL, tid tid NOT NULL,
				 root boolean NOT NULL, changed boolean NOT NULL)
ON COMMIT DROP
