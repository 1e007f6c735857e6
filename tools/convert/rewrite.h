/* Gives a .vit file weights of another type, or other labels. */
#ifndef REWRITE_H
#define REWRITE_H

#include "vit.h"

/* Write the model of the file `in`, of float32, to the file `out` with weights of a dtype. labels: as
   labels_read takes it; NULL: those of the file. Ends the program if that is not possible. */
void rewrite(const char *in, const char *out, vit_dtype dtype, const char *labels);

/* Write a model of any dtype with other labels, and nothing else changed. */
void rewrite_labels(const char *in, const char *out, const char *labels);

#endif
