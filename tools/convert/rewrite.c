#include "rewrite.h"

#include "file_map.h"
#include "labels.h"
#include "model_writer.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* A tensor of an open model. */
typedef struct source {
    const vit_model *model;
    int index;
} source;

static void read_row(const void *from, size_t row, float *values) {
    const source *s = from;
    model_read_row(s->model, s->index, row, values);
}

static void check_f32(const vit_model *model, const char *path) {
    vit_tensor t;
    for (int i = 0; vit_model_tensor(model, i, &t) == VIT_OK; i++) {
        if (t.dtype != VIT_F32)
            fail("%s: its weights are not all float32, and would lose more", path);
    }
}

/* The model's own labels as labels_read gives others: all of them follow each other. */
static char *copy_labels(const vit_model *model, size_t *size) {
    const char *first = vit_model_label(model, 0);
    *size = 0;
    if (first == NULL) return NULL;
    const char *last = vit_model_label(model, vit_model_config(model)->num_classes - 1);
    *size = (size_t)(last + strlen(last) + 1 - first);
    char *copy = allocate(*size, 1);
    memcpy(copy, first, *size);
    return copy;
}

static char *read_labels(const vit_model *model, const char *from, size_t *size) {
    json none = {NULL, NULL};
    if (from == NULL) return copy_labels(model, size);
    return labels_read(from, none, vit_model_config(model)->num_classes, size);
}

/* given: its integers, or NULL. */
static void write_tensor(model_writer *w, const vit_model *model, int index, const rounded *given) {
    source s = {model, index};
    char *name = format_text("tensor %d", index);
    float *bias = model_read_bias(model, index);
    model_writer_add_rounded(w, name, read_row, &s, bias, given);
    free(bias);
    free(name);
}

/* Every byte of the file is checked. */
static vit_model open_model(const file_map *map) {
    vit_model model;
    vit_status status = vit_model_open(&model, map->data, map->size);
    if (status == VIT_OK) status = vit_model_verify(&model);
    if (status != VIT_OK) fail("%s: %s", map->path, vit_status_string(status));
    return model;
}

static void write_tensors(model_writer *w, const vit_model *model, rounded *all) {
    for (int i = 0; i < vit_model_tensor_count(model); i++) {
        int is_given = all != NULL && all[i].integers != NULL;
        write_tensor(w, model, i, is_given ? &all[i] : NULL);
        if (!is_given) continue;
        free(all[i].integers);
        free(all[i].scales);
    }
    free(all);
}

void rewrite_map(const file_map *in, const char *out, vit_dtype dtype, const char *labels,
                 const rounder *by) {
    vit_model model = open_model(in);
    model_writer writer;
    size_t size;
    check_f32(&model, in->path);
    char *names = read_labels(&model, labels, &size);
    rounded *all = by == NULL ? NULL : by->round(&model, dtype, by->photos);
    model_writer_begin(&writer, out, vit_model_config(&model), dtype, names, size);
    write_tensors(&writer, &model, all);
    model_writer_end(&writer);
    free(names);
}

void rewrite(const char *in, const char *out, vit_dtype dtype, const char *labels) {
    file_map map = file_map_open(in);
    rewrite_map(&map, out, dtype, labels, NULL);
    file_map_close(&map);
}

void rewrite_labels(const char *in, const char *out, const char *labels) {
    file_map map = file_map_open(in);
    vit_model model = open_model(&map);
    size_t size;
    char *names = read_labels(&model, labels, &size);
    model_relabel(&model, out, names, size);
    free(names);
    file_map_close(&map);
}
