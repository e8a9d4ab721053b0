-- Roots of these bundles that are gone although a row still names them: a reply, or an edit copy of the root.
-- Parameters: $1 do copies count (bool)?  Locks: none.  Indexes: posts (rootid, deleteat), (originalid).
SELECT g.id, g.bundle FROM pg_temp.mmr_gone g JOIN posts p ON p.rootid = g.id WHERE g.root
UNION
SELECT g.id, g.bundle FROM pg_temp.mmr_gone g JOIN posts p ON p.originalid = g.id WHERE g.root AND p.originalid > '' AND $1::boolean
