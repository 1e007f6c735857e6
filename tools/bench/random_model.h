/* ViT models with random weights, for benchmarks: vit_tiny, vit_small, vit_base and vit_large of
   timm, patches of 16, 224 x 224, 1000 classes. Include after the implementation of vit.h. */
#ifndef RANDOM_MODEL_H
#define RANDOM_MODEL_H

#include "tools/convert/dtypes.h"

#include <math.h>
#include <stdlib.h>

static void put_u32(unsigned char *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static void put_u64(unsigned char *p, uint64_t value) {
    put_u32(p, (uint32_t)value);
    put_u32(p + 4, (uint32_t)(value >> 32));
}

static void put_f32(unsigned char *p, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_u32(p, bits);
}

/* The config in a header: see THE .vit FORMAT in vit.h. */
static void put_config(unsigned char *head, uint32_t embed_dim, uint32_t depth,
                       uint32_t num_heads) {
    const uint32_t counts[] = {224,           224,       16,    16,        3,
                               1000,          embed_dim, depth, num_heads, embed_dim / num_heads,
                               4 * embed_dim, 1,         1};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        put_u32(head + 64 + 4 * i, counts[i]);
    put_f32(head + 132, 1e-6f);
    put_u32(head + 136, VIT_RESIZE_SHORTEST);
    put_u32(head + 140, 248);
    put_u32(head + 144, 248);
    put_u32(head + 148, VIT_INTERPOLATION_BICUBIC);
    put_f32(head + 156, 255);
    for (size_t i = 0; i < 4; i++) put_f32(head + 176 + 4 * i, 1);
}

/* The directory; returns the size of the whole file. */
static uint64_t put_directory(unsigned char *head, uint32_t head_size, const vit_config *config,
                              vit_dtype dtype) {
    uint64_t offset = head_size;
    for (int i = 0; i < vit__tensor_count(config); i++) {
        unsigned char *entry = head + VIT__HEADER_SIZE + (size_t)i * VIT__ENTRY_SIZE;
        vit__tensor t = vit__tensor_at(config, i);
        stored_dtype stored = stored_dtype_of(dtype, &t);
        put_u32(entry, (uint32_t)t.role);
        put_u32(entry + 4, (uint32_t)t.block);
        put_u32(entry + 8, (uint32_t)stored.dtype);
        put_u32(entry + 12, (uint32_t)t.order);
        put_u32(entry + 16, (uint32_t)(t.rows * t.rows_repeat));
        put_u32(entry + 20, (uint32_t)(t.cols * t.cols_repeat));
        put_u32(entry + 24, (uint32_t)stored.range);
        put_u64(entry + 32, offset);
        put_u64(entry + 40, vit__tensor_size(&t, stored.dtype));
        offset += vit__tensor_size(&t, stored.dtype);
    }
    return offset;
}

#define RANDOM_HEAD_SIZE (1u << 14) /* room for the head of 24 blocks */

/* The head of the file that begins at head, [RANDOM_HEAD_SIZE] zeros. The checksums of the tensors
   are left out. Returns the size of the file, of which the weights follow behind head_size. */
static uint64_t random_model_head(unsigned char *head, uint32_t *head_size, uint32_t embed_dim,
                                  uint32_t depth, uint32_t num_heads, vit_dtype dtype) {
    vit_config config;
    put_config(head, embed_dim, depth, num_heads);
    vit__read_config(head, &config);
    uint32_t count = (uint32_t)vit__tensor_count(&config);
    *head_size = (uint32_t)vit__round_up(VIT__HEADER_SIZE + count * VIT__ENTRY_SIZE, VIT__ALIGN);
    uint64_t file_size = put_directory(head, *head_size, &config, dtype);
    memcpy(head, vit__magic, sizeof(vit__magic));
    put_u32(head + 8, VIT__FORMAT_VERSION);
    put_u32(head + 16, *head_size);
    put_u32(head + 20, VIT__HEADER_SIZE);
    put_u64(head + 24, file_size);
    put_u32(head + 36, VIT__ENTRY_SIZE);
    put_u32(head + 40, count);
    put_u32(head + 44, VIT__HEADER_SIZE);
    put_u32(head + 12, vit__xxh32(head + 16, *head_size - 16));
    return file_size;
}

/* -1 <= result < 1: Numerical Recipes' linear congruential generator. */
static inline float random_float(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

static inline void random_floats(float *data, size_t count, float scale, uint32_t *state) {
    for (size_t i = 0; i < count; i++) data[i] = scale * random_float(state);
}

/* 0 <= result < values */
static inline int random_integer(uint32_t *state, int values) {
    *state = *state * 1664525u + 1013904223u;
    return (int)(*state >> 16) % values;
}

/* f16, rounded towards 0; what would not be a normal number becomes 0. */
static inline uint16_t f16_near(float x) {
    uint32_t bits, size;
    memcpy(&bits, &x, sizeof(bits));
    size = bits & 0x7FFFFFFF;
    return (uint16_t)((bits >> 16 & 0x8000) | (size >> 23 > 112 ? (size - (112u << 23)) >> 13 : 0));
}

static inline uint16_t bf16_near(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return (uint16_t)(bits >> 16);
}

/* Tokens, positions and norms; the latter are the identity. */
static inline void random_rows(float *data, const vit__tensor *t, uint32_t *state) {
    int norm = t->role == VIT__NORM1 || t->role == VIT__NORM2 || t->role == VIT__NORM;
    random_floats(data, t->padded_rows * t->padded_cols, 0.02f, state);
    for (int i = 0; norm && i < t->cols; i++) data[i] = 1;
}

/* Scales behind the biases, and for int8 sums: those of what is in the panels. */
static inline void put_scales(float *behind, const vit__matrix *m, float step) {
    size_t group_scales = m->outputs * vit__groups(m->inputs);
    uint16_t *halves = (uint16_t *)(void *)behind;
    int32_t *sums = (int32_t *)(void *)(behind + m->outputs);
    if (m->dtype == VIT__INT4) {
        for (size_t i = 0; i < group_scales; i++) halves[i] = f16_near(step);
    }
    for (size_t n = 0; m->dtype == VIT__INT8 && n < m->outputs; n++) {
        const signed char *panel =
            (const signed char *)m->weights + n / VIT__PANEL * m->panel_size + n % VIT__PANEL * 4;
        behind[n] = step;
        sums[n] = 0;
        for (size_t k = 0; k < m->inputs; k++) sums[n] += panel[k / 4 * 64 + k % 4];
    }
}

/* The panels of a matrix, of weights from -scale to scale; integers lack their scale. */
static inline void random_panels(unsigned char *data, const vit__matrix *m, float scale,
                                 uint32_t *state) {
    size_t count = m->outputs * m->inputs;
    uint16_t *halves = (uint16_t *)(void *)data;
    if (m->dtype == VIT__F32) {
        random_floats((float *)(void *)data, count, scale, state);
    } else if (m->dtype == VIT__F16) {
        for (size_t i = 0; i < count; i++) halves[i] = f16_near(scale * random_float(state));
    } else if (m->dtype == VIT__BF16) {
        for (size_t i = 0; i < count; i++) halves[i] = bf16_near(scale * random_float(state));
    } else if (m->dtype == VIT__INT8) {
        for (size_t i = 0; i < count; i++)
            data[i] = (unsigned char)(random_integer(state, 2 * m->range + 1) - m->range);
    } else {
        for (size_t i = 0; i < count / 2; i++) data[i] = (unsigned char)random_integer(state, 256);
    }
}

/* A matrix in the file's form, of a magnitude that keeps the activations near 1. */
static inline void random_matrix(unsigned char *data, const vit__tensor *t, stored_dtype stored,
                                 uint32_t *state) {
    vit__matrix m = vit__matrix_at(data, t, stored.dtype, stored.range);
    float scale = 1.0f / sqrtf((float)(t->cols * t->cols_repeat));
    float *bias = (float *)(void *)(data + m.outputs / VIT__PANEL * m.panel_size);
    random_panels(data, &m, scale, state);
    random_floats(bias, m.outputs, scale, state);
    if (m.range > 0) put_scales(bias + m.outputs, &m, scale / (float)m.range);
}

/* A whole model in memory that *memory points to, to be freed; NULL where there is none. */
static inline vit_status random_model_make(vit_model *model, void **memory, uint32_t embed_dim,
                                           uint32_t depth, uint32_t num_heads, vit_dtype dtype) {
    static unsigned char head[RANDOM_HEAD_SIZE];
    uint32_t head_size;
    size_t size = (size_t)random_model_head(head, &head_size, embed_dim, depth, num_heads, dtype);
    *memory = malloc(size + VIT__ALIGN);
    if (*memory == NULL) return VIT_ERROR_MEMORY;
    unsigned char *file = (unsigned char *)*memory;
    file += (VIT__ALIGN - (uintptr_t)file % VIT__ALIGN) % VIT__ALIGN;
    memcpy(file, head, head_size);
    vit_status status = vit_model_open(model, file, size);
    for (int i = 0; status == VIT_OK && i < vit__tensor_count(&model->config); i++) {
        vit__tensor t = vit__tensor_at(&model->config, i);
        unsigned char *data = file + vit__u64(vit__entry(file, i) + 32);
        uint32_t state = (uint32_t)t.role * 1000 + (uint32_t)t.block + 1;
        if (t.order == VIT__ROWS) random_rows((float *)(void *)data, &t, &state);
        else random_matrix(data, &t, stored_dtype_of(dtype, &t), &state);
    }
    return status;
}

#endif
