/*
 * plan_db_test.c - plans on a seeded database against naive SQL.
 *
 * MMR_TEST_CONNINFO names a database that tests/support/seed.py filled (--legacy); rows are added to it.  The facts of
 * every thread are worked out once, row by row and without a care for cost, into a temporary table; each case is a
 * policy and the condition on that table that its due threads must meet.
 */
#include <unistd.h>

#include "plan_db_files.h"

#define RULE "  - {name: r, match: {}, keep: {for: 400d}, guard: {percent: 100}"

/* ---- cases ---- */

static const char *user(int i)
{
	struct db_result *res = sql(mm, "SELECT id, username FROM users u WHERE EXISTS (SELECT FROM posts p WHERE "
					"p.userid = u.id) ORDER BY id LIMIT 9");

	return db_text(res, i, 0);
}

static void ages(void *ctx)
{
	check("age last_reply", HEAD RULE "}\n", "reply_at", 400, "true");
	check("age last_reply, few", HEAD "  - {name: r, match: {}, keep: {for: 1750d}, guard: {percent: 100}}\n",
	      "reply_at", 1750, "true");
	check("age last_reply, all", HEAD "  - {name: r, match: {}, keep: {for: 1ms}, guard: {percent: 100}}\n",
	      "reply_at", 0, "true");
	check("age root", HEAD "  - {name: r, match: {}, keep: {for: 400d, from: root}, guard: {percent: 100}}\n",
	      "root_at", 400, "true");
	check("age root, few", HEAD "  - {name: r, match: {}, keep: {for: 1750d, from: root}, guard: {percent: 100}}\n",
	      "root_at", 1750, "true");
	check("age last_edit",
	      HEAD "  - {name: r, match: {}, keep: {for: 400d, from: last_edit}, guard: {percent: 100}}\n", "edit_at",
	      400, "true");
	check("age last_edit, few",
	      HEAD "  - {name: r, match: {}, keep: {for: 1750d, from: last_edit}, guard: {percent: 100}}\n", "edit_at",
	      1750, "true");
	check("age one team",
	      HEAD "  - {name: r, match: {team: accelerator}, keep: {for: 400d}, guard: {percent: 100}}\n", "reply_at",
	      400, "teamid = (SELECT id FROM teams WHERE name = 'accelerator')");
	check("age one team, root",
	      HEAD "  - {name: r, match: {team: accelerator}, keep: {for: 200d, from: root}, guard: {percent: 100}}\n",
	      "root_at", 200, "teamid = (SELECT id FROM teams WHERE name = 'accelerator')");
	check("age direct",
	      HEAD "  - {name: r, match: {type: [direct]}, keep: {for: 30d, from: last_edit}, guard: {percent: 100}}\n",
	      "edit_at", 30, "channelid IN (SELECT id FROM channels WHERE type = 'D')");
	check("floor",
	      HEAD "  - {name: r, match: {}, keep: {for: 300d, from: root}, floor: 500d, guard: {percent: 100}}\n",
	      "root_at", 300, mem_printf(ctx, "reply_at < %lld", (long long)ago(500)));
	for (int days = 400; days <= 1750; days += 1350) /* attachments that nothing but their post names */
		for (int keeps = 0; keeps < 2; keeps++)
			check_query(mem_printf(ctx, "unlisted files, %s", keeps ? "keep" : "drop"),
				    mem_printf(ctx,
					       HEAD "  - {name: r, match: {}, keep: {for: %dd}, files: %s, guard: "
						    "{percent: 100}}\n",
					       days, keeps ? "keep" : "drop"),
				    false,
				    mem_printf(ctx,
					       "SELECT *, 'age' AS reason FROM thread WHERE reply_at < %lld AND %s",
					       (long long)ago(days), keeps ? SAFE_UNLISTED : SAFE));
	bytes_of_files(ctx, HEAD RULE "}\n");
	check_query("bytes, few", HEAD "  - {name: r, match: {}, keep: {for: 1750d}, guard: {percent: 100}}\n", true,
		    mem_printf(ctx, "SELECT *, 'age' AS reason FROM thread WHERE reply_at < %lld AND " SAFE,
			       (long long)ago(1750)));
}

