/*
 * audit_archive.c - a seeded archive without a database, for the tests of catalog and audit and for measuring.
 *
 *	audit_archive FOLDER BUNDLES THREADS [SEED] [REINDEX]
 *
 * Makes an archive root with BUNDLES bundles of THREADS threads each: German and English words, emoji, 64 KiB messages,
 * control characters, edits, deletions, reactions, files, and in every field the payloads of audit_payloads.h.  Prints
 * one JSON line per post and per file (id, thread, user, channel, createat, message, file), so that a test can ask for
 * everything again; nothing with `quiet` in the environment variable AUDIT_ARCHIVE.
 */
#include <mmretain/bundle.h>
#include <mmretain/catalog.h>
#include <mmretain/store.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit_payloads.h"

#define T(n) {n, "text", BT_TEXT, ""}
#define I(n) {n, "bigint", BT_INT, "0"}

enum {
	P_ID,
	P_CREATE,
	P_UPDATE,
	P_EDIT,
	P_DELETE,
	P_PINNED,
	P_USER,
	P_CHANNEL,
	P_ROOT,
	P_ORIGINAL,
	P_MESSAGE,
	P_TYPE,
	P_PROPS,
	P_HASHTAGS,
	P_FILEIDS,
	P_COLUMNS
};
static const struct bundle_column post_columns[P_COLUMNS] = {
	T("id"),
	I("createat"),
	I("updateat"),
	I("editat"),
	I("deleteat"),
	{"ispinned", "boolean", BT_BOOL, "f"},
	T("userid"),
	T("channelid"),
	T("rootid"),
	T("originalid"),
	T("message"),
	T("type"),
	{"props", "jsonb", BT_JSON, "{}"},
	T("hashtags"),
	{"fileids", "text", BT_TEXT, "[]"},
};
enum { F_ID, F_CREATOR, F_POST, F_CREATE, F_DELETE, F_NAME, F_MIME, F_SIZE, F_COLUMNS };
static const struct bundle_column file_columns[F_COLUMNS] = {
	T("id"), T("creatorid"), T("postid"), I("createat"), I("deleteat"), T("name"), T("mimetype"), I("size"),
};
enum { R_USER, R_POST, R_EMOJI, R_CREATE, R_DELETE, R_COLUMNS };
static const struct bundle_column reaction_columns[R_COLUMNS] = {
	T("userid"), T("postid"), T("emojiname"), I("createat"), I("deleteat"),
};
enum { KIND_POST, KIND_FILE, KIND_REACTION, KINDS };
static const struct bundle_kind kinds[KINDS] = {
	{"post", "posts", post_columns, P_COLUMNS, P_USER},
	{"file", "fileinfo", file_columns, F_COLUMNS, F_CREATOR},
	{"reaction", "reactions", reaction_columns, R_COLUMNS, R_USER},
};

static const char *const words[] = {
	"Löschung", "Kühlwasser", "Überdruck", "Störung", "Schicht", "Messwert", "Protokoll", "Beamtime", "the", "a",
	"is", "and",
	"of", "in", "der", "die", "und", "das", "ist", "nicht", "wir", "mit", "alarm", "vacuum", "pump", "magnet",
	"cavity", "server",
	"update", "meeting", "build", "test", "run", "fix", "issue", "data", "shift", "beam", "report", "problem",
	"error", "log",
	"release", "review", "ticket", "password", "access", "document", "question", "plan", "week", "channel",
	"database", "index",
	"query", "backup", "restore", "disk", "memory", "network", "switch", "firewall", "cable", "rack", "power",
	"supply",
	"pressure", "detector", "sample", "sensor", "signal", "noise", "threshold", "trip", "reset", "status",
	"monitor", "valve",
	"leak", "interlock", "safety", "radiation", "dose", "door", "key", "room", "hall", "building", "printer",
	"laptop",
};
#define N_WORDS ARRAY_LEN(words)
#define USERS 300
#define CHANNELS 24
#define TEAM_CHANNELS 20
#define HALF_YEAR_MS INT64_C(15768000000)

struct world {
	struct store *store;
	struct bundle_writer *w;
	uint64_t rng;
	void *ctx;
	struct buf text, props;
	uint64_t serial;
	bool quiet;
	struct err err;
	char digest[DIGEST_HEX + 1];
};

static void must(struct world *w, int rc)
{
	if (rc >= 0)
		return;
	(void)fprintf(stderr, "audit_archive: %s\n", w->err.msg);
	exit(1);
}

static uint32_t next(struct world *w, uint32_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)((w->rng >> 20) % n);
}

