-- Attachments of the unit, each at the place of the first post that takes it, and where the snapshot saw it.
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_file (seq bigint NOT NULL, thread bigint NOT NULL, id character varying(26) NOT NULL, tid tid NOT NULL)
ON COMMIT DROP
