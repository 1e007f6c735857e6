/* The heap that the library is given: counts, and fails at one of the calls. To be included before
   vit.h. */
#ifndef HEAP_H
#define HEAP_H

#include <stddef.h>
#include <stdlib.h>

typedef struct heap {
    int calls, live;
    int fail_at; /* 1: the first call; 0: never */
} heap;

static void *heap_malloc(void *context, size_t size) {
    heap *h = (heap *)context;
    if (h == NULL) return malloc(size);
    if (++h->calls == h->fail_at || size > (size_t)1 << 30) return NULL;
    h->live++;
    return malloc(size);
}

static void heap_free(void *context, void *pointer) {
    if (context != NULL) ((heap *)context)->live--;
    free(pointer);
}

#define VIT_MALLOC(context, size) heap_malloc(context, size)
#define VIT_FREE(context, pointer) heap_free(context, pointer)

#endif