/* As the server makes them: 26 letters of its base32. */
static const char *id_of(struct world *w, const char *kind, uint64_t number)
{
	static const char letters[] = "ybndrfg8ejkmcpqxot1uwisza345h769";
	struct digest d;
	char text[64], *id = mem_array(w->ctx, char, 27);

	(void)snprintf(text, sizeof(text), "%s-%llu", kind, (unsigned long long)number);
	struct hash *h = hash_new(NULL);
	hash_bytes(h, text, strlen(text), &d);
	talloc_free(h);
	for (int i = 0; i < 26; i++)
		id[i] = letters[d.b[i] & 31];
	return id;
}

static struct bundle_field f(const char *s)
{
	return (struct bundle_field){.data = s, .len = strlen(s)};
}

static struct bundle_field num(struct world *w, int64_t v)
{
	return f(mem_printf(w->ctx, "%lld", (long long)v));
}

/* Zipf-like: small numbers often, and a long tail of made-up words, as names, ids and numbers are in real chat. */
static void sentence(struct world *w)
{
	uint32_t n = 3 + next(w, 24);

	buf_clear(&w->text);
	if (next(w, 400) == 0)
		buf_puts(&w->text, audit_payloads[next(w, (uint32_t)ARRAY_LEN(audit_payloads))]);
	if (next(w, 3000) == 0)
		n = 9000;
	for (uint32_t i = 0; i < n && w->text.len < 65000; i++) {
		uint32_t r = next(w, 1000);
		if (i)
			buf_byte(&w->text, ' ');
		if (r < 700)
			buf_puts(&w->text, words[next(w, 1 + next(w, (uint32_t)N_WORDS))]);
		else if (r < 960)
			buf_printf(&w->text, "%s%s", words[next(w, (uint32_t)N_WORDS)],
				   words[next(w, (uint32_t)N_WORDS)]);
		else if (r < 985)
			buf_printf(&w->text, "w%u", next(w, 200000));
		else
			buf_puts(&w->text, r < 990   ? "🚀"
					   : r < 993 ? "**wichtig**"
					   : r < 996 ? ":+1:"
						     : "\n- [x] erledigt\n");
	}
	buf_byte(&w->text, '\0');
	w->text.len--;
}

static void say_post(struct world *w, const char *id, const char *root, const char *user, const char *channel,
		     int64_t ms)
{
	struct buf b;

	if (w->quiet)
		return;
	buf_init(&b, w->ctx, 1 << 20);
	buf_printf(&b,
		   "{\"post\":\"%s\",\"thread\":\"%s\",\"user\":\"%s\",\"channel\":\"%s\",\"createat\":%lld,"
		   "\"message\":",
		   id, root, user, channel, (long long)ms);
	json_put_string(&b, w->text.data, w->text.len);
	buf_puts(&b, "}\n");
	(void)fwrite(b.data, 1, b.len, stdout);
}

static void add_reactions(struct world *w, const char *post, int64_t ms)
{
	static const char *const emoji[] = {"+1", "heart", "tada", "eyes", "custom_rocket", "<b>"};
	struct bundle_field r[R_COLUMNS];

	for (uint32_t n = next(w, 4), i = 0; i < n; i++) {
		r[R_USER] = f(id_of(w, "user", i));
		r[R_POST] = f(post);
		r[R_EMOJI] = f(emoji[next(w, (uint32_t)ARRAY_LEN(emoji))]);
		r[R_CREATE] = num(w, ms + 1000);
		r[R_DELETE] = f("0");
		must(w, bundle_row(w->w, KIND_REACTION, r, &w->err));
	}
}

static void add_file(struct world *w, const char *post, const char *user, int64_t ms, const char *id, uint32_t which)
{
	static const uint8_t png[] = {0x89, 'P',  'N',	'G',  13,   10,	  26,  10,   0,	   0,	 0,   13,   'I', 'H',
				      'D',  'R',  0,	0,    0,    1,	  0,   0,    0,	   1,	 8,   2,    0,	 0,
				      0,    0x90, 0x77, 0x53, 0xde, 0,	  0,   0,    12,   'I',	 'D', 'A',  'T', 8,
				      0xd7, 0x63, 0xd8, 0x60, 0x30, 0x60, 0,   0,    3,	   0x96, 0,   0xb1, 0,	 0,
				      0,    0,	  0,	'I',  'E',  'N',  'D', 0xae, 0x42, 0x60, 0x82};
	const char *name = which % 3 == 0   ? "Messung Kühlwasser.png"
			   : which % 3 == 1 ? "report.pdf"
					    : "<img src=x onerror=alert(1)>.svg";
	const char *mime = which % 3 == 0 ? "image/png" : which % 3 == 1 ? "application/pdf" : "image/svg+xml";
	const char *svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
	const void *data = which % 3 == 0 ? (const void *)png : which % 3 == 1 ? "%PDF-1.4 no more than that" : svg;
	size_t len = which % 3 == 0 ? sizeof(png) : strlen(data);
	struct bundle_field r[F_COLUMNS] = {
		[F_ID] = f(id), [F_CREATOR] = f(user), [F_POST] = f(post), [F_CREATE] = num(w, ms), [F_DELETE] = f("0"),
		[F_NAME] = f(name),
		[F_MIME] = f(mime), [F_SIZE] = num(w, (int64_t)len),
	};
	struct digest d;
	auto_fd int fd = -1;
	struct hash *h = hash_new(NULL);

	hash_bytes(h, data, len, &d);
	talloc_free(h);
	must(w, file_temp(NULL, &fd, &w->err));
	must(w, file_write_all(fd, data, len, "blob", &w->err));
	must(w, bundle_blob(w->w, fd, &d, len, &w->err));
	must(w, bundle_row(w->w, KIND_FILE, r, &w->err));
	must(w, bundle_file(w->w, id, "stored", &d, len, &w->err));
	if (!w->quiet)
		printf("{\"file\":\"%s\",\"post\":\"%s\",\"name\":\"%s\"}\n", id, post, which % 3 == 2 ? "svg" : name);
}

