-- Are files so rare that looking up the post of each costs less than hashing all old posts: an eighth as many as posts, by
-- the server's own estimate?  And has each of them a time?
-- Parameters: none.  Locks: none.  Index: fileinfo (createat).
SELECT coalesce((SELECT f.reltuples >= 0 AND f.reltuples * 8 < p.reltuples FROM pg_class f, pg_class p WHERE f.oid = 'fileinfo'::regclass AND p.oid = 'posts'::regclass), false)
	AND NOT EXISTS (SELECT FROM fileinfo WHERE createat IS NULL)
