#include "fit.h"

#include "tools/convert/report.h"

#include <lbfgs.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

scaling scaling_of(const samples *s) {
    scaling scale = {allocate(s->dim, sizeof(double)), allocate(s->dim, sizeof(double))};
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->dim; j++) scale.mean[j] += (double)s->rows[i][j];
    for (size_t j = 0; j < s->dim; j++) scale.mean[j] /= (double)s->count;
    for (size_t i = 0; i < s->count; i++) {
        for (size_t j = 0; j < s->dim; j++) {
            double difference = (double)s->rows[i][j] - scale.mean[j];
            scale.deviation[j] += difference * difference;
        }
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

enum { LANES = 8 }; /* sums side by side, which compilers keep in vectors */

static double dot(const double *restrict a, const float *restrict x, size_t dim) {
    double sums[LANES] = {0}, sum = 0;
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += a[j + (size_t)lane] * (double)x[j + (size_t)lane];
    for (; j < dim; j++) sum += a[j] * (double)x[j];
    for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
    return sum;
}

/* sums += factor * x */
static void add(double *restrict sums, double factor, const float *restrict x, size_t dim) {
    for (size_t j = 0; j < dim; j++) sums[j] += factor * (double)x[j];
}

void linear_apply(const linear *l, const float *x, double *logits) {
    for (int c = 0; c < l->class_count; c++)
        logits[c] = l->bias[c] + dot(l->weights + (size_t)c * l->dim, x, l->dim);
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

/* What the objective is computed from. */
typedef struct problem {
    const samples *samples;
    const scaling *scale;
    double l2;
    linear head;           /* the parameters, unscaled */
    double *probabilities; /* [class_count] */
} problem;

/* The sample's loss; the gradient of its logits is added to those of the unscaled head. */
static double add_sample(problem *p, size_t index, double *gradient) {
    const samples *s = p->samples;
    double *q = p->probabilities;
    int class = s->classes[index];
    linear_apply(&p->head, s->rows[index], q);
    fit_softmax(q, s->class_count, q);
    double loss = -log(fmax(q[class], 1e-300));
    q[class] -= 1;
    for (int c = 0; c < s->class_count; c++) {
        double *row = gradient + (size_t)c * (s->dim + 1);
        add(row, q[c], s->rows[index], s->dim);
        row[s->dim] += q[c];
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
        g[s->dim] /= (double)s->count;
        for (size_t j = 0; j < s->dim; j++) {
            g[j] = g[j] / (double)s->count - g[s->dim] * p->scale->mean[j];
            g[j] = g[j] / p->scale->deviation[j] + p->l2 * w[j];
            squares += w[j] * w[j];
        }
    }
    return p->l2 / 2 * squares;
}

static double evaluate(void *instance, const double *parameters, double *gradient, int count,
                       double step) {
    problem *p = instance;
    double loss = 0;
    (void)step;
    memset(gradient, 0, (size_t)count * sizeof(double));
    unscale(&p->head, parameters, p->scale);
    for (size_t i = 0; i < p->samples->count; i++) loss += add_sample(p, i, gradient);
    return loss / (double)p->samples->count + finish_gradient(p, parameters, gradient);
}

/* A line search that cannot go on has come as far as rounding lets it. */
void fit(const samples *s, const scaling *scale, double l2, double epsilon, double *parameters) {
    size_t count = (s->dim + 1) * (size_t)s->class_count;
    problem p = {s, scale, l2, linear_make(s->dim, s->class_count),
                 allocate((size_t)s->class_count, sizeof(double))};
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
    linear_free(&p.head);
    free(p.probabilities);
}
