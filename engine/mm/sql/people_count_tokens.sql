-- One-time tokens that name one person, by id or address, in the case of any locale: how many.
-- Parameters: $1 user id, $2 address.  Locks: none.  Index: none, the table is small.
SELECT count(*) FROM tokens WHERE position($1::text IN extra) > 0
    OR ($2::text <> '' AND (lower($2) = ANY (regexp_split_to_array(lower(extra), '[][{}"'',;:<>[:space:]]+'))
                        OR lower($2 COLLATE "C") = ANY (regexp_split_to_array(lower(extra COLLATE "C"), '[][{}"'',;:<>[:space:]]+'))))
