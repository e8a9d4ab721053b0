/*
 * mm_config.c - Mattermost's own configuration: where its database and its attachments are.
 *
 * The environment beats the file, as it does for the server; what the policy itself names beats both.  Secrets stay in
 * the connection text and are in no message.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mm_internal.h"
#include "mm_sql.h"

enum { CONFIG_BYTES = 16 << 20, BUCKET_TIMEOUT_MS = 30 * 1000 /* the server's */, BUCKET_TIMEOUT_MIN_MS = 1000 };

struct reading {
	void *tmp;
	json_t *root;
	const char *origin;        /* for messages: the path, or "the configuration in the database" */
	const char *folder;        /* the server's folder, or NULL */
	const char *fallback_dsn;  /* when the configuration came out of a database */
};

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

/* NULL when it is not there; a value of another type is an error. */
static int text_of(const struct reading *c, const char *section, const char *field, const char **ret, struct err *err)
{
	json_t *value = json_object_get(json_object_get(c->root, section), field);

	*ret = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return err_set(err, ERR_POLICY, "%s: %s.%s is not a text", c->origin, section, field);
	*ret = json_string_value(value);
	return 0;
}

static int parse_json(struct reading *c, const char *text, size_t len, struct err *err)
{
	json_error_t problem;

	c->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
	if (json_is_object(c->root))
		return 0;
	/* jansson's text may quote what it stumbled over */
	err_set(err, ERR_POLICY, "%s: line %d: not a JSON object", c->origin, problem.line > 0 ? problem.line : 1);
	return err_hint(err, "Name the server's config.json, or correct it: `jq . FILE` shows most faults; a key that "
			     "stands there twice is refused, too.");
}

/* Whoever may write the file chooses where we delete. */
static int check_mode(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0 || !(st.st_mode & S_IWOTH))
		return 0; /* a missing file is told by the reading */
	err_set(err, ERR_PERMISSION, "configuration file \"%s\" may be changed by everybody", path);
	return err_hint(err, "Run: chmod o-w '%s'", path);
}

/* Without its last name, by the text alone. */
static char *parent_of(void *ctx, const char *path)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	return n ? mem_strndup(ctx, path, n) : mem_strdup(ctx, ".");
}

/* /opt/mattermost/config/config.json -> /opt/mattermost, also where that file or its folder is a link to one elsewhere.
 */
static const char *server_folder(void *ctx, const char *path)
{
	const char *config = parent_of(ctx, path), *slash = strrchr(config, '/'), *name = slash ? slash + 1 : config;
	bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
	char *full = realpath(dots ? mem_printf(ctx, "%s/..", config) : parent_of(ctx, config), NULL), *folder;

	if (!full)
		return NULL;
	folder = mem_strdup(ctx, full);
	free(full);
	return folder;
}

static int load_file(struct reading *c, const char *path, struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	int r = check_mode(path, err);

	if (r == 0)
		r = file_read(c->tmp, AT_FDCWD, path, CONFIG_BYTES, &text, &len, err);
	if (r < 0) {
		err->code = r == -ERR_PERMISSION ? r : -ERR_POLICY;
		err_prefix(err, "Mattermost configuration");
		return *err->hint ? err->code
				  : err_hint(err, "`mattermost_config` in the policy is the path of the server's "
						  "config.json, which this user must be able to read.");
	}
	c->origin = path;
	c->folder = server_folder(c->tmp, path);
	r = parse_json(c, text, len, err);
	explicit_bzero(text, len);
	return r;
}

