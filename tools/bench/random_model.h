/* ViT models with random weights, for benchmarks: patches of 16, 224 x 224, 1000 classes, as timm's
   vit_tiny, vit_small, vit_base and vit_large. */
#ifndef RANDOM_MODEL_H
#define RANDOM_MODEL_H

#include "vit.h"

/* -1 <= result < 1; state: a linear congruential generator. */
float random_float(uint32_t *state);

/* Write a model to a file. The weights are of a magnitude that keeps the activations near 1. Ends the
   program if that is not possible. */
void random_model_write(const char *path, int embed_dim, int depth, int num_heads, vit_dtype dtype);

#endif