static void spares(void *ctx)
{
	for (int days = 400; days <= 1600; days += 1200) {
		const char *rule =
			mem_printf(ctx,
				   HEAD "  - {name: r, match: {}, keep: {for: %dd}, guard: {percent: 100}, spare: ",
				   days);

		check("spare pinned", mem_printf(ctx, "%s{pinned: thread}}\n", rule), "reply_at", days, "NOT pinned");
		check("spare flagged", mem_printf(ctx, "%s{flagged: yes}}\n", rule), "reply_at", days, "NOT flagged");
		check("spare authors", mem_printf(ctx, "%s{authors: [alarm-bot, %s]}}\n", rule, user(3)), "reply_at",
		      days,
		      mem_printf(ctx,
				 "NOT users && ARRAY[(SELECT id FROM users WHERE username = 'alarm-bot'), "
				 "'%s']::varchar[]",
				 user(3)));
		check("spare hashtags", mem_printf(ctx, "%s{hashtags: [\"#HOWTO\"]}}\n", rule), "reply_at", days,
		      "NOT tagged");
		check("spare all", mem_printf(ctx, "%s{pinned: thread, flagged: yes, hashtags: [\"#howto\"]}}\n", rule),
		      "reply_at", days, "NOT tagged AND NOT flagged AND NOT pinned");
	}
}

static void holds(void *ctx)
{
	const char *held = mem_printf(ctx,
				      "EXISTS (SELECT FROM member m WHERE m.thread = t.thread AND m.createat >= %lld "
				      "AND m.createat < %lld AND "
				      "(m.userid IN ('%s', '%s') OR m.channelid IN (SELECT c.id FROM channels c JOIN "
				      "teams x ON x.id = c.teamid WHERE x.name = 'accelerator')))",
				      (long long)1672531200000, (long long)1735689600000, user(1), user(2));
	const char *second =
		mem_printf(ctx, "EXISTS (SELECT FROM member m WHERE m.thread = t.thread AND m.userid = '%s')", user(2));
	char policy[2048];

	for (int days = 400; days <= 1500; days += 1100) {
		snprintf(policy, sizeof policy,
			 HEAD "  - {name: r, match: {}, keep: {for: %dd}, guard: {percent: 100}}\n"
			      "holds:\n  - {name: a, because: x, match: {users: [%s, %s], teams: [accelerator]}, "
			      "since: 2023-01-01, until: 2024-12-31}\n"
			      "  - {name: b, because: x, match: {users: [%s]}}\n",
			 days, user(1), user(2), user(2));
		check_query("holds", policy, false,
			    mem_printf(ctx,
				       "SELECT *, 'age' AS reason FROM thread t WHERE reply_at < %lld AND " SAFE
				       " AND NOT %s AND NOT %s",
				       (long long)ago(days), held, second));
	}
}

static void limits(void *ctx)
{
	static const char *const from[] = {"last_reply", "root", "last_edit"}, *const key[] = {"reply_at", "root_at",
											       "edit_at"};
	static const char *const per[] = {"channel", "team"};
	char policy[1024];

	for (int i = 0; i < 6; i++) {
		const char *unit =
			i % 2 ? "CASE WHEN t.teamid <> '' THEN t.teamid ELSE t.channelid END" : "t.channelid";
		const char *unit_of = i % 2 ? "CASE WHEN c.teamid <> '' THEN c.teamid ELSE c.id END" : "c.id";
		const char *k = key[i / 2];
		int limit = i % 2 ? 800 : 150;

		snprintf(policy, sizeof policy,
			 HEAD "  - {name: r, match: {}, keep: {for: 1500d, from: %s}, limit: {per: %s, posts: %d}, "
			      "floor: 60d, "
			      "spare: {pinned: thread}, guard: {percent: 100}}\n",
			 from[i / 2], per[i % 2], limit);
		check_query(mem_printf(ctx, "limit posts %s %s", per[i % 2], from[i / 2]), policy, false,
			    mem_printf(ctx,
				       "SELECT thread, posts, bytes, CASE WHEN %s < %lld THEN 'age' ELSE 'posts' END "
				       "AS reason FROM ("
				       "SELECT t.*, u.total - coalesce(sum(t.posts) OVER (PARTITION BY %s ORDER BY %s, "
				       "t.thread COLLATE \"C\" ROWS "
				       "BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS remaining "
				       "FROM thread t JOIN (SELECT %s AS unit, count(*) AS total FROM posts p JOIN "
				       "channels c ON c.id = p.channelid GROUP BY 1) u ON u.unit = %s "
				       "WHERE " SAFE
				       " AND NOT pinned AND reply_at < %lld) x WHERE remaining > %d OR %s < %lld",
				       k, (long long)ago(1500), unit, k, unit_of, unit, (long long)ago(60), limit, k,
				       (long long)ago(1500)));
	}
}

