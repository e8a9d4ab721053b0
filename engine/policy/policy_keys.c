/*
 * The key table: every key of a policy file, once.  Binder, suggestions, JSON Schema and reference page expand from it.
 *
 * To add a key: a field in policy.h, an entry here, its meaning in policy_check*.c when it depends on others.
 * To enable a key that is not built yet: drop `.not_built`, give it a kind.
 */
#include "policy_internal.h"

#define AT(type, field) .at = offsetof(struct type, field), .width = sizeof(((struct type *)0)->field)
#define HAS(type, field) .has = offsetof(struct type, field)
#define WORD(w, type, field) .word = (w), .word_at = offsetof(struct type, field)
#define KEYS(table) .key = (table), .n_keys = ARRAY_LEN(table)

static const struct key_word type_words[] = {
	{"public", SCOPE_PUBLIC}, {"private", SCOPE_PRIVATE}, {"direct", SCOPE_DIRECT}, {"group", SCOPE_GROUP},
	{NULL, 0},
};
static const struct key_word from_words[] = {
	{"last_reply", FROM_LAST_REPLY}, {"root", FROM_ROOT}, {"last_edit", FROM_LAST_EDIT}, {NULL, 0},
};
static const struct key_word files_words[] = {
	{"archive", FILES_ARCHIVE}, {"drop", FILES_DROP}, {"keep", FILES_KEEP}, {NULL, 0},
};
static const struct key_word per_words[] = {{"channel", PER_CHANNEL}, {"team", PER_TEAM}, {NULL, 0}};
static const struct key_word spare_words[] = {{"thread", 1}, {"yes", 1},   {"true", 1},
					      {"no", 0},     {"false", 0}, {NULL, 0}};
static const struct key_word preset_words[] = {
	{"gentle", PRESET_GENTLE}, {"normal", PRESET_NORMAL}, {"fast", PRESET_FAST}, {NULL, 0},
};

static const struct policy_key match_keys[] = {
	{.name = "team", .kind = KIND_SELECTORS, AT(policy_match, team), .filled = true, .also = "teams",
	 .example = "accelerator",
	 .about = "Teams, by name (the one in the address), id, or glob. Direct and group messages have no team."},
	{.name = "channel", .kind = KIND_SELECTORS, AT(policy_match, channel), .filled = true, .also = "channels",
	 .example = "[\"alarm-*\", town-square]",
	 .about = "Channels, by name, id, or glob. Together with `team`: channels of those teams. Nobody named direct "
		  "and group messages: a glob takes one only where it is `*`, has `__` or a whole id in it, or `type` "
		  "names them."},
	{.name = "type", .kind = KIND_CHOICES, AT(policy_match, types), .words = type_words, .filled = true,
	 .also = "types kind channel_type", .example = "[direct, group]", .about = "Types of channel."},
	{.name = "archived", .kind = KIND_YESNO, AT(policy_match, archived), .example = "yes",
	 .about = "`yes`: only channels that are archived in Mattermost, or whose team is; `no`: only the others."},
};
static const struct policy_section match_section = {
	.name = "`match`", .title = "match", KEYS(match_keys),
	.about = "Which channels the rule is about; all that is written must hold. `match: {}` is the whole server. "
		 "Names are case-sensitive; in a glob `*` is any text, `?` one character, `[a-f]` one of a range. "
		 "Channels of types that this version does not know, such as those of boards, are taken only by a rule "
		 "whose `channel` has their very name or id; elsewhere they keep everything."};

static const struct policy_key keep_keys[] = {
	{.name = "for", .kind = KIND_DURATION, AT(policy_rule, age), HAS(policy_rule, has_age), .required = true,
	 .also = "age days duration time period older_than", .missing = "Write `keep: {for: 90d}`, or `keep: forever`.",
	 .example = "90d",
	 .about = "How long a thread stays. It is due when it is older at the time of the run."},
	{.name = "from", .kind = KIND_CHOICE, AT(policy_rule, from), .words = from_words, .fallback = "last_reply",
	 .also = "since start", .example = "root",
	 .about = "Where a thread's age begins: its last reply, its root post, or the last edit of any of its posts."},
};
static const struct policy_section keep_section = {
	.name = "`keep`", .title = "keep", KEYS(keep_keys),
	.about = "`keep: forever`, or how long. There is no default age."};

