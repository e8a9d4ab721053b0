-- Roots of these bundles that are gone although a row still names them.  Index: posts (rootid, deleteat).
SELECT DISTINCT g.id, g.bundle FROM pg_temp.mmr_gone g JOIN posts p ON p.rootid = g.id WHERE g.root
