/* No file may make vit-teach's reading of features crash, leak or read outside it. Its checksums are made
   right first. How to run it: see fuzz.h. */
#include "tests/reader_end.h"
#include "tools/teach/cache.c"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static file_map file;

/* In place of file_map.c. */
file_map file_map_open(const char *path) {
    (void)path;
    return file;
}

void file_map_release(const file_map *map) {
    (void)map;
}

void file_map_close(file_map *map) {
    memset(map, 0, sizeof(*map));
}

/* In place of new_file.c: what is written is the file from then on. */
static unsigned char *written;
static size_t written_size;

new_file new_file_open(const char *path) {
    new_file o = {NULL, NULL, NULL};
    (void)path;
    free(written);
    written = NULL, written_size = 0;
    return o;
}

void new_file_write(new_file *o, const void *data, size_t size) {
    (void)o;
    written = realloc(written, written_size + size);
    if (written == NULL) abort();
    memcpy(written + written_size, data, size);
    written_size += size;
}

void new_file_finish(new_file *o) {
    (void)o;
}

void new_file_commit(new_file *o) {
    (void)o;
    file.data = written, file.size = written_size;
}

/* Makes the hashes of records right. */
static void seal(unsigned char *bytes, size_t size, file_head *head) {
    cache c = {NULL, 0, 0, {NULL, bytes, size}, NULL, NULL, 0, 0, NULL};
    file_record f;
    if (size < sizeof(*head)) return;
    memcpy(head, bytes, sizeof(*head));
    c.dim = head->dim;
    for (size_t place = sizeof(*head); size - place >= sizeof(f);) {
        memcpy(&f, bytes + place, sizeof(f));
        uint64_t length = size_of(&c, &f);
        if (length > size - place) return;
        f.hash = cache_hash(bytes + place + sizeof(f.hash), (size_t)length - sizeof(f.hash));
        memcpy(bytes + place, &f.hash, sizeof(f.hash));
        place += (size_t)length;
    }
}

/* Each record is found by its path and its bytes, and its views can be read. */
static void find_all(const cache *c) {
    float sum = 0;
    for (size_t i = 0; i < c->count; i++) {
        const record *r = &c->records[i];
        const record *same = cache_find_content(c, r->size, r->content);
        if (same == NULL || same->content != r->content || same->size != r->size) abort();
        cache_find(c, r->path, r->size, r->mtime); /* paths may be there twice */
        for (int view = 0; view < VIEW_COUNT; view++)
            if (r->views[view] != NULL && c->dim > 0) sum += r->views[view][c->dim - 1];
    }
    if (sum == 12345) putchar(' '); /* the sum is needed */
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    file_head head = {{0}, 0, 0, 0};
    unsigned char *bytes = malloc(size);
    memcpy(bytes, data, size);
    seal(bytes, size, &head);
    file.data = bytes, file.size = size;
    if (setjmp(reader_end) == 0) {
        cache c = cache_open("/proc/self/exe", head.backbone, head.dim); /* a file that is there */
        find_all(&c);
        cache_close(&c);
    }
    free(bytes);
    return 0;
}
