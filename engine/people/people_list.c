/*
 * people_list.c - the only_listed file: one account name or address a line, # begins a comment.
 *
 * An export of the identity system, so it may be damaged, half written or of another format.  Whatever is not plainly a
 * list of names is an error: a list that is misread must never grow into "everybody".
 */
#include "people_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { ENTRY_MAX = 255 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Without comment and blanks around. */
static void trim(const char **line, size_t *len)
{
	for (size_t i = 0; i < *len; i++)
		if ((*line)[i] == '#' && (i == 0 || is_blank((*line)[i - 1]))) {
			*len = i;
			break;
		}
	while (*len && is_blank((*line)[*len - 1]))
		(*len)--;
	while (*len && is_blank(**line)) {
		(*line)++;
		(*len)--;
	}
}

static const char *complaint(const char *entry, size_t len)
{
	if (len > ENTRY_MAX)
		return "is longer than any account name or address";
	if (!utf8_valid(entry, len))
		return "is not UTF-8 text";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)entry[i];

		if (c <= ' ' || c == 0x7f)
			return "has more than one word";
		if (strchr(",;\"'<>*", c))
			return "is no account name or address";
	}
	return NULL;
}

static void add(struct people_names *names, const char *entry, size_t len)
{
	char lower[ENTRY_MAX + 1];

	if (*entry == '@' && len > 1) {
		entry++;
		len--;
	}
	for (size_t i = 0; i < len; i++)
		lower[i] = entry[i] >= 'A' && entry[i] <= 'Z' ? (char)(entry[i] + 32) : entry[i];
	people_names_add(names, lower, len, NULL);
}

static int refuse(struct err *err, const char *name, size_t line, const char *why)
{
	err_set(err, ERR_POLICY, "%s: line %zu %s", name, line, why);
	return err_hint(err, "Write one account name or address a line; nobody was depersonalised.");
}

int people_list_parse(void *ctx, const char *name, const char *text, size_t len, struct people_names **ret,
		      struct err *err)
{
	struct people_names *names = people_names_new(ctx);
	const char *end = text + len;
	size_t number = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (const char *line = text, *next; line < end; line = next) {
		const char *newline = memchr(line, '\n', (size_t)(end - line)), *why;
		size_t n = (size_t)((newline ? newline : end) - line);

		next = newline ? newline + 1 : end;
		number++;
		trim(&line, &n);
		why = n ? complaint(line, n) : NULL;
		if (why) {
			talloc_free(names);
			return refuse(err, name, number, why);
		}
		if (n)
			add(names, line, n);
	}
	if (people_names_count(names) == 0) {
		talloc_free(names);
		err_set(err, ERR_POLICY, "%s names nobody", name);
		return err_hint(err, "An empty list is refused; take only_listed out of the policy when no list is "
				     "wanted.");
	}
	*ret = names;
	return 0;
}

/* Whoever may write the list chooses whose account loses its data. */
static int check_mode(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0 || !(st.st_mode & S_IWOTH))
		return 0; /* a missing file is told by the reading */
	err_set(err, ERR_PERMISSION, "departed_users.only_listed: \"%s\" may be changed by everybody", path);
	return err_hint(err, "Run: chmod o-w '%s'", path);
}

int people_list_read(void *ctx, const char *path, struct people_names **ret, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "people list");
	char *text = NULL;
	size_t len = 0;
	int r = check_mode(path, err);

	if (r < 0)
		return r;
	r = file_read(tmp, AT_FDCWD, path, PEOPLE_LIST_BYTES, &text, &len, err);

	if (r < 0) {
		err->code = -ERR_POLICY;
		err_prefix(err, "departed_users.only_listed");
		return err_hint(err, "Make the list readable: without it nothing is planned, and nobody is "
				     "depersonalised.");
	}
	return people_list_parse(ctx, path, text, len, ret, err);
}
