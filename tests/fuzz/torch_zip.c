/* See fuzz.h. */
#include "fuzz.h"

#include "tools/convert/torch.h"

static void read_input(checkpoint *c, const file_map *file) {
    if (!zip_starts(file)) return;
    const zip *z = checkpoint_open_zip(c, file);
    for (size_t i = 0; i < z->count; i++) {
        const char *slash = strrchr(z->entries[i].name, '/');
        if (slash == NULL || strcmp(slash, "/data.pkl") != 0) continue;
        torch_read_zip(c, z);
        return;
    }
}
