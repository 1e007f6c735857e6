#include "safetensors.h"

#include "json.h"
#include "quantize.h"
#include "report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 100000000 /* bytes, by the format's definition */
#define MAX_WHOLE 0x1p53     /* whole numbers above are not exact in JSON */
#define LENGTH_SIZE 8        /* of the header's length, in front of the header */

static const struct {
    const char *name;
    size_t size;
    tensor_type type;
} dtypes[] = {
    {"F32", 4, TENSOR_F32},       {"F16", 2, TENSOR_F16},       {"BF16", 2, TENSOR_BF16},
    {"F64", 8, TENSOR_OTHER},     {"I64", 8, TENSOR_OTHER},     {"I32", 4, TENSOR_OTHER},
    {"I16", 2, TENSOR_OTHER},     {"I8", 1, TENSOR_OTHER},      {"U64", 8, TENSOR_OTHER},
    {"U32", 4, TENSOR_OTHER},     {"U16", 2, TENSOR_OTHER},     {"U8", 1, TENSOR_OTHER},
    {"BOOL", 1, TENSOR_OTHER},    {"F8_E4M3", 1, TENSOR_OTHER}, {"F8_E5M2", 1, TENSOR_OTHER},
    {"F8_E8M0", 1, TENSOR_OTHER}, {"C64", 8, TENSOR_OTHER},
};

static uint64_t read_u64(const unsigned char *p) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

/* Bytes of one element. */
static size_t read_dtype(tensor *t, const cJSON *entry) {
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    if (!cJSON_IsString(node)) fail("%s: %s: no dtype", t->file, t->name);
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(dtypes[i].name, node->valuestring) != 0) continue;
        t->type = dtypes[i].type;
        return dtypes[i].size;
    }
    fail("%s: %s: unknown dtype %s", t->file, t->name, node->valuestring);
}

/* Bytes of all elements: the product of the shape and the size of one. */
static size_t read_shape(tensor *t, const cJSON *entry, size_t element) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *dimension;
    if (!cJSON_IsArray(shape)) fail("%s: %s: no shape", t->file, t->name);
    size_t size = element;
    cJSON_ArrayForEach(dimension, shape) {
        if (!json_is_whole(dimension, 0, MAX_WHOLE) || dimension->valuedouble > (double)SIZE_MAX)
            fail("%s: %s: a dimension is not a size", t->file, t->name);
        size_t length = (size_t)dimension->valuedouble;
        if (length > 0 && size > SIZE_MAX / length)
            fail("%s: %s: the shape is too large", t->file, t->name);
        size *= length;
        if (t->rank < TENSOR_RANK) t->shape[t->rank] = length;
        t->rank++;
    }
    return size;
}

/* Where the bytes lie in the data, which starts behind the header. */
static void read_range(tensor *t, const cJSON *entry, const unsigned char *data, size_t data_size) {
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !json_is_whole(cJSON_GetArrayItem(offsets, 0), 0, MAX_WHOLE) ||
        !json_is_whole(cJSON_GetArrayItem(offsets, 1), 0, MAX_WHOLE))
        fail("%s: %s: data_offsets are not two sizes", t->file, t->name);
    uint64_t begin = (uint64_t)cJSON_GetArrayItem(offsets, 0)->valuedouble;
    uint64_t end = (uint64_t)cJSON_GetArrayItem(offsets, 1)->valuedouble;
    if (begin > end || end > data_size)
        fail("%s: %s: its data lie outside the file", t->file, t->name);
    if (end - begin != t->size)
        fail("%s: %s: %zu bytes by its shape, but %llu by its offsets", t->file, t->name, t->size,
             (unsigned long long)(end - begin));
    t->data = data + begin;
}

static void read_entry(tensor *t, const file_map *map, const cJSON *entry, size_t header) {
    size_t start = LENGTH_SIZE + header;
    t->file = map->path;
    t->name = format_text("%s", entry->string);
    if (!cJSON_IsObject(entry) || cJSON_GetArraySize(entry) != 3)
        fail("%s: %s: not an object of dtype, shape and data_offsets", t->file, t->name);
    t->size = read_shape(t, entry, read_dtype(t, entry));
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
    return (s->size > t->size) - (s->size < t->size);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

/* The tensors fill the data from its start to its end and do not overlap. */
static void check_ranges(const file_map *map, tensor *tensors, size_t count, size_t header) {
    const unsigned char *end = map->data + LENGTH_SIZE + header;
    if (count > 0) qsort(tensors, count, sizeof(*tensors), by_data);
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].data != end)
            fail("%s: %s: its data do not start where those before end", map->path,
                 tensors[i].name);
        end += tensors[i].size;
    }
    if (end != map->data + map->size) fail("%s: there are bytes behind the last tensor", map->path);
}

/* Length of the header, which has to lie in the file. */
static size_t header_length(const file_map *map) {
    if (map->size < LENGTH_SIZE) fail("%s: too short for a safetensors file", map->path);
    uint64_t header = read_u64(map->data);
    if (header > MAX_HEADER || header > map->size - LENGTH_SIZE)
        fail("%s: not a safetensors file, or truncated: a header of %llu bytes", map->path,
             (unsigned long long)header);
    return (size_t)header;
}

