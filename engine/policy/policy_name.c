/*
 * policy_name.c - items of lists that can never match are told at once; the rest is found against the database.
 */
#include "policy_internal.h"

#include <string.h>

#define PLAIN "abcdefghijklmnopqrstuvwxyz0123456789._-"
#define Q(v) policy_quote(b->scratch, (v)->text, (v)->len)

/* As everywhere: `@` before it and capitals are nothing to warn about, for they match. */
static bool check_account(struct binder *b, const struct node *v)
{
	const char *name = v->text + strspn(v->text, "@");
	bool at = strchr(name, '@') != NULL;

	if (*name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0')
		return true;
	policy_warning(b->problems, v, "%s is not an account name%s", Q(v),
		       at ? ", but an address" : ": those have letters, digits, `.`, `_` and `-` only");
	policy_hint(b->problems, "Write the name from the profile, such as `j.doe`.");
	return true;
}

static bool is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* As the server finds tags in a text: a letter, then letters, digits, `-`, `_`, `.`, and no sign of these three at the
 * end. */
static bool is_tag(const char *text)
{
	size_t signs = 0;
	unsigned char last = 0;

	if (!is_letter((unsigned char)text[0]))
		return false;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (!is_letter(*p) && !strchr("0123456789-_.", *p))
			return false;
		signs += (*p & 0xC0) != 0x80;
		last = *p;
	}
	return signs > 1 && !strchr("-_.", last);
}

static bool check_tag(struct binder *b, const struct node *v)
{
	if (v->text[0] != '#' || v->len == 1 || strpbrk(v->text, " \t")) {
		policy_problem(b->problems, v, "%s is not a hashtag", Q(v));
		policy_hint(b->problems, "Write it with `#`, in quotes, such as `\"#keep\"`.");
		return false;
	}
	if (!is_tag(v->text + 1)) {
		policy_warning(b->problems, v, "%s is a hashtag that no post has: it would protect nothing", Q(v));
		policy_hint(b->problems, "Mattermost takes a letter and then one or more letters, digits, `-`, `_`, "
					 "`.`, the last a letter or digit. There are no globs.");
	}
	return true;
}

/* What stands outside of ranges must be found in a name. */
static bool is_glob_of_names(const char *glob)
{
	for (const char *p = glob; *p; p++) {
		if (*p == '[')
			p += strcspn(p, "]") - 1;
		else if (!strchr(PLAIN "*?]", *p))
			return false;
	}
	return true;
}

bool policy_bind_name_ok(struct binder *b, const struct policy_key *k, const struct node *v)
{
	const char *open = strchr(v->text, '[');

	if (k->kind == KIND_TAGS)
		return check_tag(b, v);
	if (k->kind == KIND_USERS)
		return check_account(b, v);
	if (k->kind == KIND_TEXTS)
		return true;
	if (open && !strchr(open, ']')) {
		policy_problem(b->problems, v, "the `[` in %s is not closed", Q(v));
		policy_hint(b->problems, "Close it, as in `\"alarm-[0-9]\"`.");
		return false;
	}
	if (!is_glob_of_names(v->text)) {
		policy_warning(b->problems, v,
			       strpbrk(v->text, "*?[")
				       ? "%s matches no name of a channel or team: those are lower-case, without spaces"
				       : "%s is not the name of a channel or team: those are lower-case, without "
					 "spaces",
			       Q(v));
		policy_hint(b->problems,
			    !strchr(v->text, '/')
				    ? "Write the name from the address in the browser, not the one that is displayed."
				    : "Write what is behind the `/`, or the channel's id; in a rule the team has a key "
				      "of its own, `team`.");
	}
	return true;
}
