/* Weights in fewer bits: rounding, and scales for integers. */
#ifndef QUANTIZE_H
#define QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

/* To IEEE 754's binary16 and to bfloat16, rounded to nearest, halves to even; values that are too
   large become infinite. */
uint16_t quantize_f16(float x);
uint16_t quantize_bf16(float x);

/* Exactly. */
float dequantize_f16(uint16_t bits);
float dequantize_bf16(uint16_t bits);

/* An output's weights, finite, as scale * q with |q| <= range. Returns the scale; 0 where all
   are 0. */
float quantize_int8(const float *weights, size_t count, int range, signed char *q);

/* The largest group of quantize_int4. */
#define QUANTIZE_GROUP 32

/* A group of weights, finite, as scale * q with -8 <= q <= 7. importance: what the square of each one's error
   counts, positive; NULL: all the same. Returns the scale as f16: of either
   sign, 0 where all are 0, infinite where the weights are too large. */
uint16_t quantize_int4(const float *weights, const float *importance, size_t count, signed char *q);

#endif
