-- Paths of the journal that a remaining row uses, as path, preview or thumbnail.  No index on paths: one scan per journal.
-- Parameters: none.  Locks: none.  Columns: number of the entry; 0 its path, 1 its thumbnail, 2 its preview.
WITH used AS MATERIALIZED (
	SELECT DISTINCT v.path
	FROM fileinfo f CROSS JOIN LATERAL (VALUES (f.path), (f.thumbnailpath), (f.previewpath)) AS v (path)
	WHERE v.path <> '' AND v.path IN (
		SELECT path FROM pg_temp.mmr_unlink UNION SELECT thumbnail FROM pg_temp.mmr_unlink UNION SELECT preview FROM pg_temp.mmr_unlink))
SELECT n, 0 FROM pg_temp.mmr_unlink JOIN used USING (path)
UNION ALL SELECT n, 1 FROM pg_temp.mmr_unlink u JOIN used ON used.path = u.thumbnail
UNION ALL SELECT n, 2 FROM pg_temp.mmr_unlink u JOIN used ON used.path = u.preview
