-- Rows of other tables that name a post of the unit: one join for all of them, where a join a table would hash the unit
-- five times. Of the large tables where they lie, and what orders those of one post; of the small ones (kind s) only
-- the post. Two sessions may share the work, each of them with the list of posts. Blocks: a table that the server has;
-- many: tables with many rows a post; rest: the others.
-- Parameters: none.  Locks: none.
CREATE TEMPORARY TABLE mmr_dep ON COMMIT DROP AS
SELECT d.kind, p.seq, p.thread, d.tid, d.first, d.second
FROM (
	SELECT NULL::"char" AS kind, NULL::character varying AS post, NULL::tid AS tid, NULL::character varying AS first, NULL::character varying AS second WHERE false
--[many
	UNION ALL SELECT 'r', postid, ctid, userid, emojiname FROM reactions
	UNION ALL SELECT 'm', postid, ctid, userid, NULL FROM threadmemberships
--]
--[rest
	UNION ALL SELECT 't', postid, ctid, NULL, NULL FROM threads
	UNION ALL SELECT 'f', postid, ctid, id, NULL FROM fileinfo
--[priority
	UNION ALL SELECT 's', postid, NULL, postid, NULL FROM postspriority
--]
--[ack
	UNION ALL SELECT 's', postid, NULL, postid, NULL FROM postacknowledgements
--]
--[pnotify
	UNION ALL SELECT 's', postid, NULL, postid, NULL FROM persistentnotifications
--]
--[pref
	UNION ALL SELECT 's', name, NULL, name, NULL FROM preferences WHERE category = 'flagged_post'
--]
--[reminder
	UNION ALL SELECT 's', postid, NULL, postid, NULL FROM postreminders
--]
--[draft
	UNION ALL SELECT 's', rootid, NULL, rootid, NULL FROM drafts
--]
--[receipt
	UNION ALL SELECT 's', postid, NULL, postid, NULL FROM readreceipts
--]
--[temporary
	UNION ALL SELECT 's', postid, NULL, postid, NULL FROM temporaryposts
--]
--[translation
	UNION ALL SELECT 's', objectid, NULL, objectid, NULL FROM translations
--]
--[property
	UNION ALL SELECT 's', targetid, NULL, targetid, NULL FROM propertyvalues WHERE targettype = 'post'
--]
--]
) d
JOIN pg_temp.mmr_post p ON p.id = d.post
