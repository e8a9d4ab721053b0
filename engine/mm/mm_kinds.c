/*
 * mm_kinds.c - the closure of a thread: which tables, which columns.
 *
 * Release 9.11 is the floor: what it has is required, what came later is optional.  A column that is not listed is
 * exported like any other and told as a note; one that is listed with another type is a reason not to delete.
 */
#include <string.h>

#include "mm_internal.h"

#define COLUMNS(...) (const struct mm_known_column[]){__VA_ARGS__, {NULL, MM_ANY_TYPE, false}}
#define TEXT_(name) {name, MM_TEXT, true}
#define INT_(name) {name, MM_INT, true}
#define BOOL_(name) {name, MM_BOOL, true}
#define JSON_(name) {name, MM_JSON, true}
#define LATER(name, family) {name, family, false}

const struct mm_known_table mm_known[MM_KINDS] = {
	{MM_THREAD, "thread", "threads", NULL, true,
	 COLUMNS(TEXT_("postid"), INT_("replycount"), INT_("lastreplyat"), JSON_("participants"), TEXT_("channelid"),
		 INT_("threaddeleteat"), LATER("threadteamid", MM_TEXT))},
	{MM_POST, "post", "posts", "userid", true,
	 COLUMNS(TEXT_("id"), INT_("createat"), INT_("updateat"), INT_("deleteat"), TEXT_("userid"), TEXT_("channelid"),
		 TEXT_("rootid"), TEXT_("originalid"), TEXT_("message"), TEXT_("type"), JSON_("props"),
		 TEXT_("hashtags"), TEXT_("filenames"), TEXT_("fileids"), BOOL_("hasreactions"), INT_("editat"),
		 BOOL_("ispinned"), LATER("remoteid", MM_TEXT))},
	{MM_REACTION, "reaction", "reactions", "userid", true,
	 COLUMNS(TEXT_("userid"), TEXT_("postid"), TEXT_("emojiname"), INT_("createat"), LATER("updateat", MM_INT),
		 LATER("deleteat", MM_INT), LATER("remoteid", MM_TEXT), LATER("channelid", MM_TEXT))},
	{MM_FILE, "file", "fileinfo", "creatorid", true,
	 COLUMNS(TEXT_("id"), TEXT_("creatorid"), TEXT_("postid"), INT_("createat"), INT_("updateat"), INT_("deleteat"),
		 TEXT_("path"), TEXT_("thumbnailpath"), TEXT_("previewpath"), TEXT_("name"), TEXT_("extension"),
		 INT_("size"), TEXT_("mimetype"), INT_("width"), INT_("height"), BOOL_("haspreviewimage"),
		 LATER("minipreview", MM_BYTES), LATER("content", MM_TEXT), LATER("remoteid", MM_TEXT),
		 LATER("archived", MM_BOOL), LATER("channelid", MM_TEXT))},
	{MM_MEMBER, "member", "threadmemberships", "userid", true,
	 COLUMNS(TEXT_("postid"), TEXT_("userid"), BOOL_("following"), INT_("lastviewed"), INT_("lastupdated"),
		 INT_("unreadmentions"))},
	{MM_PRIORITY, "priority", "postspriority", NULL, false,
	 COLUMNS(TEXT_("postid"), TEXT_("channelid"), TEXT_("priority"), BOOL_("requestedack"),
		 LATER("persistentnotifications", MM_BOOL))},
	{MM_ACK, "ack", "postacknowledgements", "userid", false,
	 COLUMNS(TEXT_("postid"), TEXT_("userid"), INT_("acknowledgedat"), LATER("remoteid", MM_TEXT),
		 LATER("channelid", MM_TEXT))},
	{MM_PNOTIFY, "pnotify", "persistentnotifications", NULL, false,
	 COLUMNS(TEXT_("postid"), INT_("createat"), INT_("lastsentat"), INT_("deleteat"), INT_("sentcount"))},
	{MM_PREF, "pref", "preferences", "userid", true,
	 COLUMNS(TEXT_("userid"), TEXT_("category"), TEXT_("name"), TEXT_("value"))},
	{MM_REMINDER, "reminder", "postreminders", "userid", false,
	 COLUMNS(TEXT_("postid"), TEXT_("userid"), INT_("targettime"))},
	{MM_DRAFT, "draft", "drafts", "userid", false,
	 COLUMNS(INT_("createat"), INT_("updateat"), INT_("deleteat"), TEXT_("userid"), TEXT_("channelid"),
		 TEXT_("rootid"), TEXT_("message"), TEXT_("props"), TEXT_("fileids"), LATER("priority", MM_TEXT),
		 LATER("type", MM_TEXT))},
	{MM_READ_RECEIPT, "receipt", "readreceipts", "userid", false,
	 COLUMNS(TEXT_("postid"), TEXT_("userid"), INT_("expireat"))},
	{MM_TEMPORARY, "temporary", "temporaryposts", NULL, false,
	 COLUMNS(TEXT_("postid"), TEXT_("type"), INT_("expireat"), TEXT_("message"), TEXT_("fileids"))},
	{MM_TRANSLATION, "translation", "translations", NULL, false,
	 COLUMNS(TEXT_("objectid"), TEXT_("dstlang"), TEXT_("objecttype"), TEXT_("providerid"), TEXT_("normhash"),
		 TEXT_("text"), LATER("confidence", MM_REAL), LATER("meta", MM_JSON), INT_("updateat"),
		 LATER("state", MM_TEXT), LATER("channelid", MM_TEXT))},
	{MM_PROPERTY, "property", "propertyvalues", NULL, false,
	 COLUMNS(TEXT_("id"), TEXT_("targetid"), TEXT_("targettype"), TEXT_("groupid"), TEXT_("fieldid"),
		 JSON_("value"), INT_("createat"), INT_("updateat"), INT_("deleteat"), LATER("createdby", MM_TEXT),
		 LATER("updatedby", MM_TEXT))},
	{MM_SHARED_FILE, "sharedfile", "sharedchannelattachments", NULL, false,
	 COLUMNS(TEXT_("id"), TEXT_("fileid"), TEXT_("remoteid"), INT_("createat"), INT_("lastsyncat"))},
};

