/* bundle_jansson.h - jansson beside base.h: both name the types of JSON values, so jansson's three get another name here. */
#ifndef BUNDLE_JANSSON_H
#define BUNDLE_JANSSON_H

#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#endif
