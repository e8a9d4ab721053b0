/*
 * cli_table.c - tables on the terminal, by libsmartcols.
 */
#include <libsmartcols.h>
#include <string.h>

#include "cli.h"

struct cli_table {
	struct libscols_table *table;
	struct libscols_line *line;
	size_t column, n_columns;
};

static int release(struct cli_table *t)
{
	scols_unref_table(t->table);
	return 0;
}

struct cli_table *cli_table_new(const struct cli *cli, const struct cli_column *column, size_t n)
{
	struct cli_table *t = mem_new(cli->ctx, struct cli_table);

	t->table = mem_check(scols_new_table());
	talloc_set_destructor(t, release);
	t->n_columns = n;
	scols_table_enable_colors(t->table, cli->color);
	/* Never squeezed to the terminal's width: that breaks ids and words in two, and a line that the terminal breaks
	 * can still be copied. */
	scols_table_set_termforce(t->table, SCOLS_TERMFORCE_NEVER);
	scols_table_enable_noencoding(t->table, 1); /* every text is safe already; made safe twice it cannot be read */
	for (size_t i = 0; i < n; i++) {
		struct libscols_column *c = mem_check(scols_table_new_column(
			t->table, column[i].head, 0, column[i].align == CLI_RIGHT ? SCOLS_FL_RIGHT : 0));

		if (cli->color)
			scols_cell_set_color(scols_column_get_header(c), "\033[1m");
	}
	return t;
}

void cli_table_row(struct cli_table *t)
{
	t->line = mem_check(scols_table_new_line(t->table, NULL));
	t->column = 0;
}

static void put(struct cli_table *t, const char *text)
{
	if (t->column < t->n_columns && scols_line_set_data(t->line, t->column++, text) != 0)
		mem_check(NULL);
}

void cli_table_text(struct cli_table *t, const char *text)
{
	char *safe = cli_safe(t, text);

	put(t, safe);
	talloc_free(safe);
}

void cli_table_int(struct cli_table *t, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put(t, text);
}

void cli_table_bytes(struct cli_table *t, uint64_t bytes)
{
	char text[TIME_TEXT];

	bytes_format(bytes, text);
	put(t, text);
}

void cli_table_time(struct cli_table *t, int64_t ms)
{
	char text[TIME_TEXT] = "-";

	if (ms != INT64_MIN && ms != INT64_MAX)
		time_format(ms, text);
	put(t, text);
}

int cli_table_print(struct cli_table *t, struct err *err)
{
	int r;

	fflush(stdout); /* smartcols writes through the same stream, but an error there must be ours */
	r = scols_print_table(t->table);
	talloc_free(t);
	return r < 0 && !ferror(stdout) ? err_set(err, ERR_INTERNAL, "cannot print a table") : 0;
}

const char *cli_tint(bool color, enum cli_tint tint)
{
	static const char *const sequence[] = {
		[CLI_PLAIN] = "\033[0m", [CLI_BOLD] = "\033[1m", [CLI_GREEN] = "\033[32m", [CLI_YELLOW] = "\033[33m",
		[CLI_RED] = "\033[31m",
	};

	return color ? sequence[tint] : "";
}
