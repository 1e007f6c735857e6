/* See fuzz.h. A file of names for the classes, of which there are as many as its first byte says. */
#include "fuzz.h"

#include "tools/convert/labels.h"

#define VIT_NO_SIMD
#define VIT_IMPLEMENTATION
#include "vit.h"

static file_map names;

/* In place of file_map.c. */
file_map file_map_open(const char *path) {
    (void)path;
    return names;
}

void file_map_close(file_map *map) {
    memset(map, 0, sizeof(*map));
}

/* Names that are taken are those that a model may have. */
static void read_input(checkpoint *c, const file_map *file) {
    const json none = {NULL, NULL};
    size_t size;
    (void)c;
    if (file->size == 0) return;
    names = *file;
    names.data++, names.size--;
    int count = file->data[0];
    char *labels = labels_read("labels", none, count, &size);
    if (size == 0 ? count > 0 : !vit__strings_are_valid((const unsigned char *)labels, size, count))
        abort();
    free(labels);
}
