#include "checkpoint.h"

#include "container.h"
#include "folder.h"
#include "report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 100000 /* ViT-B has 152 */

tensor *checkpoint_add(checkpoint *c, const file_map *file, char *name) {
    if (c->count == MAX_TENSORS)
        fail("%s: more than %d tensors: not a Vision Transformer", file->path, MAX_TENSORS);
    c->tensors = make_room_for_one(c->tensors, c->count, &c->capacity, sizeof(*c->tensors));
    tensor *t = &c->tensors[c->count++];
    memset(t, 0, sizeof(*t));
    t->name = name;
    t->file = file->path;
    return t;
}

zip *checkpoint_open_zip(checkpoint *c, const file_map *file) {
    c->archives =
        make_room_for_one(c->archives, c->archive_count, &c->archive_capacity, sizeof(zip *));
    return c->archives[c->archive_count++] = zip_open(file);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

void checkpoint_remove_marked(checkpoint *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->tensors[i].used >= 0) c->tensors[kept++] = c->tensors[i];
        else tensor_free(&c->tensors[i]);
    }
    c->count = kept;
}

void checkpoint_sort(checkpoint *c) {
    if (c->count == 0) fail("%s: there are no tensors", c->file);
    qsort(c->tensors, c->count, sizeof(*c->tensors), by_name);
    for (size_t i = 1; i < c->count; i++) {
        if (by_name(&c->tensors[i - 1], &c->tensors[i]) == 0)
            fail("%s: %s is there twice", c->tensors[i].file, c->tensors[i].name);
    }
}

static void note_rounding(const checkpoint *c) {
    const tensor *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->tensors[i].type != TENSOR_F64) continue;
        if (count++ == 0) first = &c->tensors[i];
    }
    if (first != NULL)
        note("%s: %zu of %zu tensors (%s, ...) are of float64: rounded to float32", c->file, count,
             c->count, first->name);
}

checkpoint checkpoint_open(const char *path, const char *key) {
    checkpoint c;
    memset(&c, 0, sizeof(c));
    c.path = path;
    c.key = key;
    if (folder_is(path)) folder_read(&c, path);
    else container_read(&c, path);
    if (key != NULL && !c.keyed) fail("%s: --key: not a file of PyTorch", c.file);
    checkpoint_sort(&c);
    note_rounding(&c);
    return c;
}

void checkpoint_close(checkpoint *c) {
    for (size_t i = 0; i < c->count; i++) tensor_free(&c->tensors[i]);
    for (size_t i = 0; i < c->archive_count; i++) zip_close(c->archives[i]);
    for (size_t i = 0; i < c->file_count; i++) {
        free((void *)(uintptr_t)c->files[i]->path);
        file_map_close(c->files[i]);
        free(c->files[i]);
    }
    cJSON_Delete(c->config);
    free(c->tensors);
    free(c->archives);
    free(c->files);
    free(c->file);
    free(c->taken);
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