static int load_database(struct reading *c, const char *dsn, struct err *err)
{
	struct db_options options = {.statement_timeout_ms = 30000, .lock_timeout_ms = 5000};
	struct db *db = NULL;
	struct db_result *res = NULL;
	char *conninfo = NULL;
	int r = mm_dsn_parse(c->tmp, dsn, MM_DSN_LIB_PQ_GO, &conninfo, err);

	options.conninfo = conninfo;
	if (r == 0)
		r = db_open(c->tmp, &options, &db, err);
	if (r == 0)
		r = db_query(c->tmp, db, &sql_probe_config, DB_ONE, 0, NULL, &res, err);
	if (r < 0)
		return err_prefix(err, "Mattermost configuration in the database");
	c->origin = "the configuration in the database";
	c->fallback_dsn = dsn;
	return parse_json(c, db_text(res, 0, 0), db_len(res, 0, 0), err);
}

static bool is_url(const char *text)
{
	return !strncmp(text, "postgres://", 11) || !strncmp(text, "postgresql://", 13);
}

/* The policy names one store, the environment of this process another: only one can be the server's. */
static int check_store(const char *wanted, struct err *err)
{
	const char *store = env("MM_CONFIG");

	if (!store || !strcmp(store, wanted) || is_url(store) == is_url(wanted))
		return 0;
	err_set(err, ERR_POLICY, "MM_CONFIG names another kind of configuration store than the policy's "
				 "mattermost_config");
	return err_hint(err, "Write the value of MM_CONFIG, a URL without its password (~/.pgpass), as "
			     "database.mattermost_config, or unset MM_CONFIG.");
}

static int read_dsn(const struct reading *c, struct mm_config *config, struct err *err)
{
	const char *driver = NULL, *dsn = NULL;
	int r = text_of(c, "SqlSettings", "DriverName", &driver, err);

	if (r == 0)
		r = text_of(c, "SqlSettings", "DataSource", &dsn, err);
	if (r < 0)
		return r;
	driver = env("MM_SQLSETTINGS_DRIVERNAME") ?: driver;
	dsn = env("MM_SQLSETTINGS_DATASOURCE") ?: dsn;
	if (driver && driver[0] && strcmp(driver, "postgres")) {
		err_set(err, ERR_POLICY, "%s: SqlSettings.DriverName is \"%.40s\", only postgres is supported",
			c->origin, driver);
		return err_hint(err, "Move the Mattermost server to PostgreSQL first.");
	}
	if (!dsn || !dsn[0])
		dsn = c->fallback_dsn;
	if (!dsn) {
		err_set(err, ERR_POLICY, "%s: SqlSettings.DataSource is empty", c->origin);
		return err_hint(err, "Set MM_SQLSETTINGS_DATASOURCE as the server has it, or use database.url in the "
				     "policy.");
	}
	r = mm_dsn_parse(config, dsn, MM_DSN_LIB_PQ_GO, &config->conninfo, err);
	return r < 0 ? err_prefix(err, "SqlSettings.DataSource") : 0;
}

/* A relative folder is relative to the server's folder, never to ours. */
static char *resolve(void *ctx, const char *folder, const char *directory)
{
	if (directory[0] == '/')
		return mem_strdup(ctx, directory);
	if (!folder)
		return NULL;
	while (!strncmp(directory, "./", 2))
		directory += 2;
	return mem_printf(ctx, "%s/%s", strcmp(folder, "/") ? folder : "", directory);
}

/* ---- a bucket of attachments ---- */

/* As the server reads it (Go's strconv.ParseBool); what it would not understand is none of its settings. */
static bool is_bool(const char *value, bool *ret)
{
	static const char *const words[2][6] = {{"0", "f", "F", "false", "False", "FALSE"},
						{"1", "t", "T", "true", "True", "TRUE"}};

	for (size_t i = 0; i < 12; i++)
		if (strcmp(value, words[i % 2][i / 2]) == 0) {
			*ret = i % 2;
			return true;
		}
	return false;
}

