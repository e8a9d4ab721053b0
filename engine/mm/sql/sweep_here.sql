-- Threads of the work table that are in the database, before sweep_work_trim takes them out.  Columns: thread, bundle.
-- Parameters: none.  Locks: none.  Index: posts primary key.
SELECT DISTINCT h.thread, h.bundle FROM pg_temp.mmr_gone h JOIN posts p ON p.id = h.id
