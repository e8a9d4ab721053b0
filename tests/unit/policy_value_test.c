/* What ends up in the structs. */
#include "policy_tests.h"

#include <string.h>

#define DAY_MS 86400000LL

static const char full[] =
	"version: 1\n"
	"database:\n"
	"  {mattermost_config: /opt/mattermost/config/config.json, files: /srv/files}\n"
	"archive:\n"
	"  store: /var/lib/mmretain/archive\n"
	"  bundle_size: 128MiB\n"
	"throttle: {preset: gentle, target: 8ms, pause_factor: 0, replica_lag: 1500ms, replica_lag_bytes: off, "
	"replica_except: [dr, Delayed Site]}\n"
	"rules:\n"
	"  - name: unlimited\n"
	"    match: {}\n"
	"    keep: forever\n"
	"  - name: alarms\n"
	"    description: |\n"
	"      Machine alarms\n"
	"      of all kinds\n"
	"    match: {team: accelerator, channel: [\"alarm-*\", beam], type: [public, private], archived: no}\n"
	"    priority: -3\n"
	"    keep: {for: 6mo, from: root}\n"
	"    limit: {per: team, posts: 50000, bytes: 500MiB}\n"
	"    spare: {pinned: thread, flagged: yes, authors: [safety-bot], hashtags: [\"#keep\"]}\n"
	"    floor: 30d\n"
	"    files: drop\n"
	"    archive: {keep_for: 10y}\n"
	"    guard: {threads: 100000, percent: 40}\n"
	"  - {name: noise, match: {channel: ci}, keep: {for: 1w}, archive: none, because: no use, guard: {percent: "
	"100}}\n"
	"holds:\n"
	"  - name: case-2026-17\n"
	"    match: {users: [j.doe], channels: [], teams: []}\n"
	"    since: 2025-01-01\n"
	"    until: 2025-12-31\n"
	"    because: \"file reference 17/26\"\n"
	"  - {name: open, match: {teams: legal}, since: 2025-01-01T12:00:00Z, until: open}\n";

START_TEST(test_full_rule)
{
	void *ctx = mem_context(NULL, "full");
	struct policy *p = parse_good(ctx, full);
	const struct policy_rule *r = &p->rule[1];

	ck_assert_str_eq(p->database.files, "/srv/files");
	ck_assert_uint_eq(p->n_rules, 3);
	ck_assert_str_eq(r->name, "alarms");
	ck_assert_str_eq(r->description, "Machine alarms\nof all kinds\n");
	ck_assert_uint_eq(r->line, 12);
	ck_assert_uint_eq(r->match.team.n, 1);
	ck_assert_str_eq(r->match.team.item[0], "accelerator");
	ck_assert_uint_eq(r->match.channel.n, 2);
	ck_assert_str_eq(r->match.channel.item[1], "beam");
	ck_assert_uint_eq(r->match.channel.line[1], 16);
	ck_assert_uint_eq(r->match.types, SCOPE_PUBLIC | SCOPE_PRIVATE);
	ck_assert_int_eq(r->match.archived, FLAG_NO);
	ck_assert_int_eq(r->priority, -3);
	ck_assert(!r->keep_forever && r->has_age);
	ck_assert_int_eq(r->age.months, 6);
	ck_assert_int_eq(r->from, FROM_ROOT);
	ck_assert(r->has_limit);
	ck_assert_int_eq(r->per, PER_TEAM);
	ck_assert_uint_eq(r->limit_posts, 50000);
	ck_assert_uint_eq(r->limit_bytes, 500ULL << 20);
	ck_assert(r->spare_pinned && r->spare_flagged);
	ck_assert_str_eq(r->spare_authors.item[0], "safety-bot");
	ck_assert_str_eq(r->spare_hashtags.item[0], "#keep");
	ck_assert(r->has_floor);
	ck_assert_int_eq(r->floor.ms, 30 * DAY_MS);
	ck_assert_int_eq(r->files, FILES_DROP);
	ck_assert(!r->archive_none && r->has_keep_for);
	ck_assert_int_eq(r->keep_for.months, 120);
	ck_assert_uint_eq(r->guard_threads, 100000);
	ck_assert_uint_eq(r->guard_percent, 40);
	talloc_free(ctx);
}
END_TEST

