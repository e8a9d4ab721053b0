/*
 * cli_cmd_plan.c - what a run would do.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli_people.h"
#include "cli_plan.h"

static int judge(const struct cli *cli, const struct plan *plan, struct err *err)
{
	if (!cli_given(cli, OPT_STRICT) || !plan->n_warnings)
		return 0;
	err_set(err, ERR_POLICY, "the plan has %zu warning%s, and --strict is given", plan->n_warnings,
		plan->n_warnings == 1 ? "" : "s");
	return err_hint(err, "Correct the policy, or plan without --strict.");
}

/* A new plan takes the place of an old one and of nothing else: not of a policy, a device or a link. */
static int check_out(const char *path, struct err *err)
{
	static const char begin[] = "{\"k\":\"plan\"";
	auto_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char head[sizeof(begin) - 1];
	struct stat st;

	if (fd < 0 && errno != ENOENT && errno != ELOOP)
		return output_failed("write", path, errno, err);
	/* Better to know now than when the plan is made. */
	if (fd < 0 && errno == ENOENT) {
		auto_mem void *ctx = mem_context(NULL, "place");
		auto_fd int dirfd = -1;
		char *leaf;

		return output_open_place(ctx, path, &dirfd, &leaf, err);
	}
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_size == 0 ||
	     (pread(fd, head, sizeof(head), 0) == sizeof(head) && memcmp(head, begin, sizeof(head)) == 0)))
		return 0;
	err_set(err, ERR_USAGE, "\"%s\" is there and is not a plan", path);
	return err_hint(err, "It was left alone. Give --out a new name, or the name of an older plan; `--json` prints "
			     "the plan.");
}

int cli_cmd_plan(struct cli *cli, struct err *err)
{
	const char *out = cli->args->value[OPT_OUT];
	struct plan *plan = NULL;
	int r = cli_load_policy(cli, err);

	if (r == 0 && cli_given(cli, OPT_USER) &&
	    (out || cli_given(cli, OPT_TEAM) || cli_given(cli, OPT_CHANNEL) || cli_given(cli, OPT_RULE) ||
	     cli_given(cli, OPT_KEPT))) {
		err_set(err, ERR_USAGE, "`plan --user` shows what exists of one person everywhere: --out, --team, "
					"--channel, --rule and --kept have no place there");
		return err_hint(err, "Leave --user out, or the others.");
	}
	if (r == 0 && cli_given(cli, OPT_USER))
		return cli_person_inventory(cli, cli->args->value[OPT_USER], err);
	if (r == 0 && out)
		r = check_out(out, err);
	if (r == 0)
		r = cli_plan_show(cli, &plan, err);
	if (r == 0)
		r = judge(cli, plan, err);
	if (r == 0 && out)
		r = plan_write(plan, out, err);
	if (r == 0 && out && !cli->json)
		log_info("written to %s; `mmretain run --plan %s` carries it out", out, out);
	return r;
}
