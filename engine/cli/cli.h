/*
 * cli.h - floor 5: what the files of the command line share.
 *
 * For: command and option tables, parsing, output, exit status.
 * Not for: anything another program could want; the work is done in the rooms below.
 * Includes: every room.  The only room that prints.
 * Order: cli_parse fills a struct and touches nothing; cli_run acts on it; cli_main prints the error, once.
 */
#ifndef CLI_H
#define CLI_H

#include <jansson.h>
#include <mmretain/base.h>

#define CLI_DEFAULT_POLICY "/etc/mmretain/policy.yaml"

/* ---- tables (cli_tables.c) ---- */

struct cli;

enum cli_command_id {
#define X(id, ...) CMD_##id,
#include "commands.def"
#undef X
	CMD_COUNT,
};

enum cli_option_id {
#define X(id, ...) OPT_##id,
#include "options.def"
#undef X
	OPT_COUNT,
};

enum cli_kind { KIND_SWITCH, KIND_TEXT, KIND_CHOICE, KIND_TIME, KIND_DURATION, KIND_CLOCK };

struct cli_command {
	const char *word;
	int (*run)(struct cli *cli, struct err *err);
	const char *operands;
	int min_operands, max_operands;               /* -1: any number */
	const char *summary, *prose, *json, *example;
};

struct cli_option {
	char letter;                                  /* 0 = none */
	const char *name, *value_name;
	enum cli_kind kind;
	const char *words;                            /* of a choice, divided by blanks */
	uint32_t commands;                            /* bit 1 << CMD_x */
	const char *help;                             /* see cli_option_help */
};

extern const struct cli_command cli_commands[CMD_COUNT];
extern const struct cli_option cli_options[OPT_COUNT];
/* What it means to this command; -1: to all of them. */
const char *cli_option_help(const struct cli_option *o, int command);
bool cli_option_fits(enum cli_option_id option, enum cli_command_id command);
/* The word of `words` (n of them) that was probably meant, or NULL. */
const char *cli_nearest(const char *typed, const char *const *words, size_t n);

/* ---- parsing (cli_options.c) ---- */

struct cli_args {
	enum cli_command_id command;
	const char *value[OPT_COUNT];                 /* NULL: not given; "" for a switch */
	const char **operand;
	size_t n_operands;
};

/* Fills *ret, borrowing from argv; touches nothing else.  ERR_USAGE, with a hint. */
int cli_parse(void *ctx, int argc, char *const *argv, struct cli_args *ret, struct err *err) MMR_CHECKED;
/* What is wrong, and the nearest word behind `mmretain ` and before.  ERR_USAGE. */
int cli_unknown_command(const char *before, const char *word, struct err *err);
/* "05:30" -> minutes of the day. */
bool cli_clock_parse(const char *text, int *ret_minutes);
/* From now until it is that local time of day the next time. */
int64_t cli_clock_next_ms(int minutes, int64_t now_ms);

/* ---- the program (cli_run.c) ---- */

struct policy;
struct store;
struct mm;

struct cli {
	void *ctx;
	const struct cli_args *args;
	struct progress progress;
	bool json, quiet, verbose, color;             /* color: of stdout */
	struct policy *policy;                        /* after cli_load_policy */
	const char *archive;                          /* its archive.store; of one with errors, too, or NULL */
	struct store *store;                          /* after cli_open_store */
	struct mm *mm;                                /* after cli_open_db */
};

