/* db_room_read_test.c - scopes, users, names, strays, clocks and the second session, read from the real schema. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db_room_tests.h"

static void seed(void)
{
	run(mm->db, "INSERT INTO teams (id, name, displayname, type, deleteat) VALUES"
		    " ('team1', 'acc', 'Acceler\"ator', 'O', 0), ('team2', 'old', 'Old', 'I', 5)");
	run(mm->db, "INSERT INTO channels (id, teamid, type, name, displayname, deleteat) VALUES"
		    " ('chB', 'team1', 'O', 'town', 'Town', 0), ('chA', 'team2', 'P', 'x', 'X', 7), ('chd', '', 'D', "
		    "'u1__u2', '', 0),"
		    " ('cgone', 'teamx', 'G', 'h', NULL, NULL), ('cnull', NULL, NULL, NULL, NULL, 0)");
	run(mm->db, "INSERT INTO users (id, username, nickname, firstname, lastname, roles, deleteat) VALUES"
		    " ('u1', 'j.doe', '', 'Jane', 'D\"oe', '', 0), ('u2', 'bot', 'Robo', 'a', 'b', '', 0), ('u3', "
		    "'u1', NULL, NULL, NULL, '', 0)");
	run(mm->db, "INSERT INTO bots (userid) VALUES ('u2')");
	run(mm->db,
	    "INSERT INTO posts (id, createat, channelid, rootid, originalid) VALUES"
	    " ('p1', 1000, 'chB', '', ''), ('p2', 1001, 'chB', 'p1', ''), ('p3', 1002, 'chA', 'p1', ''), ('p4', 1003, "
	    "'chB', 'gone', ''),"
	    " ('p5', 1000, 'chB', '', 'p1'), ('p6', 1000, 'chB', '', 'nothing'), ('p7', 1000, 'nowhere', '', ''),"
	    " ('p8', 0, 'chB', '', ''), ('p9', 99999999999999, 'chB', NULL, NULL), ('pa', 1, NULL, '', ''), ('pb', "
	    "NULL, 'chB', '', '')");
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
	run(mm->db, "INSERT INTO users (id, username, roles) VALUES (repeat('ü', 26), 'long', '')");
	FAILS(mm_user_ids(mm, mm, (const char *const[]){"long"}, 1, &ids, &n, NULL, NULL, &err), ERR_DATABASE);
	SAYS("account \"long\"");
}
END_TEST

static int join_row(void *payload, const struct db_row *row, struct err *err)
{
	char *out = payload;

	(void)err;
	for (int i = 0; i < row->columns; i++)
		snprintf(out + strlen(out), 900 - strlen(out), "%s%s", row->value[i],
			 i < row->columns - 1 ? "|" : "\n");
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
	ck_assert_str_eq(out, "chB|town|Town|\"type\":\"O\",\"team\":\"team1\"|\nchd|u1__u2||\"type\":\"D\"|u1,u2\n"
			      "cnull|||\"type\":\"\"|\n");
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
	snprintf(text, sizeof text,
		 "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = "
		 "current_database()"
		 " AND state = 'idle in transaction' AND pid <> %lld",
		 (long long)value(mm->db, "SELECT pg_backend_pid()"));
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
	static const char *const channels[] = {"c1", "c2", "c3"},
				 workers[] = "SELECT current_setting('max_parallel_workers_per_gather')::int";
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
	ck_assert_int_eq(value(other, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
				      "state = 'idle in transaction'"),
			 1);
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

	ck_assert_int_eq(sscanf(conninfo(""), "host='%255[^']' port='%31[^']' user='%63[^']' dbname='%63[^']'", host,
				port, user, name),
			 4);
	snprintf(url, sizeof(url), "postgres://%s@/%s?host=%s&port=%s&sslmode=disable&binary_parameters=yes", user,
		 name, host, port);
	run(db, "CREATE TABLE configurations (id text, value text, createat bigint, active boolean)");
	run(db, "INSERT INTO configurations VALUES ('a', '{', 1, NULL),"
		" ('b', "
		"'{\"SqlSettings\":{\"DriverName\":\"postgres\",\"DataSource\":\"\"},\"FileSettings\":{\"Directory\":"
		"\"/srv/d\"}}', 2, true)");
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
	tcase_add_checked_fixture(tc, mm_setup, mm_teardown);
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
