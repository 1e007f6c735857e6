#include "cache.h"

#include "tools/convert/file_map.h"
#include "tools/convert/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file, in this machine's byte order: magic, version, dim, backbone, count of records; of each record
   the numbers below, its path and its views; the hash of all that. */
static const char magic[8] = {'v', 'i', 't', '-', 'f', 'e', 'a', 't'};

enum { VERSION = 1 };

typedef struct file_head {
    char magic[8];
    uint32_t version, dim;
    uint64_t backbone, count;
} file_head;

typedef struct file_record {
    uint64_t size;
    int64_t mtime;
    uint64_t content;
    uint32_t views; /* bit i: view i follows */
    uint32_t path_length;
} file_record;

/* A word at a time, as FNV-1a takes bytes; the upper half is mixed into the lower. */
static uint64_t hash_more(uint64_t hash, const void *bytes, size_t size) {
    const unsigned char *p = bytes;
    for (; size > 0;) {
        uint64_t word = 0;
        size_t part = size < sizeof(word) ? size : sizeof(word);
        memcpy(&word, p, part);
        hash = (hash ^ word) * 1099511628211u;
        hash ^= hash >> 32;
        p += part, size -= part;
    }
    return hash;
}

uint64_t cache_hash(const void *bytes, size_t size) {
    return hash_more(14695981039346656037u ^ size, bytes, size);
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct reader {
    const unsigned char *next;
    size_t left;
    uint64_t hash; /* of what has been read */
} reader;

/* Copies the next bytes; returns whether there are enough. */
static int take(reader *r, void *to, size_t size) {
    if (r->left < size) return 0;
    memcpy(to, r->next, size);
    r->hash = hash_more(r->hash, to, size);
    r->next += size, r->left -= size;
    return 1;
}

static int read_record(reader *r, record *to, size_t dim) {
    file_record f;
    if (!take(r, &f, sizeof(f)) || f.path_length > r->left) return 0;
    to->size = f.size, to->mtime = f.mtime, to->content = f.content;
    to->path = allocate((size_t)f.path_length + 1, 1);
    if (!take(r, to->path, f.path_length)) return 0;
    for (int i = 0; i < VIEW_COUNT; i++) {
        if (!(f.views >> i & 1)) continue;
        if (r->left / sizeof(float) < dim) return 0;
        to->views[i] = allocate(dim, sizeof(float));
        take(r, to->views[i], dim * sizeof(float));
    }
    return 1;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const record *)a)->path, ((const record *)b)->path);
}

