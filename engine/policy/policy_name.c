/*
 * policy_name.c - items of lists that can never match are told at once; the rest is found against the database.
 */
#include "policy_internal.h"

#include <string.h>

#define Q(v) policy_quote(b->scratch, (v)->text, (v)->len)

/* As everywhere: `@` before it and capitals are nothing to warn about, for they match. */
static bool check_account(struct binder *b, const struct node *v)
{
	const char *name = v->text + strspn(v->text, "@");
	bool at = strchr(name, '@') != NULL;

	if (*name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0')
		return true;
	policy_warning(b->problems, v, "%s is not an account name%s", Q(v), at ? ", but an address" : ": those have letters, digits, `.`, `_` and `-` only");
	policy_hint(b->problems, "Write the name from the profile, such as `j.doe`.");
	return true;
}

bool policy_bind_name_ok(struct binder *b, const struct policy_key *k, const struct node *v)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *open = strchr(v->text, '[');

	if (k->kind == KIND_TAGS) {
		if (v->text[0] == '#' && v->len > 1 && !strpbrk(v->text, " \t"))
			return true;
		policy_problem(b->problems, v, "%s is not a hashtag", Q(v));
		policy_hint(b->problems, "Write it with `#`, in quotes, such as `\"#keep\"`.");
		return false;
	}
	if (k->kind == KIND_USERS)
		return check_account(b, v);
	if (k->kind == KIND_TEXTS)
		return true;
	if (open && !strchr(open, ']')) {
		policy_problem(b->problems, v, "the `[` in %s is not closed", Q(v));
		policy_hint(b->problems, "Close it, as in `\"alarm-[0-9]\"`.");
		return false;
	}
	if (!strpbrk(v->text, "*?[") && v->text[strspn(v->text, plain)] != '\0') {
		policy_warning(b->problems, v, "%s is not the name of a channel or team: those are lower-case, without spaces", Q(v));
		policy_hint(b->problems, "Write the name from the address in the browser, not the one that is displayed.");
	}
	return true;
}
