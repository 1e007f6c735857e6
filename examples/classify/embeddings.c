#include "embeddings.h"

#include "say.h"
#include "vit.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- written ---- */

/* https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0: a magic, the length
   of the text and the text, in so many bytes together that any number of rows has room. */
enum { HEADER_SIZE = 128, PREFIX_SIZE = 10 };
static const char magic[] = "\x93NUMPY\x01";

/* X.npy with another end: ".npy" or ".txt", and more where it is not complete. */
static char *path_of(const char *npy_path, const char *end, int is_complete) {
    size_t length = strlen(npy_path) - 4;
    char *path = (char *)allocate(length + 64, 1);
    if (is_complete) snprintf(path, length + 64, "%.*s%s", (int)length, npy_path, end);
    else snprintf(path, length + 64, "%.*s%s.%ld.tmp", (int)length, npy_path, end, (long)getpid());
    return path;
}

static void write_header(const embeddings_writer *w) {
    char header[HEADER_SIZE + 1];
    int length = snprintf(header + PREFIX_SIZE, sizeof(header) - PREFIX_SIZE,
                          "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                          w->rows, w->columns);
    memset(header + PREFIX_SIZE + length, ' ', (size_t)(HEADER_SIZE - PREFIX_SIZE - length));
    memcpy(header, magic, 8);
    header[8] = HEADER_SIZE - PREFIX_SIZE, header[9] = 0;
    header[HEADER_SIZE - 1] = '\n';
    fwrite(header, 1, HEADER_SIZE, w->array);
}

static void give_up(embeddings_writer *w, const char *path) {
    const char *reason = strerror(errno);
    if (w->array != NULL) remove(w->array_path);
    if (w->txt != NULL) remove(w->txt_path);
    fail("%s: %s", path, reason);
}

void embeddings_begin(embeddings_writer *w, const char *path, size_t columns) {
    w->path = path;
    w->array_path = path_of(path, ".npy", 0);
    w->txt_path = path_of(path, ".txt", 0);
    w->rows = 0, w->columns = columns;
    w->txt = NULL;
    if ((w->array = fopen(w->array_path, "wb")) == NULL) give_up(w, path);
    if ((w->txt = fopen(w->txt_path, "w")) == NULL) give_up(w, w->txt_path);
    write_header(w);
}

void embeddings_add(embeddings_writer *w, const char *name, const float *row) {
    if (fwrite(row, sizeof(float), w->columns, w->array) < w->columns) give_up(w, w->path);
    if (fprintf(w->txt, "%s\n", name) < 0) give_up(w, w->txt_path);
    w->rows++;
}

void embeddings_end(embeddings_writer *w) {
    char *txt = path_of(w->path, ".txt", 1);
    if (fseek(w->array, 0, SEEK_SET) != 0) give_up(w, w->path);
    write_header(w);
    if (ferror(w->array) || fclose(w->array) != 0) give_up(w, w->path);
    if (ferror(w->txt) || fclose(w->txt) != 0) give_up(w, txt);
    if (rename(w->txt_path, txt) != 0) give_up(w, txt);
    if (rename(w->array_path, w->path) != 0) give_up(w, w->path);
    free(txt);
    free(w->array_path);
    free(w->txt_path);
}

const char *embeddings_refuse(const char *name) {
    return strchr(name, '\n') != NULL ? "its name has a line break, which the .txt cannot hold"
                                      : NULL;
}

/* ---- read ---- */

static void make_unit(float *row, size_t columns) {
    double sum = 0;
    for (size_t i = 0; i < columns; i++) sum += (double)row[i] * (double)row[i];
    double factor = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t i = 0; i < columns; i++) row[i] = (float)((double)row[i] * factor);
}

void gallery_add(gallery *g, const char *name, const float *row) {
    if (g->count == g->capacity) {
        g->capacity = g->capacity * 2 + 64;
        g->rows = (float *)realloc(g->rows, (g->capacity * g->columns + 1) * sizeof(float));
        g->names = (char **)realloc(g->names, g->capacity * sizeof(char *));
        if (g->rows == NULL || g->names == NULL) fail("out of memory");
    }
    float *own = g->rows + g->count * g->columns;
    memcpy(own, row, g->columns * sizeof(float));
    make_unit(own, g->columns);
    if ((g->names[g->count++] = strdup(name)) == NULL) fail("out of memory");
}

