/* What kind of file a checkpoint is, by its content: one that is read, or one that has a name. */
#ifndef CONTAINER_H
#define CONTAINER_H

#include "checkpoint.h"

/* Adds the tensors of a file. One that is not read ends the program with a line that says what it is
   and what to do. */
void container_read(checkpoint *c, const char *path);

/* Adds the tensors of a file that is mapped already and is no index of shards. */
void container_read_file(checkpoint *c, const file_map *file);

/* Whether the file is there and is a .vit file. */
int container_is_vit(const char *path);

#endif
