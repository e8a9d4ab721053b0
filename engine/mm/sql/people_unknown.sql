-- Columns whose names look like a person's id or address and that are not known, and unknown columns of users:
-- table.column.
-- Parameters: $1 known columns as table.column (text[]).  Locks: none (catalogue only).  Views are left out: they show
-- what tables hold.
SELECT c.relname || '.' || a.attname
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'f')
   AND (c.relname = 'users'
        OR lower(a.attname) ~ '(user|creator|owner|author|member|reporter|commander|reviewer|requester|sender|assignee|actor|person)s?_?ids?$'
        OR lower(a.attname) ~ '^(participants|usernames?|e?mails?|emailaddress|created_?by|updated_?by|deleted?_?by)$')
   AND lower(c.relname || '.' || a.attname) <> ALL ($1::text[])
 ORDER BY c.relname COLLATE "C", a.attnum
