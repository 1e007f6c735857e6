#define VIT_STATIC
#define VIT_NO_THREADS
#define VIT_NO_SIMD /* it computes nothing */
#define VIT_IMPLEMENTATION
#include "rewrite.h"

#include "file_map.h"
#include "report.h"
#include "model_writer.h"

/* A tensor in the mapped file. */
typedef struct stored {
    vit__tensor tensor;
    const float *floats; /* [rows][padded_cols], or a matrix's panels, [N / 16][K][16] */
} stored;

/* Index with padding of row (or input) i of repeat * part, each part padded to a multiple of 16. */
static size_t padded(size_t i, int part) {
    return i / (size_t)part * vit__round16(part) + i % (size_t)part;
}

static void read_row(const void *source, size_t row, float *values) {
    const stored *s = source;
    const vit__tensor *t = &s->tensor;
    size_t cols = (size_t)t->cols * (size_t)t->cols_repeat, n = padded(row, t->rows);
    const float *panel = s->floats + n / VIT__PANEL * t->padded_cols * VIT__PANEL + n % VIT__PANEL;
    for (size_t i = 0; i < cols; i++) {
        values[i] = t->order == VIT__PANELS ? panel[padded(i, t->cols) * VIT__PANEL]
                                            : s->floats[row * t->padded_cols + i];
    }
}

/* To be freed; NULL if the tensor has none. */
static float *read_bias(const stored *s) {
    const vit__tensor *t = &s->tensor;
    size_t count = (size_t)t->rows * (size_t)t->rows_repeat;
    if (t->order != VIT__PANELS) return NULL;
    const float *from = s->floats + t->padded_rows * t->padded_cols;
    float *bias = allocate(count, sizeof(float));
    for (size_t i = 0; i < count; i++) bias[i] = from[padded(i, t->rows)];
    return bias;
}

static void check_f32(const vit_model *model, const char *path) {
    for (int i = 0; i < vit__tensor_count(&model->config); i++) {
        if (vit__u32(vit__entry(model->data, i) + 8) != VIT__F32)
            fail("%s: its weights are not all float32, and would lose more", path);
    }
}

void rewrite(const char *in, const char *out, vit_dtype dtype) {
    file_map map = file_map_open(in);
    vit_model model;
    model_writer writer;
    vit_status status = vit_model_open(&model, map.data, map.size);
    if (status == VIT_OK) status = vit_model_verify(&model);
    if (status != VIT_OK) fail("%s: %s", in, vit_status_string(status));
    check_f32(&model, in);
    model_writer_begin(&writer, out, &model.config, dtype, model.labels,
                       model.labels == NULL ? 0 : vit__u32(model.data + 52));
    for (int i = 0; i < vit__tensor_count(&model.config); i++) {
        stored s = {vit__tensor_at(&model.config, i), NULL};
        char *name = format_text("tensor %d", i);
        s.floats = vit__tensor_data(&model, s.tensor.role, s.tensor.block);
        float *bias = read_bias(&s);
        model_writer_add(&writer, name, read_row, &s, bias);
        free(bias);
        free(name);
    }
    model_writer_end(&writer);
    file_map_close(&map);
}
