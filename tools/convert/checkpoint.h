/* A checkpoint: tensors by name, from any file that people have them in. Which files those are is in
   container.c. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "file_map.h"
#include "tensor.h"
#include "zip.h"

#include <cjson/cJSON.h>

typedef struct checkpoint {
    const char *path; /* as it was given */
    char *file;       /* the same, or the file in that folder that is read */
    const char
        *key;    /* where in a PyTorch file the tensors are to be taken from; NULL: a rule says */
    int keyed;   /* whether such a file was read */
    char *taken; /* the key whose tensors they are; NULL: those of the file as a whole */
    file_map **files; /* one, or the shards */
    size_t file_count, file_capacity;
    int is_index;   /* whether those are shards */
    zip **archives; /* of those that are zip archives */
    size_t archive_count, archive_capacity;
    tensor *tensors; /* in the order of their names */
    size_t count, capacity;
    cJSON
        *config; /* what the file itself says of the model, as timm's config.json would; or NULL */
} checkpoint;

/* Opens a file, or a folder with one or an index of shards. Everything but the values is checked. An
   error ends the program, naming the file and what it is. */
checkpoint checkpoint_open(const char *path, const char *key);

void checkpoint_close(checkpoint *c);

/* NULL where there is none. */
tensor *checkpoint_find(const checkpoint *c, const char *name);

/* For the readers: a new tensor of a file, which owns the name; the pointer is valid until the next
   one is added. An archive, to be closed with the checkpoint. */
tensor *checkpoint_add(checkpoint *c, const file_map *file, char *name);
zip *checkpoint_open_zip(checkpoint *c, const file_map *file);

/* Removes the tensors that are marked by used -1. */
void checkpoint_remove_marked(checkpoint *c);

/* Sorts the tensors; a name that is there twice is an error. */
void checkpoint_sort(checkpoint *c);

#endif