/* The whole program but for the descriptors; returns the exit status. */
int cli_run(int argc, char *const *argv);
/* The message and the hint of an error, on stderr. */
void cli_print_error(const struct err *err);
static inline bool cli_given(const struct cli *cli, enum cli_option_id id)
{
	return cli->args->value[id] != NULL;
}
/* 26 lower-case letters and digits. */
bool cli_looks_like_id(const char *text);                             /* cli_id.c */
/* The id at the end of a permalink, or the text without blanks around it; a copy in ctx. */
const char *cli_id_of(void *ctx, const char *text);
/* The same for the operands from the given one on, in their place. */
void cli_take_ids(struct cli *cli, size_t from);
const char *cli_policy_path(const struct cli *cli);
/* Loads the policy, printing every problem on stderr (not with --json). ERR_POLICY. */
int cli_load_policy(struct cli *cli, struct err *err) MMR_CHECKED;   /* cli_policy.c */
struct policy_problems;
void cli_print_problems(const struct cli *cli, const struct policy_problems *problems);
/* Why the hold of that name exists, as the policy says; NULL: no policy, no such hold, or it does not say. */
const char *cli_hold_because(const struct cli *cli, const char *name);
/* ", because: file reference 17/26", made safe; "" for NULL.  cli->ctx. */
const char *cli_because(const struct cli *cli, const char *because);
int cli_open_store(struct cli *cli, bool writable, struct err *err) MMR_CHECKED; /* cli_store.c; policy first */
struct ledger_state;
/* The state of the archive's ledger for what it holds; NULL when there is no archive yet, or (with a warning) none that
 * we may read.  Policy first.  ERR_VERIFY: the ledger is damaged. */
int cli_held(struct cli *cli, struct ledger_state **ret, struct err *err) MMR_CHECKED;    /* cli_store.c */
int cli_connect(struct cli *cli, struct err *err) MMR_CHECKED;       /* cli_db.c; connects only; policy first */
int cli_open_db(struct cli *cli, struct err *err) MMR_CHECKED;       /* cli_db.c; connects and probes; policy first */

/* One function per command, cli_cmd_<word>.c. */
int cli_cmd_abandon(struct cli *cli, struct err *err);
int cli_cmd_check(struct cli *cli, struct err *err);
int cli_cmd_erase(struct cli *cli, struct err *err);
int cli_cmd_explain(struct cli *cli, struct err *err);
int cli_cmd_fetch(struct cli *cli, struct err *err);
int cli_cmd_plan(struct cli *cli, struct err *err);
int cli_cmd_restore(struct cli *cli, struct err *err);
int cli_cmd_run(struct cli *cli, struct err *err);
int cli_cmd_status(struct cli *cli, struct err *err);
int cli_cmd_report(struct cli *cli, struct err *err);
int cli_cmd_verify(struct cli *cli, struct err *err);
int cli_cmd_init(struct cli *cli, struct err *err);
int cli_cmd_schema(struct cli *cli, struct err *err);
int cli_cmd_grants(struct cli *cli, struct err *err);
int cli_cmd_doctor(struct cli *cli, struct err *err);
int cli_cmd_find(struct cli *cli, struct err *err);
int cli_cmd_show(struct cli *cli, struct err *err);
int cli_cmd_export(struct cli *cli, struct err *err);
int cli_cmd_hold(struct cli *cli, struct err *err);
int cli_cmd_expire(struct cli *cli, struct err *err);
int cli_cmd_reindex(struct cli *cli, struct err *err);
int cli_cmd_completion(struct cli *cli, struct err *err);
int cli_cmd_help(struct cli *cli, struct err *err);
int cli_cmd_version(struct cli *cli, struct err *err);

/* ---- help (cli_help.c, cli_manual.c, cli_completion.c) ---- */

const char *cli_version(void);
void cli_help_list(FILE *out);
void cli_help_command(FILE *out, enum cli_command_id id);
void cli_manual_man(FILE *out);
void cli_manual_markdown(FILE *out);
void cli_manual_exit_codes(FILE *out);
/* What a code's name ("KEPT") means; the name itself when it is unknown. */
const char *cli_error_meaning(const char *name);
int cli_manual_policy(struct cli *cli, struct err *err);    /* cli_cmd_schema.c */
/* "-c, --config FILE" */
void cli_option_usage(const struct cli_option *o, char ret[64]);

