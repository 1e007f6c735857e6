/* Multinomial logistic regression with L2, by L-BFGS (liblbfgs). */
#ifndef FIT_H
#define FIT_H

#include <stddef.h>

/* Where rows are that are too many for memory; called after those from begin to before end were read, which
   may leave memory then. */
typedef struct row_store {
    void (*was_read)(const void *owner, size_t begin, size_t end); /* NULL: all are in memory */
    const void *owner;
} row_store;

/* Rows of features, and the class of each. */
typedef struct samples {
    const float *const *rows; /* [count], each [dim] */
    const int *classes;       /* [count] */
    size_t count, dim;
    int class_count;
    const int
        *folds; /* [count]; NULL: all are learned, or else those of other folds than held_out */
    int held_out;
    row_store store;
} samples;

/* To be called by whoever reads one row after the other. */
void samples_were_read(const samples *s, size_t begin, size_t end);

/* A linear head: logits[c] = bias[c] + sum over j of weights[c][j] * x[j]. */
typedef struct linear {
    size_t dim;
    int class_count;
    double *weights; /* [class_count][dim] */
    double *bias;    /* [class_count] */
} linear;

/* Mean and standard deviation of each feature. */
typedef struct scaling {
    double *mean, *deviation; /* [dim] */
} scaling;

scaling scaling_of(const samples *s);
void scaling_free(scaling *s);

/* Zeros. */
linear linear_make(size_t dim, int class_count);
void linear_free(linear *l);

/* logits: [class_count]. */
void linear_apply(const linear *l, const float *x, double *logits);

/* Probabilities of logits, both [count]; they may be the same array. */
void fit_softmax(const double *logits, int count, double *probabilities);

/* Minimise, over the weights w of standardised features z = (x - mean) / deviation and the biases,

       mean over the samples of -log softmax(w z + bias)[class] + l2 / 2 * sum of w^2

   until the gradient's norm is below epsilon times that of the parameters (or 1). `parameters`,
   [class_count][dim + 1], the bias last, is where to begin, and takes the result. */
void fit(const samples *s, const scaling *scale, double l2, double epsilon, double *parameters);

/* The parameters as a head of features as they are. */
linear fit_unscale(const double *parameters, const scaling *scale, size_t dim, int class_count);

#endif
