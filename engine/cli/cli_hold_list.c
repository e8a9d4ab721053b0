/*
 * cli_hold_list.c - `hold list`: what is held; `hold history`: what was held and released, and by whom.
 */
#include <string.h>

#include <mmretain/ledger.h>
#include <mmretain/store.h>

#include "cli_hold.h"
#include "cli_protocol.h"

bool hold_is_shown(const struct hold *h, const struct ledger_held_by *b)
{
	return !h->case_id || strcmp(b->hold.case_id, h->case_id) == 0;
}

static int list_held(struct cli_list *l, const void *payload, struct err *err)
{
	const struct hold *h = payload;
	char since[TIME_TEXT];

	(void)err;
	for (size_t i = 0; i < h->state->n_held_by; i++) {
		const struct ledger_held_by *b = &h->state->held_by[i];

		if (!hold_is_shown(h, b))
			continue;
		time_format(b->hold.since_ms, since);
		cli_list_open(l, NULL);
		cli_list_text(l, "thread", b->root);
		cli_list_text(l, "since", since);
		cli_list_text(l, "case", b->hold.case_id);
		cli_list_text(l, "via", b->hold.via);
		cli_list_close(l);
	}
	return 0;
}

static int list_text(const struct hold *h, struct err *err)
{
	static const struct cli_column columns[] = {{"THREAD", CLI_LEFT},
						    {"SINCE", CLI_LEFT},
						    {"CASE", CLI_LEFT},
						    {"VIA", CLI_LEFT}};
	struct cli_table *t = cli_table_new(h->cli, columns, ARRAY_LEN(columns));
	size_t shown = 0;

	for (size_t i = 0; i < h->state->n_held_by; i++) {
		const struct ledger_held_by *b = &h->state->held_by[i];

		if (!hold_is_shown(h, b))
			continue;
		shown++;
		cli_table_row(t);
		cli_table_text(t, b->root);
		cli_table_time(t, b->hold.since_ms);
		cli_table_text(t, b->hold.case_id);
		cli_table_text(t, b->hold.via);
	}
	if (shown)
		return cli_table_print(t, err);
	printf(h->case_id ? "no thread is held for this case\n" : "no thread is held\n");
	return 0;
}

int hold_list(struct hold *h, struct err *err)
{
	json_t *doc;

	if (!h->cli->json)
		return list_text(h, err);
	doc = cli_json_check(json_object());
	cli_json_put(doc, "held", json_array());
	return cli_json_print_list(doc, &(struct cli_list_of){"held", list_held, h}, 1, err);
}

/* ---- history ---- */

struct history { struct hold *h; json_t *lines; };

static int on_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	struct history *t = payload;
	const char *type;
	json_t *o;

	(void)seq;
	(void)err;
	if (!memmem(line, len, "\"roots\":", 8) || !(o = json_loadb(line, len, 0, NULL)))
		return 0;
	type = protocol_str(o, "type");
	if ((strcmp(type, "hold") == 0 || strcmp(type, "release") == 0) &&
	    (!t->h->case_id || strcmp(protocol_str(o, "case"), t->h->case_id) == 0) &&
	    json_array_append(t->lines, o) < 0)
		mem_check(NULL);
	json_decref(o);
	return stop_check(err);
}

static int list_history(struct cli_list *l, const void *payload, struct err *err)
{
	const json_t *lines = payload;
	json_t *line, *root;
	size_t i, k;

	(void)err;
	json_array_foreach(lines, i, line)
		json_array_foreach(json_object_get(line, "roots"), k, root) {
			cli_list_open(l, NULL);
			cli_list_text(l, "at", protocol_str(line, "at"));
			cli_list_text(l, "what", protocol_str(line, "type"));
			cli_list_text(l, "thread", json_string_value(root));
			cli_list_text(l, "case", protocol_str(line, "case"));
			cli_list_text(l, "via", json_string_value(json_object_get(line, "via")));
			cli_list_int(l, "uid", protocol_int(line, "uid"));
			cli_list_text(l, "host", protocol_str(line, "host"));
			cli_list_close(l);
		}
	return 0;
}

static int history_text(const struct hold *h, const json_t *lines, struct err *err)
{
	static const struct cli_column columns[] = {{"AT", CLI_LEFT},	{"WHAT", CLI_LEFT}, {"THREAD", CLI_LEFT},
						    {"CASE", CLI_LEFT}, {"VIA", CLI_LEFT},  {"UID", CLI_RIGHT},
						    {"HOST", CLI_LEFT}};
	struct cli_table *t = cli_table_new(h->cli, columns, ARRAY_LEN(columns));
	json_t *line, *root;
	size_t i, k;

	if (json_array_size(lines) == 0) {
		printf(h->case_id ? "no thread was ever held for this case\n" : "no thread was ever held\n");
		return 0;
	}
	json_array_foreach(lines, i, line)
		json_array_foreach(json_object_get(line, "roots"), k, root) {
			cli_table_row(t);
			cli_table_text(t, protocol_str(line, "at"));
			cli_table_text(t, protocol_str(line, "type"));
			cli_table_text(t, json_string_value(root) ? json_string_value(root) : "");
			cli_table_text(t, protocol_str(line, "case"));
			cli_table_text(t, protocol_str(line, "via"));
			if (json_object_get(line, "uid"))
				cli_table_int(t, protocol_int(line, "uid"));
			else
				cli_table_text(t, "");
			cli_table_text(t, protocol_str(line, "host"));
		}
	return cli_table_print(t, err);
}

/* Every line, in the order of the ledger. */
int hold_history(struct hold *h, struct err *err)
{
	struct history t = {.h = h, .lines = cli_json_check(json_array())};
	json_t *doc;
	int r = ledger_read(h->cli->store->ledger_dirfd, on_line, &t, err);

	if (r == 0 && !h->cli->json) {
		r = history_text(h, t.lines, err);
	} else if (r == 0) {
		doc = cli_json_check(json_object());
		cli_json_put(doc, "history", json_array());
		r = cli_json_print_list(doc, &(struct cli_list_of){"history", list_history, t.lines}, 1, err);
	}
	json_decref(t.lines);
	return r < 0 ? r : 0;
}
