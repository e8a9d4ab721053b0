-- Posts of the unit that rows of small tables may name.
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_few (seq bigint NOT NULL, thread bigint NOT NULL, id character varying(26) NOT NULL) ON COMMIT DROP
