-- Paths of the journals that a remaining row uses, as path, preview or thumbnail, or an entry whose file is wanted
-- again.  No index on paths: one scan for all of them.  Parameters: $1 bigint[]: numbers of the entries whose files are
-- wanted.  Locks: none.  Columns: number of the entry; 0 its path, 1 its thumbnail, 2 its preview.
WITH used AS MATERIALIZED (
	SELECT DISTINCT v.path
	FROM fileinfo f CROSS JOIN LATERAL (VALUES (f.path), (f.thumbnailpath), (f.previewpath)) AS v (path)
	WHERE v.path <> '' AND v.path IN (
		SELECT path FROM pg_temp.mmr_unlink UNION SELECT thumbnail FROM pg_temp.mmr_unlink UNION SELECT preview FROM pg_temp.mmr_unlink)
	UNION SELECT v.path FROM pg_temp.mmr_unlink w CROSS JOIN LATERAL (VALUES (w.path), (w.thumbnail), (w.preview)) AS v (path)
	WHERE w.n = ANY ($1::bigint[]) AND v.path <> '')
SELECT n, 0 FROM pg_temp.mmr_unlink JOIN used USING (path)
UNION ALL SELECT n, 1 FROM pg_temp.mmr_unlink u JOIN used ON used.path = u.thumbnail
UNION ALL SELECT n, 2 FROM pg_temp.mmr_unlink u JOIN used ON used.path = u.preview
