/* base_library.c - a shared library that only some commands need, loaded by the first of them. */
#include <mmretain/base.h>

#include <dlfcn.h>
#include <string.h>

int library_load(const char *soname, const struct library_function *function, size_t n, void *table, struct err *err)
{
	void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL), *f; /* for the life of the process */

	if (!handle)
		return err_set(err, ERR_INTERNAL, "cannot load a library: %s", dlerror());
	for (size_t i = 0; i < n; i++) {
		f = dlsym(handle, function[i].name);
		if (!f)
			return err_set(err, ERR_INTERNAL, "\"%s\" has no function %s", soname, function[i].name);
		memcpy((char *)table + function[i].at, &f, sizeof(f));
	}
	return 0;
}
