/* See fuzz.h. Any file, as vit-convert takes it. */
#include "fuzz.h"

#include "tools/convert/container.h"

static void read_input(checkpoint *c, const file_map *file) {
    container_read_file(c, file);
}
