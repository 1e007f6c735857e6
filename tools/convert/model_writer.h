/* Writes a .vit file: header, directory and weights, as vit.h specifies them. */
#ifndef MODEL_WRITER_H
#define MODEL_WRITER_H

#include "gptq.h"
#include "new_file.h"
#include "vit.h"

typedef struct model_writer {
    vit_config config; /* as read back from the header */
    vit_dtype dtype;
    const vit_model *backbone; /* that model_writer_copy takes tensors from, or NULL */
    const char *path;
    new_file output;
    unsigned char *head; /* completed tensor by tensor */
    size_t head_size;
    int index;             /* of the next tensor */
    unsigned char *tensor; /* one tensor as it is in the file; room for the largest */
    float *row;            /* one row without padding */
    float *padded;         /* one row with padding */
    signed char *integers; /* one row as integers */
    int finite;            /* whether all values of the tensor are */
    const rounded *given;  /* the tensor's integers; NULL: the nearest are taken */
} model_writer;

/* Fetches one row of a tensor without padding; of a matrix: the weights of one output. */
typedef void (*row_reader)(const void *source, size_t row, float *values);

/* Start a file. labels: the config's num_classes strings, each ended by NUL, or NULL. */
void model_writer_begin(model_writer *w, const char *path, const vit_config *config,
                        vit_dtype dtype, const char *labels, size_t labels_size);

/* Start a file that takes all but its head from an open model: model_writer_copy takes each tensor as it
   is there, and the head gets the type that goes with that of the blocks. config: the model's but for
   what the head is and reads, and for the recipe. */
void model_writer_begin_from(model_writer *w, const char *path, const vit_config *config,
                             const vit_model *backbone, const char *labels, size_t labels_size);

/* Write the next tensor, which is not the head, with the bytes that it has in the open model. */
void model_writer_copy(model_writer *w);

/* Write the next tensor, in the order that vit.h lists. bias: [outputs] of a matrix, NULL: zeros.
   Values that are not finite are noted with the tensor's name; they are an error if the dtype cannot
   express them, as are values that are too large for it. */
void model_writer_add(model_writer *w, const char *name, row_reader read_row, const void *source,
                      const float *bias);

/* The same of a matrix that is integers in this dtype and has been rounded already. */
void model_writer_add_rounded(model_writer *w, const char *name, row_reader read_row,
                              const void *source, const float *bias, const rounded *given);

/* The name, the block and the shape of the next tensor; 0 if all are written. */
int model_writer_next(const model_writer *w, vit_tensor *t);

/* Complete the file and give it its name. */
void model_writer_end(model_writer *w);

/* Positions [old height * old width][dim] for a grid of another size, as vit_forward would resample
   them; to be freed. */
float *model_resample(const float *positions, const int old[2], const int size[2], int dim,
                      vit_pos_resample method);

/* Bytes before the first that a label cannot have: one that is not UTF-8, or a control character. */
size_t text_valid_length(const char *text);

/* Whether a text can be a label. */
int text_is_valid(const char *text);

/* Write an open model with other labels, num_classes of them, and all else as it is. */
void model_relabel(const vit_model *model, const char *path, const char *labels,
                   size_t labels_size);

/* A row without padding, as row_reader gives it, of a tensor of f32 in an open model. */
void model_read_row(const vit_model *model, int index, size_t row, float *values);

/* The biases of such a matrix, to be freed; NULL if the tensor is none. */
float *model_read_bias(const vit_model *model, int index);

#endif
