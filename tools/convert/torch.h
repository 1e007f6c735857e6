/* Files of torch.save: a pickle that says which tensors there are, and the storages of their bytes.
   Since PyTorch 1.6 they are zip archives, before that one after the other. */
#ifndef TORCH_H
#define TORCH_H

#include "checkpoint.h"
#include "pickle.h"

/* Adds the tensors of an archive, which has an entry .../data.pkl. */
void torch_read_zip(checkpoint *c, const zip *z);

/* The keys that are looked at first for a dict of tensors, in this order; NULL at the end. */
extern const char *const torch_keys[];

/* The format before 1.6. */
int torch_legacy_starts(const file_map *file);
void torch_read_legacy(checkpoint *c, const file_map *file);

/* ---- for both of them ---- */

/* The globals that may be in a pickle, and what ends the program where there is another. */
extern const char *const torch_globals[];
void torch_refuse_global(const pickle *p, const char *name, const char *key);

/* What a storage's persistent id says; the type as safetensors calls it. */
typedef struct torch_storage {
    const char *dtype;
    char key[32];
    size_t offset; /* elements from the start of the bytes that the key names */
} torch_storage;

torch_storage torch_storage_of(const file_map *file, const pickle_value *v);

/* Finds where a storage's bytes are: sets data or packed of a tensor, and returns how many. */
typedef size_t (*torch_finder)(const void *source, const torch_storage *storage, tensor *t);

/* Adds the tensors of the state dict that `root` is, or that is in it. */
void torch_add_tensors(checkpoint *c, const file_map *file, pickle_value *root, torch_finder find,
                       const void *source);

#endif
