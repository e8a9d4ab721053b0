/*
 * db_room_mm_test.c - the probe on the real schema and on 60 changes of it, grants, scopes, users, names, strays.
 *
 * Changes are made in a transaction that is rolled back.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db_room_tests.h"

static struct mm *mm;

static void setup(void)
{
	struct mm_source source = {.url = conninfo("")};
	struct err err;

	OK(mm_open(NULL, &source, &mm, &err));
	OK(db_begin(mm->db, DB_READ_COMMITTED, &err));
}

static void teardown(void)
{
	db_rollback(mm->db);
	talloc_free(mm);
}

static bool listed(char **list, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(list[i], text))
			return true;
	return false;
}

static void probe(void)
{
	struct err err;

	OK(mm_probe(mm, &err));
}

/* NULL: no reason not to delete; "note:..." only told. */
static const struct { const char *change, *says; } changes[] = {
	/* what may come along without harm */
	{"SELECT 1", NULL},
	{"ALTER TABLE posts ADD COLUMN mood text", "note:column posts.mood is not known"},
	{"ALTER TABLE fileinfo ADD COLUMN scanned bigint DEFAULT 0", "note:column fileinfo.scanned is not known"},
	{"ALTER TABLE posts ALTER COLUMN message TYPE varchar(4000)", NULL},
	{"ALTER TABLE preferences ALTER COLUMN value TYPE varchar(2000)", NULL},
	{"ALTER TABLE posts DROP COLUMN remoteid", NULL},
	{"ALTER TABLE fileinfo DROP COLUMN archived", NULL},
	{"ALTER TABLE translations DROP COLUMN channelid", NULL},
	{"DROP TABLE readreceipts", NULL},
	{"DROP TABLE temporaryposts", NULL},
	{"DROP TABLE translations", NULL},
	{"DROP TABLE propertyvalues CASCADE", NULL},
	{"DROP TABLE sharedchannelattachments", NULL},
	{"DROP TABLE scheduledposts", NULL},
	{"DROP TABLE db_lock", NULL},
	{"DROP TABLE jobs", NULL},
	{"CREATE TABLE ir_statusposts (incidentid text, postid text)", NULL},
	{"CREATE TABLE calls (id text, postid text, threadid text)", NULL},
	{"CREATE VIEW v AS SELECT id AS postid FROM posts", NULL},
	{"CREATE TEMP TABLE x (postid text)", NULL},
	{"CREATE TABLE plain (a text, composite text, postage text, postdate text)", NULL},
	/* missing, retyped */
	{"DROP TABLE posts CASCADE", "table posts is missing"},
	{"DROP TABLE fileinfo CASCADE", "table fileinfo is missing"},
	{"DROP TABLE reactions", "table reactions is missing"},
	{"DROP TABLE threads", "table threads is missing"},
	{"DROP TABLE threadmemberships", "table threadmemberships is missing"},
	{"DROP TABLE preferences", "table preferences is missing"},
	{"ALTER TABLE posts RENAME TO messages", "table posts is missing"},
	{"ALTER TABLE posts DROP COLUMN originalid", "column posts.originalid is missing"},
	{"ALTER TABLE posts RENAME COLUMN rootid TO threadrootid", "column posts.rootid is missing"},
	{"ALTER TABLE posts RENAME COLUMN rootid TO threadrootid", "unknown column posts.threadrootid"},
	{"ALTER TABLE posts DROP COLUMN editat", "column posts.editat is missing"},
	{"ALTER TABLE fileinfo DROP COLUMN path", "column fileinfo.path is missing"},
	{"ALTER TABLE drafts DROP COLUMN rootid", "column drafts.rootid is missing"},
	{"ALTER TABLE reactions DROP COLUMN postid", "column reactions.postid is missing"},
	{"ALTER TABLE posts ALTER COLUMN props TYPE text", "column posts.props has the unexpected type text"},
	{"ALTER TABLE posts ALTER COLUMN ispinned TYPE int USING 1", "column posts.ispinned has the unexpected type integer"},
	{"ALTER TABLE posts ALTER COLUMN id TYPE uuid USING NULL", "column posts.id has the unexpected type uuid"},
	{"ALTER TABLE posts ALTER COLUMN fileids TYPE text[] USING NULL", "column posts.fileids has the unexpected type text[]"},
	{"ALTER TABLE reactions ALTER COLUMN createat TYPE timestamptz USING now()",
	 "column reactions.createat has the unexpected type timestamp with time zone"},
	{"ALTER TABLE threads ALTER COLUMN participants TYPE text", "column threads.participants has the unexpected type text"},
	/* new places for the id of a post */
	{"CREATE TABLE postdelivery (postid varchar(26), userid varchar(26))", "unknown column postdelivery.postid"},
	{"CREATE TABLE plug (post_id text)", "unknown column plug.post_id"},
	{"CREATE TABLE plug (root_id text)", "unknown column plug.root_id"},
	{"CREATE TABLE plug (rootpostid text)", "unknown column plug.rootpostid"},
	{"CREATE TABLE plug (\"PostID\" text)", "unknown column plug.PostID"},
	{"CREATE TABLE plug (originalid text)", "unknown column plug.originalid"},
	{"CREATE TABLE plug (objectid text)", "unknown column plug.objectid"},
	{"CREATE TABLE plug (sourcepostids text)", "unknown column plug.sourcepostids"},
	{"CREATE TABLE plug (post_ids text[])", "unknown column plug.post_ids"},
	{"CREATE TABLE plug (a text, threadid text)", "unknown column plug.threadid"},
	{"ALTER TABLE channels ADD COLUMN pinnedpostid text", "unknown column channels.pinnedpostid"},
	{"ALTER TABLE posts ADD COLUMN quotedpostid text", "unknown column posts.quotedpostid"},
	{"ALTER TABLE fileinfo ADD COLUMN post_ids text", "unknown column fileinfo.post_ids"},
	/* foreign keys, known or not, here or elsewhere */
	{"CREATE TABLE llm_postmeta (rootpostid text REFERENCES posts (id) ON DELETE CASCADE)",
	 "foreign key llm_postmeta_rootpostid_fkey of table llm_postmeta points at posts and deletes its rows too"},
	{"CREATE TABLE llm_threads (p text REFERENCES posts (id))", "points at posts and refuses the delete"},
	{"CREATE TABLE a (f varchar(26) REFERENCES fileinfo (id) ON DELETE SET NULL)", "points at fileinfo and empties the column"},
	/* what acts beside our statements */
	{"CREATE RULE keep AS ON DELETE TO posts DO INSTEAD NOTHING", "table posts has the rule keep"},
	{"CREATE POLICY few ON posts USING (true)", "table posts has the row-security policy few"},
	{"ALTER TABLE reactions ENABLE ROW LEVEL SECURITY", "row security is on for table reactions"},
	{"CREATE TABLE child () INHERITS (posts)", "table posts has parents or children"},
	/* work in progress */
	{"INSERT INTO db_lock VALUES ('x', extract(epoch FROM now()) + 60)", "a migration of the server's schema is running"},
	{"INSERT INTO db_lock VALUES ('x', (extract(epoch FROM now()) + 60) * 1000)", "a migration of the server's schema is running"},
	{"INSERT INTO db_lock VALUES ('x', NULL)", "a migration of the server's schema is running"},
	{"INSERT INTO db_lock VALUES ('x', extract(epoch FROM now()) - 60)", NULL},
	{"INSERT INTO db_lock VALUES ('x', (extract(epoch FROM now()) - 60) * 1000)", NULL},
	{"INSERT INTO jobs (id, type, status) VALUES ('x', 'data_retention', 'in_progress')", "the server's own data retention job"},
	{"INSERT INTO jobs (id, type, status) VALUES ('x', 'data_retention', 'pending')", "the server's own data retention job"},
	{"INSERT INTO jobs (id, type, status, lastactivityat) VALUES ('x', 'data_retention', 'success', 1700000000000)",
	 "note:data retention last succeeded at 2023-11-14T22:13:20Z"},
	{"INSERT INTO jobs (id, type, status) VALUES ('x', 'message_export', 'in_progress')", NULL},
};

