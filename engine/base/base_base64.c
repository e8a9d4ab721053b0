/* base_base64.c - base64 (RFC 4648, 4), with padding and without line ends. */
#include <mmretain/base.h>

#include <openssl/evp.h>

#define PIECE_BYTES (3U << 20) /* libcrypto counts in int; whole groups of three, so that pieces join */

void buf_base64(struct buf *b, const void *data, size_t len)
{
	const unsigned char *p = data;

	if (!len || !buf_reserve(b, (len + 2) / 3 * 4))
		return;
	while (len) {
		size_t n = len < PIECE_BYTES ? len : PIECE_BYTES;

		b->len += (size_t)EVP_EncodeBlock((unsigned char *)b->data + b->len, p, (int)n);
		p += n;
		len -= n;
	}
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* libcrypto's decoder takes blanks and any unused bits, and does not say how long the padding was. */
bool buf_unbase64(struct buf *b, const char *s, size_t len)
{
	if (len % 4 != 0)
		return false;
	for (size_t i = 0; i < len; i += 4) {
		bool last = i + 4 == len;
		int pad = last && s[i + 3] == '=' ? (s[i + 2] == '=' ? 2 : 1) : 0;
		uint32_t v = 0;

		for (int j = 0; j < 4; j++) {
			int d = j >= 4 - pad ? 0 : sextet(s[i + (size_t)j]);

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
			return false;
		for (int j = 0; j < 3 - pad; j++)
			buf_byte(b, (char)(v >> (16 - 8 * j)));
	}
	return !b->overflow;
}
