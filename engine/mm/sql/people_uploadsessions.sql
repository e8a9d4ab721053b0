-- Uploads that one person began and never finished: rows removed; id and path of the part on disk, for the unlink
-- journal. The part of an import carries a suffix of its own.
-- Parameters: $1 user id.  Locks: the rows.  Index: uploadsessions(userid).
DELETE FROM uploadsessions WHERE userid = $1::text
RETURNING id, CASE WHEN coalesce(path, '') = '' THEN '' WHEN type::text = 'import' THEN path || '.tmp' ELSE path END, '', ''
