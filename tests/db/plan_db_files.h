/*
 * plan_db_files.h - attachments that are newer than their posts, of edits and of posts that a migration wrote with a
 * time of long ago; and of what a plan that counts them may be tempted to leave out.
 */
#ifndef PLAN_DB_FILES_H
#define PLAN_DB_FILES_H

#include "plan_db_naive.h"

#define OLD "createat < 1750000000000"
#define SOME " ORDER BY md5(id) LIMIT 40)"

/* Roots, replies and copies, of which nothing but the file tells half of them; before the facts of threads are worked
 * out. */
static void add_late_files(void)
{
	sql(mm, "CREATE TEMP TABLE edited AS "
		"(SELECT id FROM posts WHERE rootid = '' AND originalid = '' AND " OLD SOME " UNION "
		"(SELECT id FROM posts WHERE rootid <> '' AND " OLD SOME " UNION "
		"(SELECT id FROM posts WHERE originalid <> '' AND " OLD SOME);
	sql(mm, "UPDATE posts SET updateat = 1792000000000 WHERE id IN (SELECT id FROM edited) "
		"AND right(md5(id), 1) < '8'");
	sql(mm, "INSERT INTO fileinfo (id, postid, channelid, size, createat) "
		"SELECT 'l' || left(md5(p.id), 25), p.id, p.channelid, 5000, 1792000000000 "
		"FROM posts p JOIN edited e ON e.id = p.id");
	sql(mm, "ANALYZE fileinfo");
}

/* Few files and many, and one that has no time. */
static void bytes_of_files(void *ctx, const char *policy_text)
{
	static const struct { const char *name, *make, *undo; } way[] = {
		{"bytes", "SELECT 1", "SELECT 1"},
		{"bytes, many files",
		 "INSERT INTO fileinfo (id, postid, size, createat) "
		 "SELECT 'many' || n, 'nobody', 1, 1 FROM generate_series(1, 5000) n",
		 "DELETE FROM fileinfo WHERE id LIKE 'many%'"},
		{"bytes, a file without a time",
		 "UPDATE fileinfo SET createat = NULL WHERE id = (SELECT min(f.id) FROM fileinfo f "
		 "JOIN posts p ON p.id = f.postid WHERE p.createat < 1750000000000 AND p.updateat < 1750000000000)",
		 "UPDATE fileinfo SET createat = 1 WHERE createat IS NULL"},
	};

	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		sql(ctx, way[i].make);
		sql(ctx, "ANALYZE fileinfo");
		check_query(way[i].name, policy_text, true,
			    mem_printf(ctx, "SELECT *, 'age' AS reason FROM thread WHERE reply_at < %lld AND " SAFE,
				       (long long)ago(400)));
		sql(ctx, way[i].undo);
		sql(ctx, "ANALYZE fileinfo");
	}
}

#endif
