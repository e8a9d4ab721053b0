/*
 * db_room_mm_test.c - the probe on the real schema and on 60 changes of it, grants.
 *
 * Changes are made in a transaction that is rolled back.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db_room_tests.h"

struct mm *mm;

void mm_setup(void)
{
	struct mm_source source = {.url = conninfo("")};
	struct err err;

	OK(mm_open(NULL, &source, &mm, &err));
	OK(db_begin(mm->db, DB_READ_COMMITTED, &err));
}

void mm_teardown(void)
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
static const struct { const char *change, *says;
} changes[] = {
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
	{"ALTER TABLE posts ALTER COLUMN ispinned TYPE int USING 1", "column posts.ispinned has the unexpected type "
								     "integer"},
	{"ALTER TABLE posts ALTER COLUMN id TYPE uuid USING NULL", "column posts.id has the unexpected type uuid"},
	{"ALTER TABLE posts ALTER COLUMN fileids TYPE text[] USING NULL",
	 "column posts.fileids has the unexpected type text[]"},
	{"ALTER TABLE reactions ALTER COLUMN createat TYPE timestamptz USING now()",
	 "column reactions.createat has the unexpected type timestamp with time zone"},
	{"ALTER TABLE threads ALTER COLUMN participants TYPE text", "column threads.participants has the unexpected "
								    "type text"},
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
	{"CREATE TABLE a (f varchar(26) REFERENCES fileinfo (id) ON DELETE SET NULL)",
	 "points at fileinfo and empties the column"},
	/* what acts beside our statements */
	{"CREATE RULE keep AS ON DELETE TO posts DO INSTEAD NOTHING", "table posts has the rule keep"},
	{"CREATE POLICY few ON posts USING (true)", "table posts has the row-security policy few"},
	{"ALTER TABLE reactions ENABLE ROW LEVEL SECURITY", "row security is on for table reactions"},
	{"CREATE TABLE child () INHERITS (posts)", "table posts has parents or children"},
	/* work in progress */
	{"INSERT INTO db_lock VALUES ('x', extract(epoch FROM now()) + 60)",
	 "a migration of the server's schema is running"},
	{"INSERT INTO db_lock VALUES ('x', (extract(epoch FROM now()) + 60) * 1000)",
	 "a migration of the server's schema is running"},
	{"INSERT INTO db_lock VALUES ('x', NULL)", "a migration of the server's schema is running"},
	{"INSERT INTO db_lock VALUES ('x', extract(epoch FROM now()) - 60)", NULL},
	{"INSERT INTO db_lock VALUES ('x', (extract(epoch FROM now()) - 60) * 1000)", NULL},
	{"INSERT INTO jobs (id, type, status) VALUES ('x', 'data_retention', 'in_progress')",
	 "the server's own data retention job"},
	{"INSERT INTO jobs (id, type, status) VALUES ('x', 'data_retention', 'pending')",
	 "the server's own data retention job"},
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
		ck_assert_msg(mm->schema->n_unknown == 0, "%s: %s", changes[_i].change,
			      mm->schema->unknown ? mm->schema->unknown[0] : "");
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
	tcase_add_checked_fixture(tc, mm_setup, mm_teardown);
	tcase_add_test(tc, test_real_schema);
	tcase_add_loop_test(tc, test_change, 0, (int)ARRAY_LEN(changes));
	tcase_add_test(tc, test_digest_and_again);
	tcase_add_test(tc, test_trigger);
	tcase_add_test(tc, test_grants);
	return tc;
}
