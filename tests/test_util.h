/* What the tests share: numbers, files, comparisons, models made in memory. A test includes this
   alone: it brings cmocka and the implementation of vit.h, whose internals the tests use. */
#ifndef TEST_UTIL_H
#define TEST_UTIL_H

#include <math.h>
#ifndef __wasi__ /* which has none; emulated/cmocka.h does without */
#include <setjmp.h>
#endif
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define VIT_MAX_ISA max_isa()
static int max_isa(void);
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "tools/convert/dtypes.h"

/* The environment variable VIT_ISA lowers what "the best" is, so that every instruction set has the
   same tests. One that is not there ends the program: another would be tested in its place. */
static int max_isa(void) {
    const char *name = getenv("VIT_ISA");
    int isa = VIT_ISA_COUNT - 1;
    if (name == NULL) return isa;
    while (isa >= VIT_ISA_PORTABLE && strcmp(vit_isa_name((vit_isa)isa), name) != 0) isa--;
    if (vit__kernels_of((vit_isa)isa) == NULL) {
        fprintf(stderr, "VIT_ISA=%s: there is no such instruction set here\n", name);
        exit(1);
    }
    return isa;
}

/* Tests that need threads are skipped where there are none. */
#if defined(VIT__PTHREAD) || defined(VIT__WINDOWS_THREADS)
#define THREADS
enum { HAS_THREADS = 1 };
#else
enum { HAS_THREADS = 0 };
#endif

/* Adds n to a number that threads share and gives what it was. */
static inline int shared_add(int *p, int n) {
#if defined(__GNUC__) || defined(__clang__)
    return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
#else /* tcc */
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    int was = *p;
    *p += n;
    pthread_mutex_unlock(&mutex);
    return was;
#endif
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define GOLDEN "tests/golden/"

/* ---- random numbers: xorshift, the same ones in every run; one for each statement or declarator, as the
   order within an expression is the compiler's ---- */

static inline uint32_t random_u32(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* 0 <= result < n */
static inline int random_below(uint32_t *state, int n) {
    return (int)(random_u32(state) % (uint32_t)n);
}

/* -1 <= result < 1 */
static inline float random_float(uint32_t *state) {
    return (float)(random_u32(state) >> 8) / 8388608.0f - 1.0f;
}

static inline void random_floats(uint32_t *state, float *out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = random_float(state);
}

static inline void random_bytes(uint32_t *state, unsigned char *out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = (unsigned char)(random_u32(state) >> 11);
}

/* ---- memory and files ---- */

/* At a multiple of 16, as a model has to be: malloc of 32-bit Linux gives 8. */
static inline void *allocate(size_t size) {
    void *memory = NULL;
    if (size == 0) size = 1;
#if defined(__unix__) || defined(__APPLE__)
    assert_int_equal(posix_memalign(&memory, 16, size), 0);
#else
    memory = malloc(size);
#endif
    assert_non_null(memory);
    return memory;
}

static inline float *allocate_floats(size_t count) {
    return (float *)allocate(count * sizeof(float));
}

/* A file's bytes, to be freed. */
static inline unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("%s: cannot be opened; run the tests from the top folder", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = (unsigned char *)allocate(*size);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

/* Exactly count numbers of tests/golden/name, to be freed. */
static inline float *golden_floats(const char *name, size_t count) {
    char path[256];
    size_t size = 0;
    snprintf(path, sizeof(path), GOLDEN "%s", name);
    float *data = (float *)(void *)read_file(path, &size);
    if (size != count * sizeof(float)) fail_msg("%s: %zu bytes", path, size);
    return data;
}

/* ---- threads ---- */

/* An options.parallel_for on the caller's thread. */
static inline void one_by_one(void *user, int count, vit_task task, void *arg) {
    (void)user;
    for (int i = 0; i < count; i++) task(arg, i);
}

/* ---- comparisons ---- */

static inline float largest_of(const float *x, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(x[i]));
    return largest;
}

/* |got - want| <= tolerance everywhere; a NaN fails. */
static inline void assert_near(const float *got, const float *want, size_t count, float tolerance) {
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(got[i] - want[i]) <= tolerance))
            fail_msg("[%zu]: got %.9g, want %.9g, tolerance %.2g", i, (double)got[i],
                     (double)want[i], (double)tolerance);
    }
}

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline void assert_same_bits(const float *got, const float *want, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bits_of(got[i]) != bits_of(want[i]))
            fail_msg("[%zu]: got %.9g, want %.9g", i, (double)got[i], (double)want[i]);
    }
}