/* Of what a channel or team holds, files included, by the posts that have them. */
static void limits_bytes(void *ctx, const char *name)
{
	static const char *const per[] = {"channel", "team"};
	static const char *const unit[] = {"t.channelid", "CASE WHEN t.teamid <> '' THEN t.teamid ELSE t.channelid "
							  "END"};
	static const char *const unit_of[] = {"c.id", "CASE WHEN c.teamid <> '' THEN c.teamid ELSE c.id END"};
	char policy[1024];

	for (int i = 0; i < 2; i++) {
		int limit = i ? 800 : 150;

		snprintf(policy, sizeof policy,
			 HEAD "  - {name: r, match: {}, keep: forever, limit: {per: %s, bytes: %dkB}, guard: {percent: "
			      "100}}\n",
			 per[i], limit);
		check_query(mem_printf(ctx, "limit bytes %s %s", per[i], name), policy, true,
			    mem_printf(ctx,
				       "SELECT thread, posts, bytes, 'bytes' AS reason FROM ("
				       "SELECT t.*, u.total - coalesce(sum(t.bytes) OVER (PARTITION BY %s ORDER BY "
				       "reply_at, t.thread COLLATE \"C\" ROWS "
				       "BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS remaining "
				       "FROM thread t JOIN (SELECT %s AS unit, sum(coalesce(octet_length(message), 0) "
				       "+ coalesce(octet_length(props::text), 0) + coalesce(f.size, 0)) AS total "
				       "FROM posts p JOIN channels c ON c.id = p.channelid LEFT JOIN (SELECT postid, "
				       "sum(size) AS size FROM fileinfo WHERE postid <> '' GROUP BY postid) f "
				       "ON f.postid = p.id GROUP BY 1) u ON u.unit = %s "
				       "WHERE " SAFE ") x WHERE remaining > %d000",
				       unit[i], unit_of[i], unit[i], limit));
	}
}

/* Files of a server that did not note their channel yet, and files of posts that somebody else deleted. */
static void limits_files(void *ctx)
{
	limits_bytes(ctx, "");
	sql(ctx, "UPDATE fileinfo SET channelid = CASE WHEN id < 'm' THEN NULL ELSE '' END WHERE createat % 3 = 0");
	limits_bytes(ctx, "no channel noted");
	sql(ctx, "INSERT INTO fileinfo (id, postid, channelid, size, createat) SELECT 'gone' || left(id, 22), 'gone' "
		 "|| left(id, 22), id, 20000000, 1 FROM channels");
	limits_bytes(ctx, "post gone");
	sql(ctx, "DELETE FROM fileinfo WHERE id LIKE 'gone%'");
}

