/*
 * db_reach.c - reach a server: hosts and addresses one after the other, with a deadline for each, and a stop request
 * ends it at once.
 *
 * PQconnectdbParams would wait out its deadline whatever happens meanwhile, and the calls that do not wait know no
 * deadline.  libpq goes to the next address when one refuses; when one is silent for too long it is told to begin anew
 * behind that.  So all addresses are listed before.  With target_session_attrs=prefer-standby libpq takes what it
 * passed over in a second round: then only the silent one is left out.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "db_internal.h"

struct place { const char *host, *hostaddr, *port; }; /* as libpq takes them; "" = not given */
struct places { void *ctx; struct place *place; size_t n; };

static void add_place(struct places *to, const char *host, const char *hostaddr, const char *port)
{
	to->place = mem_grow(to->ctx, to->place, struct place, to->n + 1);
	to->place[to->n++] =
		(struct place){mem_strdup(to->ctx, host), mem_strdup(to->ctx, hostaddr), mem_strdup(to->ctx, port)};
}

static size_t entries(const char *list)
{
	size_t n = 1;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

/* The i-th entry of a list; of a list with one entry that one. */
static char *entry(void *ctx, const char *list, size_t i)
{
	for (bool only = !strchr(list, ','); i && !only; i--)
		list += strcspn(list, ",") + 1;
	return mem_strndup(ctx, list, strcspn(list, ","));
}

/* Every address that a name has, in the order of the resolver.  A name that has none is left to libpq, which says so.
 */
static void add_name(struct places *to, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
	char text[NI_MAXHOST];
	size_t before = to->n;

	if (getaddrinfo(host, NULL, &hints, &list) == 0)
		for (const struct addrinfo *a = list; a; a = a->ai_next)
			if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
				add_place(to, host, text, port);
	if (list)
		freeaddrinfo(list);
	if (to->n == before)
		add_place(to, host, "", port);
}

/* As libpq will name it: 127.1 is 127.0.0.1.  What is no address is left to libpq, which says so. */
static const char *plain_address(void *ctx, const char *addr)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM},
			*list = NULL;
	char text[NI_MAXHOST];

	if (!addr[0] || getaddrinfo(addr, NULL, &hints, &list) != 0)
		return addr;
	if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
		addr = mem_strdup(ctx, text);
	freeaddrinfo(list);
	return addr;
}

/* Lists whose lengths do not fit are libpq's to refuse: no place then. */
static void list_places(const struct db_params *p, struct places *to)
{
	const char *host = db_params_get(p, "host"), *hostaddr = db_params_get(p, "hostaddr"),
		   *port = db_params_get(p, "port");
	size_t n = entries(hostaddr[0] ? hostaddr : host);

	if ((host[0] && hostaddr[0] && entries(host) != n) || (entries(port) != 1 && entries(port) != n))
		return;
	for (size_t i = 0; i < n; i++) {
		const char *name = entry(to->ctx, host, i), *addr = plain_address(to->ctx, entry(to->ctx, hostaddr, i)),
			   *at = entry(to->ctx, port, i);

		if (addr[0] || !name[0] || name[0] == '/' || name[0] == '@')
			add_place(to, name, addr, at);
		else
			add_name(to, name, at);
	}
}

static char *joined(const struct places *l, size_t field)
{
	char *text = mem_strdup(l->ctx, "");

	for (size_t i = 0; i < l->n; i++) {
		const char *const value[] = {l->place[i].host, l->place[i].hostaddr, l->place[i].port};

		text = talloc_asprintf_append_buffer(text, "%s%s", i ? "," : "", value[field]);
		mem_check(text);
	}
	return text;
}

/* The zone of a link-local address is not in what libpq says of it. */
static bool same_address(const char *a, const char *b)
{
	size_t n = strcspn(a, "%");

	return n == strcspn(b, "%") && memcmp(a, b, n) == 0;
}

static bool is_at(PGconn *pg, const struct place *p)
{
	const char *addr = PQhostaddr(pg), *host = PQhost(pg), *port = PQport(pg);

	if (p->port[0] && port && strcmp(port, p->port) != 0)
		return false;
	return p->hostaddr[0] ? addr && same_address(addr, p->hostaddr)
			      : !p->host[0] || (host && strcmp(host, p->host) == 0);
}

