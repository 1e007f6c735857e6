/* Families whose names become timm's by rules that come with the program, as a file for --names would
   make them. */
#ifndef FAMILIES_H
#define FAMILIES_H

#include "layouts.h"

/* The name that shows such a family; NULL: there is none. The names become timm's, what a classifier
   does not need is left out with a note, and heads is set where shapes say how many there are. */
const char *families_apply(checkpoint *c, int *heads, family *found);

/* The name that shows a family; NULL after the last. */
const char *families_mark(size_t index);

#endif