/* A file of less than nothing is damage: it must not make a channel look full. */
static void limit_of_less_than_nothing(void *ctx)
{
	static const char *const size[] = {"-1099511627776", "9223372036854775807"};

	for (int i = 0; i < 4; i++) {
		sql(ctx, "CREATE TEMP TABLE kept_size AS SELECT f.id, f.size FROM fileinfo f JOIN posts p ON p.id = "
			 "f.postid WHERE f.postid <> '' ORDER BY f.id LIMIT 2");
		sql(ctx, mem_printf(ctx, "UPDATE fileinfo SET size = %s%s WHERE id IN (SELECT id FROM kept_size)",
				    size[i / 2], i % 2 ? ", channelid = ''" : ""));
		check_query(mem_printf(ctx, "files of %s bytes", size[i / 2]),
			    HEAD "  - {name: r, match: {}, keep: forever, limit: {per: team, bytes: 1TiB}, guard: "
				 "{percent: 100}}\n",
			    false, "SELECT *, 'bytes' AS reason FROM thread WHERE false");
		sql(ctx, "UPDATE fileinfo f SET size = k.size FROM kept_size k WHERE k.id = f.id");
		sql(ctx, "DROP TABLE kept_size");
	}
}

/* Very many limits that cannot be reached: each channel has its mark, the first have a word, the rest one together. */
static void limits_unreached(void *ctx)
{
	struct plan *plan = build(ctx,
				  HEAD "  - {name: r, match: {}, keep: forever, limit: {per: channel, posts: 1}, "
				       "floor: 9000d, guard: {percent: 100}}\n",
				  false);
	int64_t want = db_i64(sql(ctx, "SELECT count(*) FROM (SELECT FROM posts p JOIN channels c ON c.id = "
				       "p.channelid GROUP BY p.channelid HAVING count(*) > 1) x"),
			      0, 0);
	const char *last = plan->n_warnings ? plan->warning[plan->n_warnings - 1] : "";
	int64_t marked = 0;
	bool good;

	for (size_t i = 0; i < plan->n_scopes; i++)
		marked += plan->scope[i].limit_unreached;
	good = marked == want && want > 20 && plan->n_warnings == 21 &&
	       strcmp(last, mem_printf(ctx, "rule r: %lld more stay over its limit", (long long)want - 20)) == 0;
	failures += !good;
	printf("%s limits unreached             %lld of %lld, %zu warnings, the last: %s\n", good ? "ok  " : "FAIL",
	       (long long)marked, (long long)want, plan->n_warnings, last);
}

static void servers_own(void *ctx)
{
	char text[1024];

	snprintf(text, sizeof text,
		 "INSERT INTO pluginkeyvaluestore (pluginid, pkey, pvalue, expireat) VALUES "
		 "('com.mattermost.plugin-legal-hold', 'kvstore_legal_hold_x', "
		 "convert_to('{\"id\":\"x\",\"name\":\"x\",\"user_ids\":[\"%s\"],\"group_ids\":[],\"starts_at\":"
		 "1640995200000,\"ends_at\":0,\"include_public_channels\":true,\"secret\":\"s\"}', 'UTF8'), 0)",
		 user(4));
	sql(ctx, text);
	snprintf(text, sizeof text,
		 "NOT EXISTS (SELECT FROM member m WHERE m.thread = t.thread AND m.createat >= 1640995200000 AND "
		 "m.channelid IN "
		 "(SELECT channelid FROM channelmemberhistory WHERE userid = '%s' AND (leavetime IS NULL OR leavetime "
		 ">= 1640995200000)))",
		 user(4));
	for (int days = 400; days <= 1600; days += 1200)
		check_query("legal hold",
			    mem_printf(ctx, HEAD "  - {name: r, match: {}, keep: {for: %dd}, guard: {percent: 100}}\n",
				       days),
			    false,
			    mem_printf(ctx,
				       "SELECT *, 'age' AS reason FROM thread t WHERE reply_at < %lld AND " SAFE
				       " AND %s",
				       (long long)ago(days), text));
	sql(ctx, "DELETE FROM pluginkeyvaluestore WHERE pkey = 'kvstore_legal_hold_x'");
}

/* Jobs of the server's compliance export, and what may go beside them: the newest one that ended counts, and one that
 * has not keeps all. */
