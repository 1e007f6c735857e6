#include "rewrite.h"

#include "file_map.h"
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

/* Bytes of all labels, which follow each other, each ended by NUL. */
static size_t labels_size(const vit_model *model) {
    const char *first = vit_model_label(model, 0);
    if (first == NULL) return 0;
    const char *last = vit_model_label(model, vit_model_config(model)->num_classes - 1);
    return (size_t)(last + strlen(last) + 1 - first);
}

static void write_tensor(model_writer *w, const vit_model *model, int index) {
    source s = {model, index};
    char *name = format_text("tensor %d", index);
    float *bias = model_read_bias(model, index);
    model_writer_add(w, name, read_row, &s, bias);
    free(bias);
    free(name);
}

void rewrite(const char *in, const char *out, vit_dtype dtype) {
    file_map map = file_map_open(in);
    vit_model model;
    model_writer writer;
    vit_status status = vit_model_open(&model, map.data, map.size);
    if (status == VIT_OK) status = vit_model_verify(&model);
    if (status != VIT_OK) fail("%s: %s", in, vit_status_string(status));
    check_f32(&model, in);
    model_writer_begin(&writer, out, vit_model_config(&model), dtype, vit_model_label(&model, 0),
                       labels_size(&model));
    for (int i = 0; i < vit_model_tensor_count(&model); i++) write_tensor(&writer, &model, i);
    model_writer_end(&writer);
    file_map_close(&map);
}
