-- Posts that small tables protect: of temporaryposts, and with an open content flag; an array each.  A template:
-- mm_template.c.
-- Parameters: $1 status fields of content flagging.  Locks: none.  Reads both tables as a whole.
SELECT
--[temporary
	(SELECT array_agg(t.postid) FROM temporaryposts t)::text,
--]
--[no_temporary
	NULL,
--]
--[property
	(SELECT array_agg(v.targetid) FROM propertyvalues v WHERE v.targettype = 'post' AND v.fieldid = ANY ($1::text[])
	 AND v.deleteat = 0 AND lower((v.value #>> '{}') COLLATE "C") IN ('pending', 'assigned'))::text
--]
--[no_property
	NULL WHERE $1::text[] IS NULL OR true
--]
