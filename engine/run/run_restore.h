/* run_restore.h - what the two files about putting threads back share. */
#ifndef RUN_RESTORE_H
#define RUN_RESTORE_H

#include <mmretain/audit.h>
#include <mmretain/run.h>

/* The content of the attachment with this row: put in its place, found there, or left out; counted in ret.  act false: only looked.
 * ERR_GUARD when other content is there, ERR_VERIFY for a path that is none, ERR_STORE.  Durable when it returns 0. */
int run_restore_file(void *ctx, struct mm *mm, struct audit_thread *t, const char *id, const char *path, struct run_restored *ret, bool act,
		     struct err *err) MMR_CHECKED;

#endif