static int bool_of(const struct reading *c, const char *field, const char *variable, bool *ret, struct err *err)
{
	const char *value = env(variable);
	json_t *j = json_object_get(json_object_get(c->root, "FileSettings"), field);

	if (value && !is_bool(value, ret))
		return err_set(err, ERR_POLICY, "%s is neither true nor false", variable);
	if (value)
		return 0;
	if (json_is_boolean(j))
		*ret = json_is_true(j);
	else if (j && !json_is_null(j))
		return err_set(err, ERR_POLICY, "%s: FileSettings.%s is neither true nor false", c->origin, field);
	return 0;
}

/* A key is as long as keys are, and no message holds any of it. */
static int key_of(const struct reading *c, const char *field, const char *variable, char ret[MIRROR_KEY_MAX],
		  struct err *err)
{
	const char *value;
	int r = text_of(c, "FileSettings", field, &value, err);

	value = env(variable) ?: value;
	if (r < 0 || !value)
		return r;
	if (strlen(value) >= MIRROR_KEY_MAX)
		return err_set(err, ERR_POLICY, "%s: FileSettings.%s is too long", c->origin, field);
	snprintf(ret, MIRROR_KEY_MAX, "%s", value);
	return 0;
}

static int wipe(struct mm_bucket_config *b)
{
	explicit_bzero(&b->keys, sizeof b->keys);
	return 0;
}

static int read_timeout(const struct reading *c, struct mm_bucket_config *b, struct err *err)
{
	json_t *j = json_object_get(json_object_get(c->root, "FileSettings"), "AmazonS3RequestTimeoutMilliseconds");

	if (j && !json_is_null(j) && !json_is_integer(j))
		return err_set(err, ERR_POLICY, "%s: FileSettings.AmazonS3RequestTimeoutMilliseconds is not a number",
			       c->origin);
	/* Of a connection that hardly moves: nobody waits longer for one with a snapshot open. */
	b->timeout_ms = json_integer_value(j) >= BUCKET_TIMEOUT_MIN_MS && json_integer_value(j) <= BUCKET_TIMEOUT_MS
				? (int32_t)json_integer_value(j)
				: BUCKET_TIMEOUT_MS;
	return 0;
}

/* c->root NULL: of the environment alone. */
static int read_bucket(const struct reading *c, struct mm_config *config, struct err *err)
{
	static const struct { const char *field, *variable; size_t at; } text[] = {
		{"AmazonS3Endpoint", "MM_FILESETTINGS_AMAZONS3ENDPOINT", offsetof(struct mm_bucket_config, endpoint)},
		{"AmazonS3Bucket", "MM_FILESETTINGS_AMAZONS3BUCKET", offsetof(struct mm_bucket_config, bucket)},
		{"AmazonS3PathPrefix", "MM_FILESETTINGS_AMAZONS3PATHPREFIX", offsetof(struct mm_bucket_config, prefix)},
		{"AmazonS3Region", "MM_FILESETTINGS_AMAZONS3REGION", offsetof(struct mm_bucket_config, region)},
	};
	struct mm_bucket_config *b = config->bucket = mem_new(config, struct mm_bucket_config);
	const char *value;
	int r = 0;

	talloc_set_destructor(b, wipe);
	b->tls = true;
	for (size_t i = 0; i < ARRAY_LEN(text) && r == 0; i++) {
		r = text_of(c, "FileSettings", text[i].field, &value, err);
		value = env(text[i].variable) ?: value;
		if (r == 0 && value)
			*(char **)((char *)b + text[i].at) = mem_strdup(b, value);
	}
	if (r < 0 ||
	    (r = key_of(c, "AmazonS3AccessKeyId", "MM_FILESETTINGS_AMAZONS3ACCESSKEYID", b->keys.id, err)) < 0 ||
	    (r = key_of(c, "AmazonS3SecretAccessKey", "MM_FILESETTINGS_AMAZONS3SECRETACCESSKEY", b->keys.secret, err)) <
		    0 ||
	    (r = bool_of(c, "AmazonS3SSL", "MM_FILESETTINGS_AMAZONS3SSL", &b->tls, err)) < 0 ||
	    (r = bool_of(c, "AmazonS3SignV2", "MM_FILESETTINGS_AMAZONS3SIGNV2", &b->sign_v2, err)) < 0)
		return r;
	return read_timeout(c, b, err);
}

