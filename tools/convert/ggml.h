/* The file of vit.cpp (ggml-model-f16.bin). */
#ifndef GGML_H
#define GGML_H

#include "checkpoint.h"

int ggml_starts(const file_map *file);

/* Adds the tensors, which stay in the file, and what it says of the model as c->config. */
void ggml_read(checkpoint *c, const file_map *file);

#endif