static const struct policy_key limit_keys[] = {
	{.name = "per", .kind = KIND_CHOICE, AT(policy_rule, per), .words = per_words, .required = true,
	 .also = "scope",
	 .missing = "Write `per: channel`, or `per: team` for all channels of a team that the rule won, together.",
	 .example = "channel",
	 .about = "What is measured: each channel by itself, or the channels of one team that the rule won, together."},
	{.name = "posts", .kind = KIND_NUMBER, AT(policy_rule, limit_posts), .min = 1, .max = INT64_MAX,
	 .also = "messages count rows number max_posts", .example = "50000",
	 .about = "At most this many posts: live and soft-deleted ones and edit copies. What goes by `deleted_posts` "
		  "in the same run counts as gone."},
	{.name = "bytes", .kind = KIND_SIZE, AT(policy_rule, limit_bytes), .min = 1, .max = INT64_MAX,
	 .also = "size space max_bytes", .example = "500MiB",
	 .about = "At most this much: message text, properties and file sizes."},
};
static const struct policy_section limit_section = {
	.name = "`limit`", .title = "limit", KEYS(limit_keys),
	.about = "How much may stay. The oldest threads (by the rule's `from`) are due until the rest fits; what a "
		 "hold, `spare` or `floor` protects never goes, and a limit that cannot be reached is reported. What "
		 "is protected counts all the same: where that alone, or one long thread, is over the limit, "
		 "everything else goes, also what was written today, unless there is a `floor`."};

static const struct policy_key spare_keys[] = {
	{.name = "pinned", .kind = KIND_CHOICE, AT(policy_rule, spare_pinned), .words = spare_words, .fallback = "no",
	 .also = "pins", .example = "thread", .about = "`thread`: a thread with a pinned post stays, whole."},
	{.name = "flagged", .kind = KIND_CHOICE, AT(policy_rule, spare_flagged), .words = spare_words, .fallback = "no",
	 .also = "saved starred bookmarked", .example = "yes",
	 .about = "A thread with a post that somebody saved (flagged) stays."},
	{.name = "authors", .kind = KIND_USERS, AT(policy_rule, spare_authors), .also = "users from by",
	 .example = "[safety-bot]",
	 .about = "Account names; a thread with a post of one of them stays."},
	{.name = "hashtags", .kind = KIND_TAGS, AT(policy_rule, spare_hashtags), .also = "tags",
	 .example = "[\"#keep\"]",
	 .about = "Tags with their `#`, in quotes (YAML takes a bare `#` for a comment); a thread with such a post "
		  "stays, whatever the case of its letters."},
};
static const struct policy_section spare_section = {
	.name = "`spare`", .title = "spare", KEYS(spare_keys), .about = "What protects a thread inside the rule."};

static const struct policy_key rule_archive_keys[] = {
	{.name = "keep_for", .kind = KIND_DURATION, AT(policy_rule, keep_for), HAS(policy_rule, has_keep_for),
	 .required = true,
	 .also = "for keep expire expire_after retention",
	 .missing = "Write `archive: {keep_for: 10y}`; without `archive` bundles are kept without end.",
	 .example = "10y",
	 .about = "How long a bundle is kept, counted from its newest post (of what goes by `deleted_posts`, from "
		  "then) to the end of that month. Then it is removed; holds lengthen it."},
};
static const struct policy_section rule_archive_section = {
	.name = "the `archive` of a rule", .title = "archive (of a rule)", KEYS(rule_archive_keys),
	.about = "How long the bundles are kept; without this key they are kept without end. With `keep_for` a bundle "
		 "holds one month of expiry, so many months with few threads each make many small bundles. `archive: "
		 "none` deletes without an archive and needs `because`."};

static const struct policy_key guard_keys[] = {
	{.name = "threads", .kind = KIND_NUMBER, AT(policy_rule, guard_threads), .min = 1, .max = INT64_MAX,
	 .also = "posts max_threads count",
	 .example = "100000", .about = "More due threads than this stop the run."},
	{.name = "percent", .kind = KIND_NUMBER, AT(policy_rule, guard_percent), .min = 1, .max = 100,
	 .also = "percentage max_percent share",
	 .example = "40", .about = "More than this share of the posts in the rule's channels stops the run."},
};
static const struct policy_section guard_section = {
	.name = "`guard`", .title = "guard", KEYS(guard_keys),
	.about = "The most that one run may take by this rule; more stops the run before anything is touched (exit "
		 "16). There is no guard unless one is written."};

