/* no longer needed; include <jansson.h> */
#include <jansson.h>
