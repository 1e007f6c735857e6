/* Writing a .vit file: the head's numbers and the order of the weights, as vit.h specifies them. */
#ifndef MODEL_WRITER_H
#define MODEL_WRITER_H

#include "vit.h"

#include <stdio.h>

typedef struct model_writer {
    vit_config config; /* as it is read back from the header */
    vit_dtype dtype;
    const char *path;
    char *temporary; /* in the same folder; renamed to path at the end */
    FILE *file;
    unsigned char *head; /* filled in as the tensors pass */
    size_t head_size;
    int index;             /* of the next tensor */
    unsigned char *tensor; /* one tensor as it lies in the file; room for the largest */
    float *row;            /* one row, not padded */
    float *padded;         /* the same, padded */
    signed char *integers; /* the same as integers */
    int finite;            /* whether all values of the tensor are */
} model_writer;

/* Fetch one row of a tensor, not padded: the weights of one output of a matrix, or one row. */
typedef void (*row_reader)(const void *source, size_t row, float *values);

/* Start a file. labels: the config's num_classes strings, each ended by NUL, or NULL. */
void model_writer_begin(model_writer *w, const char *path, const vit_config *config,
                        vit_dtype dtype, const char *labels, size_t labels_size);

/* Write the next tensor, in the order that vit.h lists. bias: [outputs] of a matrix, NULL: zeros.
   Values that are not finite are noted by the tensor's name; where the dtype cannot have them, and
   where values are too large for it, that is an error. */
void model_writer_add(model_writer *w, const char *name, row_reader read_row, const void *source,
                      const float *bias);

/* Complete the file and give it its name. */
void model_writer_end(model_writer *w);

/* Whether a text can be a label: UTF-8 without control characters. */
int text_is_valid(const char *text);

/* The vit_dtype of a name; -1: there is none. */
int dtype_find(const char *name);

#endif
