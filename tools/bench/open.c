/* bench-open: what it costs to open a ViT-B/16 of 344 MB, as a mapped file, without verification.

   Opening must not read the weights. Prints the median of 101 runs of vit_model_load and of
   vit_model_open, and counts their allocations. */

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
#include "tools/convert/file_map.h"
#include "tools/convert/report.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 101 };

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
    vit_load_options options = {.no_verify = 1};
    vit_model model, view;
    int file = mkstemp(path);
    report_program = "bench-open";
    if (file < 0) fail("no temporary file in /tmp");
    close(file);
    random_model_write(path, 768, 12, 12, VIT_F32);
    file_map map = file_map_open(path);
    for (int i = 0; i < RUNS; i++) {
        double begin = microseconds();
        vit_status status = vit_model_load(&model, path, &options);
        load[i] = microseconds() - begin;
        if (status != VIT_OK) fail("%s: %s", path, vit_status_string(status));
        vit_model_close(&model);
        begin = microseconds();
        vit_model_open(&view, map.data, map.size);
        open_[i] = microseconds() - begin;
    }
    unlink(path);
    qsort(load, RUNS, sizeof(load[0]), compare);
    qsort(open_, RUNS, sizeof(open_[0]), compare);
    printf("ViT-B/16, %.1f MB: vit_model_load without verification %.1f us, vit_model_open %.1f us "
           "(medians of %d), %d allocations\n",
           (double)map.size / 1e6, load[RUNS / 2], open_[RUNS / 2], RUNS, allocations);
    return 0;
}
