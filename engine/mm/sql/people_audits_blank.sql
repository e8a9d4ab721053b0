-- Network address and details in the server's audit rows of one person: emptied ('' and not NULL, which the server
-- cannot read).
-- Parameters: $1 user id.  Locks: the rows.  Index: audits(userid).
UPDATE audits SET ipaddress = '', extrainfo = ''
 WHERE userid = $1::text AND (ipaddress IS DISTINCT FROM '' OR extrainfo IS DISTINCT FROM '')