static const struct policy_key rule_keys[] = {
	{.name = "name", .kind = KIND_NAME, AT(policy_rule, name), .required = true, .max = POLICY_NAME_MAX,
	 .also = "id title rule",
	 .missing = "Give each rule a name of its own, such as `name: alarms`.", .example = "alarms",
	 .about = "The name in plans, reports and the ledger. Letters, digits, `.`, `_`, `-`; unique."},
	{.name = "description", .kind = KIND_NOTE, AT(policy_rule, description), .max = POLICY_NOTE_MAX,
	 .also = "comment note text",
	 .example = "Machine alarms lose their value within a quarter",
	 .about = "Why the rule exists, for people; `explain` prints it."},
	{.name = "match", .kind = KIND_SECTION, .section = &match_section, AT(policy_rule, match), .required = true,
	 .also = "scope select selector where channels teams for",
	 .missing = "Name teams or channels, such as `match: {team: accelerator}`; `match: {}` is the whole server.",
	 .about = "Which channels the rule is about."},
	{.name = "priority", .kind = KIND_NUMBER, AT(policy_rule, priority), .min = -1000000, .max = 1000000,
	 .fallback = "0",
	 .also = "order weight rank", .example = "10",
	 .about = "Decides between rules on one rung of the ladder; the higher wins."},
	{.name = "keep", .kind = KIND_SECTION, .section = &keep_section, WORD("forever", policy_rule, keep_forever),
	 .required = true,
	 .also = "retain retention delete_after older_than max_age age ttl",
	 .missing = "Write `keep: forever`, or how long, such as `keep: {for: 90d}`.",
	 .about = "How long threads stay; with `limit`, `forever` means that only the limit takes threads."},
	{.name = "limit", .kind = KIND_SECTION, .section = &limit_section, HAS(policy_rule, has_limit),
	 .also = "max quota cap budget",
	 .missing = "Write how much may stay, such as `limit: {per: channel, posts: 50000, bytes: 500MiB}`.",
	 .about = "How much may stay."},
	{.name = "spare", .kind = KIND_SECTION, .section = &spare_section, .also = "except exclude protect exceptions",
	 .missing = "Write what stays, such as `spare: {pinned: thread, flagged: yes}`.",
	 .about = "What protects a thread inside the rule."},
	{.name = "floor", .kind = KIND_DURATION, AT(policy_rule, floor), HAS(policy_rule, has_floor),
	 .also = "minimum min min_age at_least",
	 .example = "30d", .about = "Nothing younger goes, whatever a limit says."},
	{.name = "files", .kind = KIND_CHOICE, AT(policy_rule, files), .words = files_words, .fallback = "archive",
	 .also = "attachments",
	 .example = "drop",
	 .about = "Attachments of threads that go: `archive` puts them into the bundle and deletes them, `drop` "
		  "deletes them without a copy, `keep` leaves them on disk."},
	{.name = "archive", .kind = KIND_SECTION, .section = &rule_archive_section,
	 WORD("none", policy_rule, archive_none),
	 .missing = "Write `archive: {keep_for: 10y}` or `archive: none`.",
	 .about = "How long the bundles are kept, or `none`."},
	{.name = "because", .kind = KIND_NOTE, AT(policy_rule, because), .max = POLICY_NOTE_MAX, .also = "reason why",
	 .example = "\"works council agreement 12/2025\"", .about = "The reason; required with `archive: none`."},
	{.name = "guard", .kind = KIND_SECTION, .section = &guard_section, .also = "safety stop",
	 .missing = "Write `guard: {threads: 100000, percent: 40}`.",
	 .about = "The most that one run may take by this rule."},
};

static void rule_init(void *rule)
{
	((struct policy_rule *)rule)->match.archived = FLAG_UNSET;
}