static inline void assert_status(vit_status got, vit_status want, const char *where) {
    if (got != want)
        fail_msg("%s: got \"%s\", want \"%s\"", where, vit_status_string(got),
                 vit_status_string(want));
}

/* ---- a workspace with guards: size bytes that begin `shift` behind a multiple of 64 ---- */

#define GUARD_SIZE 64
#define GUARD_BYTE 0xA7

typedef struct guarded {
    unsigned char *memory, *bytes;
    size_t size;
} guarded;

/* All of it is filled with 0xFF: as floats, NaN. */
static inline guarded guarded_make(size_t size, size_t shift) {
    guarded g;
    g.memory = (unsigned char *)allocate(size + 2 * GUARD_SIZE + 128);
    uintptr_t start = (uintptr_t)g.memory + GUARD_SIZE;
    g.bytes = g.memory + GUARD_SIZE + (64 - start % 64) % 64 + shift;
    g.size = size;
    memset(g.bytes - GUARD_SIZE, GUARD_BYTE, size + 2 * GUARD_SIZE);
    memset(g.bytes, 0xFF, size);
    return g;
}

/* Checks that nothing was written around it, and frees it. */
static inline void guarded_free(guarded *g) {
    for (size_t i = 0; i < GUARD_SIZE; i++) {
        assert_int_equal(g->bytes[-1 - (ptrdiff_t)i], GUARD_BYTE);
        assert_int_equal(g->bytes[g->size + i], GUARD_BYTE);
    }
    free(g->memory);
}

/* ---- models made in memory ---- */

/* What a file is made of. All zero but the config means: no labels, no chunks, sizes of version
   1. */
typedef struct model_parts {
    vit_config config;
    const char *labels;
    size_t labels_size;
    uint32_t header_size, entry_size;
    uint32_t chunks; /* of 64 bytes each, of an unknown kind */
    vit_dtype dtype;
} model_parts;

/* A .vit file in memory at a multiple of 64. */
typedef struct model_file {
    unsigned char *memory, *data;
    size_t size;
} model_file;

static inline void put_u32(unsigned char *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> (8 * i) & 255);
}

static inline void put_u64(unsigned char *p, uint64_t value) {
    put_u32(p, (uint32_t)(value & 0xFFFFFFFFu));
    put_u32(p + 4, (uint32_t)(value >> 32));
}

static inline void put_f32(unsigned char *p, float value) {
    put_u32(p, bits_of(value));
}

/* A model with an odd number of everything, so that every padding is in use. */
static inline vit_config small_config(void) {
    vit_config c;
    memset(&c, 0, sizeof(c));
    c.architecture = "small";
    c.img_size[0] = 13, c.img_size[1] = 17; /* 3 x 5 patches; the last row and columns are unused */
    c.patch_size[0] = 4, c.patch_size[1] = 3;
    c.in_chans = 3, c.num_classes = 5;
    c.embed_dim = 20, c.depth = 2, c.num_heads = 3, c.head_dim = 7, c.mlp_dim = 35;
    c.prefix_tokens = 1, c.head_tokens = 1;
    c.norm_eps = 1e-6f;
    c.preprocess.resize = VIT_RESIZE_SHORTEST;
    c.preprocess.resize_size[0] = c.preprocess.resize_size[1] = 18;
    c.preprocess.interpolation = VIT_INTERPOLATION_BICUBIC;
    c.preprocess.rescale = 255;
    for (int i = 0; i < 4; i++) c.preprocess.mean[i] = 0.25f * (float)i, c.preprocess.std[i] = 0.5f;
    return c;
}

