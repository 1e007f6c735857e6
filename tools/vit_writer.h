/* Writing a .vit file: the head's numbers and the order of the weights, as vit.h specifies them. */
#ifndef VIT_WRITER_H
#define VIT_WRITER_H

#include "vit.h"

#include <stdio.h>

typedef struct vit_writer {
    vit_config config; /* as it is read back from the header */
    const char *path;
    char *temporary; /* in the same folder; renamed to path at the end */
    FILE *file;
    unsigned char *head; /* filled in as the tensors pass */
    size_t head_size;
    int index;     /* of the next tensor */
    float *tensor; /* one tensor as it lies in the file; room for the largest */
    float *row;    /* one row, not padded */
} vit_writer;

/* Fetch one row of a tensor, not padded: the weights of one output of a matrix, or one row. */
typedef void (*vit_row_reader)(const void *source, size_t row, float *values);

/* Start a file. labels: the config's num_classes strings, each ended by NUL, or NULL. */
void vit_writer_begin(vit_writer *w, const char *path, const vit_config *config, const char *labels,
                      size_t labels_size);

/* Write the next tensor, in the order that vit.h lists. bias: [outputs] of a matrix, NULL: zeros.
   Returns whether all of its values are finite. */
int vit_writer_add(vit_writer *w, vit_row_reader read_row, const void *source, const float *bias);

/* Complete the file and give it its name. */
void vit_writer_end(vit_writer *w);

/* Whether a text can be a label: UTF-8 without control characters. */
int vit_text_is_valid(const char *text);

#endif
