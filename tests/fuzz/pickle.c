/* See fuzz.h. data.pkl alone, whose storages have 1000 bytes each. */
#include "fuzz.h"

#include "tools/convert/torch.h"

static unsigned char bytes[1000];

static size_t find_storage(const void *source, const torch_storage *storage, tensor *t) {
    (void)source;
    t->big_endian = storage->key[0] == '1';
    t->data = bytes;
    return sizeof(bytes);
}

static void read_input(checkpoint *c, const file_map *file) {
    pickle p;
    memset(&p, 0, sizeof(p));
    p.file = file, p.end = file->size;
    p.allowed = torch_globals, p.refuse = torch_refuse_global;
    torch_add_tensors(c, file, pickle_read(&p), find_storage, NULL);
    pickle_free(&p);
}
