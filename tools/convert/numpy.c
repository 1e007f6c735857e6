/* https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include "numpy.h"

#include "bytes.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define PREFIX 12       /* bytes of the magic, the version and the header's length, at most */
#define MAX_HEADER 4096 /* bytes; an array of numbers has 118 */

/* The header's text: a dict of Python, as {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */
typedef struct header {
    size_t size; /* of all in front of the data */
    char text[MAX_HEADER + 1];
} header;

/* By numpy's kind and size, and how safetensors calls it. */
static const struct {
    const char *descr, *dtype;
} types[] = {
    {"f8", "F64"}, {"f4", "F32"},  {"f2", "F16"}, {"i8", "I64"},   {"i4", "I32"},
    {"i2", "I16"}, {"i1", "I8"},   {"u8", "U64"}, {"u4", "U32"},   {"u2", "U16"},
    {"u1", "U8"},  {"b1", "BOOL"}, {"c8", "C64"}, {"c16", "C128"},
};

int numpy_starts(const file_map *file) {
    return file->size >= 6 && memcmp(file->data, MAGIC, 6) == 0;
}

static void read_header(header *h, const tensor *t, const unsigned char *p, size_t size) {
    if (size < PREFIX || memcmp(p, MAGIC, 6) != 0)
        fail("%s: %s: not an array of NumPy, or cut short", t->file, t->name);
    int first = p[6] == 1;
    size_t prefix = first ? 10 : PREFIX;
    size_t length = first ? read_u16(p + 8) : read_u32(p + 8);
    if (p[6] < 1 || p[6] > 3)
        fail("%s: %s: version %d of NumPy's format is not known", t->file, t->name, p[6]);
    if (length > MAX_HEADER) fail("%s: %s: a header of %zu bytes", t->file, t->name, length);
    if (length > size - prefix) fail("%s: %s: cut short in its header", t->file, t->name);
    memcpy(h->text, p + prefix, length);
    h->text[length] = 0;
    h->size = prefix + length;
}

static const char *skip_spaces(const char *text) {
    return text + strspn(text, " \t\n");
}

/* What stands after a key. */
static const char *find_value(const tensor *t, const header *h, const char *key) {
    const char *place = strstr(h->text, key);
    if (place != NULL) {
        place = skip_spaces(place + strlen(key));
        if (*place == ':') return skip_spaces(place + 1);
    }
    fail("%s: %s: its header says no %s", t->file, t->name, key);
}

static void read_type(tensor *t, const header *h) {
    const char *value = find_value(t, h, "'descr'");
    size_t length = *value == '\'' ? strcspn(value + 1, "'") : 0;
    if (length < 2) fail("%s: %s: an array of records, not of numbers", t->file, t->name);
    if (value[2] == 'O')
        fail("%s: %s: an array of Python objects (pickled): save each array by its name, with "
             "numpy.savez",
             t->file, t->name);
    t->big_endian = value[1] == '>';
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strlen(types[i].descr) == length - 1 &&
            strncmp(value + 2, types[i].descr, length - 1) == 0) {
            tensor_set_type(t, types[i].dtype);
            return;
        }
    }
    fail("%s: %s: arrays of %.*s are not read (bfloat16 is V2 there: save as float32)", t->file,
         t->name, (int)length, value + 1);
}

static void read_shape(tensor *t, const header *h) {
    const char *value = find_value(t, h, "'shape'");
    if (*value++ != '(') fail("%s: %s: its shape is no tuple", t->file, t->name);
    for (value = skip_spaces(value); *value >= '0' && *value <= '9';) {
        char *end;
        unsigned long long length = strtoull(value, &end, 10);
        if (length > SIZE_MAX || !tensor_add_dimension(t, (size_t)length))
            fail("%s: %s: the shape is too large", t->file, t->name);
        value = skip_spaces(end + (*end == 'L')); /* as Python 2 wrote it */
        if (*value == ',') value = skip_spaces(value + 1);
    }
    if (*value != ')') fail("%s: %s: its shape is no tuple of sizes", t->file, t->name);
    const char *order = find_value(t, h, "'fortran_order'");
    tensor_set_strides(t, strncmp(order, "True", 4) == 0);
}

/* All but where the data are: after h->size bytes. `whole`: bytes of header and data. */
static void read_array(tensor *t, const header *h, size_t whole) {
    read_type(t, h);
    read_shape(t, h);
    size_t size = tensor_count(t) * t->element_size;
    if (size != whole - h->size)
        fail("%s: %s: %zu bytes by its shape, but %zu are there", t->file, t->name, size,
             whole - h->size);
}

static char *name_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, ".npy") == 0) length -= 4;
    return format_text("%.*s", (int)length, name);
}

void numpy_read_file(checkpoint *c, const file_map *file) {
    header *h = allocate(1, sizeof(*h));
    tensor *t = checkpoint_add(c, file, name_of(file->path));
    read_header(h, t, file->data, file->size);
    read_array(t, h, file->size);
    t->data = file->data + h->size;
    free(h);
}

/* An entry's name is the array's, which may have slashes in it. */
static char *name_in(const zip_entry *e) {
    return format_text("%.*s", (int)strlen(e->name) - 4, e->name);
}

static void read_entry(checkpoint *c, zip_entry *e, unsigned char *begin, header *h) {
    size_t length = strlen(e->name);
    if (length <= 4 || strcmp(e->name + length - 4, ".npy") != 0) {
        note("%s: %s is left out: not an array", e->archive->file->path, e->name);
        return;
    }
    tensor *t = checkpoint_add(c, e->archive->file, name_in(e));
    read_header(h, t, begin, zip_begin(e, begin, PREFIX + MAX_HEADER));
    read_array(t, h, e->size);
    t->packed = e;
    t->packed_offset = h->size;
}

void numpy_read_archive(checkpoint *c, const zip *z) {
    unsigned char *begin = allocate(PREFIX + MAX_HEADER, 1);
    header *h = allocate(1, sizeof(*h));
    for (size_t i = 0; i < z->count; i++) read_entry(c, &z->entries[i], begin, h);
    free(begin);
    free(h);
}
