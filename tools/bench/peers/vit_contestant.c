/* The contestant vit.h, used as a program would use it, with the weights verified. */
#define VIT_IMPLEMENTATION
#include "vit.h"

#include "../peak.h"
#include "contestant.h"

static vit_model model;
static vit_options options;
static void *workspace;
static size_t workspace_size;

void contestant_open(const contest *c) {
    vit_status status = vit_model_load(&model, c->model, NULL);
    if (status != VIT_OK) fail(vit_status_string(status));
    if (c->threads > 1) {
        vit_pool *pool = vit_pool_create(c->threads, NULL);
        if (vit_pool_threads(pool) != c->threads) fail("no pool of that many threads");
        options.parallel_for = vit_pool_parallel_for;
        options.parallel_user = pool;
    }
    options.threads = c->threads;
    workspace_size = vit_workspace_size(&model, &options, c->batch);
    if (workspace_size == 0) fail("this batch is not possible here");
    workspace = malloc(workspace_size);
    if (workspace == NULL) fail("out of memory");
    if (vit_pixels_count(&model, NULL) != picture_size(c) ||
        vit_model_config(&model)->num_classes != c->classes)
        fail("this model is not one of the contest");
}

void contestant_run(const contest *c) {
    vit_status status =
        vit_forward(&model, &options, c->pixels, c->batch, c->logits, workspace, workspace_size);
    if (status != VIT_OK) fail(vit_status_string(status));
}

double contestant_peak(const contest *c) {
    vit_options best = options;
    double peak = 0;
    (void)c;
    best.isa = vit_best_isa();
    for (int i = 0; i < 10; i++) { /* the first may find the threads asleep */
        double rate = measure_peak(&best);
        peak = rate > peak ? rate : peak;
    }
    return peak;
}
