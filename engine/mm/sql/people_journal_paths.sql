-- Which of the paths in the journal any file row uses: those files stay.
-- Parameters: $1 paths (text[]).  Locks: none.  Index: none on paths, so one scan of fileinfo for the whole journal.
SELECT p FROM (SELECT unnest(ARRAY[f.path, f.thumbnailpath, f.previewpath]) FROM fileinfo f
                WHERE f.path = ANY ($1::text[]) OR f.thumbnailpath = ANY ($1::text[]) OR f.previewpath = ANY ($1::text[])) x (p)
 WHERE p = ANY ($1::text[])