START_TEST(test_change)
{
	const char *says = changes[_i].says;

	run(mm->db, changes[_i].change);
	probe();
	if (!says || !strncmp(says, "note:", 5))
		ck_assert_msg(mm->schema->n_unknown == 0, "%s: %s", changes[_i].change, mm->schema->unknown ? mm->schema->unknown[0] : "");
	if (says && !strncmp(says, "note:", 5))
		ck_assert_msg(listed(mm->schema->note, mm->schema->n_notes, says + 5), "%s", changes[_i].change);
	else if (says)
		ck_assert_msg(listed(mm->schema->unknown, mm->schema->n_unknown, says), "%s: %s", changes[_i].change,
			      mm->schema->n_unknown ? mm->schema->unknown[0] : "nothing found");
}
END_TEST

START_TEST(test_real_schema)
{
	const struct mm_table *posts, *files;

	probe();
	ck_assert_uint_eq(mm->schema->n_unknown, 0);
	for (int i = 0; i < MM_KINDS; i++) {
		ck_assert(mm->schema->table[i].present);
		ck_assert_uint_gt(mm->schema->table[i].n_columns, 2);
	}
	posts = &mm->schema->table[MM_POST];
	files = &mm->schema->table[MM_FILE];
	ck_assert_uint_eq(posts->n_columns, 18); /* one position is a dropped column */
	ck_assert_str_eq(posts->column[0].name, "id");
	ck_assert_str_eq(posts->column[0].pg_type, "character varying(26)");
	ck_assert(posts->column[0].not_null && !posts->column[1].not_null);
	ck_assert_str_eq(posts->column[17].name, "remoteid");
	ck_assert_str_eq(files->column[19].name, "archived");
	ck_assert_str_eq(files->column[19].default_text, "f");
	ck_assert_ptr_null(files->column[0].default_text);
	ck_assert_str_eq(mm->schema->table[MM_REACTION].column[7].default_text, "");
	ck_assert_str_ne(mm->schema->system_identifier, "");
	ck_assert_int_eq(mm->data_dirfd, -1);
	ck_assert_ptr_nonnull(mm->data_problem);
}
END_TEST

