/* The features of pictures, kept in a file: a second run computes only those of new pictures. */
#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>
#include <stdint.h>

/* Views of a picture: by the backbone's recipe or the whole of it, each as it is or mirrored. */
enum { VIEW_MIRRORED = 1, VIEW_WHOLE = 2, VIEW_COUNT = 4 };

typedef struct record {
    char *path;
    uint64_t size;            /* of the file */
    int64_t mtime;            /* in nanoseconds */
    uint64_t content;         /* hash of the file's bytes */
    float *views[VIEW_COUNT]; /* each [dim], NULL: not computed */
    int is_new;               /* whether any was computed in this run */
} record;

typedef struct cache {
    const char *path;
    uint64_t backbone; /* hash of what tells the backbone */
    size_t dim;        /* floats of a view */
    record *records;   /* sorted by path */
    record **by_content;
    size_t count;
    int failed; /* whether it could not be written */
} cache;

/* Any bytes as a number, that tells them from others (not from those of an adversary). */
uint64_t cache_hash(const void *bytes, size_t size);

/* Read a file; empty where there is none, and with a note where it is damaged, of another version or of
   another backbone. Ends the program where the path is something else, which is not to be lost. */
cache cache_open(const char *path, uint64_t backbone, size_t dim);

/* A record of the same file, unchanged as far as the system knows; NULL: none. */
const record *cache_find(const cache *c, const char *path, uint64_t size, int64_t mtime);

/* A record of the same bytes; NULL: none. */
const record *cache_find_content(const cache *c, uint64_t size, uint64_t content);

/* Write the file anew: these records, [count] in any order, those without a view left out, and those
   that were in it of other pictures that are still there. Returns NULL, or what is wrong; then the
   old file is as it was. */
const char *cache_write(const cache *c, record *const *records, size_t count);

/* The records' features are freed, too. */
void cache_close(cache *c);

#endif
