/* catalog_row_fuzz.c - rows and packed numbers out of files that nobody vouches for. */
#include "catalog_internal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bundle_column columns[] = {
		{"id", "text", BT_TEXT, ""}, {"createat", "bigint", BT_INT, "0"}, {"message", "text", BT_TEXT, ""},
		{"props", "jsonb", BT_JSON, "{}"},
	};
	static const struct bundle_kind kind = {"post", "posts", columns, ARRAY_LEN(columns), -1};
	void *ctx = talloc_new(NULL);
	struct bundle_field field[ARRAY_LEN(columns)];
	struct buf store, words;
	struct err err;
	struct span span;
	struct span_scan spans;
	struct id_scan ids;

	buf_init(&store, ctx, BUNDLE_ROW_MAX);
	buf_init(&words, ctx, BUNDLE_ROW_MAX);
	if (bundle_decode_row(&kind, (const char *)data, size, field, &store, &err) == 0) {
		struct catalog_row row = {.kind = CATALOG_POST,
					  .message = {field[2].data, field[2].len},
					  .props = {field[3].data, field[3].len}};
		catalog_row_words(&row, &words);
	}
	struct catalog_row raw = {.kind = CATALOG_POST, .message = {"", 0}, .props = {(const char *)data, size}};
	catalog_row_words(&raw, &words);
	span_scan_init(&spans, data, size);
	while (span_scan_next(&spans, &span))
		;
	id_scan_init(&ids, 0, data, size);
	while (id_scan_next(&ids))
		;
	talloc_free(ctx);
	return 0;
}
