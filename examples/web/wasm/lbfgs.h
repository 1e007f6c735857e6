/* What tools/teach/fit.c uses of liblbfgs (libLBFGS 1.10, lbfgs.h), which there is no WebAssembly
   package of: the same names and the same meaning. */
#ifndef LBFGS_H
#define LBFGS_H

typedef double lbfgsfloatval_t;

typedef struct lbfgs_parameter_t {
    double epsilon;     /* ends where |gradient| < epsilon * max(1, |x|) */
    int max_iterations; /* 0: any number */
} lbfgs_parameter_t;

/* The value at x, and its gradient. */
typedef double (*lbfgs_evaluate_t)(void *instance, const double *x, double *gradient, int n,
                                   double step);
typedef int (*lbfgs_progress_t)(void *instance, const double *x, const double *g, double fx,
                                double xnorm, double gnorm, double step, int n, int k, int ls);

enum {
    LBFGS_SUCCESS = 0,
    LBFGSERR_OUTOFMEMORY = -1023,
    LBFGSERR_MAXIMUMITERATION = -997,
    LBFGSERR_MAXIMUMLINESEARCH = -998
};

double *lbfgs_malloc(int n);
void lbfgs_free(double *x);
void lbfgs_parameter_init(lbfgs_parameter_t *parameter);

/* Minimise from x, which becomes the best that was found. fx, if not NULL, gets its value. progress is
   not called: it has to be NULL. */
int lbfgs(int n, double *x, double *fx, lbfgs_evaluate_t evaluate, lbfgs_progress_t progress,
          void *instance, lbfgs_parameter_t *parameter);

#endif
