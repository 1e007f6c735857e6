/* What the fuzzers of vit-convert's readers share. No file may make a reader crash, read outside its
   bytes, hang or take memory without bound: it adds the tensors or ends with a message.

   make fuzz FUZZ_SECONDS=600 runs every fuzzer of this folder (run.sh). One of them, and an input that it
   has found:

   make build/fuzz_pickle build/fuzz/seeds
   build/fuzz_pickle -max_total_time=600 -rss_limit_mb=2048 build/fuzz/pickle tests/golden/containers
   build/fuzz_pickle build/fuzz/pickle.crash-...

   The readers end the program on an error; here, fail() jumps back, and what was allocated until then is
   freed. */
#ifndef FUZZ_H
#define FUZZ_H

#include "tests/reader_end.h"
#include "tools/convert/checkpoint.h"

#include <sanitizer/allocator_interface.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* What each file defines: adds the tensors of a file, if it begins as one of that kind. */
static void read_input(checkpoint *c, const file_map *file);

/* ---- allocations of one input, freed where fail() leaves them ---- */

static const volatile void **held;
static size_t held_count, held_capacity;
static int watching;

static void on_malloc(const volatile void *block, size_t size) {
    (void)size;
    if (!watching || held_count == held_capacity) return;
    held[held_count++] = block;
}

static void on_free(const volatile void *block) {
    for (size_t i = held_count; watching && i-- > 0;) {
        if (held[i] != block) continue;
        held[i] = held[--held_count];
        return;
    }
}

static void start_watching(void) {
    if (held == NULL) {
        held_capacity = 1 << 20;
        held = malloc(held_capacity * sizeof(*held));
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    }
    held_count = 0;
    watching = 1;
}

static void free_held(void) {
    watching = 0;
    for (size_t i = 0; i < held_count; i++) free((void *)(uintptr_t)held[i]);
}

/* ---- one input ---- */

/* The first elements, the last and some in between. */
static void read_elements(const tensor *t) {
    float values[64];
    size_t count = tensor_count(t);
    if (t->type == TENSOR_OTHER || count == 0) return;
    size_t most = count < 64 ? count : 64;
    tensor_read(t, 0, most, values);
    tensor_read(t, count / 3, most < count - count / 3 ? most : 1, values);
    tensor_read(t, count - most, most, values);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    const file_map file = {"input", data, size};
    static checkpoint c;
    memset(&c, 0, sizeof(c));
    start_watching();
    if (setjmp(reader_end) == 0) {
        read_input(&c, &file);
        if (c.count > 0) checkpoint_sort(&c);
        for (size_t i = 0; i < c.count; i++) read_elements(&c.tensors[i]);
        checkpoint_close(&c);
    }
    free_held();
    return 0;
}

#endif