/* The value of a key in the header's text, a dict of Python. */
static const char *find_value(const char *path, const char *text, const char *key) {
    const char *value = strstr(text, key);
    if (value == NULL) fail("%s: an .npy whose header says no %s", path, key);
    value += strlen(key);
    return value + strspn(value, ": ");
}

/* Reads up to the numbers; returns how many rows of `columns` they are. */
static size_t read_header(const char *path, FILE *file, size_t columns) {
    unsigned char prefix[PREFIX_SIZE + 2];
    char text[4096];
    size_t size = 8, rows = 0, found = 0;
    if (fread(prefix, 1, 8, file) < 8 || memcmp(prefix, magic, 6) != 0)
        fail("%s: not an .npy file, as --embed writes it", path);
    size_t digits = prefix[6] == 1 ? 2 : 4;
    if (fread(prefix, 1, digits, file) < digits) fail("%s: cut short", path);
    size = prefix[0] + 256u * prefix[1] + (digits == 4 ? 65536u * prefix[2] : 0);
    if (size >= sizeof(text)) fail("%s: an .npy with a header of %zu bytes", path, size);
    if (fread(text, 1, size, file) < size) fail("%s: cut short", path);
    text[size] = 0;
    if (strncmp(find_value(path, text, "'descr'"), "'<f4'", 5) != 0)
        fail("%s: not of float32: save it as a.astype('<f4')", path);
    if (strncmp(find_value(path, text, "'fortran_order'"), "False", 5) != 0)
        fail("%s: in Fortran's order: save it as numpy.ascontiguousarray(a)", path);
    if (sscanf(find_value(path, text, "'shape'"), "(%zu, %zu)", &rows, &found) != 2)
        fail("%s: not an array of two dimensions, rows and columns", path);
    if (found != columns)
        fail("%s: rows of %zu numbers, but this model's embeddings have %zu: they are another "
             "model's",
             path, found, columns);
    if (rows > INT_MAX) fail("%s: %zu rows are too many", path, rows);
    return rows;
}

/* A line without its end, or "row N" where there are no names. */
static const char *read_name(FILE *names, const char *path, size_t row, char **line, size_t *room) {
    static char number[32];
    snprintf(number, sizeof(number), "row %zu", row);
    if (names == NULL) return number;
    ssize_t length = getline(line, room, names);
    if (length <= 0) fail("%s: fewer lines than its .npy has rows", path);
    if ((*line)[length - 1] == '\n') (*line)[length - 1] = 0;
    return *line;
}

gallery gallery_read(const char *path, size_t columns) {
    gallery g = {NULL, NULL, 0, 0, columns};
    FILE *array = fopen(path, "rb");
    if (array == NULL) fail("%s: %s", path, strerror(errno));
    size_t rows = read_header(path, array, columns), room = 0;
    float *row = (float *)allocate(columns, sizeof(float));
    char *txt = path_of(path, ".txt", 1), *line = NULL;
    FILE *names = fopen(txt, "r");
    if (names == NULL) note("%s: %s: rows are shown by their numbers", txt, strerror(errno));
    for (size_t i = 0; i < rows; i++) {
        if (fread(row, sizeof(float), columns, array) < columns) fail("%s: cut short", path);
        for (size_t j = 0; j < columns; j++)
            if (!isfinite(row[j])) fail("%s: row %zu is not a number", path, i);
        gallery_add(&g, read_name(names, txt, i, &line, &room), row);
    }
    if (names != NULL && getc(names) != EOF) fail("%s: more lines than its .npy has rows", txt);
    if (names != NULL) fclose(names);
    fclose(array);
    free(line);
    free(txt);
    free(row);
    return g;
}

int gallery_find(const gallery *g, const float *row, int k, float *cosines, int *indices) {
    float *unit = (float *)allocate(g->columns, sizeof(float));
    memcpy(unit, row, g->columns * sizeof(float));
    make_unit(unit, g->columns);
    for (size_t i = 0; i < g->count; i++) {
        const float *other = g->rows + i * g->columns;
        float sum = 0;
        for (size_t j = 0; j < g->columns; j++) sum += unit[j] * other[j];
        cosines[i] = fminf(fmaxf(sum, -1), 1);
    }
    free(unit);
    return vit_top_k(cosines, (int)g->count, k, indices);
}

void gallery_free(gallery *g) {
    for (size_t i = 0; i < g->count; i++) free(g->names[i]);
    free(g->names);
    free(g->rows);
}
