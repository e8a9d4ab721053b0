/*
 * cli_cmd_find.c - archived posts and files that answer a question.
 */
#include <string.h>

#include "cli_audit.h"

static json_t *hit_json(struct cli *cli, const struct audit_hit *h)
{
	json_t *obj = cli_json_check(json_object()), *files = cli_json_check(json_array());
	const struct audit_name *user = audit_author(h->bundle, h->user, h->erased),
				*channel = audit_channel(h->bundle, h->channel);
	const struct audit_name *team = audit_team_of(h->bundle, h->channel);

	cli_json_text(obj, "thread", h->ref.root);
	cli_json_text(obj, "post", h->post);
	cli_json_time(obj, "created", h->create_ms);
	cli_json_text(obj, "team", team ? team->name : NULL);
	cli_json_text(obj, "channel_id", h->channel);
	cli_json_text(obj, "channel", channel->name);
	cli_json_text(obj, "place", audit_place(cli->ctx, h->bundle, h->channel));
	cli_json_text(obj, "user_id", h->user);
	cli_json_text(obj, "user", user->name);
	cli_json_text(obj, "webhook", h->webhook);
	cli_json_text(obj, "file", h->file_name);
	for (size_t i = 0; i < h->n_files; i++)
		if (json_array_append_new(files, cli_json_check(json_string(h->files[i]))) < 0)
			mem_check(NULL);
	cli_json_put(obj, "files", files);
	cli_json_text(obj, "snippet", h->snippet);
	cli_json_bool(obj, "deleted", h->deleted);
	cli_json_bool(obj, "earlier_version", h->earlier_version);
	cli_json_text(obj, "bundle", audit_bundle_path(h->bundle));
	return obj;
}

static int print_json(struct cli *cli, const struct audit *a, const struct audit_found *found,
		      const struct audit_question *q, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *list = cli_json_check(json_array()),
	       *read = cli_json_check(json_object());
	const struct audit_stats *s = audit_stats(a);

	for (size_t i = 0; i < found->n; i++)
		if (json_array_append_new(list, hit_json(cli, &found->hit[i])) < 0)
			mem_check(NULL);
	cli_json_put(doc, "hits", list);
	cli_json_bool(doc, "more", found->more);
	cli_json_int(doc, "total", found->seen);
	if (found->more)
		cli_json_int(doc, "next_offset", q->offset + found->n);
	cli_json_int(read, "bundles", s->bundles_read);
	cli_json_int(read, "bundles_without_index", s->bundles_without_index);
	cli_json_int(read, "bundles_unreadable", s->bundles_unreadable);
	cli_json_int(read, "bundles_missing", s->bundles_missing);
	cli_json_int(read, "frames", s->frames);
	cli_json_int(read, "bytes", s->bytes);
	cli_json_put(doc, "read", read);
	return cli_json_print(doc, err);
}

/* One line, whatever line ends the message has. */
static char *one_line(struct cli *cli, const char *text)
{
	char *copy = mem_strdup(cli->ctx, text);

	for (char *p = copy; *p; p++)
		if (*p == '\n' || *p == '\t' || *p == '\r')
			*p = ' ';
	return cli_safe(cli->ctx, copy);
}

static void print_hit(struct cli *cli, const struct audit_hit *h)
{
	char time[TIME_TEXT];
	const struct audit_name *user = audit_author(h->bundle, h->user, h->erased);

	time_format(h->create_ms - h->create_ms % 1000, time);
	printf("%s%s%s  %s  %s  @%s%s%s%s%s%s\n", cli_tint(cli->color, CLI_BOLD), cli_safe(cli->ctx, h->ref.root),
	       cli_tint(cli->color, CLI_PLAIN), time, cli_safe(cli->ctx, audit_place(cli->ctx, h->bundle, h->channel)),
	       cli_safe(cli->ctx, user->name), h->webhook ? "  [" : "",
	       h->webhook ? cli_safe(cli->ctx, audit_webhook_text(cli->ctx, h->webhook)) : "", h->webhook ? "]" : "",
	       h->deleted && !h->earlier_version ? "  [deleted]" : "", h->earlier_version ? "  [earlier version]" : "");
	if (h->file_name)
		printf("    file %s\n", one_line(cli, h->file_name));
	else if (!h->snippet[0])
		printf("    (no text)\n");
	else
		printf("    %s\n", one_line(cli, h->snippet));
	for (size_t i = 0; i < h->n_files; i++)
		printf("    file %s\n", one_line(cli, h->files[i]));
}

