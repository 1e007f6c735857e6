/* The one file of vit-convert with the implementation of vit.h, whose tables of header fields and roles
   it walks. No kernels: the converter computes nothing. */
#define VIT_NO_THREADS
#define VIT_NO_SIMD
#define VIT_IMPLEMENTATION
#include "model_writer.h"

#include "dtypes.h"
#include "quantize.h"
#include "report.h"

#include <assert.h>
#include <errno.h>

static void put_u32(unsigned char *p, size_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static void put_u64(unsigned char *p, uint64_t value) {
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(value >> 8 * i);
}

/* A tensor's entry without its checksum. */
static void put_entry(unsigned char *entry, const vit__tensor *t, stored_dtype stored,
                      uint64_t offset) {
    if (!vit__dtype_is_valid(t, stored.dtype, (uint32_t)stored.range))
        fail("--dtype: a matrix has too many inputs for 8 bits, which is %zu", t->padded_cols);
    put_u32(entry, (size_t)t->role);
    put_u32(entry + 4, (size_t)t->block);
    put_u32(entry + 8, (size_t)stored.dtype);
    put_u32(entry + 12, (size_t)t->order);
    put_u32(entry + 16, (size_t)(t->rows * t->rows_repeat));
    put_u32(entry + 20, (size_t)(t->cols * t->cols_repeat));
    put_u32(entry + 24, (size_t)stored.range);
    put_u64(entry + 32, offset);
    put_u64(entry + 40, vit__tensor_size(t, stored.dtype));
}

/* Directory entry of a tensor in the model that the file takes its weights from. */
static const unsigned char *backbone_entry(const model_writer *w, const vit__tensor *t) {
    int index = vit__tensor_index(&w->backbone->config, t->role, t->block);
    return vit__entry(w->backbone->data, index);
}

static stored_dtype stored_as(const model_writer *w, const vit__tensor *t) {
    if (w->backbone == NULL || t->role == VIT__HEAD) return stored_dtype_of(w->dtype, t);
    const unsigned char *entry = backbone_entry(w, t);
    stored_dtype stored = {(vit__dtype)vit__u32(entry + 8), (int)vit__u32(entry + 24)};
    return stored;
}

/* The head without its checksum and those of the tensors. */
static void put_layout(model_writer *w, size_t labels_size) {
    const vit_config *c = &w->config;
    unsigned char *h = w->head;
    size_t count = (size_t)vit__tensor_count(c),
           labels = VIT__HEADER_SIZE + count * VIT__ENTRY_SIZE;
    uint64_t offset = w->head_size;
    memcpy(h, vit__magic, sizeof(vit__magic));
    put_u32(h + 8, VIT__FORMAT_VERSION);
    put_u32(h + 16, w->head_size);
    put_u32(h + 20, VIT__HEADER_SIZE);
    put_u32(h + 36, VIT__ENTRY_SIZE);
    put_u32(h + 40, count);
    put_u32(h + 44, VIT__HEADER_SIZE);
    put_u32(h + 48, labels_size > 0 ? labels : 0);
    put_u32(h + 52, labels_size);
    for (size_t i = 0; i < count; i++) {
        vit__tensor t = vit__tensor_at(c, (int)i);
        stored_dtype stored = stored_as(w, &t);
        put_entry(h + VIT__HEADER_SIZE + i * VIT__ENTRY_SIZE, &t, stored, offset);
        offset += vit__tensor_size(&t, stored.dtype);
    }
    put_u64(h + 24, offset);
}

/* Make the head. The config is checked as a reader checks it, before any size is computed from it. */
static void make_head(model_writer *w, const vit_config *config, const char *labels,
                      size_t labels_size) {
    unsigned char header[VIT__HEADER_SIZE] = {0};
    vit__write_config(header, config);
    memcpy(header + VIT__NAME_OFFSET, config->architecture,
           strlen(config->architecture)); /* at most 63 */
    if (vit__read_config(header, &w->config) != VIT_OK)
        fail("%s: a size or a number of the recipe is out of the format's range", w->path);
    size_t before_labels = VIT__HEADER_SIZE + (size_t)vit__tensor_count(config) * VIT__ENTRY_SIZE;
    w->head_size = vit__round_up(vit__add(before_labels, labels_size), VIT__ALIGN);
    if (w->head_size > UINT32_MAX) fail("%s: the labels are too long", w->path);
    w->head = allocate(w->head_size, 1);
    memcpy(w->head, header, sizeof(header));
    put_layout(w, labels_size);
    if (labels_size > 0) memcpy(w->head + before_labels, labels, labels_size);
    w->config.architecture = (const char *)w->head + VIT__NAME_OFFSET;
}

static void make_buffers(model_writer *w) {
    size_t largest = 0, longest = 0;
    for (int i = 0; i < vit__tensor_count(&w->config); i++) {
        vit__tensor t = vit__tensor_at(&w->config, i);
        largest = vit__larger(largest, vit__tensor_size(&t, stored_as(w, &t).dtype));
        longest = vit__larger(longest, t.padded_cols);
    }
    w->tensor = allocate(largest, 1);
    w->row = allocate(longest, sizeof(float));
    w->padded = allocate(longest, sizeof(float));
    w->integers = allocate(longest, 1);
}

/* The head, buffers and the file, with w->path, dtype and backbone set. */
static void begin(model_writer *w, const vit_config *config, const char *labels,
                  size_t labels_size) {
    if (!vit__is_little_endian()) fail("%s", vit_status_string(VIT_ERROR_BYTE_ORDER));
    make_head(w, config, labels, labels_size);
    make_buffers(w);
    w->output = new_file_open(w->path);
    new_file_write(&w->output, w->head, w->head_size); /* room for it */
}

void model_writer_begin(model_writer *w, const char *path, const vit_config *config,
                        vit_dtype dtype, const char *labels, size_t labels_size) {
    memset(w, 0, sizeof(*w));
    w->path = path;
    w->dtype = dtype;
    begin(w, config, labels, labels_size);
}

void model_writer_begin_from(model_writer *w, const char *path, const vit_config *config,
                             const vit_model *backbone, const char *labels, size_t labels_size) {
    memset(w, 0, sizeof(*w));
    w->path = path;
    w->dtype = vit_model_dtype(backbone);
    w->backbone = backbone;
    if (vit__u32(backbone->data + 56) > 0)
        note("%s: the backbone's chunks, of which nothing is known, are left out", path);
    begin(w, config, labels, labels_size);
}

static int all_finite(const float *values, size_t count) {
    int finite = 1;
    for (size_t i = 0; i < count; i++) finite &= vit__is_finite(values[i]);
    return finite;
}

/* ---- one output of a matrix: w->padded, [K], into its panel; returns whether it fits -------- */

/* The writable address in w->tensor for an address that vit__matrix_at has given. */
static void *within(const model_writer *w, const vit__matrix *m, const void *place) {
    return w->tensor + ((const unsigned char *)place - m->weights);
}

/* The panel of output n, [K][16] or as the dtype has it. */
static unsigned char *panel_of(const model_writer *w, const vit__matrix *m, size_t n) {
    return w->tensor + n / VIT__PANEL * m->panel_size;
}

static int store_f32(model_writer *w, const vit__matrix *m, size_t n) {
    float *to = (float *)(void *)panel_of(w, m, n) + n % VIT__PANEL;
    for (size_t k = 0; k < m->inputs; k++) to[k * VIT__PANEL] = w->padded[k];
    return 1;
}

static int store_half(model_writer *w, const vit__matrix *m, size_t n) {
    uint16_t *to = (uint16_t *)(void *)panel_of(w, m, n) + n % VIT__PANEL;
    int is_f16 = m->dtype == VIT__F16, fits = 1;
    for (size_t k = 0; k < m->inputs; k++) {
        uint16_t half = is_f16 ? quantize_f16(w->padded[k]) : quantize_bf16(w->padded[k]);
        float back = is_f16 ? dequantize_f16(half) : dequantize_bf16(half);
        fits &= vit__is_finite(back) || !vit__is_finite(w->padded[k]);
        to[k * VIT__PANEL] = half;
    }
    return fits;
}

/* The scale and the integers of output n, in w->integers, of int8 ... */
static float round_int8(model_writer *w, const vit__matrix *m, size_t n) {
    if (w->given == NULL) return quantize_int8(w->padded, m->inputs, m->range, w->integers);
    memcpy(w->integers, w->given->integers + n * m->inputs, m->inputs);
    return w->given->scales[n];
}

/* ... and, as f16, of its `count` inputs from k on, of int4. */
static uint16_t round_int4(model_writer *w, const vit__matrix *m, size_t n, size_t k,
                           size_t count) {
    if (w->given == NULL) return quantize_int4(w->padded + k, NULL, count, w->integers + k);
    memcpy(w->integers + k, w->given->integers + n * m->inputs + k, count);
    return quantize_f16(w->given->scales[n * vit__groups(m->inputs) + k / VIT__GROUP]);
}

/* Panels [K / 4][16][4]. */
static int store_int8(model_writer *w, const vit__matrix *m, size_t n) {
    unsigned char *panel = panel_of(w, m, n) + n % VIT__PANEL * 4;
    if (!all_finite(w->padded, m->inputs)) return 0;
    float scale = round_int8(w, m, n);
    int32_t sum = 0;
    for (size_t k = 0; k < m->inputs; k++) {
        panel[k / 4 * 64 + k % 4] = (unsigned char)w->integers[k];
        sum += w->integers[k];
    }
    ((float *)within(w, m, m->scales))[n] = scale;
    ((int32_t *)within(w, m, m->sums))[n] = sum;
    return 1;
}

/* Panels [K / 8][16][4], k and k + 4 in one byte; scales [N / 16][G][16]. */
static int store_int4(model_writer *w, const vit__matrix *m, size_t n) {
    unsigned char *panel = panel_of(w, m, n) + n % VIT__PANEL * 4;
    size_t groups = vit__groups(m->inputs);
    uint16_t *scales = (uint16_t *)within(w, m, m->group_scales) +
                       n / VIT__PANEL * groups * VIT__PANEL + n % VIT__PANEL;
    if (!all_finite(w->padded, m->inputs)) return 0;
    for (size_t k = 0; k < m->inputs; k += VIT__GROUP, scales += VIT__PANEL) {
        size_t count = m->inputs - k < VIT__GROUP ? m->inputs - k : VIT__GROUP;
        *scales = round_int4(w, m, n, k, count);
        if (!vit__is_finite(dequantize_f16(*scales))) return 0;
    }
    for (const signed char *q = w->integers; q < w->integers + m->inputs; q += 8, panel += 64) {
        for (int j = 0; j < 4; j++) panel[j] = (unsigned char)((q[j] + 8) | (q[j + 4] + 8) << 4);
    }
    return 1;
}

/* ---- tensors ------------------------------------------------------------------------------- */

static void fill_rows(model_writer *w, const vit__tensor *t, row_reader read_row,
                      const void *source) {
    for (size_t r = 0; r < (size_t)t->rows; r++)
        read_row(source, r, (float *)(void *)w->tensor + r * t->padded_cols);
}

/* row, [cols_repeat][cols], becomes padded, [K]. */
static void pad_row(model_writer *w, const vit__tensor *t) {
    size_t cols = (size_t)t->cols, stride = vit__round16(t->cols);
    memset(w->padded, 0, t->padded_cols * sizeof(float));
    for (size_t part = 0; part < (size_t)t->cols_repeat; part++)
        memcpy(w->padded + part * stride, w->row + part * cols, cols * sizeof(float));
}

/* Returns whether the weights fit the matrix's dtype. */
static int fill_panels(model_writer *w, const vit__tensor *t, const vit__matrix *m,
                       row_reader read_row, const void *source, const float *bias) {
    static int (*const store[VIT__DTYPE_COUNT])(model_writer *, const vit__matrix *, size_t) = {
        store_f32, store_half, store_half, store_int8, store_int4};
    float *biases = within(w, m, m->bias);
    int fits = 1;
    if (m->dtype == VIT__INT4) /* zeros */
        memset(w->tensor, 0x88, m->outputs / VIT__PANEL * m->panel_size);
    for (size_t row = 0; row < (size_t)t->rows * (size_t)t->rows_repeat; row++) {
        size_t part = row / (size_t)t->rows,
               n = part * vit__round16(t->rows) + row % (size_t)t->rows;
        read_row(source, row, w->row);
        w->finite &= all_finite(w->row, (size_t)t->cols * (size_t)t->cols_repeat);
        pad_row(w, t);
        fits &= store[m->dtype](w, m, n);
        if (bias != NULL) biases[n] = bias[row];
    }
    w->finite &= all_finite(biases, m->outputs);
    return fits;
}

void model_writer_add(model_writer *w, const char *name, row_reader read_row, const void *source,
                      const float *bias) {
    vit__tensor t = vit__tensor_at(&w->config, w->index);
    stored_dtype stored = stored_as(w, &t);
    vit__matrix m = vit__matrix_at(w->tensor, &t, stored.dtype, stored.range);
    size_t size = vit__tensor_size(&t, stored.dtype);
    memset(w->tensor, 0, size);
    w->finite = 1;
    if (t.order == VIT__ROWS) {
        fill_rows(w, &t, read_row, source);
        w->finite = all_finite((const float *)(const void *)w->tensor, size / sizeof(float));
    } else if (!fill_panels(w, &t, &m, read_row, source, bias)) {
        fail("%s: some values are too large for %s, or not finite", name,
             vit_dtype_name(vit__dtype_of(m.dtype, m.range)));
    }
    if (!w->finite) note("%s: some values are not finite", name);
    new_file_write(&w->output, w->tensor, size);
    put_u32(w->head + VIT__HEADER_SIZE + (size_t)w->index++ * VIT__ENTRY_SIZE + 28,
            vit__xxh32(w->tensor, size));
}

void model_writer_add_rounded(model_writer *w, const char *name, row_reader read_row,
                              const void *source, const float *bias, const rounded *given) {
    w->given = given;
    model_writer_add(w, name, read_row, source, bias);
    w->given = NULL;
}

void model_writer_copy(model_writer *w) {
    vit__tensor t = vit__tensor_at(&w->config, w->index);
    const unsigned char *entry = backbone_entry(w, &t);
    assert(w->backbone != NULL && t.role != VIT__HEAD);
    new_file_write(&w->output, w->backbone->data + vit__u64(entry + 32),
                   (size_t)vit__u64(entry + 40));
    put_u32(w->head + VIT__HEADER_SIZE + (size_t)w->index++ * VIT__ENTRY_SIZE + 28,
            vit__u32(entry + 28));
}

int model_writer_next(const model_writer *w, vit_tensor *tensor) {
#define ROLE_TEXT(role, name, order, rows, rows_repeat, cols, cols_repeat) name,
    static const char *const names[VIT__ROLE_COUNT] = {VIT__ROLE_LIST(ROLE_TEXT)};
#undef ROLE_TEXT
    if (w->index >= vit__tensor_count(&w->config)) return 0;
    vit__tensor t = vit__tensor_at(&w->config, w->index);
    memset(tensor, 0, sizeof(*tensor));
    tensor->name = names[t.role];
    tensor->block = t.block;
    tensor->is_matrix = t.order == VIT__PANELS;
    tensor->rows = t.rows * t.rows_repeat, tensor->cols = t.cols * t.cols_repeat;
    return 1;
}

void model_writer_end(model_writer *w) {
    assert(w->index == vit__tensor_count(&w->config));
    put_u32(w->head + 12, vit__xxh32(w->head + 16, w->head_size - 16));
    if (fseek(w->output.file, 0, SEEK_SET) != 0) fail("%s: %s", w->path, strerror(errno));
    new_file_write(&w->output, w->head, w->head_size);
    new_file_finish(&w->output);
    new_file_commit(&w->output);
    free(w->head);
    free(w->tensor);
    free(w->row);
    free(w->padded);
    free(w->integers);
}

float *model_resample(const float *positions, const int old[2], const int size[2], int dim,
                      vit_pos_resample method) {
    vit__pos_grid grid = {positions, old[0], old[1], (size_t)dim, method};
    float *rows = allocate((size_t)size[0] * (size_t)size[1] * grid.dim, sizeof(float));
    for (int at = 0; at < size[0] * size[1]; at++)
        vit__add_position(&grid, size[0], size[1], at, rows + (size_t)at * grid.dim);
    return rows;
}

size_t text_valid_length(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    size_t size = strlen(text), valid = 0, length;
    while (valid < size && (length = vit__utf8_length(p + valid, size - valid)) > 0)
        valid += length;
    return valid;
}

int text_is_valid(const char *text) {
    return text[text_valid_length(text)] == 0;
}

/* ---- tensors of an open model --------------------------------------------------------------- */

/* Index with padding of row (or input) i of repeat * part, each part padded to a multiple of 16. */
static size_t padded_index(size_t i, int part) {
    return i / (size_t)part * vit__round16(part) + i % (size_t)part;
}

/* The f32 data of tensor `index`, and its shape. */
static const float *floats_of(const vit_model *model, int index, vit__tensor *t) {
    *t = vit__tensor_at(&model->config, index);
    return vit__tensor_data(model, t->role, t->block);
}

void model_read_row(const vit_model *model, int index, size_t row, float *values) {
    vit__tensor t;
    const float *floats = floats_of(model, index, &t);
    size_t cols = (size_t)t.cols * (size_t)t.cols_repeat, n = padded_index(row, t.rows);
    const float *panel = floats + n / VIT__PANEL * t.padded_cols * VIT__PANEL + n % VIT__PANEL;
    for (size_t i = 0; i < cols; i++) {
        values[i] = t.order == VIT__PANELS ? panel[padded_index(i, t.cols) * VIT__PANEL]
                                           : floats[row * t.padded_cols + i];
    }
}

float *model_read_bias(const vit_model *model, int index) {
    vit__tensor t;
    const float *floats = floats_of(model, index, &t);
    size_t count = (size_t)t.rows * (size_t)t.rows_repeat;
    if (t.order != VIT__PANELS) return NULL;
    const float *from = floats + t.padded_rows * t.padded_cols;
    float *bias = allocate(count, sizeof(float));
    for (size_t i = 0; i < count; i++) bias[i] = from[padded_index(i, t.rows)];
    return bias;
}

/* ---- other labels --------------------------------------------------------------------------- */

/* Offsets in `count` entries, at the same place in each, after the head has become longer. */
static void move_offsets(unsigned char *entries, size_t count, size_t entry_size, size_t place,
                         uint64_t difference) {
    for (size_t i = 0; i < count; i++) {
        unsigned char *offset = entries + i * entry_size + place;
        put_u64(offset, vit__u64(offset) + difference);
    }
}

/* A copy of the old head as far as its labels, or the whole if something else follows them, and then
   the new ones. */
static void make_relabelled_head(model_writer *w, const unsigned char *file, const char *labels,
                                 size_t labels_size) {
    size_t old_size = vit__u32(file + 16), kept = old_size;
    size_t directory = vit__u32(file + 44), count = vit__u32(file + 40);
    size_t chunks = vit__u32(file + 60), chunk_count = vit__u32(file + 56);
    size_t directory_end = directory + count * vit__u32(file + 36);
    size_t chunks_end = chunk_count > 0 ? chunks + chunk_count * VIT__CHUNK_SIZE : directory_end;
    size_t end = vit__larger(vit__larger(directory_end, chunks_end), vit__u32(file + 20));
    if (vit__u32(file + 52) == 0 || vit__u32(file + 48) >= end) kept = end;
    w->head_size = vit__round_up(vit__add(kept, labels_size), VIT__ALIGN);
    if (w->head_size > UINT32_MAX) fail("%s: the labels are too long", w->path);
    w->head = allocate(w->head_size, 1);
    memcpy(w->head, file, kept);
    memcpy(w->head + kept, labels, labels_size);
    uint64_t difference = (uint64_t)w->head_size - old_size; /* modulo 2^64 where it is below 0 */
    put_u32(w->head + 16, w->head_size);
    put_u64(w->head + 24, vit__u64(file + 24) + difference);
    put_u32(w->head + 48, kept);
    put_u32(w->head + 52, labels_size);
    move_offsets(w->head + directory, count, vit__u32(file + 36), 32, difference);
    move_offsets(w->head + chunks, chunk_count, VIT__CHUNK_SIZE, 8, difference);
    put_u32(w->head + 12, vit__xxh32(w->head + 16, w->head_size - 16));
}

void model_relabel(const vit_model *model, const char *path, const char *labels,
                   size_t labels_size) {
    model_writer w;
    size_t old_size = vit__u32(model->data + 16);
    memset(&w, 0, sizeof(w));
    w.path = path;
    make_relabelled_head(&w, model->data, labels, labels_size);
    w.output = new_file_open(path);
    new_file_write(&w.output, w.head, w.head_size);
    new_file_write(&w.output, model->data + old_size, model->size - old_size);
    new_file_finish(&w.output);
    new_file_commit(&w.output);
    free(w.head);
}
