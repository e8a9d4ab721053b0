-- Work table of one export unit; it vanishes with the transaction.  posts: of the thread, as the plan counted them;
-- place: of its root, 1 being the first post of the unit.
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_thread (thread bigint NOT NULL, root character varying(26) NOT NULL, posts bigint NOT NULL, place bigint NOT NULL)
ON COMMIT DROP
