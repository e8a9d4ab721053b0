-- Attachments of one person's posts: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by creator: a scan.
SELECT count(*) FROM fileinfo WHERE creatorid = $1::text AND postid <> ''