START_TEST(test_digest_and_again)
{
	struct digest before;
	struct err err;

	probe();
	before = mm->schema->digest;
	OK(mm_probe_again(mm, &err));
	run(mm->db, "CREATE TABLE elsewhere (a text)");
	OK(mm_probe_again(mm, &err));
	run(mm->db, "ALTER TABLE posts ADD COLUMN mood text");
	FAILS(mm_probe_again(mm, &err), ERR_SCHEMA);
	SAYS("the tables have changed");
	probe();
	ck_assert_int_ne(memcmp(&before, &mm->schema->digest, sizeof(before)), 0);
	run(mm->db, "INSERT INTO jobs (id, type, status) VALUES ('x', 'data_retention', 'in_progress')");
	FAILS(mm_probe_again(mm, &err), ERR_SCHEMA);
	SAYS("retention job");
}
END_TEST

START_TEST(test_trigger)
{
	run(mm->db, "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'");
	run(mm->db, "CREATE TRIGGER stop BEFORE DELETE ON reactions FOR EACH ROW EXECUTE FUNCTION f()");
	probe();
	ck_assert(listed(mm->schema->unknown, mm->schema->n_unknown, "table reactions has the trigger stop"));
	run(mm->db, "ALTER TABLE reactions DISABLE TRIGGER stop");
	probe();
	ck_assert_uint_eq(mm->schema->n_unknown, 0);
}
END_TEST

