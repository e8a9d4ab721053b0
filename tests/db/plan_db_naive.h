/*
 * plan_db_naive.h - what must be due, worked out row by row without a care for cost, and the comparison with a plan.
 */
#ifndef PLAN_DB_NAIVE_H
#define PLAN_DB_NAIVE_H

#include "plan_db_test.h"

/* ---- the naive side ---- */

static const char make_member[] =
	"CREATE TEMP TABLE member AS "
	"WITH r AS (SELECT id, channelid FROM posts WHERE coalesce(rootid, '') = '' AND coalesce(originalid, '') = "
	"''), "
	"a AS (SELECT r.id AS thread, p.* FROM r JOIN posts p ON p.id = r.id UNION ALL "
	"      SELECT r.id, p.* FROM r JOIN posts p ON p.rootid = r.id) "
	"SELECT * FROM a UNION ALL "
	"SELECT a.thread, p.* FROM a JOIN posts p ON p.originalid = a.id WHERE coalesce(p.rootid, '') = ''";

static const char make_thread[] =
	"CREATE TEMP TABLE thread AS "
	"SELECT m.thread, r.channelid, c.teamid, r.createat AS root_at, max(m.createat) AS reply_at, "
	"       max(greatest(m.createat, m.editat)) AS edit_at, count(*) AS posts, "
	"       sum(coalesce(octet_length(m.message), 0) + coalesce(octet_length(m.props::text), 0) + coalesce(f.size, "
	"0)) AS bytes, "
	"       bool_or(m.ispinned AND coalesce(m.deleteat, 0) = 0) IS TRUE AS pinned, "
	"       bool_or(EXISTS (SELECT FROM preferences x WHERE x.category = 'flagged_post' AND x.name = m.id)) AS "
	"flagged, "
	"       array_agg(m.userid) AS users, "
	"       bool_or(coalesce(m.deleteat, 0) = 0 AND ' ' || lower(m.hashtags) || ' ' LIKE '% #howto %') IS TRUE AS "
	"tagged, "
	"       bool_or(coalesce(m.createat, 0) < 946684800000 OR m.createat > %lld OR m.channelid IS DISTINCT FROM "
	"r.channelid "
	"               OR EXISTS (SELECT FROM posts q WHERE (q.rootid = m.id OR q.originalid = m.id) "
	"                          AND NOT EXISTS (SELECT FROM member x WHERE x.thread = m.thread AND x.id = q.id))) "
	"AS damaged, "
	"       bool_or(EXISTS (SELECT FROM propertyvalues v WHERE v.targetid = m.id AND v.targettype = 'post' AND "
	"                       v.deleteat = 0 AND v.fieldid IN (SELECT f.id FROM propertyfields f JOIN propertygroups "
	"g ON g.id = f.groupid "
	"                                                        WHERE f.name = 'status' AND g.name = "
	"'content_flagging') AND lower(v.value #>> '{}') IN ('pending', 'assigned'))) AS cflag, "
	"       bool_or(coalesce(m.type, '') = 'burn_on_read' OR EXISTS (SELECT FROM temporaryposts t WHERE t.postid = "
	"m.id)) AS burn, "
	"       bool_or(m.filenames LIKE '%%\"%%' AND coalesce(m.originalid, '') = '' "
	"               AND NOT EXISTS (SELECT FROM fileinfo x WHERE x.postid = m.id)) IS TRUE AS unlisted, "
	"       bool_or(coalesce(m.type, '') NOT LIKE 'system\\_%%' AND m.updateat > 1640000000000) AS unexported, "
	"       bool_or(coalesce(m.type, '') NOT LIKE 'system\\_%%') AS exportable "
	"FROM member m JOIN posts r ON r.id = m.thread JOIN channels c ON c.id = r.channelid "
	"LEFT JOIN (SELECT postid, sum(size) AS size FROM fileinfo WHERE postid <> '' GROUP BY postid) f ON f.postid = "
	"m.id "
	"WHERE r.createat > 0 GROUP BY m.thread, r.channelid, c.teamid, r.createat";