static int compare_contents(const void *a, const void *b) {
    const record *x = *(record *const *)a, *y = *(record *const *)b;
    if (x->content != y->content) return x->content < y->content ? -1 : 1;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void sort(cache *c) {
    c->by_content = allocate(c->count, sizeof(record *));
    if (c->count == 0) return;
    qsort(c->records, c->count, sizeof(record), compare_paths);
    for (size_t i = 0; i < c->count; i++) c->by_content[i] = &c->records[i];
    qsort(c->by_content, c->count, sizeof(record *), compare_contents);
}

/* Returns NULL, or why the file is of no use. */
static const char *read_records(cache *c, const file_map *map) {
    file_head head;
    uint64_t expected;
    reader r = {map->data, map->size, 0};
    if (!take(&r, &head, sizeof(head))) return "damaged";
    if (head.version != VERSION) return "of another version";
    if (head.backbone != c->backbone || head.dim != c->dim) return "of another backbone";
    if (head.count > r.left / sizeof(file_record)) return "damaged";
    c->records = allocate((size_t)head.count + 1, sizeof(record)); /* one that is cut off, too */
    for (; c->count < head.count; c->count++) {
        if (!read_record(&r, &c->records[c->count], c->dim)) return "damaged";
    }
    uint64_t hash = r.hash;
    return take(&r, &expected, sizeof(expected)) && expected == hash && r.left == 0 ? NULL
                                                                                    : "damaged";
}

/* All of them, and the one after the last, which may be incomplete. */
static void drop_records(cache *c) {
    for (size_t i = 0; c->records != NULL && i <= c->count; i++) {
        for (int view = 0; view < VIEW_COUNT; view++) free(c->records[i].views[view]);
        free(c->records[i].path);
    }
    free(c->records);
    c->records = NULL;
    c->count = 0;
}

cache cache_open(const char *path, uint64_t backbone, size_t dim) {
    cache c = {path, backbone, dim, NULL, NULL, 0, 0};
    struct stat status;
    if (stat(path, &status) == 0 && (!S_ISREG(status.st_mode) || status.st_size > 0)) {
        file_map map = file_map_open(path);
        if (map.size < sizeof(magic) || memcmp(map.data, magic, sizeof(magic)) != 0)
            fail("%s: not a file of features: name another with --cache", path);
        const char *why = read_records(&c, &map);
        if (why != NULL) {
            note("%s: the features are %s, and are computed anew", path, why);
            drop_records(&c);
        }
        file_map_close(&map);
    }
    sort(&c);
    return c;
}

/* ---- finding -------------------------------------------------------------------------------- */

const record *cache_find(const cache *c, const char *path, uint64_t size, int64_t mtime) {
    record wanted = {(char *)(uintptr_t)path, 0, 0, 0, {NULL}, 0};
    const record *found =
        c->count == 0 ? NULL
                      : bsearch(&wanted, c->records, c->count, sizeof(record), compare_paths);
    return found != NULL && found->size == size && found->mtime == mtime ? found : NULL;
}

const record *cache_find_content(const cache *c, uint64_t size, uint64_t content) {
    size_t low = 0, high = c->count; /* the first that is not before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const record *r = c->by_content[middle];
        if (r->content < content || (r->content == content && r->size < size)) low = middle + 1;
        else high = middle;
    }
    const record *r = low < c->count ? c->by_content[low] : NULL;
    return r != NULL && r->content == content && r->size == size ? r : NULL;
}

/* ---- writing -------------------------------------------------------------------------------- */

typedef struct writer {
    FILE *file;
    uint64_t hash; /* of what has been written */
    int failed;
} writer;

static void put(writer *w, const void *bytes, size_t size) {
    w->hash = hash_more(w->hash, bytes, size);
    if (size > 0 && fwrite(bytes, 1, size, w->file) != size) w->failed = 1;
}

static void put_record(writer *w, const record *r, size_t dim) {
    file_record f = {r->size, r->mtime, r->content, 0, (uint32_t)strlen(r->path)};
    for (int i = 0; i < VIEW_COUNT; i++) f.views |= (uint32_t)(r->views[i] != NULL) << i;
    put(w, &f, sizeof(f));
    put(w, r->path, f.path_length);
    for (int i = 0; i < VIEW_COUNT; i++)
        if (r->views[i] != NULL) put(w, r->views[i], dim * sizeof(float));
}

static int has_views(const record *r) {
    int any = 0;
    for (int i = 0; i < VIEW_COUNT; i++) any |= r->views[i] != NULL;
    return any;
}

static int compare_record_paths(const void *a, const void *b) {
    return compare_paths(*(record *const *)a, *(record *const *)b);
}

/* The new records and then the old ones of other pictures, in an array to be freed. */
static record **merge(const cache *c, record *const *records, size_t *count) {
    record **all = allocate(*count + c->count, sizeof(record *));
    size_t new_count = 0;
    for (size_t i = 0; i < *count; i++)
        if (has_views(records[i])) all[new_count++] = records[i];
    if (new_count > 0) qsort(all, new_count, sizeof(record *), compare_record_paths);
    *count = new_count;
    for (size_t i = 0; i < c->count; i++) {
        record *old = &c->records[i];
        int is_new = new_count > 0 &&
                     bsearch(&old, all, new_count, sizeof(record *), compare_record_paths) != NULL;
        if (!is_new && access(old->path, F_OK) == 0) all[(*count)++] = old;
    }
    return all;
}

static int write_all(const cache *c, record *const *records, size_t count, FILE *file) {
    writer w = {file, 0, 0};
    file_head head = {{0}, VERSION, (uint32_t)c->dim, c->backbone, count};
    memcpy(head.magic, magic, sizeof(magic));
    put(&w, &head, sizeof(head));
    for (size_t i = 0; i < count; i++) put_record(&w, records[i], c->dim);
    uint64_t hash = w.hash;
    put(&w, &hash, sizeof(hash));
    return !w.failed;
}

const char *cache_write(const cache *c, record *const *records, size_t count) {
    const char *why = NULL;
    char *temporary = format_text("%s.%ld.tmp", c->path, (long)getpid());
    FILE *file = fopen(temporary, "wb");
    if (file == NULL) why = strerror(errno);
    if (file != NULL) {
        record **all = merge(c, records, &count);
        if (!write_all(c, all, count, file)) why = strerror(errno);
        if (fclose(file) != 0 && why == NULL) why = strerror(errno);
        if (why == NULL && rename(temporary, c->path) != 0) why = strerror(errno);
        if (why != NULL) remove(temporary);
        free(all);
    }
    free(temporary);
    return why;
}

void cache_close(cache *c) {
    drop_records(c);
    free(c->by_content);
}