static void exports(void *ctx)
{
	static const char done[] = "NOT unexported", none[] = "NOT exportable";
	static const struct { const char *jobs, *expect;
	} world[] = {
		{"('a', 'message_export', 'success', 5, '{\"batch_start_time\": \"1640000000000\"}')", done},
		{"('a', 'message_export', 'warning', 5, '{\"batch_start_time\": \"1640000000000\"}')", done},
		{"('a', 'message_export', 'warning', 5, '{\"batch_start_timestamp\": \"1640000000000\", "
		 "\"batch_end_timestamp\": \"1750000000000\"}')",
		 done},
		{"('a', 'message_export', 'success', NULL, '{\"batch_start_time\": \"1640000000000\", "
		 "\"job_end_time\": \"1750000000000\"}')",
		 done},
		{"('a', 'message_export', 'in_progress', 5, '{\"batch_start_time\": \"1640000000000\"}')", none},
		{"('a', 'message_export', 'pending', 5, NULL)", none},
		{"('a', 'message_export', 'error', 5, '{\"batch_start_time\": \"1640000000000\"}')", none},
		{"('a', 'message_export', 'canceled', 5, '{\"batch_start_time\": \"1640000000000\"}')", none},
		{"('a', 'message_export', 'success', 5, '{\"batch_start_time\": \"soon\"}')", none},
		{"('a', 'message_export', 'success', 5, '{\"job_end_time\": \"1750000000000\"}')", none},
		{"('a', 'message_export', 'success', 5, '{\"batch_start_time\": \"1640000000000\"}'), ('b', "
		 "'message_export', 'in_progress', 6, '{\"batch_start_time\": \"1750000000000\"}'), ('c', "
		 "'message_export', 'error', 7, '{\"batch_start_time\": \"1750000000000\"}')",
		 done},
		/* begun again from the start: the server goes on from the newest */
		{"('a', 'message_export', 'success', 5, '{\"batch_start_time\": \"1750000000000\"}'), ('b', "
		 "'message_export', 'warning', 6, '{\"batch_start_time\": \"1640000000000\"}')",
		 done},
		{"('a', 'message_export', 'success', 5, '{\"batch_start_time\": \"1640000000000\"}'), ('b', "
		 "'message_export', 'success', 6, '{}')",
		 none},
		/* the command line's: not where the server goes on from */
		{"('a', 'cli_message_export', 'success', 5, '{\"batch_start_time\": \"1640000000000\"}')", done},
		{"('a', 'cli_message_export', 'in_progress', 5, '{\"batch_start_time\": \"1640000000000\"}')", none},
		{"('a', 'cli_message_export', 'success', 6, '{\"batch_start_time\": \"1750000000000\"}'), ('b', "
		 "'message_export', 'success', 5, '{\"batch_start_time\": \"1640000000000\"}')",
		 done},
		{"('a', 'cli_message_export', 'success', 5, '{\"batch_start_time\": \"1640000000000\"}'), ('b', "
		 "'message_export', 'in_progress', 6, '{\"batch_start_time\": \"1000000000000\"}')",
		 none},
		{"('a', 'data_retention', 'success', 5, '{\"batch_start_time\": \"1\"}')", "true"},
	};

	for (size_t i = 0; i < ARRAY_LEN(world); i++) {
		sql(ctx,
		    mem_printf(ctx, "INSERT INTO jobs (id, type, status, createat, data) VALUES %s", world[i].jobs));
		for (int days = 400; days <= 1600; days += 1200)
			check(mem_printf(ctx, "compliance export %zu", i),
			      mem_printf(ctx,
					 HEAD "  - {name: r, match: {}, keep: {for: %dd}, guard: {percent: 100}}\n",
					 days),
			      "reply_at", days, world[i].expect);
		sql(ctx, "DELETE FROM jobs WHERE id IN ('a', 'b', 'c')");
	}
}

