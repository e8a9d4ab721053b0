/*
 * audit_states.c - all that the archive has of a thread: as it was archived last, the parts that went before, and what
 * only an earlier state of it says.
 *
 * A thread that was restored, or archived by a run that deleted nothing, is archived again later, and may have changed
 * meanwhile: somebody edited it, or a person was deleted with every post.  What the earlier bundle has is still an
 * answer.
 */
#include "audit_internal.h"

#include <string.h>

struct states {
	struct audit *a;
	struct audit_ref *list; size_t n;           /* what is given out */
	struct audit_ref *part; size_t n_parts;     /* the newest first, as the next */
	struct audit_ref *before; size_t n_before;  /* whole, and not as it was last */
	struct audit_thread **shown; size_t n_shown;
	/* where the next post stands, when two states have them in the same order, as mostly */
	size_t next;
};

static bool same_text(const struct audit_post *p, const struct audit_post *q)
{
	return p->message_len == q->message_len && !memcmp(p->message, q->message, p->message_len);
}

/* The id of the post that this one is, or is a version of. */
static const char *post_id(const struct audit_post *p)
{
	return p->original[0] ? p->original : p->id;
}

static bool text_in(const struct audit_thread *t, const struct audit_post *p, size_t *next)
{
	for (size_t i = 0; i < t->n_posts; i++) {
		size_t k = (*next + i) % t->n_posts;
		if (!strcmp(post_id(&t->post[k]), post_id(p)) && same_text(&t->post[k], p)) {
			*next = k + 1;
			return true;
		}
	}
	return false;
}

static bool text_shown(struct states *s, const struct audit_post *p)
{
	for (size_t i = 0; i < s->n_shown; i++)
		if (text_in(s->shown[i], p, &s->next))
			return true;
	return false;
}

/* With its content, where it has that. */
static bool file_in(const struct audit_thread *t, const struct audit_file *f)
{
	for (size_t i = 0; i < t->n_posts; i++)
		for (size_t k = 0; k < t->post[i].n_files; k++)
			if (!strcmp(t->post[i].file[k].id, f->id) &&
			    (strcmp(f->state, "stored") != 0 || !strcmp(t->post[i].file[k].state, "stored")))
				return true;
	return false;
}

static bool file_shown(const struct states *s, const struct audit_file *f)
{
	for (size_t i = 0; i < s->n_shown; i++)
		if (file_in(s->shown[i], f))
			return true;
	return false;
}

/* A post, a text or a file that is in nothing of what is shown. */
static bool says_more(struct states *s, const struct audit_thread *t)
{
	s->next = 0;
	for (size_t i = 0; i < t->n_posts; i++) {
		const struct audit_post *p = &t->post[i];
		if (p->erased && !t->parts) /* the same is said by the state that is newer */
			continue;
		if (!text_shown(s, p))
			return true;
		for (size_t k = 0; k < p->n_files; k++)
			if (!file_shown(s, &p->file[k]))
				return true;
	}
	return false;
}

static int load(struct states *s, const struct audit_ref *ref, void *ctx, struct err *err)
{
	struct audit_thread *t;
	int rc = audit_thread_load(s->a, ref, ctx, &t, err);

	if (rc)
		return rc;
	s->shown = mem_grow(ctx, s->shown, struct audit_thread *, s->n_shown + 1);
	s->shown[s->n_shown++] = t;
	return 0;
}

/* 1: it says something more than all that was asked about before, and is kept in shown; 0: it does not, or cannot be
 * read. */
static int shows_more(struct states *s, const struct audit_ref *ref, void *ctx, struct err *err)
{
	size_t had = s->n_shown;
	int rc = bundle_passed(s->a, ref->bundle, load(s, ref, ctx, err), err);

	if (rc || s->n_shown == had)
		return rc;
	s->n_shown = had; /* not compared with itself */
	if (!says_more(s, s->shown[had]))
		return 0;
	s->n_shown++;
	return 1;
}

/* Of a part that a run wrote and did not delete there is another one. */
static int add_parts(struct states *s, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "parts");
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < s->n_parts; i++) {
		rc = s->n_parts > 1 ? shows_more(s, &s->part[i], tmp, err) : 1;
		if (rc < 0)
			return rc;
		if (rc)
			s->part[kept++] = s->part[i];
	}
	while (kept > 0) /* the oldest first */
		s->list[s->n++] = s->part[--kept];
	s->n_shown = 0;
	s->shown = NULL;
	return 0;
}

/* Of the earlier states those that say something more, each than all that is newer. */
static int add_earlier(struct states *s, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "states");
	int rc = 0;

	for (size_t i = 0; s->n_before && i < s->n && !rc; i++)
		rc = bundle_passed(s->a, s->list[i].bundle, load(s, &s->list[i], tmp, err), err);
	for (size_t i = 0; i < s->n_before && rc >= 0; i++) {
		rc = shows_more(s, &s->before[i], tmp, err);
		if (rc <= 0)
			continue;
		s->list[s->n] = s->before[i];
		s->list[s->n++].earlier = true;
	}
	return rc < 0 ? rc : 0;
}

/* The parts, and the states before the one that is in the list; the newest bundle first. */
static int look_through(struct states *s, const char *root, struct err *err)
{
	struct audit *a = s->a;

	for (size_t k = a->catalog->n_bundles; k-- > 0;) {
		size_t i = a->by_age[k];
		struct audit_ref ref;
		int rc = i == s->list[0].bundle ? 0 : bundle_passed(a, i, locate_in(a, i, root, &ref, err), err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		if (a->bundle[i].parts)
			s->part[s->n_parts++] = ref;
		else
			s->before[s->n_before++] = ref;
	}
	return 0;
}

int audit_locate_all(struct audit *a, const char *id, void *ctx, struct audit_ref **ret, size_t *ret_n, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "places");
	struct states s = {.a = a};
	struct audit_ref first;
	int rc = audit_locate(a, id, &first, err);

	if (rc)
		return rc;
	s.list = mem_array(ctx, struct audit_ref, a->catalog->n_bundles + 1);
	s.before = mem_array(tmp, struct audit_ref, a->catalog->n_bundles + 1);
	s.part = mem_array(tmp, struct audit_ref, a->catalog->n_bundles + 1);
	/* A reply that was taken out before the rest was archived leads to the rest, too. */
	s.list[0] = first;
	rc = strcmp(id, first.root) ? audit_locate(a, first.root, &s.list[0], err) : 0;
	if (rc && rc != -ERR_NOT_FOUND)
		return rc;
	err_clear(err);
	if (rc)
		s.list[0] = first;
	s.n = 1;
	rc = missing_id(a, first.root, NULL, err);
	if (!rc)
		rc = look_through(&s, first.root, err);
	if (!rc)
		rc = add_parts(&s, err);
	if (!rc)
		rc = add_earlier(&s, err);
	if (rc)
		return rc;
	*ret = s.list;
	*ret_n = s.n;
	return 0;
}
