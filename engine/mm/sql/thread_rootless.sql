-- Threads with a row that other rows hang on though it is no root: replies to a reply, copies of a copy.  Deleting the
-- thread would leave them hanging, so it is damaged.  Columns: thread, bits.
-- Parameters: $1 ids that rows name as their root or original and that are no root.  Locks: none.
-- Indexes: posts primary key, (rootid, deleteat), (originalid).
SELECT CASE WHEN o.rootid <> '' THEN o.rootid
	ELSE coalesce((SELECT nullif(x.rootid, '') FROM posts x WHERE x.id = o.originalid), o.originalid) END, 4096
FROM unnest($1::text[]) k (id) CROSS JOIN LATERAL (SELECT q.* FROM posts q WHERE q.id = k.id OFFSET 0) o
WHERE (o.rootid <> '' OR o.originalid <> '')
  AND (EXISTS (SELECT FROM posts q WHERE q.rootid = o.id OFFSET 0)
       OR coalesce(o.rootid, '') = '' AND EXISTS (SELECT FROM posts q WHERE q.originalid = o.id OFFSET 0))
