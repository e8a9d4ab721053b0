/* What keys mean together: the file as a whole. The bound structs say what was understood, the nodes where it stands.
 */
#include "policy_internal.h"

#include <string.h>

static const struct node *child(const struct node *list, size_t i)
{
	const struct node *n = list ? list->first : NULL;

	while (n && i--)
		n = n->next;
	return n;
}

static void check_database(struct problem_list *l, const struct policy *p, const struct node *n)
{
	unsigned given = 0, files = 0;

	(void)p; /* what could not be bound still counts as given */
	if (!n || n->kind != NODE_MAP)
		return;
	for (const struct node *v = n->first; v; v = v->next)
		given += strcmp(v->key->text, "mattermost_config") == 0 || strcmp(v->key->text, "service") == 0 ||
			 strcmp(v->key->text, "url") == 0;
	for (const struct node *v = n->first; v; v = v->next)
		files += strcmp(v->key->text, "files") == 0;
	if (given == 0 && n->n == files) {
		policy_problem(l, n, files ? "`database` has `files` and no database" : "`database` is empty");
		policy_hint(l, "Write one of `mattermost_config`, `service` or `url`.");
	} else if (given > 1) {
		policy_problem(l, n, "`database` has %u of `mattermost_config`, `service` and `url`", given);
		policy_hint(l, "Keep exactly one of them.");
	}
}

/* s3://bucket/prefix, of letters that mean themselves in a path and in a signature. */
static bool is_bucket(const char *url)
{
	const char *name = url + 5, *prefix;
	size_t n;

	if (strncmp(url, "s3://", 5) != 0)
		return false;
	n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");
	prefix = name + n;
	if (n < 3 || n > 63 || name[0] == '.' || name[0] == '-')
		return false;
	if (*prefix == '\0' || strcmp(prefix, "/") == 0)
		return true;
	return *prefix == '/' &&
	       strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == strlen(prefix) &&
	       !strstr(prefix, "//") && !strstr(prefix, "/.");
}

/* Nothing behind the host but a port, and a slash. */
static bool is_endpoint(const char *url)
{
	const char *host = strstr(url, "://");
	size_t n;

	if (!host || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
		return false;
	host += 3;
	n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]");
	return n > 0 && (host[n] == '\0' || strcmp(host + n, "/") == 0);
}