/* Which of the places is being tried; they come in their order, and a second round begins with the first. */
static size_t where(PGconn *pg, const struct places *l, size_t from)
{
	for (size_t k = 0; k < l->n; k++)
		if (is_at(pg, &l->place[(from + k) % l->n]))
			return (from + k) % l->n;
	return from;
}

/* Until something happens at the socket, a stop is asked for, or the time is over. */
static void wait_for(PGconn *pg, PostgresPollingStatusType what, int64_t until_ms)
{
	struct pollfd p = {.fd = PQsocket(pg), .events = what == PGRES_POLLING_WRITING ? POLLOUT : POLLIN};

	while (!stop_requested()) {
		int64_t left_ms = until_ms - time_mono_ms();

		if (left_ms <= 0 || poll(&p, 1, (int)(left_ms < DB_POLL_MS ? left_ms : DB_POLL_MS)) > 0)
			return;
	}
}

/* true: libpq has come to an end, good or bad; false: the place *at is silent for too long, or a stop is asked for. */
static bool try_places(PGconn *pg, const struct places *l, int64_t timeout_ms, size_t *at)
{
	PostgresPollingStatusType what = PGRES_POLLING_WRITING;
	int64_t until_ms = time_mono_ms() + timeout_ms;

	while (PQstatus(pg) != CONNECTION_BAD) {
		size_t now;

		wait_for(pg, what, until_ms);
		if (stop_requested() || time_mono_ms() >= until_ms)
			return false;
		what = PQconnectPoll(pg);
		if (what == PGRES_POLLING_OK || what == PGRES_POLLING_FAILED)
			return true;
		if ((now = where(pg, l, *at)) != *at)
			until_ms = time_mono_ms() + timeout_ms;
		*at = now;
	}
	return true;
}

static char *silent(const struct places *l, size_t at, int64_t timeout_ms)
{
	const struct place *p = &l->place[at];

	return mem_printf(l->ctx, "no answer from %s%s%s%s, port %s, within %lld s\n",
			  p->host[0] ? p->host : "the server", p->hostaddr[0] ? " (" : "", p->hostaddr,
			  p->hostaddr[0] ? ")" : "", p->port[0] ? p->port : "5432", (long long)(timeout_ms / 1000));
}

int db_whole_lines(const char *text)
{
	const char *end = strrchr(text, '\n');

	return end ? (int)(end + 1 - text) : 0;
}

/* Before libpq forgets it. */
static void tell(struct places *l, char **told, const char *text, int len)
{
	*told = mem_check(talloc_asprintf_append_buffer(*told ? *told : mem_strdup(l->ctx, ""), "%.*s", len, text));
}

/* The silent one goes, and with it those before, which have refused, unless a second round may still take one of them.
 */
static void leave_out(struct places *l, size_t at, bool second_round)
{
	size_t to = second_round ? at : 0;

	memmove(l->place + to, l->place + at + 1, (l->n - at - 1) * sizeof *l->place);
	l->n -= at + 1 - to;
}

PGconn *db_reach(void *ctx, const struct db_params *params, int64_t timeout_ms, const char **ret_before)
{
	bool second_round = strcmp(db_params_get(params, "target_session_attrs"), "prefer-standby") == 0;
	struct places l = {.ctx = ctx};
	struct db_params p = *params;
	char *told = NULL;
	PGconn *pg;

	*ret_before = NULL;
	list_places(params, &l);
	for (;;) {
		size_t at = 0;

		if (l.n) {
			db_params_set(&p, "host", joined(&l, 0));
			db_params_set(&p, "hostaddr", joined(&l, 1));
			db_params_set(&p, "port", joined(&l, 2));
		}
		if (!(pg = PQconnectStartParams(p.key, p.value, 0)) || try_places(pg, &l, timeout_ms, &at) ||
		    stop_requested())
			break;
		const char *why = l.n ? silent(&l, at, timeout_ms) : "no answer\n";
		if (l.n)
			leave_out(&l, at, second_round);
		if (l.n && !second_round) /* else those before are asked again, and say it again */
			tell(&l, &told, PQerrorMessage(pg), db_whole_lines(PQerrorMessage(pg)));
		tell(&l, &told, why, (int)strlen(why));
		if (!l.n)
			break;
		PQfinish(pg);
	}
	*ret_before = told;
	return pg;
}
