/* Classes that texts describe: what a text encoder says of each becomes the head of CLIP's image tower.
   Radford et al. 2021, arXiv:2103.00020, section 3.1. */
#ifndef TEXTS_H
#define TEXTS_H

#include "layouts.h"

/* The classes' texts of a file with one array: [classes][width], or [classes][prompts][width], of which
   the mean is taken. Each is divided by its length. An error ends the program. */
texts texts_read(const char *path);

void texts_free(texts *t);

/* exp(logit_scale) of the checkpoint, by which CLIP multiplies cosines; 0 where it is not there. */
float texts_find_scale(const checkpoint *c);

/* Makes a model whose output is an embedding one that classifies by its cosine with the texts, times
   scale. m keeps t. */
void texts_apply(const texts *t, float scale, model *m);

#endif
