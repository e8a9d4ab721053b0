/*
 * cli_cmd_show.c - one archived thread on the terminal.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli_audit.h"
#include "cli_fate.h"

struct show { struct cli *cli; const struct audit_thread *t; const struct cli_fate *fate; size_t width; int day; };

static size_t terminal_width(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return w.ws_col > 120 ? 120 : w.ws_col;
	return 100;
}

static const char *dim(const struct show *s)
{
	return s->cli->color ? "\033[2m" : "";
}

static const char *plain(const struct show *s)
{
	return cli_tint(s->cli->color, CLI_PLAIN);
}

static void indent(size_t n)
{
	printf("%*s", (int)n, "");
}

/* One line of a message, already harmless, broken at blanks; a word that is wider than the line stands alone. */
static void wrap_line(const struct show *s, const char *safe, size_t left)
{
	size_t used = 0, room = s->width > left + 20 ? s->width - left : 20;

	indent(left);
	for (const char *p = safe; *p;) {
		size_t lead = strspn(p, " "), len = strcspn(p + lead, " ");
		char *word = mem_strndup(s->cli->ctx, p, lead + len);
		size_t wide = cli_width(word);
		if (used > 0 && used + wide > room) {
			printf("\n");
			indent(left);
			used = 0;
			word += lead;
			wide -= lead;
		}
		printf("%s", word);
		used += wide;
		p += lead + len;
	}
	printf("\n");
}

static void message(const struct show *s, const char *text, size_t len, size_t left)
{
	for (const char *p = text, *end = text + len; p <= end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;
		wrap_line(s, cli_safe_len(s->cli->ctx, p, (size_t)(stop - p)), left);
		if (!nl)
			break;
		p = nl + 1;
	}
}

static void day_line(struct show *s, int64_t ms)
{
	char day[AUDIT_CLOCK], zone[AUDIT_CLOCK];
	int n = audit_local_day_number(ms);

	if (n == s->day)
		return;
	s->day = n;
	audit_local_day(ms, day);
	audit_local_zone(ms, zone);
	printf("\n%s-- %s, %s --%s\n", dim(s), day, zone, plain(s));
}

static void marks(const struct show *s, const struct audit_post *p)
{
	const struct audit_name *by = audit_deleter(s->t, p);
	char time[TIME_TEXT];

	if (p->webhook)
		printf("  %s[%s]%s", cli_tint(s->cli->color, CLI_YELLOW),
		       cli_safe(s->cli->ctx, audit_webhook_text(s->cli->ctx, p->webhook)), plain(s));
	if (p->pinned)
		printf("  %s[pinned]%s", cli_tint(s->cli->color, CLI_YELLOW), plain(s));
	if (p->priority && p->priority[0])
		printf("  %s[%s]%s", cli_tint(s->cli->color, CLI_RED), cli_safe(s->cli->ctx, p->priority), plain(s));
	if (p->edit_ms > 0) {
		time_format(p->edit_ms - p->edit_ms % 1000, time);
		printf("  %s[edited %s]%s", dim(s), time, plain(s));
	}
	if (p->delete_ms > 0 && !p->original[0]) {
		time_format(p->delete_ms - p->delete_ms % 1000, time);
		printf("  %s[deleted %s%s%s]%s", cli_tint(s->cli->color, CLI_RED), time, by ? " by @" : "",
		       by ? cli_safe(s->cli->ctx, by->name) : "", plain(s));
	}
	if (p->type[0])
		printf("  %s[%s]%s", dim(s), cli_safe(s->cli->ctx, p->type), plain(s));
}

static void files(const struct show *s, const struct audit_post *p, size_t left)
{
	for (size_t i = 0; i < p->n_files; i++) {
		const struct audit_file *f = &p->file[i];
		char size[TIME_TEXT], hex[DIGEST_HEX + 1], gone[TIME_TEXT];
		time_format(f->delete_ms - f->delete_ms % 1000, gone);
		bytes_format(f->size_bytes > 0 ? (uint64_t)f->size_bytes : 0, size);
		digest_hex(&f->sha256, hex);
		indent(left);
		printf("%sfile%s %s  %s  %s%s%s%s%s%s  %s\n", cli_tint(s->cli->color, CLI_BOLD), plain(s),
		       cli_safe(s->cli->ctx, f->name), size, f->delete_ms > 0 ? "[deleted " : "",
		       f->delete_ms > 0 ? gone : "", f->delete_ms > 0 ? "]  " : "", f->state,
		       f->has_digest ? "  sha256 " : "", f->has_digest ? hex : "", cli_safe(s->cli->ctx, f->id));
	}
}

static void reactions(const struct show *s, const struct audit_post *p, size_t left)
{
	if (p->n_reactions == 0)
		return;
	indent(left);
	for (size_t i = 0; i < p->n_reactions; i++) {
		const char *emoji = audit_emoji(p->reaction[i].emoji, strlen(p->reaction[i].emoji));
		printf("%s%s%s%s %zu", i ? "  " : "", emoji ? "" : ":",
		       emoji ? emoji : cli_safe(s->cli->ctx, p->reaction[i].emoji), emoji ? "" : ":", p->reaction[i].n);
	}
	printf("\n");
}

