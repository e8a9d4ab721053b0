-- Who has a draft in one of some threads, and in which.
-- Columns: user id, root.  Parameters: $1 roots (text[]).  Locks: none.  Index: none by thread, the table is small.
SELECT DISTINCT d.userid, d.rootid FROM drafts d WHERE d.rootid = ANY ($1::text[])
