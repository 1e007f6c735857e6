/* See fuzz.h. */
#include "fuzz.h"

#include "tools/convert/torch.h"

static void read_input(checkpoint *c, const file_map *file) {
    if (torch_legacy_starts(file)) torch_read_legacy(c, file);
}
