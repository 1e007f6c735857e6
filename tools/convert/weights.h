/* The weights, brought into the .vit format's one normal form. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "layouts.h"
#include "model_writer.h"

/* Write all tensors of the model. w NULL: only look whether all are there and of the right
   shape. */
void weights_write(const model *m, model_writer *w);

#endif
