#include "tensor.h"

#include "quantize.h"
#include "zip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    tensor_type type;
} dtypes[] = {
    {"F32", 4, TENSOR_F32},       {"F16", 2, TENSOR_F16},       {"BF16", 2, TENSOR_BF16},
    {"F64", 8, TENSOR_F64},       {"I64", 8, TENSOR_OTHER},     {"I32", 4, TENSOR_OTHER},
    {"I16", 2, TENSOR_OTHER},     {"I8", 1, TENSOR_OTHER},      {"U64", 8, TENSOR_OTHER},
    {"U32", 4, TENSOR_OTHER},     {"U16", 2, TENSOR_OTHER},     {"U8", 1, TENSOR_OTHER},
    {"BOOL", 1, TENSOR_OTHER},    {"F8_E4M3", 1, TENSOR_OTHER}, {"F8_E5M2", 1, TENSOR_OTHER},
    {"F8_E8M0", 1, TENSOR_OTHER}, {"C64", 8, TENSOR_OTHER},     {"C128", 16, TENSOR_OTHER},
};

int tensor_set_type(tensor *t, const char *dtype) {
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(dtypes[i].name, dtype) != 0) continue;
        t->type = dtypes[i].type;
        t->dtype = dtypes[i].name;
        t->element_size = dtypes[i].size;
        return 1;
    }
    return 0;
}

/* The product of all dimensions but those of 0, so that their order does not matter. */
static size_t volume(const tensor *t) {
    size_t product = 1;
    for (size_t i = 0; i < t->rank; i++) product *= t->shape[i] > 0 ? t->shape[i] : 1;
    return product;
}

int tensor_add_dimension(tensor *t, size_t length) {
    size_t most = SIZE_MAX / 16 / volume(t); /* 16: bytes of the largest element */
    if (t->rank == TENSOR_RANK || length > most) return 0;
    t->shape[t->rank++] = length;
    return 1;
}

static int is_contiguous(const tensor *t) {
    size_t stride = 1;
    for (size_t i = t->rank; i-- > 0;) {
        if (t->shape[i] != 1 && t->strides[i] != stride) return 0;
        stride *= t->shape[i];
    }
    return 1;
}

void tensor_set_strides(tensor *t, int fortran) {
    size_t stride = 1;
    for (size_t i = 0; i < t->rank; i++) {
        size_t axis = fortran ? i : t->rank - 1 - i;
        t->strides[axis] = stride;
        stride *= t->shape[axis];
    }
}

size_t tensor_count(const tensor *t) {
    size_t count = 1;
    for (size_t i = 0; i < t->rank; i++) count *= t->shape[i];
    return count;
}

size_t tensor_shape(const tensor *t, size_t shape[TENSOR_RANK]) {
    size_t rank = 0;
    for (size_t i = 0; i < t->rank; i++) {
        if (i > 0 && (t->joined >> i & 1) != 0) shape[rank - 1] *= t->shape[i];
        else shape[rank++] = t->shape[i];
    }
    return rank;
}

int tensor_extent(const tensor *t, size_t *extent) {
    *extent = 0;
    if (tensor_count(t) == 0) return 1;
    size_t last = 0, most = SIZE_MAX / 16 - 1;
    for (size_t i = 0; i < t->rank; i++) {
        size_t steps = t->shape[i] - 1;
        if (steps > 0 && t->strides[i] > (most - last) / steps) return 0;
        last += steps * t->strides[i];
    }
    *extent = last + 1;
    return 1;
}

/* ---- elements ---- */

static uint64_t load(const tensor *t, const unsigned char *p) {
    uint64_t bits = 0;
    size_t size = t->element_size;
    for (size_t i = 0; i < size; i++) bits = bits << 8 | p[t->big_endian ? i : size - 1 - i];
    return bits;
}

/* To nearest; what is too large becomes infinite, as IEEE 754 has it. */
static float round_f64(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof(value));
    return (float)value;
}

static float decode(const tensor *t, const unsigned char *p) {
    uint64_t bits = load(t, p);
    uint32_t word = (uint32_t)bits;
    float value;
    if (t->type == TENSOR_F64) return round_f64(bits);
    if (t->type == TENSOR_F16) return dequantize_f16((uint16_t)bits);
    if (t->type == TENSOR_BF16) return dequantize_bf16((uint16_t)bits);
    memcpy(&value, &word, sizeof(value));
    return value;
}

static void read_halves(const tensor *t, const unsigned char *p, size_t count, float *values) {
    for (size_t i = 0; i < count; i++, p += 2) {
        uint16_t half = (uint16_t)(p[0] | p[1] << 8);
        values[i] = t->type == TENSOR_BF16 ? dequantize_bf16(half) : dequantize_f16(half);
    }
}

/* Elements that are `stride` elements apart. */
static void read_run(const tensor *t, const unsigned char *p, size_t stride, size_t count,
                     float *values) {
    int plain = stride == 1 && !t->big_endian;
    if (plain && t->type == TENSOR_F32) {
        memcpy(values, p, count * sizeof(float));
    } else if (plain && t->element_size == 2) {
        read_halves(t, p, count, values);
    } else {
        for (size_t i = 0; i < count; i++) values[i] = decode(t, p + i * stride * t->element_size);
    }
}

static const unsigned char *start_of(const tensor *t) {
    return t->packed != NULL ? zip_bytes(t->packed) + t->packed_offset : t->data;
}

/* The piece that has element `index`, counted in C order. */
static const tensor *find_piece(const tensor *t, size_t index) {
    if (t->pieces == NULL) return t;
    for (size_t i = t->rank - 1; i > t->piece_axis; i--) index /= t->shape[i];
    return &t->pieces[index % t->piece_count];
}

/* The place of element `index` of the whole in its piece, in which the axis of pieces has stride 0. */
static size_t find_place(const tensor *whole, const tensor *piece, size_t index) {
    size_t place = 0;
    for (size_t i = whole->rank; i-- > 0; index /= whole->shape[i])
        place += index % whole->shape[i] * piece->strides[i];
    return place;
}

void tensor_read(const tensor *t, size_t first, size_t count, float *values) {
    if (count == 0) return;
    if (t->pieces == NULL && is_contiguous(t)) {
        read_run(t, start_of(t) + first * t->element_size, 1, count, values);
        return;
    }
    size_t last = t->rank - 1, row = t->shape[last];
    while (count > 0) {
        size_t run = row - first % row;
        if (run > count) run = count;
        const tensor *piece = find_piece(t, first);
        size_t place = find_place(t, piece, first);
        read_run(piece, start_of(piece) + place * piece->element_size, piece->strides[last], run,
                 values);
        first += run, values += run, count -= run;
    }
}

void tensor_free(tensor *t) {
    free(t->name);
    free(t->original);
    free(t->pieces);
}
