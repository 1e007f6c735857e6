#include "json.h"

#include "file_map.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_JSON (32u << 20)    /* bytes; the header of 1000 tensors has 0.1 MB */
#define MAX_MEMORY (128u << 20) /* bytes of all values: some 50 times the text, if it is nonsense */

/* What is left of MAX_MEMORY while a text is parsed. */
static size_t memory_left;

static void *take_memory(size_t size) {
    const size_t own = 32; /* of malloc, at most */
    if (size > memory_left || memory_left - size < own) {
        memory_left = 0;
        return NULL;
    }
    memory_left -= size + own;
    return malloc(size);
}

static cJSON *parse(const char *text, const char **end) {
    cJSON_Hooks bounded = {take_memory, free};
    memory_left = MAX_MEMORY;
    cJSON_InitHooks(&bounded);
    cJSON *node = cJSON_ParseWithOpts(text, end, 1);
    cJSON_InitHooks(NULL);
    return node;
}

json json_parse(const char *file, const void *data, size_t size) {
    json value = {file, NULL};
    if (size > MAX_JSON) fail("%s: %zu bytes of JSON are too many", file, size);
    /* A copy that ends with NUL: cJSON 1.7.15 reads one byte too far without (CVE-2023-53154). */
    char *text = allocate(size + 1, 1);
    const char *end = text;
    if (size > 0) memcpy(text, data, size);
    if (strlen(text) == size) value.node = parse(text, &end);
    else end = text + strlen(text);
    if (value.node == NULL && end < text + size && memory_left == 0)
        fail("%s: %zu bytes of JSON have too many values", file, size);
    if (value.node == NULL)
        fail("%s: not valid JSON, from byte %zu on", file, (size_t)(end - text));
    free(text);
    return value;
}

json json_read(const char *file) {
    json absent = {file, NULL};
    if (access(file, F_OK) != 0) return absent;
    file_map map = file_map_open(file);
    json value = json_parse(file, map.data, map.size);
    file_map_close(&map);
    return value;
}

json json_get(json object, const char *key) {
    json member = {object.file, cJSON_GetObjectItemCaseSensitive(object.node, key)};
    if (cJSON_IsNull(member.node)) member.node = NULL;
    return member;
}

const char *json_text(json object, const char *key, const char *fallback) {
    json member = json_get(object, key);
    if (member.node == NULL) return fallback;
    if (!cJSON_IsString(member.node)) fail("%s: %s is not a string", object.file, key);
    return member.node->valuestring;
}

double json_positive(json object, const char *key, double fallback) {
    json member = json_get(object, key);
    if (member.node == NULL) return fallback;
    if (!cJSON_IsNumber(member.node) || !isfinite(member.node->valuedouble) ||
        !(member.node->valuedouble > 0))
        fail("%s: %s is not a positive number", object.file, key);
    return member.node->valuedouble;
}

int json_is_whole(const cJSON *node, double min, double max) {
    return cJSON_IsNumber(node) && node->valuedouble >= min && node->valuedouble <= max &&
           node->valuedouble <= 9007199254740992.0 && floor(node->valuedouble) == node->valuedouble;
}

int json_int(json object, const char *key, int fallback, int min, int max) {
    json member = json_get(object, key);
    if (member.node == NULL) return fallback;
    if (!json_is_whole(member.node, min, max))
        fail("%s: %s is not a whole number from %d to %d", object.file, key, min, max);
    return (int)member.node->valuedouble;
}

int json_bool(json object, const char *key, int fallback) {
    json member = json_get(object, key);
    if (member.node == NULL) return fallback;
    if (!cJSON_IsBool(member.node)) fail("%s: %s is neither true nor false", object.file, key);
    return cJSON_IsTrue(member.node) ? 1 : 0;
}

void json_size(json object, const char *key, int max, int size[2]) {
    json value = json_get(object, key);
    const cJSON *height = value.node, *width = value.node;
    if (value.node == NULL || size[0] > 0) return;
    if (cJSON_IsArray(value.node) && cJSON_GetArraySize(value.node) == 2) {
        height = cJSON_GetArrayItem(value.node, 0);
        width = cJSON_GetArrayItem(value.node, 1);
    }
    if (!json_is_whole(height, 1, max) || !json_is_whole(width, 1, max))
        fail("%s: %s is not a size", object.file, key);
    size[0] = (int)height->valuedouble;
    size[1] = (int)width->valuedouble;
}