START_TEST(test_grants)
{
	struct err err;

	OK(mm_check_grants(mm, true, &err));
	run(mm->db, "CREATE ROLE room_weak");
	run(mm->db, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO room_weak");
	run(mm->db, "REVOKE SELECT ON fileinfo, users, db_lock FROM room_weak");
	run(mm->db, "GRANT SELECT (id, username) ON users TO room_weak");
	run(mm->db, "SET LOCAL ROLE room_weak");
	FAILS(mm_check_grants(mm, false, &err), ERR_PERMISSION);
	SAYS("SELECT ON fileinfo");
	SAYS("SELECT ON db_lock");
	SAYS("SELECT (nickname, firstname, lastname, deleteat) ON users");
	SAYS_NOT("DELETE");
	SAYS_NOT("posts");
	FAILS(mm_check_grants(mm, true, &err), ERR_PERMISSION);
	SAYS("DELETE ON posts");
	SAYS(" more");
	probe(); /* the catalogue needs no grants, the lock of a migration does */
	ck_assert(listed(mm->schema->unknown, mm->schema->n_unknown, "table db_lock may not be read"));
	run(mm->db, "SET LOCAL ROLE NONE");
	run(mm->db, "GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO room_weak");
	run(mm->db, "SET LOCAL ROLE room_weak");
	FAILS(mm_check_grants(mm, true, &err), ERR_PERMISSION);
	SAYS("lacks UPDATE (replycount, lastreplyat, participants) ON threads");
	SAYS_NOT("preferences");
	run(mm->db, "SET LOCAL ROLE NONE");
	run(mm->db, "REVOKE INSERT ON preferences FROM room_weak");
	run(mm->db, "SET LOCAL ROLE room_weak");
	FAILS(mm_check_grants(mm, true, &err), ERR_PERMISSION);
	SAYS("INSERT ON preferences");
	run(mm->db, "SET LOCAL ROLE NONE");
	run(mm->db, "GRANT INSERT ON preferences TO room_weak");
	run(mm->db, "GRANT UPDATE (replycount, lastreplyat, participants) ON threads TO room_weak");
	run(mm->db, "REVOKE ALL ON users FROM room_weak");
	run(mm->db, "GRANT SELECT (id, username, nickname, firstname, lastname, deleteat) ON users TO room_weak");
	run(mm->db, "SET LOCAL ROLE room_weak");
	OK(mm_check_grants(mm, true, &err));
}
END_TEST

TCase *mm_probe_case(void)
{
	TCase *tc = tcase_create("probe");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_real_schema);
	tcase_add_loop_test(tc, test_change, 0, (int)ARRAY_LEN(changes));
	tcase_add_test(tc, test_digest_and_again);
	tcase_add_test(tc, test_trigger);
	tcase_add_test(tc, test_grants);
	return tc;
}

/* ---- scopes, users, names, strays ---- */

static void seed(void)
{
	run(mm->db, "INSERT INTO teams (id, name, displayname, type, deleteat) VALUES"
		    " ('team1', 'acc', 'Acceler\"ator', 'O', 0), ('team2', 'old', 'Old', 'I', 5)");
	run(mm->db, "INSERT INTO channels (id, teamid, type, name, displayname, deleteat) VALUES"
		    " ('chB', 'team1', 'O', 'town', 'Town', 0), ('chA', 'team2', 'P', 'x', 'X', 7), ('chd', '', 'D', 'u1__u2', '', 0),"
		    " ('cgone', 'teamx', 'G', 'h', NULL, NULL), ('cnull', NULL, NULL, NULL, NULL, 0)");
	run(mm->db, "INSERT INTO users (id, username, nickname, firstname, lastname, roles, deleteat) VALUES"
		    " ('u1', 'j.doe', '', 'Jane', 'D\"oe', '', 0), ('u2', 'bot', 'Robo', 'a', 'b', '', 0), ('u3', 'u1', NULL, NULL, NULL, '', 0)");
	run(mm->db, "INSERT INTO bots (userid) VALUES ('u2')");
	run(mm->db, "INSERT INTO posts (id, createat, channelid, rootid, originalid) VALUES"
		    " ('p1', 1000, 'chB', '', ''), ('p2', 1001, 'chB', 'p1', ''), ('p3', 1002, 'chA', 'p1', ''), ('p4', 1003, 'chB', 'gone', ''),"
		    " ('p5', 1000, 'chB', '', 'p1'), ('p6', 1000, 'chB', '', 'nothing'), ('p7', 1000, 'nowhere', '', ''),"
		    " ('p8', 0, 'chB', '', ''), ('p9', 99999999999999, 'chB', NULL, NULL), ('pa', 1, NULL, '', ''), ('pb', NULL, 'chB', '', '')");
}

START_TEST(test_scopes)
{
	struct mm_scope *s = NULL;
	size_t n = 0;
	struct err err;

	seed();
	OK(mm_scopes(mm, mm, &s, &n, &err));
	ck_assert_uint_eq(n, 5);
	ck_assert_str_eq(s[0].channel_id, "cgone"); /* byte order */
	ck_assert_str_eq(s[1].channel_id, "chA");
	ck_assert_str_eq(s[2].channel_id, "chB");
	ck_assert_str_eq(s[3].channel_id, "chd");
	ck_assert_str_eq(s[4].channel_id, "cnull");
	ck_assert(s[0].type == 'G' && s[1].type == 'P' && s[2].type == 'O' && s[3].type == 'D' && s[4].type == '?');
	ck_assert(s[1].channel_archived && s[1].team_archived && !s[2].channel_archived && !s[2].team_archived);
	ck_assert_str_eq(s[2].team_display, "Acceler\"ator");
	ck_assert_str_eq(s[3].team_id, "");
	ck_assert_str_eq(s[0].team_name, "");
	ck_assert_str_eq(s[0].team_id, "teamx");
}
END_TEST

