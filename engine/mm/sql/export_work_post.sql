-- The posts of the unit in bundle order: seq numbers them, tid is where the snapshot saw them.
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_post (seq bigint NOT NULL, thread bigint NOT NULL, id character varying(26) NOT NULL, tid tid NOT NULL)
ON COMMIT DROP
