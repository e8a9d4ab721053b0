/*
 * base_hash.c - SHA-256 and HMAC by libcrypto, hex, random bytes.
 *
 * SHA-256 through libcrypto's direct functions: an archive has several digests of less than 300 bytes per row, where
 * the EVP layer costs up to half of the time, and its first use loads the provider configuration, which a look-up need
 * not wait for.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the direct functions are deprecated since 3.0, and kept */
#include <mmretain/base.h>

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10 };

struct hash { SHA256_CTX sha; };

/* libcrypto's SHA-256 cannot fail; should it ever, the process ends. */
static void must(int ok)
{
	if (ok != 1)
		mem_check(NULL);
}

struct hash *hash_new(void *ctx)
{
	struct hash *h = mem_new(ctx, struct hash);

	must(SHA256_Init(&h->sha));
	return h;
}

void hash_update(struct hash *h, const void *data, size_t len)
{
	must(SHA256_Update(&h->sha, data, len));
}

void hash_final(struct hash *h, struct digest *ret)
{
	must(SHA256_Final(ret->b, &h->sha));
	must(SHA256_Init(&h->sha));
}

void hash_copy(struct hash *to, const struct hash *from)
{
	to->sha = from->sha;
}

void hash_bytes(struct hash *h, const void *data, size_t len, struct digest *ret)
{
	hash_update(h, data, len);
	hash_final(h, ret);
}

int hash_fd(int fd, const char *name, struct digest *ret, uint64_t *ret_bytes, struct err *err)
{
	auto_mem char *data = mem_array(NULL, char, READ_BYTES);
	struct hash *h = hash_new(data);
	uint64_t bytes = 0;
	ssize_t n;

	while ((n = read(fd, data, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_STORE, errno, "cannot read %s", name);
		hash_update(h, data, (size_t)n);
		bytes += (uint64_t)n;
	}
	hash_final(h, ret);
	if (ret_bytes)
		*ret_bytes = bytes;
	return 0;
}

void hash_blocks(const void *blocks, size_t n, struct digest *ret)
{
	SHA256_CTX sha;

	must(SHA256_Init(&sha));
	for (size_t i = 0; i < n; i++)
		SHA256_Transform(&sha, (const unsigned char *)blocks + i * SHA256_CBLOCK);
	for (size_t i = 0; i < ARRAY_LEN(sha.h); i++) {
		uint32_t word = htobe32(sha.h[i]);
		memcpy(ret->b + 4 * i, &word, sizeof(word));
	}
}

void hash_hmac(const void *key, size_t key_len, const void *data, size_t len, struct digest *ret)
{
	mem_check(HMAC(EVP_sha256(), key, (int)key_len, data, len, ret->b, NULL));
}

void hex_encode(const void *data, size_t len, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		ret_hex[2 * i] = digits[p[i] >> 4];
		ret_hex[2 * i + 1] = digits[p[i] & 15];
	}
	ret_hex[2 * len] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(const char *hex, size_t n_bytes, void *ret_data)
{
	uint8_t *out = ret_data;

	for (size_t i = 0; i < n_bytes; i++) {
		int hi = nibble(hex[2 * i]), lo = hi < 0 ? -1 : nibble(hex[2 * i + 1]);

		if (lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

void digest_hex(const struct digest *d, char ret_hex[DIGEST_HEX + 1])
{
	hex_encode(d->b, DIGEST_BYTES, ret_hex);
}

int random_bytes(void *ret, size_t len, struct err *err)
{
	ssize_t n = getrandom(ret, len, 0);

	if (n < 0 || (size_t)n != len)
		return err_sys(err, ERR_INTERNAL, n < 0 ? errno : EIO, "cannot get random bytes");
	return 0;
}
