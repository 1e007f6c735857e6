/* See fuzz.h. */
#include "fuzz.h"

#include "tools/convert/numpy.h"

static void read_input(checkpoint *c, const file_map *file) {
    if (numpy_starts(file)) numpy_read_file(c, file);
}
