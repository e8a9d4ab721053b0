/*
 * bundle_libarchive.h - libarchive, loaded when a pack is made.
 *
 * It brings XML and Unicode libraries along that would make every start of the program slower.  The prototypes are
 * libarchive's own; a function that is used and not listed here fails at link time.
 */
#ifndef BUNDLE_LIBARCHIVE_H
#define BUNDLE_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>
#include <mmretain/base.h>

#define LIBARCHIVE_FUNCTIONS(X) \
	X(archive_write_new) X(archive_write_free) X(archive_write_close) X(archive_error_string) \
	X(archive_write_set_format_zip) X(archive_write_set_format_pax_restricted) X(archive_write_add_filter_gzip) \
	X(archive_write_add_filter_zstd) X(archive_write_set_options) X(archive_write_set_bytes_in_last_block) \
	X(archive_write_open) X(archive_write_header) X(archive_write_data) X(archive_write_finish_entry) \
	X(archive_entry_new) X(archive_entry_free) X(archive_entry_clear) X(archive_entry_set_pathname) \
	X(archive_entry_set_size) X(archive_entry_set_filetype) X(archive_entry_set_perm) X(archive_entry_set_mtime)

struct libarchive {
#define X(name) __typeof__(name) *name##_;
	LIBARCHIVE_FUNCTIONS(X)
#undef X
};
extern struct libarchive libarchive;
/* Once per process; before any of the functions below. */
int libarchive_load(struct err *err) MMR_CHECKED;

#define archive_write_new libarchive.archive_write_new_
#define archive_write_free libarchive.archive_write_free_
#define archive_write_close libarchive.archive_write_close_
#define archive_error_string libarchive.archive_error_string_
#define archive_write_set_format_zip libarchive.archive_write_set_format_zip_
#define archive_write_set_format_pax_restricted libarchive.archive_write_set_format_pax_restricted_
#define archive_write_add_filter_gzip libarchive.archive_write_add_filter_gzip_
#define archive_write_add_filter_zstd libarchive.archive_write_add_filter_zstd_
#define archive_write_set_options libarchive.archive_write_set_options_
#define archive_write_set_bytes_in_last_block libarchive.archive_write_set_bytes_in_last_block_
#define archive_write_open libarchive.archive_write_open_
#define archive_write_header libarchive.archive_write_header_
#define archive_write_data libarchive.archive_write_data_
#define archive_write_finish_entry libarchive.archive_write_finish_entry_
#define archive_entry_new libarchive.archive_entry_new_
#define archive_entry_free libarchive.archive_entry_free_
#define archive_entry_clear libarchive.archive_entry_clear_
#define archive_entry_set_pathname libarchive.archive_entry_set_pathname_
#define archive_entry_set_size libarchive.archive_entry_set_size_
#define archive_entry_set_filetype libarchive.archive_entry_set_filetype_
#define archive_entry_set_perm libarchive.archive_entry_set_perm_
#define archive_entry_set_mtime libarchive.archive_entry_set_mtime_

#endif
