/* Gives a .vit file weights of another type, or other labels. */
#ifndef REWRITE_H
#define REWRITE_H

#include "file_map.h"
#include "gptq.h"
#include "vit.h"

/* What rounds the matrices of a model to integers of a dtype: [tensors], to be freed, where those whose
   integers are NULL are rounded to nearest. */
typedef struct rounder {
    rounded *(*round)(const vit_model *model, vit_dtype dtype, const char *photos);
    const char *photos;
} rounder;

/* Write the model of the file `in`, of float32, to the file `out` with weights of a dtype. labels: as
   labels_read takes it; NULL: those of the file. Ends the program if that is not possible. */
void rewrite(const char *in, const char *out, vit_dtype dtype, const char *labels);

/* The same of a file that is open already. by: NULL, or what rounds it otherwise than to nearest. */
void rewrite_map(const file_map *in, const char *out, vit_dtype dtype, const char *labels,
                 const rounder *by);

/* Write a model of any dtype with other labels, and nothing else changed. */
void rewrite_labels(const char *in, const char *out, const char *labels);

#endif
