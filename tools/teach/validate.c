#include "validate.h"

#include "tools/convert/report.h"
#include "vit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t reading_offset(const lessons *l, const reading *r) {
    return l->class_token && !r->tokens ? l->embed_dim : 0;
}

size_t reading_dim(const lessons *l, const reading *r) {
    return l->embed_dim * (size_t)(r->tokens + r->average);
}

samples lessons_samples(const lessons *l, const reading *r) {
    const float **rows = allocate(l->count * 2, sizeof(float *));
    int *classes = allocate(l->count * 2, sizeof(int));
    for (size_t i = 0; i < l->count * 2; i++) {
        int view = r->view | (i % 2 ? VIEW_MIRRORED : 0);
        rows[i] = l->records[i / 2]->views[view] + reading_offset(l, r);
        classes[i] = l->classes[i / 2];
    }
    samples s = {rows, classes, l->count * 2, reading_dim(l, r), l->class_count};
    return s;
}

void samples_free(samples *s) {
    free((void *)s->rows);
    free((void *)(uintptr_t)s->classes);
}

/* ---- folds ---------------------------------------------------------------------------------- */

/* A fixed sequence of random numbers: Marsaglia's xorshift64. */
static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The fold of each picture: those of a class are dealt out in a random order, each class going on where
   the one before ended. */
static int *make_folds(const lessons *l, int folds) {
    int *fold = allocate(l->count, sizeof(int)), next = 0;
    size_t *order = allocate(l->count, sizeof(size_t));
    uint64_t state = 88172645463325252u;
    for (int class = 0; class < l->class_count; class ++) {
        size_t count = 0;
        for (size_t i = 0; i < l->count; i++)
            if (l->classes[i] == class) order[count++] = i;
        for (; count > 0; count--) {
            size_t drawn = (size_t)(random_next(&state) % count);
            fold[order[drawn]] = next++ % folds;
            order[drawn] = order[count - 1];
        }
    }
    free(order);
    return fold;
}

/* ---- candidates ------------------------------------------------------------------------------ */

/* One way of reading, with the parameters that each fold has come to. */
typedef struct candidate {
    reading reading;
    samples all, parts[MAX_FOLDS]; /* what is learned when a fold is held out */
    scaling scale;
    double *parameters[MAX_FOLDS];
    double *logits; /* held out, of the regularisation at hand */
    choice best;
    int ended; /* less regularisation has become worse */
} candidate;

typedef struct validation {
    const lessons *lessons;
    const int *fold;
    int folds, count;
    candidate candidates[6];
    double l2;
} validation;

static samples without_fold(const validation *v, const samples *all, int fold) {
    samples part = *all;
    const float **rows = allocate(all->count, sizeof(float *));
    int *classes = allocate(all->count, sizeof(int));
    part.count = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (v->fold[i / 2] == fold) continue;
        rows[part.count] = all->rows[i];
        classes[part.count++] = all->classes[i];
    }
    part.rows = rows, part.classes = classes;
    return part;
}

static void add_candidate(validation *v, int view, int tokens, int average) {
    const lessons *l = v->lessons;
    candidate *c = &v->candidates[v->count++];
    reading r = {view, tokens, average};
    c->reading = r;
    c->all = lessons_samples(l, &r);
    c->scale = scaling_of(&c->all);
    c->logits = allocate(l->count * (size_t)l->class_count, sizeof(double));
    c->best.reading = r;
    c->best.loss = HUGE_VAL;
    c->best.logits = allocate(l->count * (size_t)l->class_count, sizeof(double));
    for (int f = 0; f < v->folds; f++) {
        c->parts[f] = without_fold(v, &c->all, f);
        c->parameters[f] = allocate((c->all.dim + 1) * (size_t)l->class_count, sizeof(double));
    }
}

static void free_candidate(const validation *v, candidate *c) {
    for (int f = 0; f < v->folds; f++) {
        samples_free(&c->parts[f]);
        free(c->parameters[f]);
    }
    samples_free(&c->all);
    scaling_free(&c->scale);
    free(c->logits);
    free(c->best.logits);
}

/* A vit_task: one fold of one candidate. */
static void run_fold(void *arg, int index) {
    const validation *v = arg;
    const candidate *c = &v->candidates[index / v->folds];
    int fold = index % v->folds, classes = v->lessons->class_count;
    if (c->ended) return;
    fit(&c->parts[fold], &c->scale, v->l2, 1e-2, c->parameters[fold]);
    linear head = fit_unscale(c->parameters[fold], &c->scale, c->all.dim, classes);
    for (size_t i = 0; i < v->lessons->count; i++) {
        if (v->fold[i] == fold)
            linear_apply(&head, c->all.rows[2 * i], c->logits + i * (size_t)classes);
    }
    linear_free(&head);
}

static double loss_of(const lessons *l, const double *logits) {
    double *q = allocate((size_t)l->class_count, sizeof(double)), loss = 0;
    for (size_t i = 0; i < l->count; i++) {
        fit_softmax(logits + i * (size_t)l->class_count, l->class_count, q);
        loss -= log(fmax(q[l->classes[i]], 1e-300));
    }
    free(q);
    return loss / (double)l->count;
}

/* Keeps what is better than before; ends where it is not. */
static void judge(const validation *v, candidate *c) {
    const lessons *l = v->lessons;
    if (c->ended) return;
    double loss = loss_of(l, c->logits);
    c->ended = !(loss < c->best.loss);
    if (c->ended) return;
    c->best.loss = loss;
    c->best.l2 = v->l2;
    memcpy(c->best.logits, c->logits, l->count * (size_t)l->class_count * sizeof(double));
}

/* From strong regularisation to weak, each starting where the one before ended, until all candidates
   have become worse. The folds of all candidates share the threads. */
static void search(validation *v) {
    vit_pool *pool = vit_pool_create(v->lessons->threads, NULL);
    int left = v->count;
    for (v->l2 = 10; left > 0 && v->l2 > 1e-7; v->l2 /= sqrt(10)) {
        vit_pool_parallel_for(pool, v->count * v->folds, run_fold, v);
        left = 0;
        for (int i = 0; i < v->count; i++) {
            judge(v, &v->candidates[i]);
            left += !v->candidates[i].ended;
        }
    }
    vit_pool_destroy(pool);
}

choice validate(const lessons *l, unsigned views) {
    validation v;
    memset(&v, 0, sizeof(v));
    v.lessons = l;
    v.folds = (int)(l->count < MAX_FOLDS ? l->count : MAX_FOLDS);
    int *fold = make_folds(l, v.folds);
    v.fold = fold;
    for (int view = 0; view <= VIEW_WHOLE; view += VIEW_WHOLE) {
        if (!(views >> view & 1)) continue;
        if (l->class_token) add_candidate(&v, view, 1, 0);
        if (l->class_token) add_candidate(&v, view, 1, 1);
        add_candidate(&v, view, 0, 1);
    }
    search(&v);
    int best = 0;
    for (int i = 1; i < v.count; i++)
        if (v.candidates[i].best.loss < v.candidates[best].best.loss) best = i;
    choice chosen = v.candidates[best].best;
    v.candidates[best].best.logits = NULL;
    for (int i = 0; i < v.count; i++) free_candidate(&v, &v.candidates[i]);
    free(fold);
    return chosen;
}
