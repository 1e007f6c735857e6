/* bench-open: what it costs to open a ViT-B/16 of 344 MB, as a mapped file, without verification.

   The weights are a hole in a temporary file: opening must not read them. Prints the median of 101
   runs of vit_model_load and of vit_model_open, and counts their allocations. */

static int allocations;

#include <stdlib.h>
static void *count_malloc(size_t size) {
    allocations++;
    return malloc(size);
}

#define VIT_MALLOC(context, size) ((void)(context), count_malloc(size))
#define VIT_FREE(context, pointer) ((void)(context), free(pointer))
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "random_model.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 101 };

/* A file with a whole head and no weights; 0 on failure. */
static int write_file(int file) {
    static unsigned char head[RANDOM_HEAD_SIZE];
    uint32_t head_size;
    uint64_t file_size = random_model_head(head, &head_size, 768, 12, 12, VIT_F32);
    return write(file, head, head_size) == (ssize_t)head_size &&
           ftruncate(file, (off_t)file_size) == 0;
}

static double microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    char path[] = "/tmp/bench-open-XXXXXX";
    double load[RUNS], open_[RUNS];
    vit_load_options options = {1, 0, NULL};
    vit_model model, view;
    size_t size = 0;
    int file = mkstemp(path);
    if (file < 0 || !write_file(file)) return fprintf(stderr, "cannot write %s\n", path), 1;
    close(file);
    for (int i = 0; i < RUNS; i++) {
        double begin = microseconds();
        vit_status status = vit_model_load(&model, path, &options);
        load[i] = microseconds() - begin;
        if (status != VIT_OK) return fprintf(stderr, "%s\n", vit_status_string(status)), 1;
        size = model.size;
        begin = microseconds();
        vit_model_open(&view, model.data, model.size);
        open_[i] = microseconds() - begin;
        vit_model_close(&model);
    }
    unlink(path);
    qsort(load, RUNS, sizeof(load[0]), compare);
    qsort(open_, RUNS, sizeof(open_[0]), compare);
    printf("ViT-B/16, %.1f MB: vit_model_load without verification %.1f us, vit_model_open %.1f us "
           "(medians of %d), %d allocations\n",
           (double)size / 1e6, load[RUNS / 2], open_[RUNS / 2], RUNS, allocations);
    return 0;
}
