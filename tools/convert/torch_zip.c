/* Since PyTorch 1.6: caffe2/serialize/inline_container.h. NAME/data.pkl is the pickle, NAME/data/KEY a
   storage, NAME/byteorder the order of bytes in a number, where it is said. */
#include "torch.h"

#include "report.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PICKLE (64u << 20) /* bytes of one that is packed; 1000 tensors take 0.2 MB */

typedef struct archive {
    const zip *zip;
    const char *name; /* of data.pkl; what it is in comes first */
    size_t prefix;    /* length of that, with the slash */
    int big_endian;
} archive;

static zip_entry *find_entry(const archive *a, const char *name) {
    char *path = format_text("%.*s%s", (int)a->prefix, a->name, name);
    zip_entry *e = zip_find(a->zip, path);
    free(path);
    return e;
}

/* Checksums are not looked at: PyTorch can leave them out, and its own reader does without. */
static size_t find_storage(const void *source, const torch_storage *storage, tensor *t) {
    const archive *a = source;
    char *name = format_text("data/%s", storage->key);
    zip_entry *e = find_entry(a, name);
    if (e == NULL) fail("%s: %s: damaged: its storage %s is missing", t->file, t->name, name);
    if (e->method == 0) t->data = e->data;
    else t->packed = e;
    t->big_endian = a->big_endian;
    free(name);
    return e->size;
}

static archive open_archive(const zip *z) {
    archive a = {z, NULL, 0, 0};
    for (size_t i = 0; i < z->count && a.name == NULL; i++) {
        size_t length = strlen(z->entries[i].name), tail = strlen("data.pkl");
        if (length <= tail || strcmp(z->entries[i].name + length - tail - 1, "/data.pkl") != 0)
            continue;
        a.name = z->entries[i].name;
        a.prefix = length - tail;
    }
    const zip_entry *order = find_entry(&a, "byteorder");
    unsigned char big[3];
    a.big_endian = order != NULL && order->size == 3 && zip_begin(order, big, 3) == 3 &&
                   memcmp(big, "big", 3) == 0;
    return a;
}

void torch_read_zip(checkpoint *c, const zip *z) {
    archive a = open_archive(z);
    const zip_entry *e = zip_find(z, a.name);
    unsigned char *bytes = NULL;
    file_map text = {z->file->path, e->data, e->size};
    if (e->method != 0) {
        if (e->size > MAX_PICKLE) fail("%s: %s has %zu bytes", text.path, e->name, e->size);
        text.data = bytes = allocate(e->size, 1);
        text.size = zip_begin(e, bytes, e->size);
    }
    pickle p;
    memset(&p, 0, sizeof(p));
    p.file = &text, p.end = text.size;
    p.allowed = torch_globals, p.refuse = torch_refuse_global;
    pickle_value *root = pickle_read(&p);
    torch_add_tensors(c, z->file, root, find_storage, &a);
    pickle_free(&p);
    free(bytes);
}
