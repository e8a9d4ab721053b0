-- Paths of the journal that a remaining row uses, as path, preview or thumbnail.  No index on paths: one scan per journal.
SELECT DISTINCT v.path
FROM fileinfo f CROSS JOIN LATERAL (VALUES (f.path), (f.thumbnailpath), (f.previewpath)) AS v (path)
WHERE v.path <> '' AND v.path IN (
	SELECT path FROM pg_temp.mmr_unlink UNION SELECT thumbnail FROM pg_temp.mmr_unlink UNION SELECT preview FROM pg_temp.mmr_unlink)