static const struct policy_section rule_section = {
	.name = "a rule", .title = "rules", KEYS(rule_keys), .size = sizeof(struct policy_rule), .init = rule_init,
	.about = "One rule wins for a channel: **channel > team > type > `{}`**, by the most specific key in its "
		 "`match` (`archived` counts as type). On one rung the higher `priority` wins; a tie is an error, and "
		 "no run deletes anything until it is settled. A channel that no rule matches keeps everything."};

static const struct policy_key hold_match_keys[] = {
	{.name = "users", .kind = KIND_USERS, AT(policy_hold, users), .also = "user authors people",
	 .example = "[j.doe]",
	 .about = "Account names or ids, with or without `@`; covers the threads they wrote in."},
	{.name = "channels", .kind = KIND_SELECTORS, AT(policy_hold, channels), .also = "channel",
	 .example = "[\"case-*\"]",
	 .about = "Channels, by name, id, or glob, of any team and type."},
	{.name = "teams", .kind = KIND_SELECTORS, AT(policy_hold, teams), .also = "team", .example = "[legal]",
	 .about = "Teams, by name, id, or glob."},
};
static const struct policy_section hold_match_section = {
	.name = "the `match` of a hold", .title = "match (of a hold)", KEYS(hold_match_keys),
	.about = "What is held; any of them is enough. Everything is `{teams: [\"*\"], channels: [\"*\"]}`."};

static const struct policy_key hold_keys[] = {
	{.name = "name", .kind = KIND_NAME, AT(policy_hold, name), .required = true, .max = POLICY_NAME_MAX,
	 .also = "id case",
	 .missing = "Give each hold a name of its own, such as `name: case-2026-17`.", .example = "case-2026-17",
	 .about = "The name in reports. Letters, digits, `.`, `_`, `-`; unique."},
	{.name = "match", .kind = KIND_SECTION, .section = &hold_match_section, .required = true,
	 .also = "users channels teams scope",
	 .missing = "Write what is held, such as `match: {users: [j.doe]}`.", .about = "What is held."},
	{.name = "since", .kind = KIND_TIME, AT(policy_hold, since_ms), HAS(policy_hold, has_since),
	 .also = "from start begin",
	 .example = "2025-01-01",
	 .about = "From this day (its beginning, UTC) or instant on; without it the hold covers all time."},
	{.name = "until", .kind = KIND_TIME, AT(policy_hold, until_ms), HAS(policy_hold, has_until), .word = "open",
	 .also = "to end till", .fallback = "open", .example = "2026-12-31",
	 .about = "Up to this day (its end, UTC) or instant; `open`, or no `until`: without end."},
	{.name = "because", .kind = KIND_NOTE, AT(policy_hold, because), .max = POLICY_NOTE_MAX,
	 .also = "reason why description",
	 .example = "\"file reference 17/26\"",
	 .about = "The reason; `explain` and `report` print it. The ledger has the name of a hold alone."},
};
static const struct policy_section hold_section = {
	.name = "a hold", .title = "holds", KEYS(hold_keys), .size = sizeof(struct policy_hold),
	.about = "Legal holds. A hold protects from deletion, from depersonalising and from expiry of bundles, and "
		 "beats every rule. An account keeps its data while a hold names it, and while it has a part in a "
		 "channel that is held: `departed-users.md`. A name in it that no account, channel or team has "
		 "protects nothing: `plan` and `run` warn, `report` says so, `status` warns, and `run --strict` ends "
		 "before it deletes anything. A deactivated account still counts."};