/* The page of mm_protections and the one thread of explain see what the plan saw. */
static void pages(void *ctx)
{
	struct db_result *res =
		sql(ctx, "SELECT thread, pinned, flagged, damaged, burn, cflag FROM thread ORDER BY thread LIMIT 3000");
	const struct mm_protect_query q = {.pinned = true, .flagged = true};
	size_t n = (size_t)db_rows(res), wrong = 0;
	const char **root = mem_array(ctx, const char *, n + 1);
	unsigned *bits = mem_array(ctx, unsigned, n + 1);
	struct err err = {0};

	for (size_t i = 0; i < n; i++)
		root[i] = db_text(res, (int64_t)i, 0);
	root[n] = "nobodyshere";
	if (db_begin(mm->db, DB_READ_COMMITTED, &err) < 0 || mm_protections(mm, &q, root, n + 1, bits, NULL, &err) < 0)
		die("mm_protections", &err);
	db_rollback(mm->db);
	for (size_t i = 0; i < n; i++) {
		int64_t r = (int64_t)i;
		unsigned want = (db_bool(res, r, 1) ? MM_PINNED : 0u) | (db_bool(res, r, 2) ? MM_FLAGGED : 0u) |
				(db_bool(res, r, 3) ? MM_DAMAGED : 0u) | (db_bool(res, r, 4) ? MM_BURN_ON_READ : 0u) |
				(db_bool(res, r, 5) ? MM_CONTENT_FLAG : 0u);

		wrong += bits[i] != want;
	}
	wrong += bits[n] != MM_CHANGED;
	failures += wrong > 0;
	printf("%s mm_protections               %zu wrong of %zu\n", wrong ? "FAIL" : "ok  ", wrong, n);
}

static void explain(void *ctx)
{
	struct policy *policy = parse(ctx, HEAD RULE "}\n");
	struct db_result *res =
		sql(ctx, "SELECT m.id, t.thread, t.posts, t.reply_at FROM thread t JOIN member m ON m.thread = "
			 "t.thread WHERE t.posts > 3 AND " SAFE " AND m.id <> t.thread ORDER BY m.id LIMIT 50");
	size_t wrong = 0;

	for (int64_t i = 0; i < db_rows(res); i++) {
		struct plan_explain *x;
		struct err err = {0};

		if (plan_explain_post(ctx, policy, mm, db_text(res, i, 0), NULL, 0, &x, &err) < 0)
			die("explain", &err);
		wrong += strcmp(x->root, db_text(res, i, 1)) != 0 || !x->has_thread ||
			 x->thread.posts != (uint64_t)db_i64(res, i, 2) || x->age_key_ms != db_i64(res, i, 3) ||
			 (x->verdict == PLAN_DUE) != (db_i64(res, i, 3) < x->cut_ms) ||
			 (x->due_ms <= mm->now_ms) != (x->verdict == PLAN_DUE);
		talloc_free(x);
	}
	failures += wrong > 0;
	printf("%s plan_explain_post            %zu wrong of %lld\n", wrong ? "FAIL" : "ok  ", wrong,
	       (long long)db_rows(res));
}

/* Written, read back the same; any flipped bit refused. */
static void file(void *ctx)
{
	const char *name = mem_printf(ctx, "plan_db_test.%d", (int)getpid()), *path = mem_printf(ctx, "/tmp/%s", name),
		   *text = HEAD RULE "}\n";
	struct plan *plan = build(ctx, text, true), *again;
	struct policy *policy = parse(ctx, text);
	struct err err = {0};
	size_t len, wrong = 0;
	char *data;
	int dir auto_fd = -1;

	if (file_open_dir("/tmp", &dir, &err) < 0 || plan_write(plan, path, &err) < 0 ||
	    plan_read(ctx, path, policy, mm, &again, &err) < 0 ||
	    file_read(ctx, dir, name, 64 << 20, &data, &len, &err) < 0)
		die("plan file", &err);
	wrong += memcmp(&plan->digest, &again->digest, sizeof plan->digest) != 0 ||
		 again->due_posts != plan->due_posts || spool_count(again->due) != spool_count(plan->due);
	srandom(1);
	for (int i = 0; i < 300; i++) {
		size_t at = i == 0 ? len - 1 : (size_t)random() % len;
		char flip = (char)(1 << (random() % 8));

		data[at] ^= flip;
		if (file_replace(dir, name, data, len, 0600, &err) < 0)
			die("flip", &err);
		wrong += plan_read(ctx, path, policy, mm, &again, &err) == 0;
		data[at] ^= flip;
	}
	for (int i = 0; i < 100; i++) {
		if (file_replace(dir, name, data, (size_t)random() % len, 0600, &err) < 0)
			die("cut", &err);
		wrong += plan_read(ctx, path, policy, mm, &again, &err) == 0;
	}
	unlink(path);
	failures += wrong > 0;
	printf("%s plan file                    %zu wrong\n", wrong ? "FAIL" : "ok  ", wrong);
}

