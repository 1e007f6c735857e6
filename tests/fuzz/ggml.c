/* See fuzz.h. */
#include "fuzz.h"

#include "tools/convert/ggml.h"

static void read_input(checkpoint *c, const file_map *file) {
    if (ggml_starts(file)) ggml_read(c, file);
}
