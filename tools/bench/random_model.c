#include "random_model.h"

#include "tools/convert/model_writer.h"
#include "tools/convert/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Random rows of a tensor. */
typedef struct source {
    uint32_t *state;
    int cols;
    float scale;
    int is_norm;
} source;

float random_float(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

/* The weights of a norm, its first row, are 1. */
static void read_row(const void *from, size_t row, float *values) {
    const source *s = from;
    for (int i = 0; i < s->cols; i++)
        values[i] = s->is_norm && row == 0 ? 1 : s->scale * random_float(s->state);
}

static void write_tensor(model_writer *w, const vit_tensor *t, uint32_t *state) {
    float scale = t->is_matrix ? 1.0f / sqrtf((float)t->cols) : 0.02f;
    source s = {state, t->cols, scale, strncmp(t->name, "norm", 4) == 0};
    float *bias = t->is_matrix ? allocate((size_t)t->rows, sizeof(float)) : NULL;
    for (int i = 0; bias != NULL && i < t->rows; i++) bias[i] = scale * random_float(state);
    model_writer_add(w, t->name, read_row, &s, bias);
    free(bias);
}

static vit_config config_of(int embed_dim, int depth, int num_heads) {
    vit_config c;
    memset(&c, 0, sizeof(c));
    c.architecture = "";
    c.img_size[0] = c.img_size[1] = 224;
    c.patch_size[0] = c.patch_size[1] = 16;
    c.in_chans = 3, c.num_classes = 1000;
    c.embed_dim = embed_dim, c.depth = depth, c.mlp_dim = 4 * embed_dim;
    c.num_heads = num_heads, c.head_dim = embed_dim / num_heads;
    c.prefix_tokens = c.head_tokens = 1;
    c.norm_eps = 1e-6f;
    c.preprocess.resize = VIT_RESIZE_SHORTEST;
    c.preprocess.resize_size[0] = c.preprocess.resize_size[1] = 248;
    c.preprocess.interpolation = VIT_INTERPOLATION_BICUBIC;
    c.preprocess.rescale = 255;
    for (int i = 0; i < 4; i++) c.preprocess.std[i] = 1;
    return c;
}

void random_model_write(const char *path, int embed_dim, int depth, int num_heads,
                        vit_dtype dtype) {
    vit_config config = config_of(embed_dim, depth, num_heads);
    model_writer writer;
    vit_tensor t;
    uint32_t state = 1;
    model_writer_begin(&writer, path, &config, dtype, NULL, 0);
    while (model_writer_next(&writer, &t)) write_tensor(&writer, &t, &state);
    model_writer_end(&writer);
}