/* ---- text from outside (cli_safe.c) ---- */

/* "" for one, "s" for any other number. */
const char *cli_s(uint64_t n);
/* "1 thread", "2 threads". */
const char *cli_count(void *ctx, uint64_t n, const char *one);
/* A copy that a terminal shows and never obeys: control, format (bidi, zero width), private and unassigned characters,
 * line separators, piles of combining marks and bytes that are not UTF-8 become \x1b, \u{202e}.  Never fails. */
char *cli_safe_len(void *ctx, const char *text, size_t len);
char *cli_safe(void *ctx, const char *text); /* NULL gives "" */
size_t cli_width(const char *safe_text);     /* columns on a terminal */

/* ---- tables on the terminal (cli_table.c) ---- */

struct cli_table;
enum cli_align { CLI_LEFT, CLI_RIGHT };
struct cli_column { const char *head; enum cli_align align; };
struct cli_table *cli_table_new(const struct cli *cli, const struct cli_column *column, size_t n);
void cli_table_row(struct cli_table *t);                      /* begins a row */
void cli_table_text(struct cli_table *t, const char *text);   /* the next cell; made safe here */
void cli_table_int(struct cli_table *t, uint64_t value);
void cli_table_bytes(struct cli_table *t, uint64_t bytes);
void cli_table_time(struct cli_table *t, int64_t ms);         /* INT64_MIN and INT64_MAX: "-" */
int cli_table_print(struct cli_table *t, struct err *err) MMR_CHECKED; /* and free it */

enum cli_tint { CLI_PLAIN, CLI_BOLD, CLI_GREEN, CLI_YELLOW, CLI_RED };
/* "" or the sequence that turns the tint on (CLI_PLAIN: off). */
const char *cli_tint(bool color, enum cli_tint tint);

/* ---- JSON (cli_json.c) ---- */

/* Ends the process when out of memory, as mem_check does. */
json_t *cli_json_check(json_t *j);
void cli_json_put(json_t *obj, const char *key, json_t *value);  /* takes the reference */
/* Text from outside: invalid UTF-8 is shown as in cli_safe, with the bytes in `<key>_b64`. NULL gives null. */
void cli_json_text(json_t *obj, const char *key, const char *text);
void cli_json_int(json_t *obj, const char *key, uint64_t value);
void cli_json_bool(json_t *obj, const char *key, bool value);
void cli_json_time(json_t *obj, const char *key, int64_t ms);    /* INT64_MIN and INT64_MAX: null */
void cli_json_digest(json_t *obj, const char *key, const struct digest *d);
/* Prints and gives the reference back. */
int cli_json_print(json_t *root, struct err *err) MMR_CHECKED;
size_t cli_json_flags(void);                  /* how jansson is to write on this stdout */

/* ---- a long list in a JSON document (cli_json_list.c) ---- */

struct cli_list;
typedef int (*cli_list_fn)(struct cli_list *l, const void *payload, struct err *err);
struct cli_list_of { const char *key; cli_list_fn fn; const void *payload; };
/* As cli_json_print, but what root has under each of these keys is a list whose items fn writes.  Its errors end the
 * document where it is. */
int cli_json_print_list(json_t *root, const struct cli_list_of *list, size_t n, struct err *err) MMR_CHECKED;
void cli_list_open(struct cli_list *l, const char *key);      /* an object; key NULL: an item of the list */
void cli_list_close(struct cli_list *l);
void cli_list_text(struct cli_list *l, const char *key, const char *text);   /* as cli_json_text */
void cli_list_int(struct cli_list *l, const char *key, uint64_t value);
void cli_list_bool(struct cli_list *l, const char *key, bool value);
void cli_list_json(struct cli_list *l, const char *key, const json_t *value);

/* ---- progress (cli_progress.c) ---- */

void cli_progress_setup(struct cli *cli);
void cli_progress_clear(void);                /* takes the bar off the terminal */

#endif
