-- One-time tokens (invitations, password recovery, address checks) that name one person, by id or address, in the case
-- of any locale: removed. The address must stand alone: a longer one that contains it is somebody else's.
-- Parameters: $1 user id, $2 address.  Locks: the rows.  Index: none, the table is small.
DELETE FROM tokens WHERE position($1::text IN extra) > 0
    OR ($2::text <> '' AND (lower($2) = ANY (regexp_split_to_array(lower(extra), '[][{}"'',;:<>[:space:]]+'))
                        OR lower($2 COLLATE "C") = ANY (regexp_split_to_array(lower(extra COLLATE "C"), '[][{}"'',;:<>[:space:]]+'))))