/* The threads of three replies lose a time: damaged, which a plan of all channels says, not just younger. */
static void timeless(void *ctx)
{
	static const char *const match[] = {"{}", "{team: accelerator}"};
	struct plan *plan[4];
	size_t wrong = 0;

	for (int i = 0; i < 4; i++) {
		if (i == 2)
			sql(ctx, "UPDATE posts SET createat = NULL WHERE id IN (SELECT max(m.id) FROM thread t JOIN "
				 "member m ON m.thread = t.thread "
				 "WHERE t.posts > 3 AND m.rootid = t.thread AND coalesce(m.originalid, '') = '' AND "
				 "t.edit_at < 1750000000000 AND " SAFE
				 " AND t.teamid = (SELECT id FROM teams WHERE name = 'accelerator') GROUP BY t.thread "
				 "ORDER BY 1 LIMIT 3)");
		plan[i] = build(ctx,
				mem_printf(ctx,
					   HEAD "  - {name: r, match: %s, keep: {for: 400d}, guard: {percent: 100}}\n",
					   match[i & 1]),
				false);
	}
	for (int i = 0; i < 2; i++)
		wrong += (i == 0 &&
			  plan[i + 2]->rule[0].reason[KEPT_DAMAGED] != plan[i]->rule[0].reason[KEPT_DAMAGED] + 3) ||
			 plan[i + 2]->due_threads + 3 != plan[i]->due_threads;
	failures += wrong > 0;
	printf("%s replies without a time       %zu wrong of 2\n", wrong ? "FAIL" : "ok  ", wrong);
}

int main(void)
{
	void *ctx = begin("plan_db_test");
	char *text;

	/* edit copies of replies that lost their rootid, one of them much younger than its reply */
	sql(ctx, "INSERT INTO posts (id, createat, updateat, deleteat, editat, userid, channelid, rootid, originalid, "
		 "message, type, props, hashtags, ispinned) "
		 "SELECT 'oddcopy' || substr(id, 8), createat + CASE WHEN right(id, 1) < 'm' THEN 0 ELSE 60000000000 "
		 "END, updateat, updateat + 1, 0, userid, channelid, '', id, message, '', '{}', '', false "
		 "FROM posts WHERE rootid <> '' AND createat < 1750000000000 AND coalesce(originalid, '') = '' ORDER "
		 "BY id COLLATE \"C\" LIMIT 200 ON CONFLICT DO NOTHING");
	/* some with rows of fileinfo, most without */
	sql(ctx, "UPDATE posts SET filenames = '[\"/channel/user/number/scan.png\"]' WHERE substr(id, 5, 1) = 'q'");
	add_late_files();
	sql(ctx, "ANALYZE posts");
	sql(ctx, make_member);
	sql(ctx, "CREATE INDEX ON member (id)");
	text = mem_strdup(ctx, make_thread);
	sql(ctx, "CREATE TEMP TABLE due (thread text, posts bigint, bytes bigint, reason text)");
	{
		char *at = strstr(text, "%lld"), *all = mem_printf(ctx, "%.*s%lld%s", (int)(at - text), text,
								   (long long)(mm->now_ms + 86400000), at + 4);

		while ((at = strstr(all, "%%")))
			memmove(at, at + 1, strlen(at));
		sql(ctx, all);
	}
	sql(ctx, "ANALYZE member");
	ages(ctx);
	spares(ctx);
	holds(ctx);
	limits(ctx);
	limits_files(ctx);
	limit_of_less_than_nothing(ctx);
	limits_unreached(ctx);
	servers_own(ctx);
	exports(ctx);
	pages(ctx);
	explain(ctx);
	file(ctx);
	timeless(ctx);
	return end(ctx);
}
