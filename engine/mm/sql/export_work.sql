-- Work tables of one export unit; they vanish with the transaction.  posts: of the thread, as the plan counted them.
-- Parameters: none.  Locks: none on server tables.
CREATE TEMPORARY TABLE mmr_thread (thread bigint NOT NULL, root character varying(26) NOT NULL, posts bigint NOT NULL) ON COMMIT DROP