static void post(struct show *s, const struct audit_post *p)
{
	const struct audit_name *user = audit_author(s->t->bundle, p->user, p->erased != NULL);
	bool copy = p->original[0] != '\0', root = s->t->parts || p == &s->t->post[0];
	size_t left = root ? 7 : copy ? 15 : 11;
	char clock[AUDIT_CLOCK], until[TIME_TEXT];

	day_line(s, p->create_ms);
	audit_local_clock(p->create_ms, clock);
	time_format(p->delete_ms - p->delete_ms % 1000, until);
	indent(left - 7);
	printf("%s%-5s%s  ", dim(s), copy || p->timeless ? "" : clock, plain(s));
	if (copy) /* of a part its post may be elsewhere: it says itself whose it is */
		printf("%searlier version, until %s, of @%s%s", dim(s), until, cli_safe(s->cli->ctx, user->name),
		       plain(s));
	else
		printf("%s%s%s%s%s%s%s", cli_tint(s->cli->color, CLI_BOLD),
		       cli_safe(s->cli->ctx, user->display[0] ? user->display : user->name), plain(s),
		       user->display[0] ? " @" : "", user->display[0] ? cli_safe(s->cli->ctx, user->name) : "",
		       !strcmp(user->extra, "bot") ? " " : "", !strcmp(user->extra, "bot") ? "[bot]" : "");
	marks(s, p);
	printf("\n");
	if (copy)
		printf("%s", dim(s));
	if (p->message_len > 0)
		message(s, p->message, p->message_len, left);
	if (copy)
		printf("%s", plain(s));
	files(s, p, left);
	reactions(s, p, left);
}

static void head(const struct show *s)
{
	printf("%s%s%s\n", cli_tint(s->cli->color, CLI_BOLD),
	       cli_safe(s->cli->ctx, audit_place(s->cli->ctx, s->t->bundle, s->t->channel)), plain(s));
	size_t copies = s->t->n_posts - s->t->n_live;

	printf("%sthread %s, %zu post%s", dim(s), cli_safe(s->cli->ctx, s->t->root), s->t->n_live, cli_s(s->t->n_live));
	if (copies)
		printf(", %zu earlier version%s", copies, cli_s(copies));
	printf(", from %s%s\n", audit_bundle_path(s->t->bundle), plain(s));
	printf("%s%s%s\n", dim(s), cli_fate_text(s->cli, s->fate), plain(s));
	if (s->t->earlier)
		printf("%san earlier state of the thread, with something that it had no more when it was archived "
		       "last%s\n",
		       cli_tint(s->cli->color, CLI_YELLOW), plain(s));
	if (s->t->parts)
		printf("%sonly posts that were deleted and earlier versions; the thread stayed on the server%s\n",
		       cli_tint(s->cli->color, CLI_YELLOW), plain(s));
}

static void print_thread(struct show *s, const struct audit_thread *t, const struct cli_fate *fate)
{
	s->t = t;
	s->fate = fate;
	s->day = -1;
	head(s);
	for (size_t i = 0; i < t->n_posts; i++)
		post(s, &t->post[i]);
}

static int print_line(void *payload, const char *line, size_t len, struct err *err)
{
	(void)payload;
	(void)fwrite(line, 1, len, stdout); /* checked at the end, by cli_run */
	(void)fputc('\n', stdout);
	return stop_check(err);
}

/* The rows, and what the ledger says of them; `deletion` is no kind of row. */
static int print_lines(struct audit *a, const struct audit_ref *ref, const struct cli_fate *fate, struct err *err)
{
	json_t *doc = cli_json_check(json_object()), *said = cli_fate_json(fate);
	int r = audit_thread_lines(a, ref, print_line, NULL, err);

	cli_json_text(doc, "k", "deletion");
	if (json_object_update_missing(doc, said) < 0)
		mem_check(NULL);
	json_decref(said);
	if (r == 0 && json_dumpf(doc, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0)
		(void)fputc('\n', stdout); /* checked at the end, by cli_run */
	json_decref(doc);
	return r;
}

/* The archive answers without its ledger, too. */
static struct cli_fate *read_fates(struct cli *cli, struct audit_thread **t, size_t n)
{
	struct cli_fate *fate = mem_array(cli->ctx, struct cli_fate, n);
	struct err err = {0};

	for (size_t i = 0; i < n; i++)
		cli_fate_init(cli, &fate[i], audit_bundle_path(t[i]->bundle), t[i]->root);
	if (cli_fate_read(cli, fate, n, &err) < 0)
		log_warn("%s: what is said of the deletion may be out of date", cli_safe(cli->ctx, err.msg));
	return fate;
}

int cli_cmd_show(struct cli *cli, struct err *err)
{
	struct show s = {.cli = cli, .width = terminal_width()};
	struct audit_thread **t = NULL;
	struct audit_ref *ref = NULL;
	struct cli_fate *fate = NULL;
	uint64_t posts = 0;
	size_t n = 0;
	struct audit *a;
	int r = cli_open_audit(cli, &a, err);

	if (r == 0)
		audit_pass_over(a);
	cli_take_ids(cli, 0);
	if (r == 0)
		r = audit_locate_all(a, cli->args->operand[0], cli->ctx, &ref, &n, err);
	if (r == 0)
		t = mem_array(cli->ctx, struct audit_thread *, n);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = audit_thread_load(a, &ref[i], cli->ctx, &t[i], err);
		posts += r == 0 ? t[i]->n_posts : 0;
	}
	if (r == 0)
		r = cli_log_access(cli, a, ref[0].root, 1, posts, err);
	if (r == 0)
		fate = read_fates(cli, t, n);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!cli->json && i > 0)
			printf("\n");
		if (cli->json)
			r = print_lines(a, &ref[i], &fate[i], err);
		else
			print_thread(&s, t[i], &fate[i]);
	}
	if (r < 0)
		return r;
	if (!cli->json)
		cli_audit_stats(cli, a);
	return cli_audit_whole(a, err);
}