static const struct policy_key database_keys[] = {
	{.name = "mattermost_config", .kind = KIND_PATH_OR_URL, AT(policy_database, mattermost_config),
	 .max = POLICY_PATH_MAX, .also = "config config_json",
	 .example = "/opt/mattermost/config/config.json",
	 .about = "Mattermost's own configuration file; its SqlSettings and FileSettings are used. Of a server that "
		  "keeps its configuration in the database (`MM_CONFIG=postgres://...`) that URL without its password, "
		  "which is refused here and goes into `~/.pgpass`: its role reads the active row of the table "
		  "`configurations`, and where that has no `DataSource` the URL stands for it. A relative "
		  "`FileSettings.Directory` has no folder there: `MM_FILESETTINGS_DIRECTORY` names it."},
	{.name = "service", .kind = KIND_TEXT, AT(policy_database, service), .max = POLICY_SELECTOR_MAX,
	 .example = "mattermost",
	 .about = "A service of libpq's `pg_service.conf`."},
	{.name = "url", .kind = KIND_TEXT, AT(policy_database, url), .max = POLICY_PATH_MAX,
	 .also = "dsn uri connection",
	 .example = "postgres://mmretain@db.example.org/mattermost?sslmode=verify-full",
	 .about = "A libpq connection URL. Put the password into `~/.pgpass`, not here; a host other than this one "
		  "needs `sslmode=verify-full`."},
	{.name = "files", .kind = KIND_PATH, AT(policy_database, files), .max = POLICY_PATH_MAX,
	 .also = "data directory attachments file_directory",
	 .example = "/opt/mattermost/data",
	 .about = "The folder of the attachments on this host, whatever FileSettings say. Without it: with "
		  "`mattermost_config` what the server's configuration and its variables `MM_FILESETTINGS_DIRECTORY` "
		  "and `MM_FILESETTINGS_DRIVERNAME` say, with `service` and `url` these variables alone; where nothing "
		  "does, threads with attachments stay."},
};
static const struct policy_section database_section = {
	.name = "`database`", .title = "database", KEYS(database_keys),
	.about = "How to reach the database: exactly one of `mattermost_config`, `service` and `url`. And where the "
		 "attachments are."};

static const struct policy_key mirror_keys[] = {
	{.name = "bucket", .kind = KIND_TEXT, AT(policy_mirror, bucket), .required = true, .max = POLICY_ADDRESS_MAX,
	 .also = "store url target",
	 .missing = "Write `bucket: s3://bucket/prefix`.", .example = "s3://chat-archive/mattermost",
	 .about = "Bucket and prefix of the copies. A prefix belongs to one archive."},
	{.name = "endpoint", .kind = KIND_TEXT, AT(policy_mirror, endpoint), .required = true,
	 .max = POLICY_ADDRESS_MAX, .also = "server address",
	 .missing = "Write the address of the store, such as `endpoint: https://s3.example.org`.",
	 .example = "https://s3.example.org",
	 .about = "Address of the store, `https://`, asked for `/bucket/...` (path style). `http://` only on this "
		  "machine."},
	{.name = "region", .kind = KIND_NAME, AT(policy_mirror, region), .max = POLICY_NAME_MAX,
	 .fallback = "us-east-1", .also = "zone location",
	 .example = "eu-central-1",
	 .about = "The region that requests are signed for; stores of one's own often take any."},
	{.name = "credentials", .kind = KIND_PATH, AT(policy_mirror, credentials), .required = true,
	 .max = POLICY_PATH_MAX, .also = "keys key secret credentials_file",
	 .missing = "Write the file with the keys, such as `credentials: /etc/mmretain/s3.credentials`.",
	 .example = "/etc/mmretain/s3.credentials",
	 .about = "A file with a section `[default]`, `aws_access_key_id = ...` and `aws_secret_access_key = ...`, of "
		  "root or of the user that runs, not readable by others (mode 0600, or 0640)."},
	{.name = "ca", .kind = KIND_PATH, AT(policy_mirror, ca), .max = POLICY_PATH_MAX,
	 .also = "ca_file cacert certificate",
	 .example = "/etc/mmretain/s3-ca.pem",
	 .about = "Certificates of the authority that signed the store's; without it those of the system."},
	{.name = "timeout", .kind = KIND_MILLIS, AT(policy_mirror, timeout_ms), .min = 1000, .max = 600000,
	 .also = "patience", .fallback = "30s", .example = "60s",
	 .about = "A connection that is not made, or moves less than 1 KiB a second, for so long has failed: 1s to "
		  "600s."},
};
static const struct policy_section mirror_section = {
	.name = "`mirror`", .title = "mirror (of the archive)", KEYS(mirror_keys),
	.about = "A copy of the archive in an S3-compatible store. Nothing is deleted from the database before its "
		 "bundle is confirmed there. `operating.md` says how to set it up, `deleting.md` what it promises."};

