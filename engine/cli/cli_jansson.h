/*
 * cli_jansson.h - jansson beside base.h: both name the types of JSON values, so jansson's three get another name here.
 * Do not use json_is_true, json_is_false, json_is_boolean and json_is_null: they would compare with the names of base.h.
 */
#ifndef CLI_JANSSON_H
#define CLI_JANSSON_H

#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL
#undef json_is_true
#undef json_is_false
#undef json_is_boolean
#undef json_is_null

#endif
