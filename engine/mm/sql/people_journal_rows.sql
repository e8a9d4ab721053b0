-- Which of the ids in the journal still have a row: their files stay.
-- Parameters: $1 ids (text[]).  Locks: none.  Index: primary keys.
SELECT id FROM fileinfo WHERE id = ANY ($1::text[])
 UNION
SELECT id FROM uploadsessions WHERE id = ANY ($1::text[])
