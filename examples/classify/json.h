#ifndef JSON_H
#define JSON_H

#include <cjson/cJSON.h>

/* Any bytes, such as a file's name, as JSON, which has UTF-8 only: U+FFFD replaces the bytes that are not.
   NULL without memory. */
cJSON *json_text(const char *text);

/* Whether json_text keeps all of it. */
int json_is_utf8(const char *text);

#endif
