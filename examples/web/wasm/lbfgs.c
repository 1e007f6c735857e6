/* Limited-memory BFGS: Nocedal and Wright 2006, Numerical Optimization, algorithms 7.4 (the direction) and
   7.5 (the loop), with a line search by backtracking and doubling to Wolfe's conditions (3.6). */
#include "lbfgs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 6, TRIES = 40 };

/* A step that was taken, and what became of the gradient. */
typedef struct pair {
    double *s, *y; /* [n]: differences of x and of the gradient */
    double rho;    /* 1 / (s y) */
    double alpha;  /* of find_direction */
} pair;

typedef struct search {
    int n;
    double *memory;    /* that all of the following is cut from */
    double *gradient;  /* at x */
    double *direction; /* of descent */
    double *next, *next_gradient;
    pair pairs[PAIRS]; /* a ring */
    int count, newest; /* pairs that there are; index of the last */
} search;

static double dot(const double *a, const double *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add(double *to, double factor, const double *x, int n) {
    for (int i = 0; i < n; i++) to[i] += factor * x[i];
}

static int search_begin(search *s, int n) {
    memset(s, 0, sizeof(*s));
    s->n = n;
    s->memory = calloc((size_t)n * (4 + 2 * PAIRS), sizeof(double));
    if (s->memory == NULL) return 0;
    s->gradient = s->memory;
    s->direction = s->memory + n;
    s->next = s->memory + 2 * n;
    s->next_gradient = s->memory + 3 * n;
    for (int i = 0; i < PAIRS; i++) {
        s->pairs[i].s = s->memory + (4 + 2 * i) * n;
        s->pairs[i].y = s->memory + (5 + 2 * i) * n;
    }
    return 1;
}

/* The pair of `age` steps ago; 0 is the last. */
static pair *pair_of(search *s, int age) {
    return &s->pairs[(s->newest - age + PAIRS) % PAIRS];
}

/* Algorithm 7.4: the gradient times what the pairs tell of the inverse Hessian, downwards. */
static void find_direction(search *s) {
    double *d = s->direction;
    for (int i = 0; i < s->n; i++) d[i] = -s->gradient[i];
    for (int age = 0; age < s->count; age++) {
        pair *p = pair_of(s, age);
        p->alpha = p->rho * dot(p->s, d, s->n);
        add(d, -p->alpha, p->y, s->n);
    }
    if (s->count > 0) {
        const pair *last = pair_of(s, 0);
        double scale = 1 / (last->rho * dot(last->y, last->y, s->n));
        for (int i = 0; i < s->n; i++) d[i] *= scale;
    }
    for (int age = s->count - 1; age >= 0; age--) {
        const pair *p = pair_of(s, age);
        add(d, p->alpha - p->rho * dot(p->y, d, s->n), p->s, s->n);
    }
}

/* Keeps the step from x to next. One along which the gradient does not grow tells nothing. */
static void keep_pair(search *s, const double *x) {
    int newest = (s->newest + 1) % PAIRS;
    pair *p = &s->pairs[newest];
    for (int i = 0; i < s->n; i++) {
        p->s[i] = s->next[i] - x[i];
        p->y[i] = s->next_gradient[i] - s->gradient[i];
    }
    double product = dot(p->s, p->y, s->n);
    if (!(product > 0)) return;
    p->rho = 1 / product;
    s->newest = newest;
    if (s->count < PAIRS) s->count++;
}

/* Finds next and its gradient from x, whose value is *fx. Returns whether it is lower. */
static int search_line(search *s, const double *x, double *fx, double step,
                       lbfgs_evaluate_t evaluate, void *instance) {
    const double descent = dot(s->gradient, s->direction, s->n);
    if (!(descent < 0)) return 0;
    for (int i = 0; i < TRIES; i++) {
        memcpy(s->next, x, (size_t)s->n * sizeof(double));
        add(s->next, step, s->direction, s->n);
        double value = evaluate(instance, s->next, s->next_gradient, s->n, step);
        double slope = dot(s->next_gradient, s->direction, s->n);
        if (!(value <= *fx + 1e-4 * step * descent)) {
            step *= 0.5;
        } else if (slope < 0.9 * descent) {
            step *= 2.1;
        } else {
            *fx = value;
            return 1;
        }
    }
    return 0;
}

static int has_converged(const search *s, const double *x, double epsilon) {
    double norm = sqrt(dot(x, x, s->n));
    return sqrt(dot(s->gradient, s->gradient, s->n)) < epsilon * (norm > 1 ? norm : 1);
}

static int minimise(search *s, double *x, double *fx, lbfgs_evaluate_t evaluate, void *instance,
                    const lbfgs_parameter_t *parameter) {
    *fx = evaluate(instance, x, s->gradient, s->n, 0);
    for (int k = 0; !has_converged(s, x, parameter->epsilon); k++) {
        if (parameter->max_iterations > 0 && k == parameter->max_iterations)
            return LBFGSERR_MAXIMUMITERATION;
        find_direction(s);
        double step = k > 0 ? 1 : 1 / sqrt(dot(s->direction, s->direction, s->n));
        if (!search_line(s, x, fx, step, evaluate, instance)) return LBFGSERR_MAXIMUMLINESEARCH;
        keep_pair(s, x);
        memcpy(x, s->next, (size_t)s->n * sizeof(double));
        memcpy(s->gradient, s->next_gradient, (size_t)s->n * sizeof(double));
    }
    return LBFGS_SUCCESS;
}

int lbfgs(int n, double *x, double *fx, lbfgs_evaluate_t evaluate, lbfgs_progress_t progress,
          void *instance, lbfgs_parameter_t *parameter) {
    search s;
    double value;
    (void)progress;
    if (!search_begin(&s, n)) return LBFGSERR_OUTOFMEMORY;
    int status = minimise(&s, x, &value, evaluate, instance, parameter);
    if (fx != NULL) *fx = value;
    free(s.memory);
    return status;
}

double *lbfgs_malloc(int n) {
    return malloc((size_t)n * sizeof(double));
}

void lbfgs_free(double *x) {
    free(x);
}

void lbfgs_parameter_init(lbfgs_parameter_t *parameter) {
    parameter->epsilon = 1e-5;
    parameter->max_iterations = 0;
}
