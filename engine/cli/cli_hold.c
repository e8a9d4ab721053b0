/*
 * cli_hold.c - which thread an id that is to be held belongs to.
 *
 * A hold on the id of a reply, or on one that nobody knows, would protect nothing and look as if it did.
 */
#include <string.h>

#include <mmretain/audit.h>

#include "cli_audit.h"
#include "cli_hold.h"

struct looking {
	struct cli *cli;
	struct audit *audit;        /* NULL: not needed so far */
	struct err db;              /* why the database could not be asked; code 0: it was */
};

const char *cli_hold_found_word(enum cli_hold_found found)
{
	return found == HOLD_IN_DATABASE ? "database" : found == HOLD_IN_ARCHIVE ? "archive" : NULL;
}

/* --archive alone names no database. */
static int open_database(struct cli *cli, struct err *err)
{
	int r = 0;

	if (!cli->policy && cli_given(cli, OPT_ARCHIVE) && !cli_given(cli, OPT_CONFIG)) {
		err_set(err, ERR_DATABASE, "--archive names no database");
		return err_hint(err, "Name the policy with -c FILE, too.");
	}
	if (!cli->policy)
		r = cli_load_policy(cli, err);
	return r < 0 ? r : cli_connect(cli, err);
}

static int take_root(struct cli_hold_id *id, const char *root, enum cli_hold_found found, struct err *err)
{
	if (strlen(root) != MM_ID)
		return err_set(err, ERR_VERIFY, "the thread of post %s has no sound id", id->asked);
	memcpy(id->root, root, sizeof id->root);
	id->found = found;
	return 1;
}

/* 1: found. */
static int in_database(struct looking *l, struct cli_hold_id *id, struct err *err)
{
	mm_id root, channel;
	int r;

	if (l->db.code)
		return 0;
	r = mm_post_root(l->cli->mm, id->asked, root, channel, &l->db);
	if (r == 0)
		return take_root(id, root, HOLD_IN_DATABASE, err);
	if (r == -ERR_NOT_FOUND)
		err_clear(&l->db);
	return 0;
}

/* Ids are looked up and nothing is shown but the id of the thread: no record of the case log. */
static int in_archive(struct looking *l, struct cli_hold_id *id, struct err *err)
{
	const struct catalog_options options = {0};
	struct audit_ref ref;
	int r = 0;

	if (!l->audit)
		r = audit_open(l->cli->ctx, l->cli->store, &options, &l->audit, err);
	if (r == 0)
		r = audit_locate(l->audit, id->asked, &ref, err);
	if (r == 0)
		return take_root(id, ref.root, HOLD_IN_ARCHIVE, err);
	if (r != -ERR_NOT_FOUND)
		return r;
	err_clear(err);
	return 0;
}

static int unknown(const struct looking *l, const struct cli_hold_id *id, struct err *err)
{
	if (!l->db.code) {
		err_set(err, ERR_NOT_FOUND, "neither the database nor the archive has a post %s", id->asked);
		return err_hint(err, "Nothing was held. With --unchecked it is held as it is.");
	}
	*err = l->db;
	err_prefix(err, "whether %s is a thread is not known: no bundle has it, and the database was not asked",
		   id->asked);
	return err_hint(err, "Nothing was held. Say it again when the database can be asked, or with --unchecked: then "
			     "it is held as it is.");
}

static int resolve(struct looking *l, struct cli_hold_id *id, struct err *err)
{
	bool unchecked = cli_given(l->cli, OPT_UNCHECKED);
	int r = in_database(l, id, err);

	if (r == 0)
		r = in_archive(l, id, err);
	if (r < 0 && unchecked) {
		log_warn("%s is held as it is: %s", id->asked, err->msg);
		err_clear(err);
		r = 0;
	}
	if (r != 0)
		return r < 0 ? r : 0;
	if (!unchecked)
		return unknown(l, id, err);
	memcpy(id->root, id->asked, sizeof id->root);
	id->found = HOLD_UNCHECKED;
	return 0;
}

int cli_hold_resolve_known(struct cli *cli, struct cli_hold_id *id, size_t n, struct err *err)
{
	struct looking l = {.cli = cli};
	int r = open_database(cli, &l.db);

	if (r == -ERR_POLICY) {
		*err = l.db;
		return r;
	}
	r = 0;
	for (size_t i = 0; i < n && r >= 0; i++)
		if ((r = in_database(&l, &id[i], err)) == 0)
			r = in_archive(&l, &id[i], err);
	if (r >= 0 && l.db.code)
		log_warn("the database was not asked: %s", l.db.msg);
	return r < 0 ? r : 0;
}

int cli_hold_resolve(struct cli *cli, struct cli_hold_id *id, size_t n, struct err *err)
{
	struct looking l = {.cli = cli};
	int r = open_database(cli, &l.db);

	if (r == -ERR_POLICY) {
		*err = l.db;
		return r;
	}
	r = 0;
	for (size_t i = 0; i < n && r == 0; i++)
		r = resolve(&l, &id[i], err);
	if (r == 0 && l.db.code)
		log_warn("the database was not asked: %s", l.db.msg);
	return r;
}
