-- Account names or ids to ids: what was asked, and the id or NULL.  A text that is both gives both: more is protected.
-- lower() of C: that of a Turkish database makes another letter of I; and "default" again, or the index is not used.
-- Parameters: $1 names (text[]).  Locks: none beyond a read.  Index: users primary key, users(username).
SELECT w.name, u.id
  FROM unnest($1::text[]) WITH ORDINALITY AS w (name, n)
  LEFT JOIN LATERAL (SELECT x.id FROM users x WHERE x.id = w.name
                      UNION
                     SELECT y.id FROM users y WHERE y.username = lower(ltrim(w.name, '@') COLLATE "C") COLLATE "default") u ON true
 ORDER BY w.n, u.id COLLATE "C"