#define SAFE_UNLISTED "NOT damaged AND NOT cflag AND NOT burn"
#define SAFE SAFE_UNLISTED " AND NOT unlisted"

/* ---- the two sides compared ---- */

static struct plan *build(void *ctx, const char *policy_text, bool sizes)
{
	const struct plan_options options = {.sizes = sizes};
	struct err err = {0};
	struct plan *plan;

	if (plan_build(ctx, parse(ctx, policy_text), mm, &options, &plan, &err) < 0)
		die(policy_text, &err);
	return plan;
}

/* Due threads of the plan into a temporary table, so that the server compares. */
static void store_due(void *ctx, struct plan *plan)
{
	struct db_array root, posts, bytes, reason;
	struct err err = {0};
	const struct sql s =
		{"store_due",
		 "INSERT INTO due SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])"};
	const char *p[4];
	const void *at;

	db_array_init(&root, ctx);
	db_array_init(&posts, ctx);
	db_array_init(&bytes, ctx);
	db_array_init(&reason, ctx);
	while (spool_next(plan->due, &at, &err) > 0) {
		const struct plan_thread *t = at;

		db_array_add(&root, t->root, strlen(t->root));
		db_array_add_i64(&posts, (int64_t)t->posts);
		db_array_add_i64(&bytes, (int64_t)t->bytes);
		db_array_add(&reason, plan_reason_name(t->reason), strlen(plan_reason_name(t->reason)));
	}
	p[0] = db_array_text(&root), p[1] = db_array_text(&posts), p[2] = db_array_text(&bytes),
	p[3] = db_array_text(&reason);
	sql(ctx, "TRUNCATE due");
	if (db_query(ctx, mm->db, &s, DB_NONE, 4, p, NULL, &err) < 0)
		die("store_due", &err);
}

/* `expect`: a query of thread, posts, bytes, reason. */
static void check_query(const char *name, const char *policy_text, bool sizes, const char *expect)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, name);
	int64_t start = time_mono_us();
	struct plan *plan = build(ctx, policy_text, sizes);
	double ms = (double)(time_mono_us() - start) / 1000;
	const char *bytes = sizes ? "bytes" : "0";
	struct db_result *diff;

	store_due(ctx, plan);
	diff = sql(ctx, mem_printf(ctx,
				   "WITH want AS (SELECT thread::text, posts::bigint, %s::bigint AS bytes, "
				   "reason::text FROM (%s) x), "
				   "more AS (SELECT * FROM due EXCEPT SELECT * FROM want), less AS (SELECT * FROM want "
				   "EXCEPT SELECT * FROM due) "
				   "SELECT (SELECT count(*) FROM want), (SELECT count(*) FROM more), (SELECT count(*) "
				   "FROM less), "
				   "(SELECT min(thread || ' ' || posts || ' ' || bytes || ' ' || reason) FROM more), "
				   "(SELECT min(thread || ' ' || posts || ' ' || bytes || ' ' || reason) FROM less)",
				   bytes, expect));
	if (db_i64(diff, 0, 1) || db_i64(diff, 0, 2))
		failures++;
	printf("%s %-28s %6llu due of %6s wanted, %.0f ms  %s | %s\n",
	       db_i64(diff, 0, 1) || db_i64(diff, 0, 2) ? "FAIL" : "ok  ", name, (unsigned long long)plan->due_threads,
	       db_text(diff, 0, 0), ms, db_text(diff, 0, 3), db_text(diff, 0, 4));
	for (size_t i = 0; getenv("MMR_TEST_VERBOSE") && i < plan->n_warnings; i++)
		printf("     warning: %s\n", plan->warning[i]);
}

static int64_t ago(int days)
{
	return mm->now_ms - days * INT64_C(86400000);
}

static void check(const char *name, const char *policy_text, const char *key, int days, const char *where)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "check");

	check_query(name, policy_text, false,
		    mem_printf(ctx, "SELECT *, 'age' AS reason FROM thread WHERE %s < %lld AND " SAFE " AND (%s)", key,
			       (long long)ago(days), where));
}

#endif
