/* A tensor of a checkpoint, wherever its bytes are, and its elements as float. */
#ifndef TENSOR_H
#define TENSOR_H

#include <stddef.h>

typedef enum tensor_type {
    TENSOR_F64,
    TENSOR_F32,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_OTHER /* integers and the like: listed, but never weights */
} tensor_type;

#define TENSOR_RANK 8 /* the most dimensions */

typedef struct tensor {
    char *name;
    const char *file;
    tensor_type type;
    const char *dtype;   /* in the words of safetensors: F32, I64 */
    size_t element_size; /* bytes */
    size_t rank, shape[TENSOR_RANK];
    size_t strides[TENSOR_RANK]; /* elements from one index to the next; 0 repeats */
    int big_endian;
    const unsigned char *data; /* element 0, at any alignment; or, in an archive: */
    struct zip_entry *packed;  /* NULL: data says it */
    size_t packed_offset;      /* bytes from the entry's start to element 0 */
    int used;                  /* for the caller: whether the model takes it */

    /* What names.c makes of it, where its axes are others than the model's: */
    char *original;        /* its name in the file; NULL: it has no other */
    unsigned joined;       /* bit i: axis i and the one before it are one of the model's */
    struct tensor *pieces; /* NULL, or tensors that follow each other along an axis, not the last */
    size_t piece_count, piece_axis; /* of length 1 and stride 0 in each */
} tensor;

/* Sets type and element_size by a dtype's name in safetensors. Returns 0 where it is unknown. */
int tensor_set_type(tensor *t, const char *dtype);

/* Adds a dimension. Returns 0 where there are too many, or the bytes would not fit in a size_t. */
int tensor_add_dimension(tensor *t, size_t length);

/* Strides of C order, or with the first index fastest, as in Fortran. */
void tensor_set_strides(tensor *t, int fortran);

/* Elements from the first to after the last, by shape and strides. Returns 0 where they overflow. */
int tensor_extent(const tensor *t, size_t *extent);

/* The shape that a model has it in, where joined axes are one. Returns the rank. */
size_t tensor_shape(const tensor *t, size_t shape[TENSOR_RANK]);

/* Elements by shape. */
size_t tensor_count(const tensor *t);

/* Frees what a tensor owns. */
void tensor_free(tensor *t);

/* Elements [first, first + count) in C order; the type is not TENSOR_OTHER. Exact but for F64, which
   is rounded to nearest. */
void tensor_read(const tensor *t, size_t first, size_t count, float *values);

#endif