START_TEST(test_defaults)
{
	void *ctx = mem_context(NULL, "defaults");
	struct policy *p = parse_good(ctx, HEAD "rules: [{name: a, match: {}, keep: forever}]\n");
	const struct policy_rule *r = &p->rule[0];

	ck_assert(r->keep_forever && !r->has_age && !r->has_limit && !r->has_floor && !r->has_keep_for &&
		  !r->archive_none);
	ck_assert_int_eq(r->match.archived, FLAG_UNSET);
	ck_assert_uint_eq(r->match.types, 0);
	ck_assert_int_eq(r->from, FROM_LAST_REPLY);
	ck_assert_int_eq(r->files, FILES_ARCHIVE);
	ck_assert_int_eq(r->priority, 0);
	ck_assert_ptr_null(r->because);
	ck_assert_uint_eq(p->archive.bundle_size_bytes, 256 << 20);
	ck_assert_int_eq(p->throttle.target_ms, 1);
	ck_assert_int_eq(p->throttle.pause_factor, 2);
	ck_assert_int_eq(p->throttle.export_pause_factor, 3);
	ck_assert_int_eq(p->throttle.blob_grace_ms, 30000);
	ck_assert_int_eq(p->throttle.replica_lag_ms, 10000);
	ck_assert_int_eq(p->throttle.replica_lag_bytes, 128 << 20);
	ck_assert_int_eq(p->throttle.probe_latency_ms, 10);
	ck_assert_uint_eq(p->throttle.replica_except.n, 0);
	ck_assert_uint_eq(p->n_holds, 0);
	ck_assert_str_eq(p->database.service, "mm");
	ck_assert_ptr_null(p->database.url);
	ck_assert_ptr_null(p->database.files);
	talloc_free(ctx);
}
END_TEST

START_TEST(test_rest_of_file)
{
	void *ctx = mem_context(NULL, "rest");
	struct policy *p = parse_good(ctx, full);
	struct hash *h = hash_new(ctx);
	struct digest d;
	int64_t since, until;

	hash_bytes(h, full, strlen(full), &d);
	ck_assert_mem_eq(&d, &p->digest, sizeof(d));
	ck_assert_uint_eq(p->archive.bundle_size_bytes, 128 << 20);
	ck_assert_int_eq(p->throttle.target_ms, 8);
	ck_assert_int_eq(p->throttle.pause_factor, 0);
	ck_assert_int_eq(p->throttle.export_pause_factor, 6);
	ck_assert_int_eq(p->throttle.replica_lag_ms, 1500);
	ck_assert_int_eq(p->throttle.replica_lag_bytes, 0);
	ck_assert_uint_eq(p->throttle.replica_except.n, 2);
	ck_assert_str_eq(p->throttle.replica_except.item[1], "Delayed Site");
	ck_assert_int_eq(p->throttle.probe_latency_ms, 5);
	ck_assert(p->rule[2].archive_none);
	ck_assert_str_eq(p->rule[2].because, "no use");
	ck_assert_uint_eq(p->n_holds, 2);
	ck_assert(time_parse("2025-01-01", &since) && time_parse("2026-01-01", &until));
	ck_assert(p->hold[0].has_since && p->hold[0].has_until);
	ck_assert_int_eq(p->hold[0].since_ms, since);
	ck_assert_int_eq(p->hold[0].until_ms, until); /* a date covers its day */
	ck_assert_str_eq(p->hold[0].users.item[0], "j.doe");
	ck_assert(p->hold[1].has_since && !p->hold[1].has_until);
	ck_assert_int_eq(p->hold[1].since_ms, since + DAY_MS / 2);
	talloc_free(ctx);
}
END_TEST