static void add_tensors(checkpoint *c, const file_map *map) {
    size_t header = header_length(map), first = c->count;
    json root = json_parse(map->path, map->data + LENGTH_SIZE, header);
    const cJSON *entry;
    int metadata = 0;
    if (!cJSON_IsObject(root.node)) fail("%s: the header is not an object", map->path);

    size_t more = (size_t)cJSON_GetArraySize(root.node);
    tensor *tensors = allocate(first + more, sizeof(*tensors));
    if (first > 0) memcpy(tensors, c->tensors, first * sizeof(*tensors));
    free(c->tensors);
    c->tensors = tensors;
    cJSON_ArrayForEach(entry, root.node) {
        if (strcmp(entry->string, "__metadata__") != 0) {
            read_entry(&c->tensors[c->count++], map, entry, header);
            continue;
        }
        if (metadata++) fail("%s: __metadata__ is there twice", map->path);
        check_metadata(map, entry);
    }
    check_ranges(map, c->tensors + first, c->count - first, header);
    cJSON_Delete(root.node);
}

static void sort_by_name(checkpoint *c, const char *path) {
    if (c->count == 0) fail("%s: there are no tensors", path);
    qsort(c->tensors, c->count, sizeof(*c->tensors), by_name);
    for (size_t i = 1; i < c->count; i++) {
        if (strcmp(c->tensors[i - 1].name, c->tensors[i].name) == 0)
            fail("%s: %s is there twice", c->tensors[i].file, c->tensors[i].name);
    }
}

checkpoint checkpoint_open(const char *path) {
    checkpoint c = {NULL, 0, NULL, 0};
    c.files = allocate(1, sizeof(*c.files));
    c.files[c.file_count++] = file_map_open(format_text("%s", path));
    add_tensors(&c, &c.files[0]);
    sort_by_name(&c, path);
    return c;
}

/* A shard's name is a plain file name: the index must not lead out of its folder. */
static const char *shard_name(const char *index, const cJSON *entry) {
    const char *name = cJSON_IsString(entry) ? entry->valuestring : "";
    if (name[0] == 0 || name[0] == '.' || strpbrk(name, "/\\") != NULL)
        fail("%s: %s: '%s' is not the name of a shard", index, entry->string, name);
    return name;
}

static char *shard_path(const char *index, const char *name) {
    const char *slash = strrchr(index, '/');
    return format_text("%.*s%s", slash == NULL ? 0 : (int)(slash + 1 - index), index, name);
}

static void open_shard(checkpoint *c, const char *path, size_t most) {
    for (size_t i = 0; i < c->file_count; i++) {
        if (strcmp(c->files[i].path, path) == 0) return;
    }
    if (c->files == NULL) c->files = allocate(most, sizeof(*c->files));
    c->files[c->file_count] = file_map_open(format_text("%s", path));
    add_tensors(c, &c->files[c->file_count++]);
}

checkpoint checkpoint_open_index(const char *path) {
    checkpoint c = {NULL, 0, NULL, 0};
    json root = json_read(path);
    json map = json_get(root, "weight_map");
    const cJSON *entry;
    if (!cJSON_IsObject(map.node)) fail("%s: no weight_map", path);
    size_t listed = (size_t)cJSON_GetArraySize(map.node);
    cJSON_ArrayForEach(entry, map.node) {
        char *shard = shard_path(path, shard_name(path, entry));
        open_shard(&c, shard, listed);
        free(shard);
    }
    sort_by_name(&c, path);
    cJSON_ArrayForEach(entry, map.node) {
        char *shard = shard_path(path, entry->valuestring);
        const tensor *t = checkpoint_find(&c, entry->string);
        if (t == NULL || strcmp(t->file, shard) != 0)
            fail("%s: %s is not in %s", path, entry->string, shard);
        free(shard);
    }
    if (listed != c.count) fail("%s: %zu tensors are listed, %zu are there", path, listed, c.count);
    cJSON_Delete(root.node);
    return c;
}

void checkpoint_close(checkpoint *c) {
    for (size_t i = 0; i < c->count; i++) free(c->tensors[i].name);
    for (size_t i = 0; i < c->file_count; i++) {
        free((void *)(uintptr_t)c->files[i].path);
        file_map_close(&c->files[i]);
    }
    free(c->tensors);
    free(c->files);
}

tensor *checkpoint_find(const checkpoint *c, const char *name) {
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(c->tensors[middle].name, name);
        if (order == 0) return &c->tensors[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

void tensor_read(const tensor *t, size_t first, size_t count, float *values) {
    if (t->type == TENSOR_F32) {
        memcpy(values, t->data + first * sizeof(float), count * sizeof(float));
        return;
    }
    const unsigned char *p = t->data + first * 2;
    for (size_t i = 0; i < count; i++, p += 2) {
        uint16_t half = (uint16_t)(p[0] | p[1] << 8);
        values[i] = t->type == TENSOR_BF16 ? dequantize_bf16(half) : dequantize_f16(half);
    }
}
