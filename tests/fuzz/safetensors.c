/* See fuzz.h. */
#include "fuzz.h"

#include "tools/convert/safetensors.h"

static void read_input(checkpoint *c, const file_map *file) {
    if (safetensors_starts(file)) safetensors_read(c, file);
}
