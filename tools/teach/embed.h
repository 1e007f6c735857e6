/* What a backbone makes of pictures: the features that a head can read. */
#ifndef EMBED_H
#define EMBED_H

#include "cache.h"
#include "photos.h"
#include "vit.h"

#include <signal.h>

typedef struct embedder {
    vit_model model; /* its head reads all that a head can */
    int class_token; /* whether the features begin with token 0; the mean of the patches follows */
    int threads;
    const volatile sig_atomic_t *stop; /* not 0: an interrupt */
    cache cache;
    record **done; /* of every call of embed_photos, which the cache is to have */
    size_t done_count;
} embedder;

/* What the backbone's features are, opened for as many pictures at a time as there are threads. The
   model stays open as long as the embedder is in use. Ends the program if no picture can be its input. */
void embed_begin(embedder *e, const vit_model *backbone, const char *cache_path, int threads);

/* Give each picture its record, [count], with the views of a set (bit i: view i), and write the cache.
   One that cannot be read has no views; each is said on a line. Returns how many there are. Ends the
   program after an interrupt, once the cache is written. The records have to stay until embed_end. */
size_t embed_photos(embedder *e, const photos *p, unsigned views, record *records);

/* Whether the last cache was written; if not, a line has said why. */
int embed_is_kept(const embedder *e);

void embed_end(embedder *e);

#endif
