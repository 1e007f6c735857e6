/* A .vit file of float32 weights as one of another type. */
#ifndef REWRITE_H
#define REWRITE_H

#include "vit.h"

/* Write the model in the file `in` to the file `out` with weights of a dtype. Ends the program where
   that is not possible. */
void rewrite(const char *in, const char *out, vit_dtype dtype);

#endif
