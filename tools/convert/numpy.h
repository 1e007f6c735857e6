/* NumPy's .npy, an array, and .npz, a zip archive of them. */
#ifndef NUMPY_H
#define NUMPY_H

#include "checkpoint.h"

int numpy_starts(const file_map *file);

/* Adds the array, under the file's name without .npy; it stays in the file. */
void numpy_read_file(checkpoint *c, const file_map *file);

/* Adds an archive's arrays under their names. Stored ones stay in the file. */
void numpy_read_archive(checkpoint *c, const zip *z);

#endif
