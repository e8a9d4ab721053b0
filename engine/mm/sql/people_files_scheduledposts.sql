-- Files that one person uploaded for scheduled messages and that no post got: rows removed; id and paths, for the
-- unlink journal.
-- Parameters: $1 user id.  Locks: the rows.  Index: scheduledposts by userid, fileinfo primary key.
DELETE FROM fileinfo f
 WHERE f.creatorid = $1::text AND coalesce(f.postid, '') = ''
   AND f.id = ANY (ARRAY(SELECT m[1] FROM scheduledposts d, regexp_matches(d.fileids, '[A-Za-z0-9]{26}', 'g') m WHERE d.userid = $1::text))
   AND NOT EXISTS (SELECT FROM channelbookmarks b WHERE b.fileinfoid = f.id AND b.deleteat = 0)
RETURNING f.id, coalesce(f.path, ''), coalesce(f.thumbnailpath, ''), coalesce(f.previewpath, '')
