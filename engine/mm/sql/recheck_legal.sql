-- A digest of the legal-hold plugin's records; another digest means that a hold has changed.  The records hold a
-- secret: only their digest leaves the server.  Parameters: none.  Locks: none.  Index: primary key (pluginid first).
SELECT coalesce(encode(sha256(string_agg(pkey::bytea || coalesce(pvalue, ''), ''::bytea ORDER BY pkey)), 'hex'), '')
FROM pluginkeyvaluestore WHERE pluginid = 'com.mattermost.plugin-legal-hold'