static bool is_here(const char *url)
{
	static const char *const here[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

	for (size_t i = 0; i < ARRAY_LEN(here); i++) {
		size_t n = strlen(here[i]);

		if (strncmp(url, here[i], n) == 0 && strchr(":/", url[n])) /* also at the end */
			return true;
	}
	return false;
}

static void check_mirror(struct problem_list *l, const struct policy_mirror *m, const struct node *n)
{
	if (m->bucket && !is_bucket(m->bucket)) {
		policy_problem(l, policy_node_get(n, "bucket"), "`bucket` is not a bucket with a prefix");
		policy_hint(l, "Write it as in `bucket: s3://chat-archive/mattermost`: lower-case letters, digits, `.` "
			       "and `-`, then a path of letters, digits, `.`, `_`, `-`.");
	}
	if (m->endpoint && !is_endpoint(m->endpoint)) {
		policy_problem(l, policy_node_get(n, "endpoint"), "`endpoint` is not the address of a store");
		policy_hint(l, "Write it as in `endpoint: https://s3.example.org`, without a path, a name or a "
			       "password.");
	} else if (m->endpoint && strncmp(m->endpoint, "http://", 7) == 0 && !is_here(m->endpoint)) {
		policy_problem(l, policy_node_get(n, "endpoint"), "`endpoint` is another machine, and `http://` hides "
								  "nothing on the way");
		policy_hint(l, "Write `https://`; where the store's authority is one of your own, add `ca: FILE`.");
	}
}

static bool list_equal(const struct policy_list *a, const struct policy_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return false;
	return true;
}

static bool match_equal(const struct policy_match *a, const struct policy_match *b)
{
	return a->types == b->types && a->archived == b->archived && list_equal(&a->team, &b->team) &&
	       list_equal(&a->channel, &b->channel);
}

/* Names are unique; two rules that always tie are told here, the others when scopes are known. */
static void check_rule_pairs(struct problem_list *l, const struct policy *p, const struct node *rules, size_t i)
{
	const struct policy_rule *r = &p->rule[i];
	const struct node *n = child(rules, i);

	for (size_t j = 0; j < i; j++) {
		const struct policy_rule *old = &p->rule[j];
		const struct node *old_match = policy_node_good(child(rules, j), "match");

		if (r->name && old->name && strcmp(r->name, old->name) == 0) {
			policy_problem(l, policy_node_get(n, "name"), "rule name `%s` is already used in line %u",
				       r->name, old->line);
			policy_hint(l, "Give each rule a name of its own.");
			return;
		}
		if (!r->name || !old->name || !policy_node_good(n, "match") || !old_match ||
		    r->priority != old->priority || !match_equal(&r->match, &old->match))
			continue;
		policy_problem(l, policy_node_get(n, "match"), "rules `%s` (line %u) and `%s` match the same and tie",
			       old->name, old->line, r->name);
		policy_hint(l, "Give one of them a higher `priority`, or merge them.");
		return;
	}
}

static void check_hold_pairs(struct problem_list *l, const struct policy *p, const struct node *holds, size_t i)
{
	const struct policy_hold *h = &p->hold[i];

	for (size_t j = 0; h->name && j < i; j++) {
		if (!p->hold[j].name || strcmp(h->name, p->hold[j].name) != 0)
			continue;
		policy_problem(l, policy_node_get(child(holds, i), "name"), "hold name `%s` is already used in line %u",
			       h->name, p->hold[j].line);
		policy_hint(l, "Give each hold a name of its own.");
		return;
	}
}

static void apply_preset(struct policy_throttle *t)
{
	/* Users of the chat notice the length of a burst more than how many there are (docs/performance.md, rows L1 and
	 * L2). */
	static const struct policy_throttle preset[] = {
		[PRESET_NORMAL] = {.target_ms = 1, .pause_factor = 2, .export_pause_factor = 3, .probe_latency_ms = 10},
		[PRESET_GENTLE] = {.target_ms = 1, .pause_factor = 6, .export_pause_factor = 6, .probe_latency_ms = 5},
		[PRESET_FAST] = {.target_ms = 5, .pause_factor = 3, .export_pause_factor = 1, .probe_latency_ms = 50},
	};
	enum { BLOB_GRACE_MS = 30000, REPLICA_LAG_MS = 10000, REPLICA_LAG_BYTES = 128 << 20 };
	const struct policy_throttle *base = &preset[t->preset];

	t->target_ms = t->target_ms < 0 ? base->target_ms : t->target_ms;
	t->pause_factor = t->pause_factor < 0 ? base->pause_factor : t->pause_factor;
	t->blob_grace_ms = t->blob_grace_ms < 0 ? BLOB_GRACE_MS : t->blob_grace_ms;
	t->export_pause_factor = t->export_pause_factor < 0 ? base->export_pause_factor : t->export_pause_factor;
	t->replica_lag_ms = t->replica_lag_off ? 0 : t->replica_lag_ms < 0 ? REPLICA_LAG_MS : t->replica_lag_ms;
	t->replica_lag_bytes = t->replica_bytes_off	  ? 0
			       : t->replica_lag_bytes < 0 ? REPLICA_LAG_BYTES
							  : t->replica_lag_bytes;
	t->probe_latency_ms = t->probe_off ? 0 : t->probe_latency_ms < 0 ? base->probe_latency_ms : t->probe_latency_ms;
}

/* Account name and display name are the least that stays, or a pseudonym takes their place: not half of either. */
static void check_people(struct problem_list *l, struct policy_people *p, const struct node *n)
{
	const unsigned both = KEEP_USERNAME | KEEP_DISPLAY_NAME;
	const struct node *keep = policy_node_good(n, "keep");

	if (keep && p->names == NAMES_PSEUDONYM && (p->keep & both)) {
		policy_problem(l, keep, "`keep` keeps names that `names: pseudonym` replaces");
		policy_hint(l, "Remove `names: pseudonym`, or leave `username` and `display_name` out of `keep`.");
	} else if (keep && p->names == NAMES_KEEP && (p->keep & both) != both) {
		policy_problem(l, keep, "`keep` leaves out `%s`, the least that stays is `[username, display_name]`",
			       p->keep & KEEP_USERNAME ? "display_name" : "username");
		policy_hint(l, "Add it; where names must not stay, write `names: pseudonym`.");
	}
	p->keep |= p->names == NAMES_KEEP ? both : 0;
}

void policy_check(struct problem_list *l, struct policy *p, const struct node *root)
{
	const struct node *database = policy_node_get(root, "database"), *n;
	const struct node *rules = policy_node_get(root, "rules"), *holds = policy_node_get(root, "holds");

	check_database(l, p, database);
	policy_check_url(l, p->database.url, policy_node_get(database, "url"));
	if (p->database.mattermost_config && policy_is_url(p->database.mattermost_config))
		policy_check_url(l, p->database.mattermost_config, policy_node_get(database, "mattermost_config"));
	if (p->archive.mirror.present)
		check_mirror(l, &p->archive.mirror, policy_node_get(policy_node_get(root, "archive"), "mirror"));
	apply_preset(&p->throttle);
	if (p->people.present)
		check_people(l, &p->people, policy_node_get(root, "departed_users"));
	n = rules ? rules->first : NULL;
	for (size_t i = 0; i < p->n_rules; i++, n = n->next) {
		if (n->kind != NODE_MAP)
			continue;
		policy_check_rule(l, &p->rule[i], n, p->deleted.present);
		check_rule_pairs(l, p, rules, i);
	}
	n = holds ? holds->first : NULL;
	for (size_t i = 0; i < p->n_holds; i++, n = n->next) {
		if (n->kind != NODE_MAP)
			continue;
		policy_check_hold(l, &p->hold[i], n);
		check_hold_pairs(l, p, holds, i);
	}
}
