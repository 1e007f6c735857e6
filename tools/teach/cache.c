#include "cache.h"

#include "tools/convert/new_file.h"
#include "tools/convert/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file, in this machine's byte order: a head; then records, which are only ever added: the numbers
   below, the path and its NUL, the views, each at a multiple of 8 bytes. A record's path, size and time
   tell a picture's content; what is known of a content are the views of all records that have it. */
static const char magic[8] = {'v', 'i', 't', '-', 'f', 'e', 'a', 't'};

enum { VERSION = 2, ALIGNMENT = 8, RELEASED_BYTES = 1 << 23 };

typedef struct file_head {
    char magic[8];
    uint32_t version, dim;
    uint64_t backbone;
} file_head;

typedef struct file_record {
    uint64_t hash; /* of what follows */
    uint64_t size;
    int64_t mtime;
    uint64_t content;
    uint32_t views; /* bit i: view i follows */
    uint32_t path_length;
} file_record;

/* A word at a time, as FNV-1a takes bytes; the upper half is mixed into the lower. */
uint64_t cache_hash(const void *bytes, size_t size) {
    const unsigned char *p = bytes;
    uint64_t hash = 14695981039346656037u ^ size;
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

/* ---- a record in the file -------------------------------------------------------------------- */

static uint64_t aligned(uint64_t size) {
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint64_t view_size(const cache *c) {
    return aligned(c->dim * sizeof(float));
}

/* From the record's begin. */
static uint64_t views_place(const file_record *f) {
    return sizeof(*f) + aligned((uint64_t)f->path_length + 1);
}

static uint64_t size_of(const cache *c, const file_record *f) {
    uint64_t size = views_place(f);
    for (int i = 0; i < VIEW_COUNT; i++)
        if (f->views >> i & 1) size += view_size(c);
    return size;
}

/* The record as bytes, to be freed. */
static unsigned char *pack(const cache *c, const record *r, size_t *size) {
    file_record f = {0, r->size, r->mtime, r->content, 0, (uint32_t)strlen(r->path)};
    for (int i = 0; i < VIEW_COUNT; i++) f.views |= (uint32_t)(r->views[i] != NULL) << i;
    *size = (size_t)size_of(c, &f);
    unsigned char *bytes = allocate(*size, 1), *next = bytes + views_place(&f);
    memcpy(bytes, &f, sizeof(f));
    memcpy(bytes + sizeof(f), r->path, f.path_length);
    for (int i = 0; i < VIEW_COUNT; i++) {
        if (r->views[i] == NULL) continue;
        memcpy(next, r->views[i], c->dim * sizeof(float));
        next += view_size(c);
    }
    f.hash = cache_hash(bytes + sizeof(f.hash), *size - sizeof(f.hash));
    memcpy(bytes, &f.hash, sizeof(f.hash));
    return bytes;
}

/* The record at a place of the file. Returns its size, or 0 if there is no whole one. */
static size_t unpack(const cache *c, size_t place, record *r) {
    file_record f;
    const unsigned char *bytes = c->map.data + place;
    size_t left = c->map.size - place;
    if (left < sizeof(f)) return 0;
    memcpy(&f, bytes, sizeof(f));
    uint64_t size = size_of(c, &f);
    if (size > left) return 0;
    if (f.hash != cache_hash(bytes + sizeof(f.hash), (size_t)size - sizeof(f.hash))) return 0;
    record new = {NULL, f.size, f.mtime, f.content, {NULL}, place, 0};
    new.path = allocate((size_t)f.path_length + 1, 1);
    memcpy(new.path, bytes + sizeof(f), f.path_length);
    const unsigned char *next = bytes + views_place(&f);
    for (int i = 0; i < VIEW_COUNT; i++) {
        if (!(f.views >> i & 1)) continue;
        new.views[i] = (const float *)(const void *)next;
        next += view_size(c);
    }
    *r = new;
    return (size_t)size;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The newest first. */
static int compare_paths(const void *a, const void *b) {
    const record *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order != 0 ? order : (x->place < y->place) - (x->place > y->place);
}

static int compare_contents(const void *a, const void *b) {
    const record *x = *(record *const *)a, *y = *(record *const *)b;
    if (x->content != y->content) return x->content < y->content ? -1 : 1;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static int same_content(const record *a, const record *b) {
    return a->content == b->content && a->size == b->size;
}

/* Gives b the views that a has and it lacks. */
static void share_views(const record *a, record *b) {
    for (int i = 0; i < VIEW_COUNT; i++)
        if (b->views[i] == NULL) b->views[i] = a->views[i];
    b->is_new |= a->is_new;
}

static void sort(cache *c) {
    c->by_content = allocate(c->count, sizeof(record *));
    if (c->count == 0) return;
    qsort(c->records, c->count, sizeof(record), compare_paths);
    for (size_t i = 0; i < c->count; i++) c->by_content[i] = &c->records[i];
    qsort(c->by_content, c->count, sizeof(record *), compare_contents);
    for (size_t i = 1; i < c->count; i++) {
        if (same_content(c->by_content[i - 1], c->by_content[i]))
            share_views(c->by_content[i - 1], c->by_content[i]);
    }
    for (size_t i = c->count - 1; i > 0; i--) {
        if (same_content(c->by_content[i - 1], c->by_content[i]))
            share_views(c->by_content[i], c->by_content[i - 1]);
    }
}

/* Returns NULL, or why the file is of no use. */
static const char *check_head(const cache *c) {
    file_head head;
    if (c->map.size < sizeof(magic) || memcmp(c->map.data, magic, sizeof(magic)) != 0)
        fail("%s: not a file of features: name another with --cache", c->path);
    if (c->map.size < sizeof(head)) return "damaged";
    memcpy(&head, c->map.data, sizeof(head));
    if (head.version != VERSION) return "of another version";
    if (head.backbone != c->backbone || head.dim != c->dim) return "of another backbone";
    return NULL;
}

/* All records up to the file's end, or to one that is damaged. Returns NULL, or what is wrong. */
static const char *read_records(cache *c) {
    size_t capacity = 0, size, released = 0;
    size_t place = sizeof(file_head);
    const char *why = check_head(c);
    for (; why == NULL && place < c->map.size; place += size) {
        c->records = make_room_for_one(c->records, c->count, &capacity, sizeof(record));
        size = unpack(c, place, &c->records[c->count]);
        if (size == 0) return "damaged";
        record *r = &c->records[c->count++];
        for (int i = 0; i < VIEW_COUNT; i++) r->is_new |= r->views[i] != NULL;
        r->is_new &= place >= c->first_new;
        if (place - released < RELEASED_BYTES) continue;
        file_map_release(&c->map);
        released = place;
    }
    return why;
}

static void drop_records(cache *c) {
    for (size_t i = 0; i < c->count; i++) free(c->records[i].path);
    free(c->records);
    free(c->by_content);
    file_map_close(&c->map);
    c->records = NULL, c->by_content = NULL;
    c->count = 0;
}

static const char *read_file(cache *c) {
    c->map = file_map_open(c->path);
    const char *why = read_records(c);
    sort(c);
    return why;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Whether this is the newest record of a picture that is still there. */
static int is_alive(const cache *c, const record *r) {
    int newest = r == c->records || strcmp(r[-1].path, r->path) != 0;
    return newest && access(r->path, F_OK) == 0;
}

/* Writes the file anew, with the records that are alive. */
static void rewrite(cache *c, const char *alive) {
    new_file new = new_file_open(c->path);
    file_head head = {{0}, VERSION, (uint32_t)c->dim, c->backbone};
    memcpy(head.magic, magic, sizeof(magic));
    new_file_write(&new, &head, sizeof(head));
    for (size_t i = 0; i < c->count; i++) {
        size_t size;
        if (!alive[i]) continue;
        unsigned char *bytes = pack(c, &c->records[i], &size);
        new_file_write(&new, bytes, size);
        free(bytes);
    }
    new_file_finish(&new);
    drop_records(c);
    new_file_commit(&new);
    read_file(c);
}

/* Writes the file anew if that is wanted, or most of its records are of no use any more. */
static void tidy(cache *c, int wanted) {
    char *alive = allocate(c->count + 1, 1);
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        count += (size_t)(alive[i] = (char)is_alive(c, &c->records[i]));
    if (wanted || count < c->count / 2) rewrite(c, alive);
    free(alive);
}

cache cache_open(const char *path, uint64_t backbone, size_t dim) {
    cache c = {path, backbone, dim, {path, NULL, 0}, NULL, NULL, 0, SIZE_MAX, NULL};
    struct stat status;
    int is_there = stat(path, &status) == 0 && (!S_ISREG(status.st_mode) || status.st_size > 0);
    const char *why = is_there ? read_file(&c) : NULL;
    if (why != NULL)
        note("%s: features are %s, and are computed anew%s", path, why,
             c.count > 0 ? ", but for those in front of them" : "");
    tidy(&c, !is_there || why != NULL);
    c.first_new = c.map.size;
    return c;
}

void cache_add(cache *c, const record *r) {
    size_t size;
    unsigned char *bytes = pack(c, r, &size);
    if (c->appended == NULL) {
        c->appended = fopen(c->path, "ab");
        if (c->appended == NULL) fail("%s: %s", c->path, strerror(errno));
        setvbuf(c->appended, NULL, _IONBF, 0); /* whole records, whatever ends the program */
    }
    if (fwrite(bytes, 1, size, c->appended) != size)
        fail("%s: the features cannot be kept: %s", c->path, strerror(errno));
    free(bytes);
}

void cache_read_added(cache *c) {
    if (c->appended == NULL) return;
    if (fclose(c->appended) != 0)
        fail("%s: the features cannot be kept: %s", c->path, strerror(errno));
    c->appended = NULL;
    drop_records(c);
    if (read_file(c) != NULL) fail("%s: was changed by another program", c->path);
}

/* ---- finding -------------------------------------------------------------------------------- */

const record *cache_find(const cache *c, const char *path, uint64_t size, int64_t mtime) {
    size_t low = 0, high = c->count; /* the first that is not before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(c->records[middle].path, path) < 0) low = middle + 1;
        else high = middle;
    }
    const record *r = &c->records[low];
    return low < c->count && strcmp(r->path, path) == 0 && r->size == size && r->mtime == mtime
               ? r
               : NULL;
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

void cache_was_read(const cache *c, size_t begin, size_t end) {
    size_t pictures = (size_t)(RELEASED_BYTES / (VIEW_COUNT * view_size(c)) + 1);
    if (begin / pictures < end / pictures) file_map_release(&c->map);
}

void cache_close(cache *c) {
    if (c->appended != NULL) fclose(c->appended);
    drop_records(c);
}
