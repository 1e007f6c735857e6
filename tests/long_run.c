/* Many inferences by threads that open and close their models all the while: each result is the same to
   the bit, and memory does not grow.

   build/long_run THREADS INFERENCES MODEL */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VIT_IMPLEMENTATION
#include "vit.h"

enum { PICTURES = 16, EACH_MODEL = 50 /* inferences, then it is opened anew */ };

typedef struct run {
    const char *path;
    vit_pool *pool; /* one for all: who finds it busy works alone */
    const unsigned char *pictures;
    const float *expected; /* [PICTURES][outputs] */
    size_t outputs;
    long inferences, wrong, failed;
} run;

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) perror("long_run"), exit(1);
    return memory;
}

/* Mapped or read, verified or not, alone or by the pool: all of these take turns. */
static vit_status infer(run *r, const vit_model *model, long turn, float *pixels, float *output) {
    const unsigned char *picture = r->pictures + turn % PICTURES * 28 * 28 * 3;
    const vit_image image = {picture, 28, 28, 0, 0, 0};
    vit_options options;
    memset(&options, 0, sizeof(options));
    if (turn % 3 == 0)
        options.parallel_for = vit_pool_parallel_for, options.parallel_user = r->pool;
    size_t size = vit_workspace_size(model, &options, 1);
    size_t other = vit_preprocess_workspace_size(model, &options, &image);
    size = size > other ? size : other;
    void *workspace = allocate(size);
    vit_status status = vit_preprocess(model, &options, &image, pixels, workspace, size);
    if (status == VIT_OK) status = vit_forward(model, &options, pixels, 1, output, workspace, size);
    free(workspace);
    return status;
}

/* As many inferences as one open model makes. */
static void use_model(run *r, long first, long count) {
    const vit_load_options how = {.no_verify = first / EACH_MODEL % 2 != 0,
                                  .no_map = first / EACH_MODEL % 3 == 0};
    vit_model model;
    if (vit_model_load(&model, r->path, &how) != VIT_OK) {
        r->failed += count;
        return;
    }
    float *pixels = allocate(vit_pixels_count(&model, NULL) * sizeof(float));
    float *output = allocate(r->outputs * sizeof(float));
    for (long i = first; i < first + count; i++) {
        const float *want = r->expected + (size_t)(i % PICTURES) * r->outputs;
        if (infer(r, &model, i, pixels, output) != VIT_OK) r->failed++;
        else r->wrong += memcmp(output, want, r->outputs * sizeof(float)) != 0;
    }
    free(pixels), free(output);
    vit_model_close(&model);
}

static void *run_all(void *argument) {
    run *r = argument;
    for (long i = 0; i < r->inferences; i += EACH_MODEL)
        use_model(r, i, r->inferences - i < EACH_MODEL ? r->inferences - i : EACH_MODEL);
    return NULL;
}

/* Kilobytes of the process in memory; 0 where the system does not tell. */
static long resident(void) {
    long pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%ld %ld", &all, &pages) != 2) pages = 0;
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Inferences by all threads at once; ends the program where one is wrong. */
static void run_threads(const run *shared, int threads, long inferences) {
    run *runs = allocate((size_t)threads * sizeof(run));
    pthread_t *ids = allocate((size_t)threads * sizeof(pthread_t));
    for (int i = 0; i < threads; i++) {
        runs[i] = *shared;
        runs[i].inferences = inferences / threads;
        if (pthread_create(&ids[i], NULL, run_all, &runs[i]) != 0) perror("long_run"), exit(1);
    }
    long wrong = 0, failed = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        wrong += runs[i].wrong, failed += runs[i].failed;
    }
    if (wrong + failed > 0) printf("%ld results differ, %ld failed\n", wrong, failed), exit(1);
    free(runs), free(ids);
}

static void expect(run *r, unsigned char *pictures, float *expected, const vit_model *model) {
    unsigned seed = 1;
    for (size_t i = 0; i < PICTURES * 28 * 28 * 3; i++)
        seed = seed * 1103515245u + 12345u, pictures[i] = (unsigned char)(seed >> 16 & 255);
    r->pictures = pictures, r->expected = expected;
    float *pixels = allocate(vit_pixels_count(model, NULL) * sizeof(float));
    for (size_t i = 0; i < PICTURES; i++) {
        if (infer(r, model, (long)i, pixels, expected + i * r->outputs) != VIT_OK) exit(1);
    }
    free(pixels);
}

int main(int argc, char **argv) {
    int threads = argc == 4 ? atoi(argv[1]) : 0;
    long inferences = argc == 4 ? atol(argv[2]) : 0;
    vit_model model;
    run r;
    memset(&r, 0, sizeof(r));
    if (threads < 1 || inferences < 10 * threads)
        return fprintf(stderr, "usage: long_run THREADS INFERENCES MODEL\n"), 2;
    r.path = argv[3];
    vit_status status = vit_model_load(&model, r.path, NULL);
    if (status != VIT_OK) return fprintf(stderr, "%s\n", vit_status_string(status)), 1;
    r.outputs = vit_output_count(&model, NULL);
    r.pool = vit_pool_create(2, NULL);
    unsigned char *pictures = allocate(PICTURES * 28 * 28 * 3);
    float *expected = allocate(PICTURES * r.outputs * sizeof(float));
    expect(&r, pictures, expected, &model);
    run_threads(&r, threads, inferences / 10); /* after which all memory that it takes is there */
    long before = resident();
    run_threads(&r, threads, inferences - inferences / 10);
    long grown = resident() - before;
    printf("%ld inferences by %d threads, %ld models opened: every result the same; memory %ld KB, "
           "grown by %ld KB in the last nine tenths\n",
           inferences, threads, inferences / EACH_MODEL, before + grown, grown);
    vit_pool_destroy(r.pool);
    vit_model_close(&model);
    free(pictures), free(expected);
    return grown > 4096;
}