static const struct policy_key archive_keys[] = {
	{.name = "store", .kind = KIND_PATH, AT(policy_archive, store), .required = true, .max = POLICY_PATH_MAX,
	 .also = "path folder directory dir root",
	 .missing = "Write where bundles go, such as `store: /var/lib/mmretain/archive`.",
	 .example = "/var/lib/mmretain/archive",
	 .about = "The folder of the archive, absolute."},
	{.name = "bundle_size", .kind = KIND_SIZE, AT(policy_archive, bundle_size_bytes), .min = 1 << 16,
	 .max = 1LL << 34, .fallback = "256MiB",
	 .also = "size max_size", .example = "256MiB", .about = "Raw rows per bundle, at most: 64KiB to 16GiB."},
	{.name = "level", .kind = KIND_NUMBER, AT(policy_archive, level), .min = 1, .max = 19, .fallback = "6",
	 .also = "compression zstd",
	 .example = "3",
	 .about = "zstd level of the rows. 3 takes half the time of 6 and a twentieth more space; past 9 nearly "
		  "nothing is gained."},
	{.name = "mirror", .kind = KIND_SECTION, .section = &mirror_section, AT(policy_archive, mirror),
	 HAS(policy_archive, mirror.present), .also = "copy s3 replica",
	 .missing = "Write `mirror: {bucket: s3://bucket/prefix, endpoint: https://s3.example.org, credentials: "
		    "/etc/mmretain/s3.credentials}`.",
	 .about = "A copy in an S3-compatible store."},
};
static const struct policy_section archive_section = {
	.name = "`archive`", .title = "archive", KEYS(archive_keys), .about = "Where bundles live."};

static const struct policy_key throttle_keys[] = {
	{.name = "preset", .kind = KIND_CHOICE, AT(policy_throttle, preset), .words = preset_words,
	 .fallback = "normal",
	 .also = "speed mode profile", .example = "gentle",
	 .about = "`gentle`: target 1ms, pauses 6 and 6, probe 5ms; `normal`: 1ms, 2 and 3, 10ms; `fast`: 5ms, 3 and "
		  "1, 50ms. The keys below override it."},
	{.name = "target", .kind = KIND_MILLIS, AT(policy_throttle, target_ms), .min = 1, .max = 1000,
	 .also = "target_ms",
	 .example = "5ms", .about = "Time that one deleting transaction should take: 1ms to 1s."},
	{.name = "pause_factor", .kind = KIND_NUMBER, AT(policy_throttle, pause_factor), .min = 0, .max = 100,
	 .also = "pause",
	 .example = "2", .about = "Pause after each transaction, as a multiple of its time; 0 is full speed."},
	{.name = "export_pause_factor", .kind = KIND_NUMBER, AT(policy_throttle, export_pause_factor), .min = 0,
	 .max = 100,
	 .also = "export_pause", .example = "3",
	 .about = "The same for reading and compressing, which is done behind everybody else on the host (SCHED_IDLE); "
		  "0 is full speed at the usual priority."},
	{.name = "blob_grace", .kind = KIND_MILLIS, AT(policy_throttle, blob_grace_ms), .min = 1, .max = 600000,
	 .also = "grace",
	 .fallback = "30s", .example = "60s",
	 .about = "Time between the last delete and the first attachment removed from disk, for replies under way: 1ms "
		  "to 600s. A run without attachments to remove does not wait."},
	{.name = "replica_lag", .kind = KIND_MILLIS, AT(policy_throttle, replica_lag_ms),
	 WORD("off", policy_throttle, replica_lag_off), .min = 100, .max = 3600000,
	 .also = "lag max_lag replication_lag standby_lag", .fallback = "10s", .example = "30s",
	 .about = "A run waits while a connected replica replays what was committed so long ago or longer: 100ms to "
		  "1h. From half of it on pauses grow. Also at full speed."},
	{.name = "replica_lag_bytes", .kind = KIND_SIZE, AT(policy_throttle, replica_lag_bytes),
	 WORD("off", policy_throttle, replica_bytes_off), .min = 1 << 16,
	 .max = 1LL << 40, .also = "lag_bytes max_lag_bytes", .fallback = "128MiB", .example = "512MiB",
	 .about = "The same by write-ahead log that a replica has not replayed yet: 64KiB to 1TiB. A replica whose "
		  "replay is paused is seen by this alone."},
	{.name = "replica_except", .kind = KIND_TEXTS, AT(policy_throttle, replica_except),
	 .also = "except_replicas ignore_replicas replica_ignore",
	 .example = "[delayed1]",
	 .about = "Replicas, by their `application_name`, that nobody waits for: those that are late on purpose."},
	{.name = "probe_latency", .kind = KIND_MILLIS, AT(policy_throttle, probe_latency_ms),
	 WORD("off", policy_throttle, probe_off), .min = 1, .max = 10000,
	 .also = "probe latency max_latency", .example = "10ms",
	 .about = "A run waits while the server takes so long or longer to read a post by its key, which takes a "
		  "healthy one a fraction of a millisecond: 1ms to 10s. From half of it on pauses grow. Not at full "
		  "speed."},
};
static const struct policy_section throttle_section = {
	.name = "`throttle`", .title = "throttle", KEYS(throttle_keys),
	.about = "How hard a run may push the database host."};

