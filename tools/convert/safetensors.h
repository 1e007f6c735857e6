/* Reading .safetensors files: https://huggingface.co/docs/safetensors, one or several shards. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "file_map.h"

typedef enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_OTHER } tensor_type;

#define TENSOR_RANK 4 /* the highest that a Vision Transformer has */

/* A tensor in the mapped file: C order, little-endian, at any alignment. */
typedef struct tensor {
    char *name;
    const char *file;
    tensor_type type;
    size_t rank;
    size_t shape[TENSOR_RANK]; /* the first dimensions where rank is higher */
    const unsigned char *data;
    size_t size; /* bytes */
    int used;    /* for the caller: whether the model takes it */
} tensor;

typedef struct checkpoint {
    file_map *files;
    size_t file_count;
    tensor *tensors; /* in the order of their names */
    size_t count;
} checkpoint;

/* Open a file, or the shards that an index lists. Everything but the values is checked. */
checkpoint checkpoint_open(const char *path);
checkpoint checkpoint_open_index(const char *path);

void checkpoint_close(checkpoint *c);

/* NULL where there is none. */
tensor *checkpoint_find(const checkpoint *c, const char *name);

/* Elements [first, first + count) of a tensor of a type other than TENSOR_OTHER, exactly. */
void tensor_read(const tensor *t, size_t first, size_t count, float *values);

#endif
