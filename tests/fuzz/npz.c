/* See fuzz.h. Checksums are checked, so that changed arrays end there: npy.c is for what is in them. */
#include "fuzz.h"

#include "tools/convert/numpy.h"

static void read_input(checkpoint *c, const file_map *file) {
    if (zip_starts(file)) numpy_read_archive(c, checkpoint_open_zip(c, file));
}