/* Each with the reason why a vanished post does no harm there. */
const char *const mm_known_post_ids[] = {
	"calls.postid",                 /* plugin: history of a call */
	"calls.threadid",
	"channelbookmarks.originalid",  /* a bookmark's id */
	"commandwebhooks.rootid",       /* rows expire after days */
	"focalboard_blocks.root_id",    /* plugin: a board's id */
	"focalboard_blocks_history.root_id",
	"ir_incident.postid",           /* plugin: the run shows a gap */
	"ir_incident.reminderpostid",
	"ir_statusposts.postid",
	"ir_timelineevent.postid",
	"llm_postmeta.rootpostid",      /* plugin: its foreign key is reported as such */
	"llm_posts_embeddings.post_id",
	"recapchannels.sourcepostids",  /* ids in a summary, never looked up */
	"scheduledposts.rootid",        /* an unsent message: the server marks it when it is due */
	"sharedchannelremotes.lastpostcreateid", /* a cursor, compared with > */
	"sharedchannelremotes.lastpostid",
	NULL,
};

static const struct { const char *prefix; enum mm_family family; } families[] = {
	{"character varying", MM_TEXT}, {"text", MM_TEXT},       {"character(", MM_TEXT}, {"bigint", MM_INT},
	{"integer", MM_INT},            {"smallint", MM_INT},    {"boolean", MM_BOOL},    {"jsonb", MM_JSON},
	{"json", MM_JSON},              {"bytea", MM_BYTES},     {"real", MM_REAL},       {"double precision", MM_REAL},
};

enum mm_family mm_type_family(const char *pg_type)
{
	if (strstr(pg_type, "[]"))
		return MM_ANY_TYPE;
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (!strncmp(pg_type, families[i].prefix, strlen(families[i].prefix)))
			return families[i].family;
	return MM_ANY_TYPE;
}

/* 'it''s'::text -> it's.  Anything but one literal with an optional cast is no constant. */
static char *quoted_default(void *ctx, const char *p)
{
	char *out = mem_array(ctx, char, (unsigned)strlen(p) + 1), *o = out;

	for (p++; *p; p++) {
		if (*p == '\'' && p[1] != '\'')
			break;
		if (*p == '\'')
			p++;
		*o++ = *p;
	}
	/* a cast may have a length, 'x'::character varying(26), and is still constant */
	if (*p == '\'' && (!p[1] || (!strncmp(p + 1, "::", 2) && !strpbrk(p + 1, "'|+"))))
		return out;
	talloc_free(out);
	return NULL;
}

char *mm_default_text(void *ctx, const char *expression)
{
	const char *p = expression;

	if (!p || !p[0])
		return NULL;
	if (p[0] == '\'')
		return quoted_default(ctx, p);
	if (!strcmp(p, "true") || !strcmp(p, "false"))
		return mem_strndup(ctx, p, 1);
	if (p[strspn(p, "-0123456789.")] == '\0')
		return mem_strdup(ctx, p);
	return NULL;
}

void mm_list_add(void *ctx, struct mm_list *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	l->item = mem_grow(ctx, l->item, char *, l->n + 1);
	l->item[l->n++] = (char *)mem_check(talloc_vasprintf(l->item, fmt, ap));
	va_end(ap);
}
