#include "quantize.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* ---- f16, bf16 ----------------------------------------------------------------------------- */

/* bits without the last `count` of them, rounded to nearest, halves to even. A carry out of the
   fraction makes the next exponent, as it should. */
static uint32_t drop_bits(uint32_t bits, int count) {
    uint32_t odd = bits >> count & 1, below_half = (1u << (count - 1)) - 1;
    return (bits + below_half + odd) >> count;
}

/* float: 1 sign, 8 exponent (bias 127), 23 fraction bits; f16: 1, 5 (bias 15), 10. */
uint16_t quantize_f16(float x) {
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, size = bits & 0x7FFFFFFF;
    uint32_t exponent = size >> 23, fraction = size & 0x7FFFFF;
    if (size > 0x7F800000) return (uint16_t)(sign | 0x7E00); /* NaN */
    if (exponent > 142) return (uint16_t)(sign | 0x7C00);    /* 2^16 and more: infinite */
    if (exponent > 112) return (uint16_t)(sign | drop_bits(size - (112u << 23), 13));
    if (exponent < 102) return (uint16_t)sign; /* less than 2^-25: half of the least subnormal */
    return (uint16_t)(sign | drop_bits(fraction | 0x800000, 126 - (int)exponent));
}

uint16_t quantize_bf16(float x) {
    uint32_t bits = bits_of(x);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40); /* a quiet NaN */
    return (uint16_t)drop_bits(bits, 16);
}

float dequantize_f16(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31;
    uint32_t fraction = bits & 1023;
    if (exponent == 0) return ldexpf(sign ? -(float)fraction : (float)fraction, -24);
    return from_bits(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13);
}

float dequantize_bf16(uint16_t bits) {
    return from_bits((uint32_t)bits << 16);
}

/* ---- integers ------------------------------------------------------------------------------ */

/* Symmetric, a scale for each output channel: Wu et al. 2020, "Integer Quantization for Deep
   Learning Inference" (arXiv:2004.09602), 3.1.2 and 3.2. The largest weight becomes +-range. */
float quantize_int8(const float *weights, size_t count, int range, signed char *q) {
    float largest = 0, most = (float)range;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(weights[i]));
    float scale = largest / most;
    for (size_t i = 0; i < count; i++) {
        float steps = scale > 0 ? weights[i] / scale : 0;
        q[i] = (signed char)lrintf(fminf(fmaxf(steps, -most), most));
    }
    return scale;
}

/* A group, with the best scale and integers found so far. */
typedef struct group {
    const float *weights;
    const float *importance; /* of each weight's error; NULL: 1 */
    size_t count;
    uint16_t scale; /* f16 */
    double error;   /* sum of squares */
    signed char q[QUANTIZE_GROUP];
} group;

static double importance_of(const group *g, size_t i) {
    return g->importance == NULL ? 1 : (double)g->importance[i];
}

/* The nearest integers for a scale, kept if they are better than those before. */
static void try_scale(group *g, uint16_t half) {
    float scale = dequantize_f16(half);
    signed char q[QUANTIZE_GROUP];
    double error = 0;
    for (size_t i = 0; i < g->count; i++) {
        float steps = scale < 0 || scale > 0 ? g->weights[i] / scale : 0;
        q[i] = (signed char)lrintf(fminf(fmaxf(steps, -8), 7));
        double difference = (double)g->weights[i] - (double)scale * q[i];
        error += importance_of(g, i) * difference * difference;
    }
    if (!(error < g->error)) return;
    g->scale = half;
    g->error = error;
    memcpy(g->q, q, g->count);
}

/* The scale that fits the integers of a group best, by least squares. */
static float fitted_scale(const group *g) {
    double wq = 0, qq = 0;
    for (size_t i = 0; i < g->count; i++) {
        double q = importance_of(g, i) * g->q[i];
        wq += q * (double)g->weights[i];
        qq += q * g->q[i];
    }
    return qq > 0 ? (float)(wq / qq) : 0;
}

/* The weight of largest magnitude becomes -8 in llama.cpp's Q4_0 (ggml-quants.c,
   quantize_row_q4_0_ref), so that all 16 integers are in use. As its make_qx_quants does, this
   looks at scales around that one and then fits the best by least squares, each as it is stored.
   On the blocks of a DeiT-Tiny the root mean square error is 0.0864 of that of the weights; with
   Q4_0's scale alone 0.0914, with -7 to 7 0.1032, with 25 scales 0.0865. */
uint16_t quantize_int4(const float *weights, const float *importance, size_t count,
                       signed char *q) {
    group g = {weights, importance, count, 0, HUGE_VAL, {0}};
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (fabsf(weights[i]) > fabsf(largest)) largest = weights[i];
    }
    try_scale(&g, 0);
    for (int i = 0; i <= 8; i++) try_scale(&g, quantize_f16(largest / -(7 + 0.25f * (float)i)));
    for (int i = 0; i < 2; i++) try_scale(&g, quantize_f16(fitted_scale(&g)));
    if (isinf(dequantize_f16(quantize_f16(largest / 7)))) g.scale = 0x7C00;
    memcpy(q, g.q, count);
    return g.scale;
}
