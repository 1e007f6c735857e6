/* Before PyTorch 1.6: _legacy_save in torch/serialization.py. Five pickles: a magic number, a version,
   sizes of types, the object, the keys of its storages; then these, each as int64 count and bytes. */
#include "torch.h"

#include "bytes.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1001
#define MAX_STORAGES 100000 /* a model has hundreds */

typedef struct placed {
    torch_storage storage;
    const unsigned char *data; /* NULL: not seen yet */
    size_t size;               /* bytes */
} placed;

/* In the order of their keys. */
typedef struct storages {
    const file_map *file;
    placed *all;
    size_t count;
} storages;

/* The magic number is in the first pickle, as an integer of ten bytes. */
int torch_legacy_starts(const file_map *file) {
    static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                          0x20, 0x6a, 0xa8, 0x50, 0x19};
    if (file->size < 32 || file->data[0] != 0x80) return 0;
    for (size_t i = 1; i < 20; i++) {
        if (memcmp(file->data + i, magic, sizeof(magic)) == 0) return 1;
    }
    return 0;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const placed *)a)->storage.key, ((const placed *)b)->storage.key);
}

static placed *find(const storages *s, const char *key) {
    placed wanted;
    memset(&wanted, 0, sizeof(wanted));
    memcpy(wanted.storage.key, key, strlen(key) + 1);
    return s->count > 0 ? bsearch(&wanted, s->all, s->count, sizeof(*s->all), by_key) : NULL;
}

/* All that the object's pickle names, each once. */
static storages collect(const pickle *p) {
    if (p->storage_count > MAX_STORAGES)
        fail("%s: %zu storages are too many", p->file->path, p->storage_count);
    storages s = {p->file, allocate(p->storage_count, sizeof(placed)), 0};
    for (size_t i = 0; i < p->storage_count; i++)
        s.all[i].storage = torch_storage_of(p->file, p->storages[i]);
    qsort(s.all, p->storage_count, sizeof(*s.all), by_key);
    for (size_t i = 0; i < p->storage_count; i++) {
        if (s.count > 0 && by_key(&s.all[s.count - 1], &s.all[i]) == 0) continue;
        s.all[s.count++] = s.all[i];
    }
    return s;
}

static size_t element_size(const placed *s) {
    tensor t;
    memset(&t, 0, sizeof(t));
    tensor_set_type(&t, s->storage.dtype);
    return t.element_size;
}

/* The storages are in the order of the list of their keys. */
static void place(storages *s, const pickle_value *keys, size_t at) {
    const file_map *file = s->file;
    if (keys->kind != PICKLE_LIST) fail("%s: damaged: no list of storages", file->path);
    for (size_t i = 0; i < keys->count; i++) {
        const pickle_value *key = pickle_item(keys, i);
        char *text =
            format_text("%.*s", key->kind == PICKLE_TEXT && key->count < 32 ? (int)key->count : 0,
                        key->kind == PICKLE_TEXT ? key->text : "");
        placed *storage = find(s, text);
        free(text);
        if (storage == NULL || storage->data != NULL)
            fail("%s: damaged: a storage that no tensor has", file->path);
        if (file->size - at < 8) fail("%s: cut short, at storage %zu", file->path, i);
        uint64_t count = read_u64(file->data + at), left = file->size - at - 8;
        if (count > left / element_size(storage))
            fail("%s: cut short: storage %zu has %llu elements", file->path, i,
                 (unsigned long long)count);
        storage->data = file->data + at + 8;
        storage->size = (size_t)count * element_size(storage);
        at += 8 + storage->size;
    }
    if (at != file->size) fail("%s: there are bytes after the last storage", file->path);
}

static size_t find_storage(const void *source, const torch_storage *wanted, tensor *t) {
    const placed *storage = find(source, wanted->key);
    if (storage == NULL || storage->data == NULL)
        fail("%s: %s: damaged: its storage %s is missing", t->file, t->name, wanted->key);
    t->data = storage->data;
    return storage->size;
}

/* Magic number, version, sizes. */
static void read_head(pickle *p) {
    pickle_read(p);
    const pickle_value *version = pickle_read(p);
    if (version->kind != PICKLE_INT || version->integer != VERSION)
        fail("%s: a version of PyTorch's format before 1.6 that is not known", p->file->path);
    pickle_read(p);
}

void torch_read_legacy(checkpoint *c, const file_map *file) {
    pickle p;
    memset(&p, 0, sizeof(p));
    p.file = file, p.end = file->size;
    p.allowed = torch_globals, p.refuse = torch_refuse_global;
    read_head(&p);
    pickle_value *root = pickle_read(&p);
    storages s = collect(&p);
    const pickle_value *keys = pickle_read(&p);
    place(&s, keys, p.at);
    torch_add_tensors(c, file, root, find_storage, &s);
    free(s.all);
    pickle_free(&p);
}
