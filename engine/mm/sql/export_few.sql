-- Posts of the unit that a row of a small table names: one look at the unit for all of them, where a join a table would hash it ten times.
-- Blocks: a table that the server has.
-- Parameters: none.  Locks: none.
INSERT INTO pg_temp.mmr_few (seq, thread, id)
SELECT seq, thread, id FROM pg_temp.mmr_post
WHERE id IN (
	SELECT ''::character varying
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
)
