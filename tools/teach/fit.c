#include "fit.h"

#include "tools/convert/report.h"

#include <lbfgs.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void samples_were_read(const samples *s, size_t begin, size_t end) {
    if (s->store.was_read != NULL) s->store.was_read(s->store.owner, begin, end);
}

scaling scaling_of(const samples *s) {
    scaling scale = {allocate(s->dim, sizeof(double)), allocate(s->dim, sizeof(double))};
    for (size_t i = 0; i < s->count; i++) {
        for (size_t j = 0; j < s->dim; j++) scale.mean[j] += (double)s->rows[i][j];
        samples_were_read(s, i, i + 1);
    }
    for (size_t j = 0; j < s->dim; j++) scale.mean[j] /= (double)s->count;
    for (size_t i = 0; i < s->count; i++) {
        for (size_t j = 0; j < s->dim; j++) {
            double difference = (double)s->rows[i][j] - scale.mean[j];
            scale.deviation[j] += difference * difference;
        }
        samples_were_read(s, i, i + 1);
    }
    for (size_t j = 0; j < s->dim; j++) {
        double deviation = sqrt(scale.deviation[j] / (double)s->count);
        scale.deviation[j] =
            deviation > 1e-9 ? deviation : 1; /* a feature that is the same for all */
    }
    return scale;
}

void scaling_free(scaling *s) {
    free(s->mean);
    free(s->deviation);
}

linear linear_make(size_t dim, int class_count) {
    linear l = {dim, class_count, NULL, NULL};
    l.weights = allocate(dim * (size_t)class_count, sizeof(double));
    l.bias = allocate((size_t)class_count, sizeof(double));
    return l;
}

void linear_free(linear *l) {
    free(l->weights);
    free(l->bias);
}

void linear_apply(const linear *l, const float *x, double *logits) {
    for (int c = 0; c < l->class_count; c++) {
        const double *weights = l->weights + (size_t)c * l->dim;
        logits[c] = l->bias[c];
        for (size_t j = 0; j < l->dim; j++) logits[c] += weights[j] * (double)x[j];
    }
}

void fit_softmax(const double *logits, int count, double *probabilities) {
    double largest = logits[0], sum = 0;
    for (int c = 1; c < count; c++) largest = fmax(largest, logits[c]);
    for (int c = 0; c < count; c++) sum += probabilities[c] = exp(logits[c] - largest);
    for (int c = 0; c < count; c++) probabilities[c] /= sum;
}

static void unscale(linear *l, const double *parameters, const scaling *scale) {
    for (int c = 0; c < l->class_count; c++) {
        const double *from = parameters + (size_t)c * (l->dim + 1);
        double *weights = l->weights + (size_t)c * l->dim;
        l->bias[c] = from[l->dim];
        for (size_t j = 0; j < l->dim; j++) {
            weights[j] = from[j] / scale->deviation[j];
            l->bias[c] -= weights[j] * scale->mean[j];
        }
    }
}

linear fit_unscale(const double *parameters, const scaling *scale, size_t dim, int class_count) {
    linear l = linear_make(dim, class_count);
    unscale(&l, parameters, scale);
    return l;
}

/* ---- the objective and its gradient ----------------------------------------------------------- */

/* LANES: sums side by side, which compilers keep in vectors. BLOCK: samples whose gradients are summed in
   float, a multiple of GROUP, which are added at a time. */
enum { LANES = 16, GROUP = 4, BLOCK = 64 };

/* What the objective is computed from. */
typedef struct problem {
    const samples *samples;
    const scaling *scale;
    double l2;
    size_t count; /* of the samples that are learned */
    const float *rows[BLOCK];
    int classes[BLOCK];
    linear head;    /* the parameters, unscaled */
    float *weights; /* [class_count][dim]: those of the head */
    float *sums;    /* [class_count][dim] */
    float *errors;  /* [class_count][BLOCK]: probability - 1 of the right class, of others - 0 */
    double *logits; /* [class_count] */
} problem;

static float dot(const float *restrict a, const float *restrict x, size_t dim) {
    float sums[LANES] = {0}, sum = 0;
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES)
        for (size_t lane = 0; lane < LANES; lane++) sums[lane] += a[j + lane] * x[j + lane];
    for (; j < dim; j++) sum += a[j] * x[j];
    for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
    return sum;
}

/* sums += the rows of a group, each times its factor */
static void add(float *restrict sums, const float *factors, const float *const *rows, size_t dim) {
    const float *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2],
                          *restrict d = rows[3];
    float p = factors[0], q = factors[1], r = factors[2], s = factors[3];
    for (size_t j = 0; j < dim; j++) sums[j] += p * a[j] + q * b[j] + (r * c[j] + s * d[j]);
}

/* The next samples to learn, from the one at *index on, which goes behind them. Returns their number. */
static size_t next_block(problem *p, size_t *index) {
    const samples *s = p->samples;
    size_t count = 0;
    for (; *index < s->count && count < BLOCK; ++*index) {
        if (s->folds != NULL && s->folds[*index] == s->held_out) continue;
        p->rows[count] = s->rows[*index];
        p->classes[count++] = s->classes[*index];
    }
    return count;
}

