/* What is in a checkpoint, on stdout. */
#ifndef LIST_H
#define LIST_H

#include "checkpoint.h"

/* All tensors, whose names they are and why; where they are nobody's, the beginning of a file of names
   (names.h) with what the shapes decide. */
void list_checkpoint(checkpoint *c);

#endif
