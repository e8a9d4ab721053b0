-- Whether the view of profile attributes still shows a depersonalised account.
-- Parameters: $1 domain with its @.  Locks: none.  Index: none on the view: a scan.
SELECT EXISTS (SELECT FROM attributeview v JOIN users u ON u.id = v.targetid
                WHERE u.deleteat > 0 AND regexp_replace(u.email, '-[0-9]{1,2}@', '@') = lower(u.id COLLATE "C") || $1::text AND u.authdata IS NULL)