START_TEST(test_users)
{
	static const char *const names[] = {"u1", "@J.Doe", "nobody", "o'brien\"\\", "BOT", "bot"};
	char **missing = NULL;
	size_t n = 0, n_missing = 0;
	mm_id *ids = NULL;
	struct err err;

	seed();
	OK(mm_user_ids(mm, mm, names, ARRAY_LEN(names), &ids, &n, &missing, &n_missing, &err));
	ck_assert_uint_eq(n, 3); /* u1 is an id and u3's name: both */
	ck_assert_str_eq(ids[0], "u1");
	ck_assert_str_eq(ids[1], "u2");
	ck_assert_str_eq(ids[2], "u3");
	ck_assert_uint_eq(n_missing, 2);
	ck_assert_str_eq(missing[0], "nobody");
	ck_assert_str_eq(missing[1], "o'brien\"\\");
	OK(mm_user_ids(mm, mm, NULL, 0, &ids, &n, NULL, NULL, &err));
	ck_assert_uint_eq(n, 0);
}
END_TEST

static int join_row(void *payload, const struct db_row *row, struct err *err)
{
	char *out = payload;

	(void)err;
	for (int i = 0; i < row->columns; i++)
		snprintf(out + strlen(out), 900 - strlen(out), "%s%s", row->value[i], i < row->columns - 1 ? "|" : "\n");
	return 0;
}

START_TEST(test_names)
{
	static const char *const users[] = {"u3", "u1", "u2", "nobody"}, *const channels[] = {"chB", "chd", "cnull"},
				 *const teams[] = {"team1", "x"};
	char out[1000] = "";
	struct err err;

	seed();
	OK(mm_names(mm, "users", users, ARRAY_LEN(users), join_row, out, &err));
	ck_assert_str_eq(out, "u1|j.doe|Jane D\"oe|\nu2|bot|Robo|\"bot\":true\nu3|u1||\n");
	out[0] = '\0';
	OK(mm_names(mm, "channels", channels, ARRAY_LEN(channels), join_row, out, &err));
	ck_assert_str_eq(out, "chB|town|Town|\"type\":\"O\",\"team\":\"team1\"|\nchd|u1__u2||\"type\":\"D\"|u1,u2\ncnull|||\"type\":\"\"|\n");
	out[0] = '\0';
	OK(mm_names(mm, "teams", teams, ARRAY_LEN(teams), join_row, out, &err));
	ck_assert_str_eq(out, "team1|acc|Acceler\"ator|\"type\":\"O\"\n");
	FAILS(mm_names(mm, "planets", teams, 1, join_row, out, &err), ERR_INTERNAL);
}
END_TEST

START_TEST(test_strays)
{
	struct mm_strays s;
	struct err err;

	OK(mm_strays(mm, &s, &err));
	ck_assert_uint_eq(s.no_channel + s.no_root + s.no_original + s.other_channel + s.odd_time, 0);
	seed();
	OK(mm_strays(mm, &s, &err));
	ck_assert_uint_eq(s.no_channel, 2);
	ck_assert_uint_eq(s.no_root, 1);
	ck_assert_uint_eq(s.no_original, 1);
	ck_assert_uint_eq(s.other_channel, 1);
	ck_assert_uint_eq(s.odd_time, 11); /* 3, and 8 with a time before 2000 */
}
END_TEST

START_TEST(test_clock)
{
	struct mm_source source = {.url = conninfo("")};
	struct mm *other = NULL;
	struct err err;

	ck_assert_int_lt(llabs(mm->now_ms - time_now_ms()), 60000);
	time_override_ms(1700000000000);
	OK(mm_open(NULL, &source, &other, &err));
	ck_assert_int_eq(other->now_ms, 1700000000000);
	time_override_ms(0);
	talloc_free(other);
}
END_TEST

