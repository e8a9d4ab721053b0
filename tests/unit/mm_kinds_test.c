/* mm_kinds_test.c - the closure's table of tables, types and defaults. */
#include <mmretain/mm.h>

#include <string.h>

#include "mm_internal.h"
#include "mm_tests.h"

START_TEST(test_table_is_whole)
{
	for (int i = 0; i < MM_KINDS; i++) {
		bool owner = mm_known[i].owner == NULL;

		ck_assert_int_eq((int)mm_known[i].kind, i);
		for (const struct mm_known_column *c = mm_known[i].column; c->name; c++)
			owner |= mm_known[i].owner && !strcmp(c->name, mm_known[i].owner);
		ck_assert(owner);
		for (int j = 0; j < i; j++) {
			ck_assert_str_ne(mm_known[i].table, mm_known[j].table);
			ck_assert_str_ne(mm_known[i].kind_name, mm_known[j].kind_name);
		}
	}
}
END_TEST

static const struct { const char *expression, *text; } defaults[] = {
	{"''::character varying", ""},
	{"'0'::bigint", "0"},
	{"0", "0"},
	{"-1", "-1"},
	{"false", "f"},
	{"true", "t"},
	{"'it''s'::text", "it's"},
	{"'x'::character varying(26)", "x"},
	{"'[]'::jsonb", "[]"},
	{"NULL::character varying", NULL},
	{"now()", NULL},
	{"nextval('a_seq'::regclass)", NULL},
	{"('a'::text || 'b'::text)", NULL},
	{"'a'::text || 'b'::text", NULL},
	{"'open", NULL},
	{"", NULL},
	{NULL, NULL},
};

START_TEST(test_defaults)
{
	void *ctx auto_mem = mem_context(NULL, "test");
	char *text = mm_default_text(ctx, defaults[_i].expression);

	if (!defaults[_i].text)
		ck_assert_ptr_null(text);
	else
		ck_assert_str_eq(text, defaults[_i].text);
}
END_TEST

static const struct { const char *type; enum mm_family family; } types[] = {
	{"character varying(26)", MM_TEXT}, {"character varying", MM_TEXT}, {"text", MM_TEXT},
	{"character(64)", MM_TEXT},
	{"bigint", MM_INT},                 {"smallint", MM_INT},           {"boolean", MM_BOOL}, {"jsonb", MM_JSON},
	{"json", MM_JSON},                  {"bytea", MM_BYTES},            {"real", MM_REAL},    {"uuid", MM_ANY_TYPE},
	{"character varying[]", MM_ANY_TYPE}, {"text[]", MM_ANY_TYPE},
};

START_TEST(test_types)
{
	ck_assert_int_eq((int)mm_type_family(types[_i].type), (int)types[_i].family);
}
END_TEST

TCase *mm_kinds_case(void)
{
	TCase *tc = tcase_create("kinds");

	tcase_add_test(tc, test_table_is_whole);
	tcase_add_loop_test(tc, test_defaults, 0, (int)ARRAY_LEN(defaults));
	tcase_add_loop_test(tc, test_types, 0, (int)ARRAY_LEN(types));
	return tc;
}
