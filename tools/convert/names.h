/* Other names for the tensors of a checkpoint. */
#ifndef NAMES_H
#define NAMES_H

#include "checkpoint.h"

/* How a file of names is written, for --help. */
extern const char names_usage[];

/* Give the tensors timm's names by a file of such lines. heads: 0 where it is not known; returns it, or
   how many the shapes say. An error names the line. */
int names_apply(checkpoint *c, const char *file, int heads);

/* The same by rules in a text, each of which may be no tensor's; title: of them, for errors. */
int names_apply_known(checkpoint *c, const char *title, const char *text, int heads);

/* Drop a prefix of the names. Tensors without it keep their name, with a note; or are left out. */
void names_drop_prefix(checkpoint *c, const char *prefix, int leave_out);

#endif
