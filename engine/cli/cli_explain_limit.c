/*
 * cli_explain_limit.c - how full the channels are that a rule's limit measures together, as explain tells it.
 */
#include "cli_plan.h"

void cli_limit_measured(struct plan_explain *e, const struct plan *plan)
{
	e->unit_channels = e->rule->has_limit ? plan->n_scopes : 0;
	for (size_t i = 0; i < e->unit_channels; i++) {
		e->unit_posts += plan->scope[i].size_posts;
		e->unit_bytes += plan->scope[i].size_bytes;
	}
}

static const char *per_name(const struct policy_rule *rule)
{
	return rule->per == PER_TEAM ? "team" : "channel";
}

static void put_or_null(json_t *obj, const char *key, bool known, uint64_t value)
{
	cli_json_put(obj, key, known ? json_integer((json_int_t)value) : json_null());
}

json_t *cli_limit_json(const struct plan_explain *e)
{
	const struct policy_rule *rule = e->rule;
	json_t *obj;

	if (!e->unit_channels)
		return json_null();
	obj = cli_json_check(json_object());
	cli_json_text(obj, "per", per_name(rule));
	cli_json_int(obj, "channels", e->unit_channels);
	cli_json_int(obj, "posts", e->unit_posts);
	put_or_null(obj, "bytes", rule->limit_bytes != 0, e->unit_bytes);
	put_or_null(obj, "most_posts", rule->limit_posts != 0, rule->limit_posts);
	put_or_null(obj, "most_bytes", rule->limit_bytes != 0, rule->limit_bytes);
	return obj;
}

static bool is_over(const struct plan_explain *e)
{
	return (e->rule->limit_posts && e->unit_posts > e->rule->limit_posts) ||
	       (e->rule->limit_bytes && e->unit_bytes > e->rule->limit_bytes);
}

char *cli_limit_text(void *ctx, const struct plan_explain *e)
{
	const struct policy_rule *rule = e->rule;
	char *text = mem_printf(ctx, "limit per %s:", per_name(rule)), now[TIME_TEXT], most[TIME_TEXT];

	if (rule->limit_posts)
		text = mem_printf(ctx, "%s %llu of %s", text, (unsigned long long)e->unit_posts,
				  cli_count(ctx, rule->limit_posts, "post"));
	if (rule->limit_bytes) {
		bytes_format(e->unit_bytes, now);
		bytes_format(rule->limit_bytes, most);
		text = mem_printf(ctx, "%s%s %s of %s", text, rule->limit_posts ? "," : "", now, most);
	}
	if (e->unit_channels > 1)
		text = mem_printf(ctx, "%s, in %s", text, cli_count(ctx, e->unit_channels, "channel"));
	return mem_printf(ctx, "%s%s", text,
			  !is_over(e) ? ""
			  : e->deleted_cut_ms != INT64_MIN
				  ? "; what goes by deleted_posts counts as gone, then the oldest threads go"
				  : "; the oldest threads go first");
}
