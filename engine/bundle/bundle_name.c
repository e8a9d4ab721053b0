/* bundle_name.c - the names of a bundle: lower-case ASCII, never longer than a tar header takes. */
#include "bundle_internal.h"

#include <string.h>
#include <time.h>

bool bundle_name_plain(const char *s, size_t max)
{
	size_t len = strlen(s);
	if (len == 0 || len > max || s[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-'))
			return false;
	return true;
}

/* A team may be called anything.  Plain names stay readable, others go by id, broken ids by their hash.
 * "direct" is ours: it means that there is no team. */
static char *team_part(void *ctx, const struct bundle_source *source)
{
	struct digest d;
	char hex[DIGEST_HEX + 1];

	if (source->team_id[0] == '\0')
		return mem_strdup(ctx, "direct");
	if (bundle_name_plain(source->team_label, 64) && strcmp(source->team_label, "direct") != 0)
		return mem_strdup(ctx, source->team_label);
	if (bundle_name_plain(source->team_id, 26))
		return mem_strdup(ctx, source->team_id);
	struct hash *h = hash_new(ctx);
	hash_bytes(h, source->team_id, strlen(source->team_id), &d);
	talloc_free(h);
	digest_hex(&d, hex);
	return mem_printf(ctx, "team-%.12s", hex);
}

char *bundle_identity(void *ctx, const struct bundle_source *source, uint32_t seq)
{
	char month[16] = "never";
	struct tm tm;
	time_t t = (time_t)(source->expires_ms / 1000);

	if (source->expires_ms > 0 && gmtime_r(&t, &tm))
		(void)strftime(month, sizeof(month), "%Y%m", &tm); /* fits: years have four digits here */
	return mem_printf(ctx, "mmr1-%s-%s-%06u", team_part(ctx, source), month, seq);
}

char *bundle_final_name(void *ctx, const char *identity, const struct digest *rows, uint32_t generation)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(rows, hex);
	if (generation == 1)
		return mem_printf(ctx, "%s-%.12s.tar.zst", identity, hex);
	return mem_printf(ctx, "%s-%.12s-e%u.tar.zst", identity, hex, generation);
}

bool bundle_name_matches(const char *file_name, const char *identity, const struct digest *rows, uint32_t generation)
{
	char *expect = bundle_final_name(NULL, identity, rows, generation);
	bool same = strcmp(file_name, expect) == 0;

	talloc_free(expect);
	return same;
}