/* The smallest model: everything is 1, or 16 with padding. */
static inline vit_config tiny_config(void) {
    vit_config c = small_config();
    c.architecture = "tiny";
    c.img_size[0] = c.img_size[1] = c.patch_size[0] = c.patch_size[1] = 1;
    c.num_classes = 2, c.embed_dim = 2;
    c.depth = c.num_heads = c.head_dim = c.mlp_dim = 1;
    return c;
}

/* The header's config and recipe. */
static inline void put_config(unsigned char *h, const vit_config *c) {
    const vit_preprocess_config *p = &c->preprocess;
    const int words[] = {c->img_size[0],        c->img_size[1],    c->patch_size[0],
                         c->patch_size[1],      c->in_chans,       c->num_classes,
                         c->embed_dim,          c->depth,          c->num_heads,
                         c->head_dim,           c->mlp_dim,        c->prefix_tokens,
                         c->head_tokens,        c->head_avg,       (int)c->final_norm,
                         c->pre_logits,         (int)c->act,       0,
                         (int)p->resize,        p->resize_size[0], p->resize_size[1],
                         (int)p->interpolation, (int)p->crop};
    for (size_t i = 0; i < COUNT_OF(words); i++) put_u32(h + 64 + 4 * i, (uint32_t)words[i]);
    const int more[] = {(int)c->output, c->norm_pre,    c->qk_norm,
                        c->post_norm,   c->pos_size[0], c->pos_size[1],
                        c->patch_norm,  c->embed_norm,  (int)c->pos_resample};
    for (size_t i = 0; i < COUNT_OF(more); i++) put_u32(h + 256 + 4 * i, (uint32_t)more[i]);
    put_f32(h + 292, p->crop_pct);
    put_u32(h + 300, (uint32_t)c->pre_logits_l2);
    put_f32(h + 132, c->norm_eps);
    put_f32(h + 156, p->rescale);
    for (size_t i = 0; i < 4; i++) {
        put_f32(h + 160 + 4 * i, p->mean[i]);
        put_f32(h + 176 + 4 * i, p->std[i]);
    }
    snprintf((char *)h + 192, 64, "%s", c->architecture);
}

static inline void put_entry(unsigned char *entry, const vit__tensor *t, stored_dtype stored,
                             uint64_t offset) {
    put_u32(entry, (uint32_t)t->role);
    put_u32(entry + 4, (uint32_t)t->block);
    put_u32(entry + 8, (uint32_t)stored.dtype);
    put_u32(entry + 12, (uint32_t)t->order);
    put_u32(entry + 16, (uint32_t)(t->rows * t->rows_repeat));
    put_u32(entry + 20, (uint32_t)(t->cols * t->cols_repeat));
    put_u32(entry + 24, (uint32_t)stored.range);
    put_u64(entry + 32, offset);
    put_u64(entry + 40, vit__tensor_size(t, stored.dtype));
}

/* Head checksum anew, after a change to the head. */
static inline void seal_head(unsigned char *file) {
    put_u32(file + 12, vit__xxh32(file + 16, vit__u32(file + 16) - 16));
}

/* All checksums anew, after a change to weights. */
static inline void seal(unsigned char *file) {
    for (uint32_t i = 0; i < vit__u32(file + 40); i++) {
        unsigned char *entry = file + vit__u32(file + 44) + i * vit__u32(file + 36);
        put_u32(entry + 28, vit__xxh32(file + vit__u64(entry + 32), (size_t)vit__u64(entry + 40)));
    }
    for (uint32_t i = 0; i < vit__u32(file + 56); i++) {
        unsigned char *entry = file + vit__u32(file + 60) + i * 24;
        put_u32(entry + 4, vit__xxh32(file + vit__u64(entry + 8), (size_t)vit__u64(entry + 16)));
    }
    seal_head(file);
}

/* The weight of a matrix from input col to output row, and the bias of output row, both counted as
   in the config, before padding. A second reading of the format's text: vit.h is not used. */
static inline size_t padded_index(int i, int part) {
    return (size_t)(i / part) * (size_t)((part + 15) / 16 * 16) + (size_t)(i % part);
}

static inline size_t padded_inputs(const vit__tensor *t) {
    return padded_index(t->cols * t->cols_repeat, t->cols);
}

