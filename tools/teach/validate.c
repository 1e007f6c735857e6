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
    samples s = {rows, classes, l->count * 2, reading_dim(l, r), l->class_count, NULL, 0, l->store};
    return s;
}

void samples_free(samples *s) {
    free((void *)(uintptr_t)s->rows);
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

/* The fold of each sample, both of a picture in one: those of a class are dealt out in a random order, each
   class going on where the one before ended. */
static int *make_folds(const lessons *l, int folds) {
    int *fold = allocate(l->count * 2, sizeof(int)), next = 0;
    size_t *order = allocate(l->count, sizeof(size_t));
    uint64_t state = 88172645463325252u;
    for (int class = 0; class < l->class_count; class ++) {
        size_t count = 0;
        for (size_t i = 0; i < l->count; i++)
            if (l->classes[i] == class) order[count++] = i;
        for (; count > 0; count--) {
            size_t drawn = (size_t)(random_next(&state) % count);
            fold[2 * order[drawn]] = fold[2 * order[drawn] + 1] = next++ % folds;
            order[drawn] = order[count - 1];
        }
    }
    free(order);
    return fold;
}

/* ---- candidates ------------------------------------------------------------------------------ */

/* One way of reading, with what each fold has come to when it is held out. */
typedef struct candidate {
    reading reading;
    samples samples;
    scaling scale;
    double *parameters[MAX_FOLDS], losses[MAX_FOLDS]; /* of the regularisation at hand */
    double *best[MAX_FOLDS], best_loss, best_l2;
    int ended; /* less regularisation has become worse */
} candidate;

typedef struct validation {
    const lessons *lessons;
    int *fold; /* [lessons.count * 2] */
    int folds, count;
    candidate candidates[6];
    double l2;
} validation;

static size_t parameter_count(const candidate *c) {
    return (c->samples.dim + 1) * (size_t)c->samples.class_count;
}

static void add_candidate(validation *v, int view, int tokens, int average) {
    candidate *c = &v->candidates[v->count++];
    reading r = {view, tokens, average};
    c->reading = r;
    c->samples = lessons_samples(v->lessons, &r);
    c->scale = scaling_of(&c->samples);
    c->samples.folds = v->fold;
    c->best_loss = HUGE_VAL;
    for (int f = 0; f < v->folds; f++) {
        c->parameters[f] = allocate(parameter_count(c), sizeof(double));
        c->best[f] = allocate(parameter_count(c), sizeof(double));
    }
}

static void free_candidate(const validation *v, candidate *c) {
    for (int f = 0; f < v->folds; f++) {
        free(c->parameters[f]);
        free(c->best[f]);
    }
    samples_free(&c->samples);
    scaling_free(&c->scale);
}

/* The sum of the losses of the fold's pictures, as they are, by its parameters; logits: [count][class_count]
   of all pictures, which gets theirs, or NULL. */
static double test_fold(const candidate *c, int fold, const double *parameters, double *logits) {
    const samples *s = &c->samples;
    size_t classes = (size_t)s->class_count;
    linear head = fit_unscale(parameters, &c->scale, s->dim, s->class_count);
    double *q = allocate(classes, sizeof(double)), loss = 0;
    for (size_t i = 0; i < s->count; i += 2) {
        if (s->folds[i] == fold) {
            linear_apply(&head, s->rows[i], q);
            if (logits != NULL) memcpy(logits + i / 2 * classes, q, classes * sizeof(double));
            fit_softmax(q, s->class_count, q);
            loss -= log(fmax(q[s->classes[i]], 1e-300));
        }
        samples_were_read(s, i, i + 2);
    }
    free(q);
    linear_free(&head);
    return loss;
}

/* A vit_task: one fold of one candidate. */
static void run_fold(void *arg, int index) {
    validation *v = arg;
    candidate *c = &v->candidates[index / v->folds];
    int fold = index % v->folds;
    samples learned = c->samples;
    if (c->ended) return;
    learned.held_out = fold;
    fit(&learned, &c->scale, v->l2, 1e-2, c->parameters[fold]);
    c->losses[fold] = test_fold(c, fold, c->parameters[fold], NULL);
}

/* Keeps what is better than before; ends where it is not. */
static void judge(const validation *v, candidate *c) {
    double loss = 0;
    if (c->ended) return;
    for (int f = 0; f < v->folds; f++) loss += c->losses[f];
    c->ended = !(loss < c->best_loss);
    if (c->ended) return;
    c->best_loss = loss;
    c->best_l2 = v->l2;
    for (int f = 0; f < v->folds; f++)
        memcpy(c->best[f], c->parameters[f], parameter_count(c) * sizeof(double));
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

static choice choose(const validation *v) {
    const candidate *best = &v->candidates[0];
    for (int i = 1; i < v->count; i++)
        if (v->candidates[i].best_loss < best->best_loss) best = &v->candidates[i];
    size_t count = v->lessons->count * (size_t)v->lessons->class_count;
    choice c = {best->reading, best->best_l2, best->best_loss / (double)v->lessons->count,
                allocate(count, sizeof(double))};
    for (int f = 0; f < v->folds; f++) test_fold(best, f, best->best[f], c.logits);
    return c;
}

choice validate(const lessons *l, unsigned views) {
    validation v;
    memset(&v, 0, sizeof(v));
    v.lessons = l;
    v.folds = (int)(l->count < MAX_FOLDS ? l->count : MAX_FOLDS);
    v.fold = make_folds(l, v.folds);
    for (int view = 0; view <= VIEW_WHOLE; view += VIEW_WHOLE) {
        if (!(views >> view & 1)) continue;
        if (l->class_token) add_candidate(&v, view, 1, 0);
        if (l->class_token) add_candidate(&v, view, 1, 1);
        add_candidate(&v, view, 0, 1);
    }
    search(&v);
    choice chosen = choose(&v);
    for (int i = 0; i < v.count; i++) free_candidate(&v, &v.candidates[i]);
    free(v.fold);
    return chosen;
}
