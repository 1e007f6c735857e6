/* Folders: which file in one is the checkpoint, and shards with their index. */
#ifndef FOLDER_H
#define FOLDER_H

#include "checkpoint.h"

int folder_is(const char *path);

/* Adds the tensors of the checkpoint in a folder; the file read becomes c->file. */
void folder_read(checkpoint *c, const char *folder);

/* Adds those of the shards that an index lists (model.safetensors.index.json and the like). */
void folder_read_index(checkpoint *c, const char *path);

#endif
