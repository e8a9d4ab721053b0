-- Attachments of the unit's posts.
-- Parameters: none.  Locks: none.  Index: fileinfo (postid).
INSERT INTO pg_temp.mmr_file (seq, thread, id, tid)
SELECT p.seq, p.thread, f.id, f.ctid FROM pg_temp.mmr_post p JOIN fileinfo f ON f.postid = p.id