static int read_files(const struct reading *c, struct mm_config *config, struct err *err)
{
	const char *driver = NULL, *directory = NULL;
	int r = text_of(c, "FileSettings", "DriverName", &driver, err);

	if (r == 0)
		r = text_of(c, "FileSettings", "Directory", &directory, err);
	if (r < 0)
		return r;
	driver = env("MM_FILESETTINGS_DRIVERNAME") ?: driver;
	directory = env("MM_FILESETTINGS_DIRECTORY") ?: directory;
	config->file_driver = mem_strdup(config, driver && driver[0] ? driver : "local");
	if (!strcmp(config->file_driver, "local"))
		config->data_path = resolve(config, c->folder, directory && directory[0] ? directory : "./data/");
	return strcmp(config->file_driver, "amazons3") ? 0 : read_bucket(c, config, err);
}

static int read_mattermost(struct mm_config *config, const char *place, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "mattermost config");
	struct reading c = {.tmp = tmp, .origin = place};
	int r = check_store(place, err);

	if (r == 0)
		r = is_url(place) ? load_database(&c, place, err) : load_file(&c, place, err);
	if (r == 0)
		r = read_dsn(&c, config, err);
	if (r == 0)
		r = read_files(&c, config, err);
	json_decref(c.root);
	return r;
}

/* The policy's word is the last one: the night works in the folder that it names and in no other. */
static void files_from_policy(struct mm_config *config, const char *files)
{
	if (!files)
		return;
	config->file_driver = mem_strdup(config, "local");
	config->data_path = mem_strdup(config, files);
	TALLOC_FREE(config->bucket);
}

/* Service and URL know nothing about attachments; the environment may. */
static int files_from_environment(struct mm_config *config, struct err *err)
{
	const struct reading c = {.origin = "the environment"};
	const char *directory = env("MM_FILESETTINGS_DIRECTORY"), *driver = env("MM_FILESETTINGS_DRIVERNAME");

	config->file_driver = mem_strdup(config, driver ? driver : directory ? "local" : "");
	if (directory && !strcmp(config->file_driver, "local"))
		config->data_path = resolve(config, NULL, directory);
	return strcmp(config->file_driver, "amazons3") ? 0 : read_bucket(&c, config, err);
}

static int read_plain(struct mm_config *config, const struct mm_source *source, struct err *err)
{
	struct buf b;
	int r = files_from_environment(config, err);

	if (r < 0)
		return r;
	if (source->url)
		return mm_dsn_parse(config, source->url, MM_DSN_LIBPQ, &config->conninfo, err);
	buf_init(&b, config, 4096);
	mm_conninfo_add(&b, "service", source->service);
	if (b.overflow)
		return err_set(err, ERR_POLICY, "the name of the service is too long");
	config->conninfo = mem_strndup(config, b.data, b.len);
	buf_reset(&b);
	return 0;
}

int mm_config_read(void *ctx, const struct mm_source *source, struct mm_config **ret, struct err *err)
{
	struct mm_config *config = mem_new(ctx, struct mm_config);
	int r;

	if (!!source->mattermost_config + !!source->service + !!source->url != 1)
		r = err_set(err, ERR_POLICY, "exactly one of mattermost_config, service and url must name the "
					     "database");
	else if (source->mattermost_config)
		r = read_mattermost(config, source->mattermost_config, err);
	else
		r = read_plain(config, source, err);
	if (r == 0)
		files_from_policy(config, source->files);
	if (r == 0)
		r = db_conninfo_check(config->conninfo, err);
	if (r < 0) {
		talloc_free(config);
		return r;
	}
	*ret = config;
	return 0;
}
