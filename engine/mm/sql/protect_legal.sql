-- The legal-hold plugin's records.  They hold a secret: never log or archive them.
-- Columns: key, JSON text in hex.  Parameters: none.  Locks: none.  Index: primary key (pluginid first).
SELECT pkey, encode(pvalue, 'hex') FROM pluginkeyvaluestore WHERE pluginid = 'com.mattermost.plugin-legal-hold' ORDER BY pkey
