/* The beginning of a file of names (names.h) for tensors that nobody else has, by their shapes. */
#ifndef SKETCH_H
#define SKETCH_H

#include "checkpoint.h"

/* Writes it to stdout. */
void sketch_names(const checkpoint *c);

#endif
