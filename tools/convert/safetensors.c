#include "safetensors.h"

#include "bytes.h"
#include "json.h"
#include "report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 100000000 /* bytes, by the format's definition; json.c takes less */
#define MAX_WHOLE 0x1p53     /* whole numbers above are not exact in JSON */
#define LENGTH_SIZE 8        /* of the header's length, in front of the header */

static void read_dtype(tensor *t, const cJSON *entry) {
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    if (!cJSON_IsString(node)) fail("%s: %s: no dtype", t->file, t->name);
    if (!tensor_set_type(t, node->valuestring))
        fail("%s: %s: unknown dtype %s", t->file, t->name, node->valuestring);
}

static void read_shape(tensor *t, const cJSON *entry) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *dimension;
    if (!cJSON_IsArray(shape)) fail("%s: %s: no shape", t->file, t->name);
    cJSON_ArrayForEach(dimension, shape) {
        if (!json_is_whole(dimension, 0, MAX_WHOLE) || dimension->valuedouble > (double)SIZE_MAX)
            fail("%s: %s: a dimension is not a size", t->file, t->name);
        if (!tensor_add_dimension(t, (size_t)dimension->valuedouble))
            fail("%s: %s: the shape is too large", t->file, t->name);
    }
    tensor_set_strides(t, 0);
}

static size_t size_of(const tensor *t) {
    return tensor_count(t) * t->element_size;
}

/* Where the bytes are in the data, which start after the header. */
static void read_range(tensor *t, const cJSON *entry, const unsigned char *data, size_t data_size) {
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !json_is_whole(cJSON_GetArrayItem(offsets, 0), 0, MAX_WHOLE) ||
        !json_is_whole(cJSON_GetArrayItem(offsets, 1), 0, MAX_WHOLE))
        fail("%s: %s: data_offsets are not two sizes", t->file, t->name);
    uint64_t begin = (uint64_t)cJSON_GetArrayItem(offsets, 0)->valuedouble;
    uint64_t end = (uint64_t)cJSON_GetArrayItem(offsets, 1)->valuedouble;
    if (begin > end || end > data_size)
        fail("%s: %s: its data are outside the file", t->file, t->name);
    if (end - begin != size_of(t))
        fail("%s: %s: %zu bytes by its shape, but %llu by its offsets", t->file, t->name,
             size_of(t), (unsigned long long)(end - begin));
    t->data = data + begin;
}

static void read_entry(tensor *t, const file_map *map, const cJSON *entry, size_t header) {
    size_t start = LENGTH_SIZE + header;
    if (!cJSON_IsObject(entry) || cJSON_GetArraySize(entry) != 3)
        fail("%s: %s: not an object of dtype, shape and data_offsets", t->file, t->name);
    read_dtype(t, entry);
    read_shape(t, entry);
    read_range(t, entry, map->data + start, map->size - start);
}

static void check_metadata(const file_map *map, const cJSON *metadata) {
    const cJSON *value;
    if (!cJSON_IsObject(metadata)) fail("%s: __metadata__ is not an object", map->path);
    cJSON_ArrayForEach(value, metadata) {
        if (!cJSON_IsString(value))
            fail("%s: __metadata__: %s is not a string", map->path, value->string);
    }
}

static int by_data(const void *a, const void *b) {
    const tensor *s = a, *t = b;
    if (s->data != t->data) return s->data < t->data ? -1 : 1;
    return (size_of(s) > size_of(t)) - (size_of(s) < size_of(t));
}

/* The tensors fill the data from its start to its end and do not overlap. */
static void check_ranges(const file_map *map, tensor *tensors, size_t count, size_t header) {
    const unsigned char *end = map->data + LENGTH_SIZE + header;
    if (count > 0) qsort(tensors, count, sizeof(*tensors), by_data);
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].data != end)
            fail("%s: %s: its data do not start where those before end", map->path,
                 tensors[i].name);
        end += size_of(&tensors[i]);
    }
    if (end != map->data + map->size) fail("%s: there are bytes after the last tensor", map->path);
}

int safetensors_starts(const file_map *map) {
    return map->size > LENGTH_SIZE && map->data[LENGTH_SIZE] == '{' &&
           read_u64(map->data) <= MAX_HEADER;
}

/* Length of the header, which has to be in the file. */
static size_t header_length(const file_map *map) {
    uint64_t header = map->size < LENGTH_SIZE ? UINT64_MAX : read_u64(map->data);
    if (header > MAX_HEADER) fail("%s: not a safetensors file", map->path);
    if (header > map->size - LENGTH_SIZE)
        fail("%s: a safetensors file that is cut short: its header has %llu bytes", map->path,
             (unsigned long long)header);
    return (size_t)header;
}

void safetensors_read(checkpoint *c, const file_map *map) {
    size_t header = header_length(map), first = c->count;
    json root = json_parse(map->path, map->data + LENGTH_SIZE, header);
    const cJSON *entry;
    int metadata = 0;
    if (!cJSON_IsObject(root.node)) fail("%s: the header is not an object", map->path);
    cJSON_ArrayForEach(entry, root.node) {
        if (strcmp(entry->string, "__metadata__") != 0) {
            tensor *t = checkpoint_add(c, map, format_text("%s", entry->string));
            read_entry(t, map, entry, header);
            continue;
        }
        if (metadata++) fail("%s: __metadata__ is there twice", map->path);
        check_metadata(map, entry);
    }
    check_ranges(map, c->tensors + first, c->count - first, header);
    cJSON_Delete(root.node);
}
