-- Drafts of one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: primary key (userid first).
DELETE FROM drafts WHERE userid = $1::text
