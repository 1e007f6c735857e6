/* See fuzz.h. A file of names (vit-convert --names) for the tensors of a small checkpoint. */
#include "fuzz.h"

#include "tools/convert/names.h"

static file_map rules;

/* In place of file_map.c. */
file_map file_map_open(const char *path) {
    (void)path;
    return rules;
}

void file_map_close(file_map *map) {
    memset(map, 0, sizeof(*map));
}

static const struct {
    const char *name;
    size_t dims, shape[4];
} tensors[] = {
    {"stem.proj.weight", 4, {8, 3, 2, 2}},
    {"stem.proj.bias", 1, {8}},
    {"stem.flat.weight", 2, {8, 12}},
    {"token", 1, {8}},
    {"positions", 3, {1, 5, 8}},
    {"layer1.q.weight", 2, {8, 8}},
    {"layer1.k.weight", 3, {2, 4, 8}},
    {"layer1.v.weight", 2, {8, 8}},
    {"layer1.qkv.kernel", 2, {8, 24}},
    {"layer1.qkv.bias", 1, {24}},
    {"layer2.0.weight", 2, {4, 8}},
    {"layer2.1.weight", 2, {4, 8}},
    {"layer2.0.bias", 1, {4}},
    {"layer2.1.bias", 1, {4}},
    {"layer2.up.weight", 2, {16, 8}},
    {"layer2.down.weight", 2, {8, 16}},
    {"final.weight", 1, {8}},
    {"final.bias", 1, {8}},
    {"logits.weight", 2, {5, 8}},
    {"logits.bias", 1, {5}},
};

static float values[8 * 3 * 2 * 2 * 8];

static void add_tensors(checkpoint *c, const file_map *file) {
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
        tensor *t = checkpoint_add(c, file, format_text("%s", tensors[i].name));
        for (size_t d = 0; d < tensors[i].dims; d++) tensor_add_dimension(t, tensors[i].shape[d]);
        tensor_set_type(t, "F32");
        tensor_set_strides(t, 0);
        t->data = (const unsigned char *)values;
    }
}

/* The first byte is the number of heads. */
static void read_input(checkpoint *c, const file_map *file) {
    if (file->size == 0) return;
    rules = *file;
    rules.data++, rules.size--;
    add_tensors(c, file);
    checkpoint_sort(c);
    names_apply(c, "names", file->data[0]);
}
