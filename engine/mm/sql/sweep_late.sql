-- Posts that are gone and that a row of another table still names: one look for all of them, where a join a table would
-- hash the posts thirteen times. Blocks: a table that the server has.
-- Parameters: none.  Locks: none.
INSERT INTO pg_temp.mmr_late (id, root, bundle)
SELECT DISTINCT g.id, g.root, g.bundle
FROM (
	SELECT ''::character varying AS id
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
	UNION ALL SELECT objectid FROM translations
--]
--[property
	UNION ALL SELECT targetid FROM propertyvalues WHERE targettype = 'post'
--]
) c
JOIN pg_temp.mmr_gone g ON g.id = c.id