struct place { const char *channel, *root; int64_t ms; };

static void add_post(struct world *w, const struct place *p, const char *root, uint32_t n)
{
	const char *id = *root ? id_of(w, "post", w->serial++) : p->root;
	const char *user = id_of(w, "user", next(w, 1 + next(w, USERS)));
	const char *file = next(w, 60) == 0 ? id_of(w, "file", w->serial) : NULL;
	int64_t ms = p->ms + (int64_t)n * 61000;
	bool edited = next(w, 40) == 0, deleted = next(w, 90) == 0;
	struct bundle_field r[P_COLUMNS] = {
		[P_ID] = f(id), [P_CREATE] = num(w, ms), [P_UPDATE] = num(w, edited || deleted ? ms + 5000 : ms),
		[P_EDIT] = edited ? num(w, ms + 5000) : f("0"), [P_DELETE] = deleted ? num(w, ms + 5000) : f("0"),
		[P_PINNED] = f(next(w, 200) == 0 ? "t" : "f"), [P_USER] = f(user), [P_CHANNEL] = f(p->channel),
		[P_ROOT] = f(root),
		[P_ORIGINAL] = f(""), [P_TYPE] = f(""), [P_PROPS] = f("{}"), [P_HASHTAGS] = f(""),
		[P_FILEIDS] = file ? f(mem_printf(w->ctx, "[\"%s\"]", file)) : f("[]"),
	};
	sentence(w);
	if (next(w, 50) == 0)
		r[P_PROPS] = f("{\"attachments\": [{\"text\": \"Anlage W\\u00e4rmetauscher\", \"color\": \"#f00\"}], "
			       "\"from_bot\": \"true\"}");
	r[P_MESSAGE] = (struct bundle_field){.data = w->text.data, .len = w->text.len};
	must(w, bundle_row(w->w, KIND_POST, r, &w->err));
	say_post(w, id, p->root, user, p->channel, ms);
	if (edited) {
		const char *copy = id_of(w, "copy", w->serial++);
		sentence(w);
		r[P_ID] = f(copy);
		r[P_ORIGINAL] = f(id);
		r[P_DELETE] = r[P_UPDATE] = num(w, ms + 5000);
		r[P_EDIT] = f("0");
		r[P_MESSAGE] = (struct bundle_field){.data = w->text.data, .len = w->text.len};
		must(w, bundle_row(w->w, KIND_POST, r, &w->err));
		say_post(w, copy, p->root, user, p->channel, ms);
	}
	add_reactions(w, id, ms);
	if (file)
		add_file(w, id, user, ms, file, n);
}

static void add_names(struct world *w)
{
	must(w, bundle_name(w->w, "teams", id_of(w, "team", 0), "accelerator", "Accelerator & <b>Co</b>",
			    "\"type\":\"O\"", &w->err));
	for (uint64_t i = 0; i < TEAM_CHANNELS; i++)
		must(w,
		     bundle_name(w->w, "channels", id_of(w, "channel", i),
				 mem_printf(w->ctx, "chan-%llu", (unsigned long long)i),
				 i == 1 ? audit_payloads[0] : mem_printf(w->ctx, "Kanal %llu", (unsigned long long)i),
				 mem_printf(w->ctx, "\"type\":\"O\",\"team\":\"%s\"", id_of(w, "team", 0)), &w->err));
	/* A direct message; a group message; one of a bundle that does not say who was in it; one with somebody who was
	 * erased. */
	must(w, bundle_name(w->w, "channels", id_of(w, "channel", TEAM_CHANNELS),
			    mem_printf(w->ctx, "%s__%s", id_of(w, "user", 5), id_of(w, "user", 6)), "",
			    "\"type\":\"D\"", &w->err));
	must(w, bundle_name(w->w, "channels", id_of(w, "channel", TEAM_CHANNELS + 1), "group-with-members",
			    "user.1, user.2, user.3", "\"type\":\"G\",\"members\":[\"user.1\", \"user.2\", \"user.3\"]",
			    &w->err));
	must(w, bundle_name(w->w, "channels", id_of(w, "channel", TEAM_CHANNELS + 2), "group-without",
			    "user.1, user.2, us", "\"type\":\"G\"", &w->err));
	must(w, bundle_name(w->w, "channels", id_of(w, "channel", TEAM_CHANNELS + 3), "group-with-one-erased",
			    "user.1, erased, user.3", "\"type\":\"G\",\"members\":[\"user.1\",\"erased\",\"user.3\"]",
			    &w->err));
	for (uint64_t i = 0; i < USERS; i++)
		must(w, bundle_name(w->w, "users", id_of(w, "user", i),
				    mem_printf(w->ctx, "user.%llu", (unsigned long long)i),
				    i == 2   ? audit_payloads[1]
				    : i == 3 ? "\033[31mRed\033[0m \u202eevil"
					     : "Jürgen Größe",
				    i == 1 ? "\"bot\":true" : "", &w->err));
}