static inline size_t padded_outputs(const vit__tensor *t) {
    return padded_index(t->rows * t->rows_repeat, t->rows);
}

/* Number of the weight in a matrix of f32, f16 or bf16. */
static inline size_t weight_index(const vit__tensor *t, int row, int col) {
    size_t n = padded_index(row, t->rows), k = padded_index(col, t->cols);
    return n / 16 * (padded_inputs(t) * 16) + k * 16 + n % 16;
}

/* Byte of the weight in a matrix of int8 (together 4) or int4 (together 8). */
static inline size_t integer_index(const vit__tensor *t, int row, int col, size_t together) {
    size_t n = padded_index(row, t->rows), k = padded_index(col, t->cols);
    return (n / 16 * (padded_inputs(t) / together) + k / together) * 64 + n % 16 * 4 + k % 4;
}

/* Where the biases lie, in bytes. */
static inline size_t biases_offset(const vit__tensor *t, vit__dtype dtype) {
    static const size_t bits[] = {32, 16, 16, 8, 4};
    return padded_outputs(t) * padded_inputs(t) * bits[dtype] / 8;
}

static inline float stored_f32(const unsigned char *p) {
    float value;
    memcpy(&value, p, sizeof(value));
    return value;
}

static inline double stored_f16(const unsigned char *p) {
    int half = p[0] | p[1] << 8, exponent = half >> 10 & 31, fraction = half & 1023;
    double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -size : size;
}

static inline double stored_bf16(const unsigned char *p) {
    const unsigned char whole[4] = {0, 0, p[0], p[1]};
    return (double)stored_f32(whole);
}

/* Where the scale of an int4 weight lies. */
static inline size_t group_scale_offset(const vit__tensor *t, int row, int col) {
    size_t n = padded_index(row, t->rows), k = padded_index(col, t->cols);
    size_t groups = (padded_inputs(t) + 31) / 32;
    return biases_offset(t, VIT__INT4) + padded_outputs(t) * 4 +
           2 * ((n / 16 * groups + k / 32) * 16 + n % 16);
}

/* The integer of an int8 or int4 weight. */
static inline int stored_integer(const unsigned char *data, const vit__tensor *t, vit__dtype dtype,
                                 int row, int col) {
    if (dtype == VIT__INT8) return (signed char)data[integer_index(t, row, col, 4)];
    int byte = data[integer_index(t, row, col, 8)];
    return (padded_index(col, t->cols) % 8 < 4 ? byte & 15 : byte >> 4) - 8;
}

static inline double stored_weight(const unsigned char *data, const vit__tensor *t,
                                   vit__dtype dtype, int row, int col) {
    size_t i = weight_index(t, row, col), n = padded_index(row, t->rows);
    const unsigned char *scales = data + biases_offset(t, dtype) + 4 * padded_outputs(t);
    if (dtype == VIT__F32) return (double)stored_f32(data + 4 * i);
    if (dtype == VIT__F16) return stored_f16(data + 2 * i);
    if (dtype == VIT__BF16) return stored_bf16(data + 2 * i);
    double scale = dtype == VIT__INT8 ? (double)stored_f32(scales + 4 * n)
                                      : stored_f16(data + group_scale_offset(t, row, col));
    return scale * stored_integer(data, t, dtype, row, col);
}

static inline float stored_bias(const unsigned char *data, const vit__tensor *t, vit__dtype dtype,
                                int row) {
    return stored_f32(data + biases_offset(t, dtype) + 4 * padded_index(row, t->rows));
}

/* A weight of either sign and at most 2 * scale, in the bytes of its dtype; int8's scales follow
   when all are there. */
