/*
 * cli_have.h - commands whose rooms are built; the others are refused by name.
 */
#ifdef MMR_HAVE_check
#define CLI_FN_check cli_cmd_check
#else
#define CLI_FN_check NULL
#endif
#ifdef MMR_HAVE_explain
#define CLI_FN_explain cli_cmd_explain
#else
#define CLI_FN_explain NULL
#endif
#ifdef MMR_HAVE_plan
#define CLI_FN_plan cli_cmd_plan
#else
#define CLI_FN_plan NULL
#endif
#ifdef MMR_HAVE_run
#define CLI_FN_run cli_cmd_run
#else
#define CLI_FN_run NULL
#endif
#ifdef MMR_HAVE_status
#define CLI_FN_status cli_cmd_status
#else
#define CLI_FN_status NULL
#endif
#ifdef MMR_HAVE_report
#define CLI_FN_report cli_cmd_report
#else
#define CLI_FN_report NULL
#endif
#ifdef MMR_HAVE_verify
#define CLI_FN_verify cli_cmd_verify
#else
#define CLI_FN_verify NULL
#endif
#ifdef MMR_HAVE_init
#define CLI_FN_init cli_cmd_init
#else
#define CLI_FN_init NULL
#endif
#ifdef MMR_HAVE_schema
#define CLI_FN_schema cli_cmd_schema
#else
#define CLI_FN_schema NULL
#endif
#ifdef MMR_HAVE_grants
#define CLI_FN_grants cli_cmd_grants
#else
#define CLI_FN_grants NULL
#endif
#ifdef MMR_HAVE_doctor
#define CLI_FN_doctor cli_cmd_doctor
#else
#define CLI_FN_doctor NULL
#endif
