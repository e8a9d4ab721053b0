-- Work table of a second session: what a join with the unit's posts needs.
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_post (seq bigint NOT NULL, thread bigint NOT NULL, id character varying COLLATE "C" NOT NULL) ON COMMIT DROP
