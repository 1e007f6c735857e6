/* The features of pictures, in a file: a second run computes only those of new pictures, and memory holds
   none of them. */
#ifndef CACHE_H
#define CACHE_H

#include "tools/convert/file_map.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Views of a picture: by the backbone's recipe or the whole of it, each as it is or mirrored. */
enum { VIEW_MIRRORED = 1, VIEW_WHOLE = 2, VIEW_COUNT = 4 };

typedef struct record {
    char *path;
    uint64_t size;                  /* of the file */
    int64_t mtime;                  /* in nanoseconds */
    uint64_t content;               /* hash of the file's bytes */
    const float *views[VIEW_COUNT]; /* each [dim], NULL: not computed */
    size_t place;                   /* in the file of features */
    int is_new;                     /* whether any view was computed in this run */
} record;

typedef struct cache {
    const char *path;
    uint64_t backbone; /* hash of what tells the backbone */
    size_t dim;        /* floats of a view */
    file_map map;
    record *records; /* sorted by path, the newest of a path first */
    record **by_content;
    size_t count;
    size_t first_new; /* place of the first record of this run */
    FILE *appended;   /* NULL: nothing yet */
} cache;

/* Any bytes as a number, that tells them from others (not from those of an adversary). */
uint64_t cache_hash(const void *bytes, size_t size);

/* Read a file, or make one. What is damaged, of another version or of another backbone is left out with a
   note. Ends the program where the path is something else, which is not to be lost, and on any error, here
   and below. */
cache cache_open(const char *path, uint64_t backbone, size_t dim);

/* A record of the same file, unchanged as far as the system knows; NULL: none. Its views are those of all
   records of the same bytes. */
const record *cache_find(const cache *c, const char *path, uint64_t size, int64_t mtime);

/* A record of the same bytes; NULL: none. */
const record *cache_find_content(const cache *c, uint64_t size, uint64_t content);

/* Put a record at the file's end, at once. It is found after cache_read_added. */
void cache_add(cache *c, const record *r);

/* Read what was added. Records of before are no longer valid. */
void cache_read_added(cache *c);

/* To be called by whoever reads views of many pictures, one after the other: those from begin to before end
   were read, and may leave memory. */
void cache_was_read(const cache *c, size_t begin, size_t end);

void cache_close(cache *c);

#endif