static inline void put_random_weight(const vit__tensor *t, unsigned char *data, stored_dtype stored,
                                     int row, int col, float scale, uint32_t *state) {
    unsigned char *p = data + weight_index(t, row, col) * (stored.dtype == VIT__F32 ? 4 : 2);
    unsigned char bytes[4];
    put_f32(bytes, scale * random_float(state));
    if (stored.dtype == VIT__F32) memcpy(p, bytes, 4);
    if (stored.dtype == VIT__BF16) memcpy(p, bytes + 2, 2);
    if (stored.dtype == VIT__F16) { /* 2^-7 to 2^-2, or 0 */
        int half = random_below(state, 0x1400) + 0x2000;
        half |= random_below(state, 2) << 15;
        if (random_below(state, 16) == 0) half = random_below(state, 1024); /* a subnormal */
        p[0] = (unsigned char)(half & 255), p[1] = (unsigned char)(half >> 8);
    }
    if (stored.dtype == VIT__INT8)
        data[integer_index(t, row, col, 4)] =
            (unsigned char)(random_below(state, 2 * stored.range + 1) - stored.range);
    if (stored.dtype == VIT__INT4) {
        unsigned char *byte = data + integer_index(t, row, col, 8);
        int high = padded_index(col, t->cols) % 8 >= 4, nibble = random_below(state, 16);
        int half = random_below(state, 0x800) + 0x2000;
        half |= random_below(state, 2) << 15;
        *byte = (unsigned char)(high ? (*byte & 15) | nibble << 4 : (*byte & 0xF0) | nibble);
        p = data + group_scale_offset(t, row, col);
        p[0] = (unsigned char)(half & 255), p[1] = (unsigned char)(half >> 8);
    }
}

/* The scale of an int8 output and the sum of its integers. */
static inline void put_scale_and_sum(const vit__tensor *t, unsigned char *data, int row,
                                     float scale) {
    size_t n = padded_index(row, t->rows), count = padded_outputs(t);
    unsigned char *scales = data + biases_offset(t, VIT__INT8) + 4 * count;
    int sum = 0;
    for (int c = 0; c < t->cols * t->cols_repeat; c++)
        sum += stored_integer(data, t, VIT__INT8, row, c);
    put_f32(scales + 4 * n, scale);
    put_u32(scales + 4 * (count + n), (uint32_t)sum);
}

static inline void random_matrix(const vit__tensor *t, unsigned char *data, stored_dtype stored,
                                 uint32_t *state) {
    int rows = t->rows * t->rows_repeat, cols = t->cols * t->cols_repeat;
    float scale = 2.0f / sqrtf((float)cols);
    unsigned char *biases = data + biases_offset(t, stored.dtype);
    if (stored.dtype == VIT__INT4) memset(data, 0x88, biases_offset(t, VIT__INT4));
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) put_random_weight(t, data, stored, r, c, scale, state);
        put_f32(biases + 4 * padded_index(r, t->rows), 0.3f * random_float(state));
        if (stored.dtype == VIT__INT8)
            put_scale_and_sum(t, data, r,
                              scale / (float)stored.range * (1.5f + random_float(state)));
    }
}

static inline void random_rows(const vit__tensor *t, float *data, uint32_t *state) {
    int is_norm = t->role == VIT__NORM || t->role == VIT__NORM1 || t->role == VIT__NORM2;
    size_t stride = (size_t)(t->cols + 15) / 16 * 16;
    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->cols; c++)
            data[(size_t)r * stride + (size_t)c] =
                random_float(state) * 0.5f + (is_norm && r == 0 ? 1.0f : 0.0f);
    }
}

/* Where the parts of a file lie. */
typedef struct model_layout {
    uint32_t header_size, entry_size, tensor_count, chunks_offset, labels_offset, head_size;
    size_t size;
} model_layout;

static inline size_t size_of(const model_parts *parts, uint32_t index) {
    vit__tensor t = vit__tensor_at(&parts->config, (int)index);
    return vit__tensor_size(&t, stored_dtype_of(parts->dtype, &t).dtype);
}

static inline model_layout lay_out(const model_parts *parts) {
    model_layout l;
    l.header_size = parts->header_size ? parts->header_size : 384;
    l.entry_size = parts->entry_size ? parts->entry_size : 48;
    l.tensor_count = (uint32_t)vit__tensor_count(&parts->config);
    l.chunks_offset = l.header_size + l.tensor_count * l.entry_size;
    l.labels_offset = l.chunks_offset + parts->chunks * 24;
    l.head_size = (l.labels_offset + (uint32_t)parts->labels_size + 63) / 64 * 64;
    l.size = l.head_size + (size_t)parts->chunks * 64;
    for (uint32_t i = 0; i < l.tensor_count; i++) l.size += size_of(parts, i);
    return l;
}

