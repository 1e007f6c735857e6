/* With an implementation of vit.h of its own, whose tables of the format it walks. */
#define VIT_STATIC
#define VIT_NO_SIMD
#define VIT_NO_THREADS
#define VIT_NO_STDIO
#define VIT_IMPLEMENTATION
#include "save.h"

#include "tools/convert/dtypes.h"
#include "tools/convert/quantize.h"
#include "tools/convert/report.h"
#include "tools/teach/head.h"

#include <stdlib.h>

/* A file that is being made. */
typedef struct maker {
    const vit_model *backbone;
    const linear *head;
    vit_config config;
    unsigned char *data;
    size_t labels_offset, head_size, size;
} maker;

static void put_u32(unsigned char *p, size_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static void put_u64(unsigned char *p, uint64_t value) {
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(value >> 8 * i);
}

/* ---- tensors ---- */

static const unsigned char *backbone_entry(const maker *m, const vit__tensor *t) {
    return vit__entry(m->backbone->data,
                      vit__tensor_index(&m->backbone->config, t->role, t->block));
}

static stored_dtype stored_as(const maker *m, const vit__tensor *t) {
    stored_dtype head = {VIT__F32, 0};
    if (t->role != VIT__HEAD) {
        const unsigned char *entry = backbone_entry(m, t);
        stored_dtype stored = {(vit__dtype)vit__u32(entry + 8), (int)vit__u32(entry + 24)};
        return stored;
    }
    return vit_model_dtype(m->backbone) == VIT_INT8 ? stored_dtype_of(VIT_INT8, t) : head;
}

/* A class's weights, each pooled token's padded as the format has it. */
static void read_weights(const maker *m, size_t class, float *padded) {
    size_t dim = (size_t)m->config.embed_dim, stride = vit__round16(m->config.embed_dim);
    for (size_t j = 0; j < m->head->dim; j++)
        padded[j / dim * stride + j % dim] = (float)m->head->weights[class * m->head->dim + j];
}

static void fill_f32(unsigned char *tensor, const vit__matrix *x, size_t n, const float *padded) {
    float *panel = (float *)(void *)(tensor + n / VIT__PANEL * x->panel_size) + n % VIT__PANEL;
    for (size_t k = 0; k < x->inputs; k++) panel[k * VIT__PANEL] = padded[k];
}

/* Panels [K / 4][16][4]. */
static void fill_int8(unsigned char *tensor, const vit__matrix *x, size_t n, const float *padded,
                      signed char *integers) {
    unsigned char *panel = tensor + n / VIT__PANEL * x->panel_size + n % VIT__PANEL * 4;
    float scale = quantize_int8(padded, x->inputs, x->range, integers);
    int32_t sum = 0;
    for (size_t k = 0; k < x->inputs; k++) {
        panel[k / 4 * 64 + k % 4] = (unsigned char)integers[k];
        sum += integers[k];
    }
    memcpy(tensor + ((const unsigned char *)(x->scales + n) - x->weights), &scale, sizeof(scale));
    memcpy(tensor + ((const unsigned char *)(x->sums + n) - x->weights), &sum, sizeof(sum));
}

static void fill_head(const maker *m, const vit__tensor *t, stored_dtype stored,
                      unsigned char *tensor) {
    vit__matrix x = vit__matrix_at(tensor, t, stored.dtype, stored.range);
    float *padded = allocate(x.inputs, sizeof(float));
    signed char *integers = allocate(x.inputs, 1);
    for (size_t n = 0; n < (size_t)m->head->class_count; n++) {
        float bias = (float)m->head->bias[n];
        read_weights(m, n, padded);
        if (stored.dtype == VIT__INT8) fill_int8(tensor, &x, n, padded, integers);
        else fill_f32(tensor, &x, n, padded);
        memcpy(tensor + ((const unsigned char *)(x.bias + n) - x.weights), &bias, sizeof(bias));
    }
    free(padded);
    free(integers);
}

/* ---- the file ---- */

/* Where the tensors end. */
static size_t file_size(const maker *m) {
    size_t size = m->head_size;
    for (int i = 0; i < vit__tensor_count(&m->config); i++) {
        vit__tensor t = vit__tensor_at(&m->config, i);
        size = vit__add(size, vit__tensor_size(&t, stored_as(m, &t).dtype));
    }
    return size;
}

/* Writes a tensor at an offset, and its entry. Returns where it ends. */
static size_t put_tensor(const maker *m, int index, size_t offset) {
    vit__tensor t = vit__tensor_at(&m->config, index);
    stored_dtype stored = stored_as(m, &t);
    size_t size = vit__tensor_size(&t, stored.dtype);
    unsigned char *entry = m->data + VIT__HEADER_SIZE + (size_t)index * VIT__ENTRY_SIZE;
    if (t.role == VIT__HEAD) fill_head(m, &t, stored, m->data + offset);
    else
        memcpy(m->data + offset, m->backbone->data + vit__u64_size(backbone_entry(m, &t) + 32),
               size);
    put_u32(entry, (size_t)t.role);
    put_u32(entry + 4, (size_t)t.block);
    put_u32(entry + 8, (size_t)stored.dtype);
    put_u32(entry + 12, (size_t)t.order);
    put_u32(entry + 16, (size_t)(t.rows * t.rows_repeat));
    put_u32(entry + 20, (size_t)(t.cols * t.cols_repeat));
    put_u32(entry + 24, (size_t)stored.range);
    put_u32(entry + 28, vit__xxh32(m->data + offset, size));
    put_u64(entry + 32, offset);
    put_u64(entry + 40, size);
    return offset + size;
}

static void put_header(const maker *m, size_t labels_size) {
    unsigned char *h = m->data;
    const char *name = m->config.architecture;
    vit__write_config(h, &m->config);
    memcpy(h + VIT__NAME_OFFSET, name, strlen(name) + 1); /* at most 64 */
    memcpy(h, vit__magic, sizeof(vit__magic));
    put_u32(h + 8, VIT__FORMAT_VERSION);
    put_u32(h + 16, m->head_size);
    put_u32(h + 20, VIT__HEADER_SIZE);
    put_u64(h + 24, m->size);
    put_u32(h + 36, VIT__ENTRY_SIZE);
    put_u32(h + 40, (size_t)vit__tensor_count(&m->config));
    put_u32(h + 44, VIT__HEADER_SIZE);
    put_u32(h + 48, m->labels_offset);
    put_u32(h + 52, labels_size);
}

/* Sizes of the file; whether they fit the format. */
static int measure(maker *m, size_t labels_size) {
    m->labels_offset = VIT__HEADER_SIZE + (size_t)vit__tensor_count(&m->config) * VIT__ENTRY_SIZE;
    m->head_size = vit__round_up(vit__add(m->labels_offset, labels_size), VIT__ALIGN);
    m->size = file_size(m);
    return m->size < SIZE_MAX;
}

vit_status save_taught(saved_model *saved, const vit_model *backbone, const reading *r,
                       const linear *head, const char *labels, size_t labels_size,
                       double threshold) {
    maker m = {backbone, head, head_config(backbone, r, head->class_count, threshold), NULL, 0,
               0,        0};
    vit_model made;
    if (!measure(&m, labels_size)) return VIT_ERROR_CONFIG;
    m.data = aligned_alloc(VIT__ALIGN, m.size);
    if (m.data == NULL) return VIT_ERROR_MEMORY;
    memset(m.data, 0, m.size);
    put_header(&m, labels_size);
    memcpy(m.data + m.labels_offset, labels, labels_size);
    size_t offset = m.head_size;
    for (int i = 0; i < vit__tensor_count(&m.config); i++) offset = put_tensor(&m, i, offset);
    put_u32(m.data + 12, vit__xxh32(m.data + 16, m.head_size - 16));
    saved->data = m.data, saved->size = m.size;
    return vit_model_open(&made, m.data, m.size); /* as every reader checks it */
}

void save_free(saved_model *saved) {
    free(saved->data);
    saved->data = NULL, saved->size = 0;
}