/* The loss of a sample of the block, and the errors of its logits. */
static double take_errors(problem *p, size_t column) {
    const samples *s = p->samples;
    int class = p->classes[column];
    for (size_t c = 0; c < (size_t)s->class_count; c++)
        p->logits[c] =
            p->head.bias[c] + (double)dot(p->weights + c * s->dim, p->rows[column], s->dim);
    fit_softmax(p->logits, s->class_count, p->logits);
    for (int c = 0; c < s->class_count; c++)
        p->errors[c * BLOCK + (int)column] = (float)(p->logits[c] - (c == class));
    return -log(fmax(p->logits[class], 1e-300));
}

/* Adds the gradient of the block by a class's unscaled weights and bias. */
static void add_block(const problem *p, size_t count, size_t class, double *row) {
    const samples *s = p->samples;
    const float *errors = p->errors + class * BLOCK;
    float *sums = p->sums + class * s->dim;
    memset(sums, 0, s->dim * sizeof(float));
    for (size_t i = 0; i < count; i += GROUP) {
        const float *rows[GROUP]; /* those after the last have errors 0 */
        for (size_t k = 0; k < GROUP; k++) rows[k] = p->rows[i + k < count ? i + k : count - 1];
        add(sums, errors + i, rows, s->dim);
    }
    for (size_t j = 0; j < s->dim; j++) row[j] += (double)sums[j];
    for (size_t i = 0; i < count; i++) row[s->dim] += (double)errors[i];
}

/* The sum of the samples' losses; gradient: sums by the unscaled weights and the biases. */
static double add_samples(problem *p, double *gradient) {
    const samples *s = p->samples;
    double loss = 0;
    for (size_t begin = 0, end = 0, count; (count = next_block(p, &end)) > 0; begin = end) {
        memset(p->errors, 0, (size_t)s->class_count * BLOCK * sizeof(float));
        for (size_t i = 0; i < count; i++) loss += take_errors(p, i);
        for (size_t c = 0; c < (size_t)s->class_count; c++)
            add_block(p, count, c, gradient + c * (s->dim + 1));
        samples_were_read(s, begin, end);
    }
    return loss;
}

/* From sums over the samples, by the unscaled weights, to the gradient of the objective. Returns the
   term of L2. */
static double finish_gradient(const problem *p, const double *parameters, double *gradient) {
    const samples *s = p->samples;
    double squares = 0;
    for (int c = 0; c < s->class_count; c++) {
        const double *w = parameters + (size_t)c * (s->dim + 1);
        double *g = gradient + (size_t)c * (s->dim + 1);
        g[s->dim] /= (double)p->count;
        for (size_t j = 0; j < s->dim; j++) {
            g[j] = g[j] / (double)p->count - g[s->dim] * p->scale->mean[j];
            g[j] = g[j] / p->scale->deviation[j] + p->l2 * w[j];
            squares += w[j] * w[j];
        }
    }
    return p->l2 / 2 * squares;
}

static double evaluate(void *instance, const double *parameters, double *gradient, int count,
                       double step) {
    problem *p = instance;
    const samples *s = p->samples;
    (void)step;
    memset(gradient, 0, (size_t)count * sizeof(double));
    unscale(&p->head, parameters, p->scale);
    for (size_t i = 0; i < s->dim * (size_t)s->class_count; i++)
        p->weights[i] = (float)p->head.weights[i];
    double loss = add_samples(p, gradient) / (double)p->count;
    return loss + finish_gradient(p, parameters, gradient);
}

static problem make_problem(const samples *s, const scaling *scale, double l2) {
    size_t classes = (size_t)s->class_count;
    problem p;
    memset(&p, 0, sizeof(p));
    p.samples = s, p.scale = scale, p.l2 = l2;
    for (size_t i = 0; i < s->count; i++) p.count += s->folds == NULL || s->folds[i] != s->held_out;
    p.head = linear_make(s->dim, s->class_count);
    p.weights = allocate(classes * s->dim, sizeof(float));
    p.sums = allocate(classes * s->dim, sizeof(float));
    p.errors = allocate(classes * BLOCK, sizeof(float));
    p.logits = allocate(classes, sizeof(double));
    return p;
}

static void free_problem(problem *p) {
    linear_free(&p->head);
    free(p->weights);
    free(p->sums);
    free(p->errors);
    free(p->logits);
}

/* A line search that cannot go on has come as far as rounding lets it. */
void fit(const samples *s, const scaling *scale, double l2, double epsilon, double *parameters) {
    size_t count = (s->dim + 1) * (size_t)s->class_count;
    problem p = make_problem(s, scale, l2);
    lbfgs_parameter_t settings;
    lbfgs_parameter_init(&settings);
    settings.epsilon = epsilon;
    settings.max_iterations = 1000;
    double *x = lbfgs_malloc((int)count); /* aligned as the library wants it */
    if (x == NULL) fail("out of memory");
    memcpy(x, parameters, count * sizeof(double));
    int status = lbfgs((int)count, x, NULL, evaluate, NULL, &p, &settings);
    if (status == LBFGSERR_OUTOFMEMORY) fail("out of memory");
    memcpy(parameters, x, count * sizeof(double));
    lbfgs_free(x);
    free_problem(&p);
}
