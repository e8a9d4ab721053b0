-- System roles of a departed person: only those of an ordinary user or guest stay.
-- Parameters: $1 user id.  Locks: the row.  Index: primary key.
UPDATE users
   SET roles = CASE WHEN 'system_guest' = ANY (string_to_array(roles, ' ')) THEN 'system_guest' ELSE 'system_user' END
 WHERE id = $1::text