/* Warnings do not stop a policy, and are told. */
static const struct {
	const char *rule, *want; /* NULL: none */
} warnings[] = {
	{"match: {}, keep: {for: 1y}, guard: {percent: 10}", NULL},
	{"match: {}, keep: {for: 1y}", "without a guard"},
	{"match: {}, keep: {for: 2y}, archive: {keep_for: 18mo}, guard: {percent: 10}",
	 "`keep_for` 18mo is not longer than `keep` 2y"},
	{"match: {}, keep: forever, limit: {per: channel, posts: 9}, floor: 1y, archive: {keep_for: 1y}, guard: "
	 "{percent: 10}",
	 "`keep_for` 1y is not longer than `floor` 1y"},
	{"match: {}, keep: {for: 90d, from: root}, limit: {per: channel, posts: 9}, floor: 60d, archive: {keep_for: "
	 "59d}, guard: {percent: 10}",
	 "`keep_for` 59d is not longer than `floor` 60d"},
	{"match: {}, keep: forever, limit: {per: channel, posts: 9}, floor: 1y, archive: {keep_for: 2y}, guard: "
	 "{percent: 10}",
	 NULL},
	{"match: {}, keep: {for: 90d, from: root}, floor: 60d, archive: {keep_for: 61d}, guard: {percent: 10}", NULL},
	{"match: {}, keep: {for: 90d}, floor: 60d, archive: {keep_for: 61d}, guard: {percent: 10}",
	 "`keep_for` 61d is not longer than `keep` 90d"},
	{"match: {}, keep: {for: 30d}, floor: 90d, guard: {percent: 10}", "`floor` 90d is longer than `keep` 30d"},
	{"match: {}, keep: {for: 90d}, floor: 90d, guard: {percent: 10}", NULL},
	{"match: {}, keep: {for: 1y}, floor: 366d, guard: {percent: 10}", NULL}, /* 2024 is a leap year */
	{"match: {}, keep: forever, limit: {per: channel, posts: 9}, guard: {percent: 10}",
	 "`limit` without `floor` can take threads of today"},
	{"match: {}, keep: {for: 1y}, limit: {per: team, bytes: 9MB}, guard: {percent: 10}",
	 "`limit` without `floor` can take threads of today"},
	{"match: {}, keep: forever, limit: {per: channel, posts: 9}, floor: 1d, guard: {percent: 10}", NULL},
	{"match: {}, keep: forever, floor: 90d", "`floor` has no effect"},
	{"match: {}, keep: forever, archive: {keep_for: 1y}", "`archive` has no effect"},
	{"match: {team: Legal}, keep: forever", "not the name of a channel or team"},
	{"match: {channel: 'Logbook-*'}, keep: forever", "matches no name of a channel or team"},
	{"match: {channel: ['alarm-{a,b}*']}, keep: forever", "matches no name of a channel or team"},
	{"match: {team: ['acc*/alarm-?']}, keep: forever", "matches no name of a channel or team"},
	{"match: {channel: ['[A-Z]*x', '[!0-9]*', '*_?', '[a]b[']}, keep: forever", NULL},
	{"match: {}, keep: {for: 1y}, spare: {authors: ['@bot', J.Doe]}, guard: {percent: 9}", NULL},
	{"match: {}, keep: {for: 1y}, spare: {authors: ['j doe']}, guard: {percent: 9}",
	 "is not an account name: those have"},
	{"match: {}, keep: {for: 1y}, spare: {authors: ['@']}, guard: {percent: 9}",
	 "is not an account name: those have"},
	{"match: {}, keep: {for: 1y}, spare: {authors: [j.doe@example.org]}, guard: {percent: 9}",
	 "is not an account name, but an address"},
	{"match: {}, keep: {for: 1y}, archive: none, because: x, floor: 1mo, guard: {percent: 10}", NULL},
	{"match: {}, keep: {for: 1y}, spare: {hashtags: ['#Keep', '#keep-2.a_b', '#ärger', '#日本', '#ok']}, guard: "
	 "{percent: 9}",
	 NULL},
	{"match: {}, keep: {for: 1y}, spare: {hashtags: ['#2026']}, guard: {percent: 9}",
	 "\"#2026\" is a hashtag that no post has"},
	{"match: {}, keep: {for: 1y}, spare: {hashtags: ['#k']}, guard: {percent: 9}", "that no post has"},
	{"match: {}, keep: {for: 1y}, spare: {hashtags: ['#keep*']}, guard: {percent: 9}", "that no post has"},
	{"match: {}, keep: {for: 1y}, spare: {hashtags: ['#keep.']}, guard: {percent: 9}", "that no post has"},
	{"match: {}, keep: {for: 1y}, spare: {hashtags: ['##keep']}, guard: {percent: 9}", "that no post has"},
};

