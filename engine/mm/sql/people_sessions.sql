-- Sessions of one person, those of personal access tokens included: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: sessions(userid), sessions(token), useraccesstokens(userid).
DELETE FROM sessions WHERE userid = $1::text OR token IN (SELECT t.token FROM useraccesstokens t WHERE t.userid = $1::text)