/* The second session of a plan was idle for longer than the server lets it be: the first does all alone. */
START_TEST(test_second_session_ended)
{
	static const char *const channels[] = {"c1", "c2", "c3"};
	struct db *killer = open_db();
	struct mm_size *size;
	struct err err;
	char text[256];
	size_t n = 0;

	db_rollback(mm->db);
	OK(mm_snapshot_begin(mm, true, &err));
	OK(mm_sizes(mm, mm, channels, 3, false, MM_SIZES_POSTS, &size, &n, &err));
	ck_assert_uint_eq(n, 3);
	snprintf(text, sizeof text, "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database()"
				    " AND state = 'idle in transaction' AND pid <> %lld", (long long)value(mm->db, "SELECT pg_backend_pid()"));
	ck_assert_int_eq(value(killer, text), 1);
	OK(mm_sizes(mm, mm, channels, 3, false, MM_SIZES_POSTS, &size, &n, &err));
	ck_assert_uint_eq(n, 3);
	mm_snapshot_end(mm);
	talloc_free(killer);
}
END_TEST

/* A plan beside a chat: one session, and no workers of the server. */
START_TEST(test_snapshot_beside_chat)
{
	static const char *const channels[] = {"c1", "c2", "c3"}, workers[] = "SELECT current_setting('max_parallel_workers_per_gather')::int";
	struct db *other = open_db();
	struct mm_size *size;
	struct err err;
	size_t n = 0;
	long long usual;

	db_rollback(mm->db);
	usual = (long long)value(mm->db, workers);
	ck_assert_int_gt(usual, 0);
	OK(mm_snapshot_begin(mm, false, &err));
	OK(mm_sizes(mm, mm, channels, 3, false, MM_SIZES_POSTS, &size, &n, &err));
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(value(mm->db, workers), 0);
	ck_assert_int_eq(value(other, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"), 1);
	mm_snapshot_end(mm);
	ck_assert_int_eq(value(mm->db, workers), usual);
	talloc_free(other);
}
END_TEST

START_TEST(test_standby_grants)
{
	struct mm_source source = {0};
	struct mm *other = NULL;
	char url[600];
	struct err err;

	if (!getenv("MMR_TEST_STANDBY"))
		return;
	snprintf(url, sizeof(url), "%s host='%s' port=5432", conninfo(""), getenv("MMR_TEST_STANDBY"));
	source.url = url;
	OK(mm_open(NULL, &source, &other, &err));
	OK(mm_probe(other, &err));
	OK(mm_check_grants(other, false, &err));
	FAILS(mm_check_grants(other, true, &err), ERR_DATABASE);
	SAYS("is a standby server");
	talloc_free(other);
}
END_TEST

START_TEST(test_config_in_database)
{
	char url[512], host[256], port[32], user[64], name[64];
	struct mm_source source = {.mattermost_config = url};
	struct mm_config *c = NULL;
	struct db *db = open_db();
	struct err err;

	ck_assert_int_eq(sscanf(conninfo(""), "host='%255[^']' port='%31[^']' user='%63[^']' dbname='%63[^']'", host, port, user, name), 4);
	snprintf(url, sizeof(url), "postgres://%s@/%s?host=%s&port=%s&sslmode=disable&binary_parameters=yes", user, name, host, port);
	run(db, "CREATE TABLE configurations (id text, value text, createat bigint, active boolean)");
	run(db, "INSERT INTO configurations VALUES ('a', '{', 1, NULL),"
		" ('b', '{\"SqlSettings\":{\"DriverName\":\"postgres\",\"DataSource\":\"\"},\"FileSettings\":{\"Directory\":\"/srv/d\"}}', 2, true)");
	OK(mm_config_read(mm, &source, &c, &err));
	ck_assert_str_eq(c->data_path, "/srv/d");
	ck_assert_ptr_nonnull(strstr(c->conninfo, name));
	run(db, "DROP TABLE configurations");
	talloc_free(db);
}
END_TEST

TCase *mm_read_case(void)
{
	TCase *tc = tcase_create("read");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_scopes);
	tcase_add_test(tc, test_users);
	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_strays);
	tcase_add_test(tc, test_clock);
	tcase_add_test(tc, test_second_session_ended);
	tcase_add_test(tc, test_snapshot_beside_chat);
	tcase_add_test(tc, test_standby_grants);
	tcase_add_test(tc, test_config_in_database);
	return tc;
}
