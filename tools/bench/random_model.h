/* ViT models with random weights, for benchmarks: vit_tiny, vit_small, vit_base and vit_large of
   timm, patches of 16, 224 x 224, 1000 classes. Include after the implementation of vit.h. */
#ifndef RANDOM_MODEL_H
#define RANDOM_MODEL_H

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
static uint64_t put_directory(unsigned char *head, uint32_t head_size, const vit_config *config) {
    uint64_t offset = head_size;
    for (int i = 0; i < vit__tensor_count(config); i++) {
        unsigned char *entry = head + VIT__HEADER_SIZE + (size_t)i * VIT__ENTRY_SIZE;
        vit__tensor t = vit__tensor_at(config, i);
        put_u32(entry, (uint32_t)t.role);
        put_u32(entry + 4, (uint32_t)t.block);
        put_u32(entry + 12, (uint32_t)t.order);
        put_u32(entry + 16, (uint32_t)(t.rows * t.rows_repeat));
        put_u32(entry + 20, (uint32_t)(t.cols * t.cols_repeat));
        put_u64(entry + 32, offset);
        put_u64(entry + 40, vit__round_up(t.size, VIT__ALIGN));
        offset += vit__round_up(t.size, VIT__ALIGN);
    }
    return offset;
}

#define RANDOM_HEAD_SIZE (1u << 14) /* room for the head of 24 blocks */

/* The head of the file that begins at head, [RANDOM_HEAD_SIZE] zeros. The checksums of the tensors
   are left out. Returns the size of the file, of which the weights follow behind head_size. */
static uint64_t random_model_head(unsigned char *head, uint32_t *head_size, uint32_t embed_dim,
                                  uint32_t depth, uint32_t num_heads) {
    vit_config config;
    put_config(head, embed_dim, depth, num_heads);
    vit__read_config(head, &config);
    uint32_t count = (uint32_t)vit__tensor_count(&config);
    *head_size = (uint32_t)vit__round_up(VIT__HEADER_SIZE + count * VIT__ENTRY_SIZE, VIT__ALIGN);
    uint64_t file_size = put_directory(head, *head_size, &config);
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

/* Weights of a magnitude that keeps the activations near 1; norms are the identity. */
static inline void random_weights(const vit_model *model, float *data, const vit__tensor *t) {
    uint32_t state = (uint32_t)t->role * 1000 + (uint32_t)t->block + 1;
    float scale = t->order == VIT__PANELS ? 1.0f / sqrtf((float)(t->cols * t->cols_repeat)) : 0.02f;
    int norm = t->role == VIT__NORM1 || t->role == VIT__NORM2 || t->role == VIT__NORM;
    for (size_t i = 0; i < t->size / sizeof(float); i++) data[i] = scale * random_float(&state);
    for (int i = 0; norm && i < model->config.embed_dim; i++) data[i] = 1;
}

/* A whole model in memory that *memory points to, to be freed; NULL where there is none. */
static inline vit_status random_model_make(vit_model *model, void **memory, uint32_t embed_dim,
                                           uint32_t depth, uint32_t num_heads) {
    static unsigned char head[RANDOM_HEAD_SIZE];
    uint32_t head_size;
    size_t size = (size_t)random_model_head(head, &head_size, embed_dim, depth, num_heads);
    *memory = malloc(size + VIT__ALIGN);
    if (*memory == NULL) return VIT_ERROR_MEMORY;
    unsigned char *file = (unsigned char *)*memory;
    file += (VIT__ALIGN - (uintptr_t)file % VIT__ALIGN) % VIT__ALIGN;
    memcpy(file, head, head_size);
    vit_status status = vit_model_open(model, file, size);
    for (int i = 0; status == VIT_OK && i < vit__tensor_count(&model->config); i++) {
        vit__tensor t = vit__tensor_at(&model->config, i);
        random_weights(model, (float *)(void *)(file + vit__u64(vit__entry(file, i) + 32)), &t);
    }
    return status;
}

#endif
