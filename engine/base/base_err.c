/* base_err.c - the error value that every fallible function fills. */
#include <mmretain/base.h>

#include <string.h>

static const struct {
	const char *name;
	int status;
	bool retryable;
} error_table[] = {
	[ERR_NONE] = {"NONE", 0, false},
#define X(name, status, retry, text) [ERR_##name] = {#name, status, retry},
#include <mmretain/errors.def>
#undef X
};

static size_t index_of(int code)
{
	size_t i = (size_t)(code < 0 ? -code : code);
	return i < ARRAY_LEN(error_table) ? i : (size_t)ERR_INTERNAL;
}

int err_exit_status(int code)
{
	return error_table[index_of(code)].status;
}

bool err_retryable(int code)
{
	return error_table[index_of(code)].retryable;
}

bool err_ends_work(int code)
{
	return code == -ERR_INTERRUPTED || code == -ERR_WORK_LEFT;
}

const char *err_name(int code)
{
	return error_table[index_of(code)].name;
}

void err_clear(struct err *err)
{
	memset(err, 0, sizeof *err);
}

/* A message is one line whatever the server or a name put into it. */
static void one_line(char *s)
{
	for (; *s; s++)
		if (*s == '\n' || *s == '\r' || *s == '\t')
			*s = ' ';
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	char msg[sizeof err->msg];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	err_clear(err);
	err->code = -(int)code;
	one_line(msg);
	memcpy(err->msg, msg, sizeof msg);
	return err->code;
}

int err_sys(struct err *err, enum err_code code, int errnum, const char *fmt, ...)
{
	char msg[sizeof err->msg];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	err_set(err, code, "%.800s: %s", msg, strerror(errnum));
	err->sys_errno = errnum;
	return err->code;
}

int err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof err->hint, fmt, ap);
	va_end(ap);
	one_line(err->hint);
	return err->code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char head[256], tail[sizeof err->msg];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(head, sizeof head, fmt, ap);
	va_end(ap);
	memcpy(tail, err->msg, sizeof tail);
	snprintf(err->msg, sizeof err->msg, "%s: %.760s", head, tail);
	one_line(err->msg);
	return err->code;
}
