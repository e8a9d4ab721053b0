-- Posts that are gone although a row names them: replies' roots, edit copies' posts, and what hangs on posts.  What
-- came late is among them; most of it others left behind.  One pass over each table and no work table: parallel workers
-- may do it.  With a LIMIT the planner would merge sorted indexes, which parallel workers do not. Blocks: a table that
-- the server has.
-- Parameters: none.  Locks: none.
SELECT c.id
FROM (
	SELECT rootid AS id FROM posts WHERE rootid > ''
	UNION ALL SELECT originalid FROM posts WHERE originalid > ''
--[reaction
	UNION ALL SELECT postid FROM reactions
--]
--[member
	UNION ALL SELECT postid FROM threadmemberships
--]
--[thread
	UNION ALL SELECT postid FROM threads
--]
--[priority
	UNION ALL SELECT postid FROM postspriority
--]
--[ack
	UNION ALL SELECT postid FROM postacknowledgements
--]
--[pnotify
	UNION ALL SELECT postid FROM persistentnotifications
--]
--[pref
	UNION ALL SELECT name FROM preferences WHERE category = 'flagged_post'
--]
--[reminder
	UNION ALL SELECT postid FROM postreminders
--]
--[draft
	UNION ALL SELECT rootid FROM drafts
--]
--[receipt
	UNION ALL SELECT postid FROM readreceipts
--]
--[temporary
	UNION ALL SELECT postid FROM temporaryposts
--]
--[translation
	UNION ALL SELECT objectid FROM translations WHERE objecttype = 'post' OR objecttype IS NULL
--]
--[property
	UNION ALL SELECT targetid FROM propertyvalues WHERE targettype = 'post'
--]
) c
WHERE c.id <> '' AND NOT EXISTS (SELECT FROM posts p WHERE p.id = c.id)
