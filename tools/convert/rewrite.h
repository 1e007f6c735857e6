/* Gives a .vit file of float32 weights another type. */
#ifndef REWRITE_H
#define REWRITE_H

#include "vit.h"

/* Write the model of the file `in` to the file `out` with weights of a dtype. Ends the program if that
   is not possible. */
void rewrite(const char *in, const char *out, vit_dtype dtype);

#endif
