/* bundle_tar.c - POSIX ustar headers with constant owner, mode and time; a pax size record where octal digits end (8
 * GiB). */
#include "bundle_internal.h"

#include <string.h>

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2],
		uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "ustar header is one block");

static void tar_block(struct ustar *h, const char *top, const char *name, uint64_t size, char type)
{
	unsigned sum = 0;

	memset(h, 0, sizeof(*h));
	memcpy(h->prefix, top, strlen(top));
	memcpy(h->name, name, strlen(name));
	memcpy(h->mode, "0000644", 8);
	memcpy(h->uid, "0000000", 8);
	memcpy(h->gid, "0000000", 8);
	/* at most 11 digits, see callers */
	(void)snprintf(h->size, sizeof(h->size), "%011llo", (unsigned long long)size);
	memcpy(h->mtime, "00000000000", 12);
	memset(h->sum, ' ', sizeof(h->sum));
	h->type = type;
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	(void)snprintf(h->sum, sizeof(h->sum), "%06o", sum); /* then a NUL and the space that is there */
}

size_t tar_header(const char *top, const char *name, uint64_t size, char ret[TAR_HEADER_MAX])
{
	struct ustar h;

	if (strlen(name) > sizeof(h.name) || strlen(top) > sizeof(h.prefix))
		return 0;
	if (size <= TAR_OCTAL_MAX) {
		tar_block(&h, top, name, size, '0');
		memcpy(ret, &h, TAR_BLOCK);
		return TAR_BLOCK;
	}
	/* "LEN size=N\n": LEN counts itself; sizes of 10 to 19 digits always make it two digits long. */
	char record[64];
	int len = snprintf(record, sizeof(record), "%llu", (unsigned long long)size) + 10;
	len = snprintf(record, sizeof(record), "%d size=%llu\n", len - 1, (unsigned long long)size);
	tar_block(&h, top, "pax", (uint64_t)len, 'x');
	memcpy(ret, &h, TAR_BLOCK);
	memset(ret + TAR_BLOCK, 0, TAR_BLOCK);
	memcpy(ret + TAR_BLOCK, record, (size_t)len);
	tar_block(&h, top, name, 0, '0');
	memcpy(ret + 2 * TAR_BLOCK, &h, TAR_BLOCK);
	return 3 * TAR_BLOCK;
}

static bool tar_octal(const char *s, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '7')
			return false;
		v = v * 8 + (uint64_t)(s[i] - '0');
	}
	*ret = v;
	return true;
}

static bool tar_pax_size(const char *block, uint64_t *ret)
{
	uint64_t v = 0;
	const char *p = block + 3;

	if (memcmp(p, "size=", 5) != 0)
		return false;
	for (p += 5; *p >= '0' && *p <= '9' && v < RAW_TOTAL_MAX; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	*ret = v;
	return *p == '\n' && v > TAR_OCTAL_MAX;
}

bool tar_parse(const char *blocks, size_t len, const char *top, char ret_name[128], uint64_t *ret_size)
{
	struct ustar h;
	char again[TAR_HEADER_MAX], name[sizeof(h.name) + 1] = "";
	uint64_t size;

	if (len != TAR_BLOCK && len != 3 * TAR_BLOCK)
		return false;
	memcpy(&h, blocks + len - TAR_BLOCK, TAR_BLOCK);
	if (!tar_octal(h.size, sizeof(h.size) - 1, &size))
		return false;
	if (len == 3 * TAR_BLOCK && !tar_pax_size(blocks + TAR_BLOCK, &size))
		return false;
	memcpy(name, h.name, sizeof(h.name));
	/* Links, devices, odd modes, other folders, second spellings of a number: all differ from our own header. */
	if (tar_header(top, name, size, again) != len || memcmp(again, blocks, len) != 0)
		return false;
	memcpy(ret_name, name, sizeof(name));
	*ret_size = size;
	return true;
}