START_TEST(test_warnings)
{
	void *ctx = mem_context(NULL, "warnings");
	char *text = mem_printf(ctx, HEAD "rules: [{name: a, %s}]\n", warnings[_i].rule);
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};

	ck_assert_msg(policy_parse(ctx, "w", text, strlen(text), &p, &problems, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(problems->n_errors, 0);
	ck_assert_uint_eq(problems->n, warnings[_i].want ? 1 : 0);
	if (warnings[_i].want) {
		ck_assert(problems->item[0].warning);
		ck_assert_msg(strstr(problems->item[0].text, warnings[_i].want) != NULL, "%s", problems->item[0].text);
	}
	talloc_free(ctx);
}
END_TEST

/* As plans print a channel, and as --channel takes it. */
START_TEST(test_team_and_channel)
{
	void *ctx = mem_context(NULL, "team and channel");
	static const char text[] = HEAD
		"rules: [{name: a, match: {}, keep: forever}]\nholds: [{name: h, match: {channels: [acc/alarm-1]}}]\n";
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};

	ck_assert_int_eq(policy_parse(ctx, "w", text, strlen(text), &p, &problems, &err), 0);
	ck_assert_uint_eq(problems->n, 1);
	ck_assert_ptr_nonnull(strstr(problems->item[0].hint, "behind the `/`"));
	talloc_free(ctx);
}
END_TEST

/* F002 and its like: refused, with the word that matters. */
static const struct {
	const char *rule, *want;
} refused[] = {
	{"match: {}, keep: {for: 1y}, archive: none, because: x, guard: {percent: 10}", "whole server"},
	{"match: {channel: '*'}, keep: {for: 1y}, archive: none, because: x, guard: {percent: 10}", "whole server"},
	{"match: {channel: [a, '?**']}, keep: {for: 1y}, archive: none, because: x, guard: {percent: 10}",
	 "whole server"},
	{"match: {team: '*'}, keep: forever, limit: {per: team, posts: 5}, archive: none, because: x, guard: {percent: "
	 "1}",
	 "whole server"},
	{"match: {type: [public, private, direct, group]}, keep: {for: 1y}, archive: none, because: x, guard: "
	 "{percent: 1}",
	 "whole server"},
	{"match: {team: a}, keep: {for: 1y}, archive: none, guard: {percent: 10}", "needs `because`"},
	{"match: {team: a}, keep: {for: 0d}, guard: {percent: 10}", "longer than zero"},
	{"match: {team: a}, keep: {for: 90}, guard: {percent: 10}", "has no unit"},
	{"match: {}", "a rule needs `keep`"},
	{"keep: forever", "a rule needs `match`"},
	{"match: {team: []}, keep: forever", "lists nothing"},
	{"match: {type: direct, team: a}, keep: forever", "have no team"},
};

START_TEST(test_refused)
{
	void *ctx = mem_context(NULL, "refused");
	char *text = mem_printf(ctx, HEAD "rules: [{name: a, %s}]\n", refused[_i].rule);
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};

	ck_assert_int_eq(policy_parse(ctx, "r", text, strlen(text), &p, &problems, &err), -ERR_POLICY);
	ck_assert_ptr_null(p);
	ck_assert_uint_eq(problems->n_errors, 1);
	ck_assert_msg(strstr(err.msg, refused[_i].want) != NULL, "%s", err.msg);
	talloc_free(ctx);
}
END_TEST

TCase *policy_value_cases(void)
{
	TCase *tc = tcase_create("value");

	tcase_add_test(tc, test_full_rule);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_rest_of_file);
	tcase_add_loop_test(tc, test_warnings, 0, ARRAY_LEN(warnings));
	tcase_add_test(tc, test_team_and_channel);
	tcase_add_loop_test(tc, test_refused, 0, ARRAY_LEN(refused));
	return tc;
}