static const struct key_word kept_words[] = {
	{"username", KEEP_USERNAME}, {"display_name", KEEP_DISPLAY_NAME}, {"position", KEEP_POSITION}, {NULL, 0},
};
static const struct key_word names_words[] = {{"keep", NAMES_KEEP}, {"pseudonym", NAMES_PSEUDONYM}, {NULL, 0}};
static const struct key_word roles_words[] = {{"keep", ROLES_KEEP}, {"user", ROLES_USER}, {NULL, 0}};
static const struct key_word audits_words[] = {{"blank", AUDITS_BLANK}, {"delete", AUDITS_DELETE}, {NULL, 0}};

static const struct policy_key people_keys[] = {
	{.name = "after", .kind = KIND_DURATION, AT(policy_people, after), .required = true,
	 .also = "for age older_than days period delay grace",
	 .missing = "Write how long after deactivation, such as `after: 90d`.",
	 .example = "90d", .about = "How long an account must have been deactivated, by the clock of the database."},
	{.name = "only_listed", .kind = KIND_PATH, AT(policy_people, only_listed), .max = POLICY_PATH_MAX,
	 .line = offsetof(struct policy_people, listed_line), .column = offsetof(struct policy_people, listed_column),
	 .also = "list listed file only departed leavers", .example = "/etc/mmretain/departed.txt",
	 .about = "Only accounts on this list: a file with one account name or e-mail address a line, `#` begins a "
		  "comment. Let the identity system write it, because a blocked account is not a departed one. A list "
		  "that is missing, empty or damaged ends a run before it archives or deletes anything new; it never "
		  "means everybody."},
	{.name = "except", .kind = KIND_USERS, AT(policy_people, except),
	 .also = "exclude exceptions spare not skip ignore",
	 .example = "[ombudsperson]", .about = "Account names that are never taken."},
	{.name = "keep", .kind = KIND_CHOICES, AT(policy_people, keep), .words = kept_words, .filled = true,
	 .also = "keeps retain fields",
	 .fallback = "[username, display_name]", .example = "[username, display_name, position]",
	 .about = "What stays of the account beside its id. Account name and display name (nickname, first and last "
		  "name) are the least; `position` (the job title) can be added."},
	{.name = "names", .kind = KIND_CHOICE, AT(policy_people, names), .words = names_words, .fallback = "keep",
	 .also = "name usernames",
	 .example = "pseudonym",
	 .about = "`pseudonym` replaces account name and display name by `departed-` and 16 signs that only the secret "
		  "of the archive ties to the account. Texts of messages are not rewritten; the report lists those "
		  "that mention the old name."},
	{.name = "roles", .kind = KIND_CHOICE, AT(policy_people, roles), .words = roles_words, .fallback = "keep",
	 .also = "role scrub_roles",
	 .example = "user", .about = "`user` takes away every system role but that of an ordinary user or guest."},
	{.name = "audits", .kind = KIND_CHOICE, AT(policy_people, audits), .words = audits_words, .fallback = "blank",
	 .also = "audit log",
	 .example = "delete",
	 .about = "The server's own audit rows of the account: `blank` empties network address and details, `delete` "
		  "removes the rows."},
};
static const struct policy_section people_section = {
	.name = "`departed_users`", .title = "departed_users", KEYS(people_keys),
	.about = "Accounts of people who have left are depersonalised: address, password, sign-in id, second factor, "
		 "status, settings, sessions, tokens, drafts, attributes and picture go; account name, display name, "
		 "messages and memberships stay. Bots, accounts of other servers, and accounts under a hold are never "
		 "taken. `departed-users.md` lists everything. The choices take effect when an account is "
		 "depersonalised; later changes do not reach back."};

