/* cli_loss.c - bundles that were declared lost, as verify lists them. */
#include "cli_loss.h"

json_t *cli_losses_json(const struct cli_loss *l, size_t n)
{
	json_t *list = cli_json_check(json_array());

	for (size_t i = 0; i < n; i++) {
		json_t *obj = cli_json_check(json_object());

		cli_json_text(obj, "bundle", l[i].rel_path);
		cli_json_int(obj, "threads", l[i].threads);
		cli_json_int(obj, "posts", l[i].posts);
		cli_json_text(obj, "why", l[i].why);
		if (json_array_append_new(list, obj) < 0)
			mem_check(NULL);
	}
	return list;
}

void cli_losses_print(const struct cli *cli, const struct cli_loss *l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("lost: %s, %s, %s, %s\n", cli_safe(cli->ctx, l[i].rel_path),
		       cli_count(cli->ctx, l[i].threads, "thread"), cli_count(cli->ctx, l[i].posts, "post"),
		       cli_safe(cli->ctx, l[i].why));
}
