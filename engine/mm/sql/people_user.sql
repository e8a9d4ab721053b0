-- The account row of a departed person.  Values are what the server itself would accept on its next save: '' and 0
-- where it reads plain values, NULL only in authdata (unique), its own defaults for notifications and time zone, a
-- negative picture time as its mark of a picture that it draws itself.
-- Parameters: $1 user id, $2 its address from now on, $3 deleteat as planned.  Locks: the row.  Index: primary key.
UPDATE users
   SET updateat = greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint, coalesce(updateat, 0) + 1),
       email = $2::text, emailverified = false, allowmarketing = false,
       password = '', authdata = NULL, authservice = '', mfaactive = false, mfasecret = '',
       props = '{}',
       notifyprops = '{"email": "true", "push": "mention", "desktop": "mention", "desktop_sound": "true", "mention_keys": "",
                       "channel": "true", "push_status": "online", "comments": "never", "first_name": "false",
                       "desktop_threads": "all", "email_threads": "all", "push_threads": "all"}',
       timezone = '{"useAutomaticTimezone": "true", "automaticTimezone": "", "manualTimezone": ""}',
       lastpictureupdate = -(extract(epoch FROM clock_timestamp()) * 1000)::bigint, failedattempts = 0, lastlogin = 0
 WHERE id = $1::text AND deleteat = $3::bigint AND deleteat > 0
