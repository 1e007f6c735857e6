/* The library as a program on a computer has it, for tests whose own copy is built otherwise. */
#ifndef HOSTED_H
#define HOSTED_H

#include <stddef.h>

/* The logits of one image in plain C, with the functions of math.h; pixel_type as in vit_options.
   Returns vit_forward's status. */
int hosted_forward(const void *data, size_t size, int pixel_type, const void *pixels,
                   float *logits);

#endif
