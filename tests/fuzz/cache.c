/* No file may make vit-teach's reading of features crash, leak or read outside it. Its checksum is made
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

void file_map_close(file_map *map) {
    memset(map, 0, sizeof(*map));
}

static void free_record(record *r) {
    for (int view = 0; view < VIEW_COUNT; view++) free(r->views[view]);
    free(r->path);
    memset(r, 0, sizeof(*r));
}

/* The hash of what is read, in the last bytes. */
static void seal(unsigned char *bytes, size_t size, file_head *head) {
    reader r = {bytes, size, 0};
    record one = {NULL, 0, 0, 0, {NULL}, 0};
    if (!take(&r, head, sizeof(*head))) return;
    for (uint64_t i = 0; i < head->count; i++) {
        int whole = read_record(&r, &one, head->dim);
        free_record(&one);
        if (!whole) return;
    }
    if (r.left == sizeof(r.hash)) memcpy(bytes + size - r.left, &r.hash, sizeof(r.hash));
}

/* Each record is found by its path and its bytes. */
static void find_all(const cache *c) {
    for (size_t i = 0; i < c->count; i++) {
        const record *r = &c->records[i];
        const record *same = cache_find_content(c, r->size, r->content);
        if (same == NULL || same->content != r->content || same->size != r->size) abort();
        cache_find(c, r->path, r->size, r->mtime); /* paths may be there twice */
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    file_head head = {{0}, 0, 0, 0, 0};
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
