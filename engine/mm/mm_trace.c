/*
 * mm_trace.c - every place of the server's schema that says something about a person, once.
 *
 * To support a new table: a people_<table>.sql and people_count_<table>.sql, an entry here (or its columns in mm_known_people
 * when ids stay), a line in docs/departed-users.md.
 */
#include <mmretain/mm_people.h>

#include "mm_sql.h"

#define COUNT(stem) .count = &sql_people_count_##stem, .count_params = "i"
#define GONE(stem) .act = MM_TRACE_DELETE, COUNT(stem), .reduce = &sql_people_##stem, .reduce_params = "i"
#define STAYS(stem) .act = MM_TRACE_KEEP, COUNT(stem)

#define USER_BLANK "updateat email emailverified allowmarketing password authdata authservice mfaactive mfasecret props notifyprops " \
		   "timezone lastpictureupdate failedattempts lastlogin"

const struct mm_trace mm_trace[] = {
	/* sessions first: those of access tokens are found by the tokens */
	{.table = "sessions", .what = "sessions", .read = "userid token", GONE(sessions)},
	{.table = "useraccesstokens", .what = "personal access tokens", .read = "userid token", GONE(useraccesstokens)},
	{.table = "tokens", .what = "one-time tokens that name the person", .act = MM_TRACE_DELETE, .read = "extra",
	 .count = &sql_people_count_tokens, .count_params = "ie", .reduce = &sql_people_tokens, .reduce_params = "ie"},
	{.table = "desktoptokens", .what = "desktop sign-in tokens", .read = "userid", GONE(desktoptokens)},
	{.table = "oauthaccessdata", .what = "OAuth access", .read = "userid", GONE(oauthaccessdata)},
	{.table = "oauthauthdata", .what = "OAuth authorisations in progress", .read = "userid", GONE(oauthauthdata)},
	{.table = "preferences", .what = "preferences and saved posts", .read = "userid", GONE(preferences)},
	{.table = "status", .what = "online status", .read = "userid", GONE(status)},
	{.table = "audits", .what = "network addresses and details in the server's audit rows", .choice = MM_CHOICE_AUDITS_BLANK,
	 .act = MM_TRACE_BLANK, COUNT(audits), .reduce = &sql_people_audits_blank, .reduce_params = "i",
	 .read = "userid ipaddress extrainfo", .write = "ipaddress extrainfo"},
	{.table = "audits", .what = "the server's audit rows", .choice = MM_CHOICE_AUDITS_DELETE, .act = MM_TRACE_DELETE, COUNT(audits),
	 .reduce = &sql_people_audits_delete, .reduce_params = "i", .read = "userid"},
	{.table = "fileinfo", .what = "files of drafts, never posted", GONE(files_drafts), .returns_files = true,
	 .read = "id creatorid postid path thumbnailpath previewpath"},
	{.table = "drafts", .what = "drafts", .read = "userid fileids", GONE(drafts)},
	{.table = "scheduledposts", .what = "files of scheduled messages, never posted", GONE(files_scheduledposts), .returns_files = true,
	 .read = "userid fileids"},
	{.table = "scheduledposts", .what = "scheduled messages, never sent", .read = "userid channelid", GONE(scheduledposts)},
	{.table = "uploadsessions", .what = "unfinished uploads", GONE(uploadsessions), .returns_files = true, .read = "id userid path type"},
	{.table = "recentsearches", .what = "searches", .read = "userid", GONE(recentsearches)},
	{.table = "notifyadmin", .what = "requests to the administrator for paid features", .read = "userid", GONE(notifyadmin)},
	{.table = "productnoticeviewstate", .what = "product notices seen", .read = "userid", GONE(productnoticeviewstate)},
	{.table = "sidebarchannels", .what = "channels in sidebar categories", .read = "userid", GONE(sidebarchannels)},
	{.table = "sidebarcategories", .what = "sidebar categories", .read = "userid", GONE(sidebarcategories)},
	{.table = "postreminders", .what = "reminders", .read = "userid", GONE(postreminders)},
	{.table = "propertyvalues", .column = "targettype", .what = "profile attributes", .read = "targetid targettype",
	 GONE(propertyvalues)},
	{.table = "recapchannels", .column = "recapid", .what = "parts of summaries", .read = "recapid", GONE(recapchannels)},
	{.table = "recaps", .what = "summaries of channels", .read = "id userid", GONE(recaps)},
	{.table = "channeljoinrequests", .column = "userid", .what = "requests to join channels", .read = "userid",
	 GONE(channeljoinrequests)},

	{.table = "users", .what = "address, password, sign-in data, status text, settings", .act = MM_TRACE_BLANK, .reduce = &sql_people_user, .reduce_params = "iat", .one_row = true, .read = "id updateat lastpictureupdate deleteat",
	 .write = USER_BLANK},
	{.table = "users", .column = "mfausedtimestamps", .what = "times of one-time codes", .act = MM_TRACE_BLANK,
	 .reduce = &sql_people_user_mfa, .reduce_params = "i", .one_row = true, .read = "id", .write = "mfausedtimestamps"},
	{.table = "users", .what = "position", .choice = MM_CHOICE_POSITION, .act = MM_TRACE_BLANK, .reduce = &sql_people_user_position,
	 .reduce_params = "i", .one_row = true, .read = "id", .write = "position", .why = "the policy keeps it"},
	{.table = "users", .what = "system roles", .choice = MM_CHOICE_ROLES, .act = MM_TRACE_BLANK, .reduce = &sql_people_user_roles,
	 .reduce_params = "i", .one_row = true, .read = "id roles", .write = "roles",
	 .why = "a deactivated account has no use of them; the policy can reduce them"},
	{.table = "users", .what = "account name, nickname, first and last name", .choice = MM_CHOICE_NAMES, .act = MM_TRACE_BLANK,
	 .reduce = &sql_people_user_names, .reduce_params = "ip", .one_row = true, .read = "id username nickname firstname lastname",
	 .write = "username nickname firstname lastname", .why = "posts stay readable under the name that everybody knows"},

	{.table = "posts", .what = "posts", .why = "they belong to their threads; the retention rules decide", STAYS(posts),
	 .read = "userid deleteat originalid"},
	{.table = "posts", .what = "posts deleted in Mattermost, still in the table", .why = "the retention rules decide",
	 STAYS(posts_deleted), .read = "userid deleteat originalid"},
	{.table = "posts", .what = "former versions of edited posts", .why = "the retention rules decide", STAYS(posts_edited),
	 .read = "userid originalid"},
	{.table = "reactions", .what = "reactions", .why = "part of the threads of others", STAYS(reactions), .read = "userid"},
	{.table = "fileinfo", .what = "attachments of posts", .why = "they belong to their posts", STAYS(fileinfo),
	 .read = "creatorid postid"},
	{.table = "teammembers", .what = "team memberships", .why = "who was where stays traceable", STAYS(teammembers),
	 .read = "userid"},
	{.table = "channelmembers", .what = "channel memberships", .why = "names and exports of direct messages need them",
	 STAYS(channelmembers), .read = "userid"},
	{.table = "channelmemberhistory", .what = "times of joining and leaving channels",
	 .why = "legal hold and compliance export read them", STAYS(channelmemberhistory), .read = "userid"},
	{.table = "groupmembers", .what = "group memberships", .why = "managed by the identity system", STAYS(groupmembers),
	 .read = "userid"},
	{.table = "threadmemberships", .what = "threads followed", .why = "thread participation stays", STAYS(threadmemberships),
	 .read = "userid"},
	{.table = "threads", .what = "threads taken part in", .why = "thread participation stays", STAYS(threads), .read = "participants"},
	{.table = "usertermsofservice", .what = "terms of service accepted", .why = "proof of acceptance", STAYS(usertermsofservice),
	 .read = "userid"},
	{.table = "postacknowledgements", .what = "posts acknowledged", .why = "part of the threads of others",
	 STAYS(postacknowledgements), .read = "userid"},
	{.table = "readreceipts", .what = "posts confirmed as read", .why = "part of the threads of others", STAYS(readreceipts),
	 .read = "userid"},
	{.table = "sharedchannelusers", .what = "state of the exchange with other servers", .why = "the exchange needs it; ids only",
	 STAYS(sharedchannelusers), .read = "userid"},
	{.table = "compliances", .what = "compliance reports asked for", .why = "records of the organisation", STAYS(compliances),
	 .read = "userid"},
	{.table = "emoji", .what = "emoji made", .why = "others use them; ids only", STAYS(emoji), .read = "creatorid"},
	{.table = "channels", .what = "channels made", .why = "others use them; ids only", STAYS(channels), .read = "creatorid"},
	{.table = "contentflaggingcommonreviewers", .what = "reviewer of flagged content", .why = "a task; hand it over in Mattermost",
	 STAYS(reviewers), .read = "userid"},
	{.table = "contentflaggingteamreviewers", .what = "reviewer of flagged content in teams",
	 .why = "a task; hand it over in Mattermost", STAYS(team_reviewers), .read = "userid"},
};
const size_t mm_n_traces = ARRAY_LEN(mm_trace);
