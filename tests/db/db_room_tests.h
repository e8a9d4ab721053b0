/* db_room_tests.h - shared by the tests of db and mm against a live server. */
#ifndef DB_ROOM_TESTS_H
#define DB_ROOM_TESTS_H

#include <check.h>
#include <mmretain/db.h>
#include <mmretain/mm.h>

TCase *db_cursor_case(void);
TCase *db_live_case(void);
TCase *db_together_case(void);
TCase *db_trouble_case(void);
TCase *db_standby_case(void);
TCase *db_connect_case(void);
TCase *db_lock_case(void);
TCase *db_tls_case(void);
TCase *mm_probe_case(void);
TCase *mm_read_case(void);
TCase *db_stop_case(void);

/* Fixture of the tests of mm: opened, in a transaction that is rolled back. */
extern struct mm *mm;
void mm_setup(void);
void mm_teardown(void);

/* key=value text of the test database; `more` is added. */
const char *conninfo(const char *more);
struct db *open_db(void);                         /* or the test fails */
void run(struct db *db, const char *text);        /* one statement, any shape, must succeed */
int try_run(struct db *db, const char *text, struct err *err);
int64_t value(struct db *db, const char *text);   /* of one row with one column */
void text_value(struct db *db, const char *text, char *ret, size_t size);
void kill_backend(struct db *killer, struct db *victim);

#define OK(call) \
	do { \
		err = (struct err){0}; \
		ck_assert_msg((call) == 0, "%s [%s]", err.msg, err.hint); \
	} while (0)
#define FAILS(call, error_code)                                                                                        \
	do {                                                                                                           \
		err = (struct err){0};                                                                                 \
		ck_assert_msg((call) == -(error_code), "wanted %s, got %s: %s", err_name(-(error_code)),               \
			      err_name(err.code), err.msg);                                                            \
	} while (0)
#define SAYS(text) ck_assert_msg(strstr(err.msg, text) != NULL, "\"%s\" is not in: %s", text, err.msg)
#define SAYS_NOT(text)                                                                                                 \
	ck_assert_msg(!strstr(err.msg, text) && !strstr(err.hint, text), "\"%s\" is in: %s", text, err.msg)

#endif
