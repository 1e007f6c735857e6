/* .safetensors files: https://huggingface.co/docs/safetensors. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "checkpoint.h"

/* Whether a file begins as one of them does. */
int safetensors_starts(const file_map *file);

/* Adds the tensors, which stay in the file. */
void safetensors_read(checkpoint *c, const file_map *file);

#endif