static inline void put_header(unsigned char *h, const model_parts *parts, const model_layout *l) {
    static const unsigned char magic[8] = {0x89, 'V', 'I', 'T', 13, 10, 26, 10};
    const uint32_t words[] = {1, 0, l->head_size, l->header_size};
    const uint32_t more[] = {0,
                             l->entry_size,
                             l->tensor_count,
                             l->header_size,
                             l->labels_offset,
                             (uint32_t)parts->labels_size,
                             parts->chunks,
                             l->chunks_offset};
    memcpy(h, magic, sizeof(magic));
    for (size_t i = 0; i < COUNT_OF(words); i++) put_u32(h + 8 + 4 * i, words[i]);
    put_u64(h + 24, l->size);
    for (size_t i = 0; i < COUNT_OF(more); i++) put_u32(h + 32 + 4 * i, more[i]);
    put_config(h, &parts->config);
}

static inline void put_chunks(unsigned char *file, const model_layout *l, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *entry = file + l->chunks_offset + i * 24;
        uint64_t offset = l->size - (uint64_t)(count - i) * 64;
        put_u32(entry, 0x6B6E756A); /* "junk" */
        put_u64(entry + 8, offset);
        put_u64(entry + 16, 64);
        memset(file + offset, 'x', 64);
    }
}

/* A file of these parts with random weights. */
static inline model_file model_make(const model_parts *parts, uint32_t seed) {
    model_layout l = lay_out(parts);
    model_file file;
    uint64_t offset = l.head_size;
    file.size = l.size;
    file.memory = (unsigned char *)allocate(l.size + 64);
    file.data = file.memory + (64 - (uintptr_t)file.memory % 64) % 64;
    memset(file.data, 0, l.size);
    put_header(file.data, parts, &l);
    for (uint32_t i = 0; i < l.tensor_count; i++) {
        vit__tensor t = vit__tensor_at(&parts->config, (int)i);
        stored_dtype stored = stored_dtype_of(parts->dtype, &t);
        put_entry(file.data + l.header_size + i * l.entry_size, &t, stored, offset);
        if (t.order == VIT__PANELS) random_matrix(&t, file.data + offset, stored, &seed);
        if (t.order == VIT__ROWS) random_rows(&t, (float *)(void *)(file.data + offset), &seed);
        offset += size_of(parts, i);
    }
    put_chunks(file.data, &l, parts->chunks);
    if (parts->labels_size > 0)
        memcpy(file.data + l.labels_offset, parts->labels, parts->labels_size);
    seal(file.data);
    return file;
}

static inline void model_free(model_file *file) {
    free(file->memory);
}

/* The same with nothing but a config, opened and verified. */
static inline model_file model_make_dtype(const vit_config *config, vit_dtype dtype, uint32_t seed,
                                          vit_model *model) {
    model_parts parts;
    memset(&parts, 0, sizeof(parts));
    parts.config = *config;
    parts.dtype = dtype;
    model_file file = model_make(&parts, seed);
    assert_status(vit_model_open(model, file.data, file.size), VIT_OK, "open");
    assert_status(vit_model_verify(model), VIT_OK, "verify");
    return file;
}

static inline model_file model_make_open(const vit_config *config, uint32_t seed,
                                         vit_model *model) {
    return model_make_dtype(config, VIT_F32, seed, model);
}

/* vit_forward with a workspace of its own, whose guards are checked. */
static inline vit_status forward(const vit_model *model, const vit_options *options,
                                 const void *pixels, int batch, float *logits) {
    size_t need = vit_workspace_size(model, options, batch);
    assert_true(need > 0);
    guarded workspace = guarded_make(need, 0);
    vit_status status =
        vit_forward(model, options, pixels, batch, logits, workspace.bytes, workspace.size);
    guarded_free(&workspace);
    return status;
}

#endif
