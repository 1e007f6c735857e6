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
} embedder;

/* What the backbone's features are, opened for as many pictures at a time as there are threads. The
   model stays open as long as the embedder is in use. Ends the program if no picture can be its input. */
void embed_begin(embedder *e, const vit_model *backbone, const char *cache_path, int threads);

/* Add the views of a set (bit i: view i) to the cache where it lacks them. A picture that cannot be read
   is said on a line. Returns how many can. Ends the program after an interrupt. */
size_t embed_photos(embedder *e, const photos *p, unsigned views);

void embed_end(embedder *e);

#endif
