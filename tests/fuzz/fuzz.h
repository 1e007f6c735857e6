/* What the fuzzers of vit-convert's readers share. No file may make a reader crash, read outside its
   bytes, hang or take memory without bound: it adds the tensors or ends with a message.

   make build/fuzz_pickle
   mkdir -p build/corpus/pickle
   build/fuzz_pickle -max_total_time=600 -rss_limit_mb=2048 build/corpus/pickle tests/golden/containers

   and so on for each file of this folder. The readers end the program on an error; here, fail() jumps
   back, and what was allocated until then is freed. */
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

static const volatile void **blocks;
static size_t block_count, block_capacity;
static int watching;

static void on_malloc(const volatile void *block, size_t size) {
    (void)size;
    if (!watching || block_count == block_capacity) return;
    blocks[block_count++] = block;
}

static void on_free(const volatile void *block) {
    for (size_t i = block_count; watching && i-- > 0;) {
        if (blocks[i] != block) continue;
        blocks[i] = blocks[--block_count];
        return;
    }
}

static void start_watching(void) {
    if (blocks == NULL) {
        block_capacity = 1 << 20;
        blocks = malloc(block_capacity * sizeof(*blocks));
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    }
    block_count = 0;
    watching = 1;
}

static void free_blocks(void) {
    watching = 0;
    for (size_t i = 0; i < block_count; i++) free((void *)(uintptr_t)blocks[i]);
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
    free_blocks();
    return 0;
}

#endif
