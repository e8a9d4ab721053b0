/* The files of the policy suite. */
#ifndef POLICY_TESTS_H
#define POLICY_TESTS_H

#include <check.h>
#include <mmretain/policy.h>

TCase *policy_match_cases(void);
TCase *policy_value_cases(void);
TCase *policy_file_cases(void);
TCase *policy_corpus_cases(void);
TCase *policy_docs_cases(void);

/* Parses text that must be sound; parent ctx. */
struct policy *parse_good(void *ctx, const char *text);

/* What a policy needs before its rules. */
#define HEAD "version: 1\ndatabase: {service: mm}\narchive: {store: /a}\n"

#endif