static int by_id(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void one_bundle(struct world *w, uint32_t seq, uint32_t threads)
{
	struct bundle_source source = {.rule = "alarms", .policy_digest_hex = "00", .team_id = id_of(w, "team", 0),
				       .team_label = "accelerator", .cutoff_ms = 1700000000000,
				       .expires_ms = 2000000000000,
				       .cluster_id = "7", .database = "mattermost", .pg_version = "15.0",
				       .schema_digest_hex = "11",
				       .tool_version = "mmretain 0.1.0"};
	struct bundle_options options = {.level = 3,
					 .seq = seq,
					 .previous_digest_hex = w->digest,
					 .kind = kinds,
					 .n_kinds = KINDS};
	const char *channel[CHANNELS];
	struct receipt *receipt;

	memcpy(options.salt_secret, w->store->salt_secret, sizeof(options.salt_secret));
	must(w, bundle_create(w->ctx, w->store->partial_dirfd, &source, &options, &w->w, &w->err));
	for (uint64_t i = 0; i < CHANNELS; i++)
		channel[i] = id_of(w, "channel", i);
	qsort(channel, CHANNELS, sizeof(*channel), by_id);
	void *ctx = w->ctx;
	for (uint32_t i = 0; i < threads; i++) {
		w->ctx = talloc_new(ctx);
		struct place p = {channel[(uint64_t)i * CHANNELS / threads], id_of(w, "post", w->serial++), 0};
		/* the bundle's own half year, thread after thread */
		p.ms = INT64_C(1500000000000) + (int64_t)seq * HALF_YEAR_MS + (int64_t)i * (HALF_YEAR_MS / threads);
		must(w, bundle_thread_begin(w->w, p.channel, p.root, p.ms, &w->err));
		uint32_t posts = 1 + next(w, 8) + (next(w, 200) == 0 ? 300 : 0);
		for (uint32_t n = 0; n < posts; n++)
			add_post(w, &p, n ? p.root : "", n);
		talloc_free(w->ctx);
		w->ctx = ctx;
	}
	add_names(w);
	must(w, bundle_finish(w->w, &w->err));
	must(w, bundle_publish(w->w, w->ctx, w->store->root_dirfd, 1790000000000, &receipt, &w->err));
	digest_hex(receipt_rows_digest(receipt), w->digest);
	(void)fprintf(stderr, "%s %llu posts %llu bytes\n", receipt_rel_path(receipt),
		      (unsigned long long)receipt_posts(receipt), (unsigned long long)receipt_file_bytes(receipt));
	bundle_abort(w->w);
}

int main(int argc, char **argv)
{
	const char *mode = getenv("AUDIT_ARCHIVE");
	struct world w = {.rng = UINT64_C(88172645463325252), .quiet = mode && !strcmp(mode, "quiet")};

	if (argc < 4)
		return 2;
	mem_setup();
	w.ctx = talloc_new(NULL);
	buf_init(&w.text, w.ctx, 1 << 20);
	w.rng += argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	must(&w, store_init(argv[1], &w.err));
	must(&w, store_open(w.ctx, argv[1], true, &w.store, &w.err));
	for (uint32_t i = 0; i < strtoul(argv[2], NULL, 10); i++)
		one_bundle(&w, i + 1, (uint32_t)strtoul(argv[3], NULL, 10));
	if (argc > 5) {
		struct catalog_totals sum;
		must(&w, catalog_reindex(w.store, false, &sum, NULL, &w.err));
		(void)fprintf(stderr, "index %llu bytes of %llu\n", (unsigned long long)sum.index_bytes,
			      (unsigned long long)sum.bundle_bytes);
	}
	talloc_free(w.ctx);
	return 0;
}