static const struct policy_key deleted_keys[] = {
	{.name = "purge_after", .kind = KIND_DURATION, AT(policy_deleted, purge_after), .required = true,
	 .also = "after for age older_than days keep delay grace",
	 .missing = "Write how long after the deletion, such as `purge_after: 30d`.",
	 .example = "30d",
	 .about = "How long a soft-deleted post, or the earlier text of an edited one, stays in the database."},
};
static const struct policy_section deleted_section = {
	.name = "`deleted_posts`", .title = "deleted_posts", KEYS(deleted_keys),
	.about = "What users have deleted, and the earlier texts of edited posts, stay in the database without end. "
		 "This key takes them out of threads that stay: a deleted reply with its own earlier texts, the "
		 "earlier texts alone of a post that stays, and a whole thread when all of it was deleted. In each "
		 "channel the rule that won it decides what else happens: its `spare`, `floor`, `files`, `archive`, "
		 "`because` and `guard` hold here too, also under `keep: forever`. Holds protect as ever. A channel "
		 "that no rule matches keeps everything. `deleting.md` says more."};

static const struct policy_key root_keys[] = {
	{.name = "version", .kind = KIND_NUMBER, AT(policy, version), .required = true, .min = 1, .max = 1,
	 .missing = "Begin the file with `version: 1`.", .example = "1", .about = "The version of this format."},
	{.name = "database", .kind = KIND_SECTION, .section = &database_section, AT(policy, database), .required = true,
	 .also = "db",
	 .missing = "Write `database: {mattermost_config: /opt/mattermost/config/config.json}`.",
	 .about = "How to reach the database."},
	{.name = "archive", .kind = KIND_SECTION, .section = &archive_section, AT(policy, archive), .required = true,
	 .also = "store storage",
	 .missing = "Write `archive: {store: /var/lib/mmretain/archive}`.", .about = "Where bundles live."},
	{.name = "throttle", .kind = KIND_SECTION, .section = &throttle_section, AT(policy, throttle),
	 .also = "speed pace",
	 .missing = "Write `throttle: {preset: gentle}`.",
	 .about = "How hard a run may push the database host."},
	{.name = "rules", .kind = KIND_SECTIONS, .section = &rule_section, AT(policy, rule),
	 .count = offsetof(struct policy, n_rules),
	 .line = offsetof(struct policy_rule, line), .column = offsetof(struct policy_rule, column), .required = true,
	 .filled = true, .also = "policies",
	 .missing = "Write at least one rule; `unlimited.yaml` of the ready policies is a good start.",
	 .about = "What goes, and when."},
	{.name = "holds", .kind = KIND_SECTIONS, .section = &hold_section, AT(policy, hold),
	 .count = offsetof(struct policy, n_holds),
	 .line = offsetof(struct policy_hold, line), .column = offsetof(struct policy_hold, column),
	 .also = "legal_holds", .about = "Legal holds."},
	{.name = "deleted_posts", .kind = KIND_SECTION, .section = &deleted_section, AT(policy, deleted),
	 HAS(policy, deleted.present),
	 .also = "deleted soft_deleted edits edit_history", .missing = "Write `deleted_posts: {purge_after: 30d}`.",
	 .about = "Soft-deleted posts and earlier texts of edited ones, in threads that stay."},
	{.name = "departed_users", .kind = KIND_SECTION, .section = &people_section, AT(policy, people),
	 HAS(policy, people.present),
	 .also = "users people departed leavers depersonalise", .missing = "Write `departed_users: {after: 90d}`.",
	 .about = "Accounts of people who have left."},
};
const struct policy_section policy_root = {
	.name = "the policy", .title = "The file", KEYS(root_keys), .about = "The keys of the file itself."};
