-- Sessions of one person, those of personal access tokens included: how many.
-- Parameters: $1 user id.  Locks: none.  Index: sessions(userid), sessions(token), useraccesstokens(userid).
SELECT count(*) FROM sessions WHERE userid = $1::text OR token IN (SELECT t.token FROM useraccesstokens t WHERE t.userid = $1::text)