/* What is not found may have been there. */
static void print_nothing(const struct audit *a)
{
	uint64_t expired = audit_expired(a), lost = audit_lost(a);

	fprintf(stderr, "nothing found\n");
	if (expired)
		fprintf(stderr, "%llu bundle%s of this archive expired: what %s held is gone\n",
			(unsigned long long)expired, cli_s(expired), expired == 1 ? "it" : "they");
	if (lost)
		fprintf(stderr, "%llu bundle%s of this archive %s declared lost: what %s held cannot be searched\n",
			(unsigned long long)lost, cli_s(lost), lost == 1 ? "was" : "were", lost == 1 ? "it" : "they");
}

static void print_text(struct cli *cli, const struct audit *a, const struct audit_found *found,
		       const struct audit_question *q)
{
	for (size_t i = 0; i < found->n; i++)
		print_hit(cli, &found->hit[i]);
	if (cli->quiet)
		return;
	if (found->seen == 0)
		print_nothing(a);
	else if (found->n == 0)
		fprintf(stderr, "none from --offset %llu on: %llu hit%s in all\n", (unsigned long long)q->offset,
			(unsigned long long)found->seen, cli_s(found->seen));
	else if (found->more) /* the rest is not read */
		fprintf(stderr, "at least %llu hit%s; more: --offset %llu\n", (unsigned long long)found->seen,
			cli_s(found->seen), (unsigned long long)(q->offset + found->n));
	else
		fprintf(stderr, "%llu hit%s\n", (unsigned long long)found->seen, cli_s(found->seen));
}

/* --thread: one thread by the id of any of its posts, as a search result. */
static int find_thread(struct cli *cli, struct audit *a, const char *id, struct audit_found *ret, struct err *err)
{
	struct audit_hit *h = mem_new(cli->ctx, struct audit_hit);
	struct audit_thread *t = NULL;
	int r = audit_locate(a, id, &h->ref, err);

	if (r == 0)
		r = audit_thread_load(a, &h->ref, cli->ctx, &t, err);
	if (r < 0)
		return r;
	h->bundle = t->bundle;
	h->channel = t->channel;
	h->post = t->root;
	h->user = t->post[0].user;
	h->webhook = t->post[0].webhook;
	h->create_ms = t->post[0].create_ms;
	h->deleted = t->post[0].delete_ms > 0;
	h->erased = t->post[0].erased != NULL;
	size_t cut = t->post[0].message_len > 160 ? 160 : t->post[0].message_len;
	while (cut > 0 && cut < t->post[0].message_len && ((unsigned char)t->post[0].message[cut] & 0xc0) == 0x80)
		cut--;
	h->snippet = mem_strndup(cli->ctx, t->post[0].message, cut);
	*ret = (struct audit_found){.hit = h, .n = 1, .seen = 1};
	return 0;
}

static uint64_t count_threads(const struct audit_found *found)
{
	uint64_t n = 0;

	for (size_t i = 0; i < found->n; i++)
		n += i == 0 || strcmp(found->hit[i].ref.root, found->hit[i - 1].ref.root) != 0;
	return n;
}

int cli_cmd_find(struct cli *cli, struct err *err)
{
	const char *thread = cli_given(cli, OPT_THREAD) ? cli_id_of(cli->ctx, cli->args->value[OPT_THREAD]) : NULL;
	struct audit_found found = {0};
	struct audit_question q;
	struct audit *a;
	int r = cli_question(cli, /* words= */ true, &q, err);

	if (r == 0)
		r = cli_open_audit(cli, &a, err);
	if (r == 0 && thread && cli_asks(&q)) {
		err_set(err, ERR_USAGE, "--thread names one thread: nothing else narrows it");
		return err_hint(err, "Leave --thread out, or the words and the other options.");
	}
	if (r == 0 && !thread && !cli_asks(&q)) {
		err_set(err, ERR_USAGE, "nothing to look for");
		return err_hint(err, "Give words, or one of --user, --channel, --team, --after, --before, --file-name, "
				     "--has, --thread.");
	}
	if (r == 0)
		audit_pass_over(a);
	if (r == 0 && thread)
		r = find_thread(cli, a, thread, &found, err);
	else if (r == 0)
		r = audit_find(a, &q, cli->ctx, &found, err);
	if (r < 0)
		return r;
	r = cli_log_access(cli, a, thread, count_threads(&found), found.n, err);
	if (r < 0)
		return r;
	if (cli->json)
		r = print_json(cli, a, &found, &q, err);
	else
		print_text(cli, a, &found, &q);
	cli_audit_stats(cli, a);
	return r < 0 ? r : cli_audit_whole(a, err);
}
