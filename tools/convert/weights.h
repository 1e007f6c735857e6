/* Brings the weights into the one form that the .vit format has. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "layouts.h"
#include "model_writer.h"

/* Write all tensors of the model. w NULL: only check that all are there and have the right shape. */
void weights_write(const model *m, model_writer *w);

#endif
