-- Does any edit copy of a reply name no root?  Then export_posts_named.sql does not find it.
-- Parameters: none.  Locks: none.  Indexes: posts (originalid), primary key.
SELECT EXISTS (SELECT FROM posts c JOIN posts r ON r.id = c.originalid WHERE c.originalid > '' AND coalesce(c.rootid, '') = '' AND r.rootid > '')
