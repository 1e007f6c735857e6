/* JSON by cJSON, with errors that name the file and the key. */
#ifndef JSON_H
#define JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* A value in a file. node NULL: it is absent, or null; every function takes that. */
typedef struct json {
    const char *file;
    cJSON *node;
} json;

/* Parse size bytes of UTF-8, or a whole file: absent if there is no such file. The caller frees the
   result with cJSON_Delete(value.node). */
json json_parse(const char *file, const void *data, size_t size);
json json_read(const char *file);

/* Member of an object. Anything but an object has no members. */
json json_get(json object, const char *key);

/* A member's value, or fallback if it is absent; another type or range is an error. */
const char *json_text(json object, const char *key, const char *fallback);
double json_positive(json object, const char *key, double fallback);
int json_int(json object, const char *key, int fallback, int min, int max);
int json_bool(json object, const char *key, int fallback);

/* A size: a number for both, or [height, width], each from 1 to max. Only fills in a size of 0. */
void json_size(json object, const char *key, int max, int size[2]);

/* A whole number in [min, max], up to 2^53. */
int json_is_whole(const cJSON *node, double min, double max);

#endif
