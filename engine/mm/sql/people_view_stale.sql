-- Whether the view of profile attributes still shows a depersonalised account.
-- Parameters: $1 domain with its @.  Locks: none.  Index: none on the view: a scan.
SELECT EXISTS (SELECT FROM attributeview v JOIN users u ON u.id = v.targetid
                WHERE u.deleteat > 0 AND u.email = u.id || $1::text AND u.authdata IS NULL)
