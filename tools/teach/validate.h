/* Which head to fit, by stratified cross-validation. */
#ifndef VALIDATE_H
#define VALIDATE_H

#include "cache.h"
#include "fit.h"

/* The pictures to learn from: all views that are in use are there. */
typedef struct lessons {
    const record *const *records; /* [count] */
    const int *classes;           /* [count] */
    size_t count;
    int class_count;
    size_t embed_dim;
    int class_token; /* whether a view's features are token 0 and then the mean of the patches */
    int threads;
    row_store store;
} lessons;

/* What a head reads. */
typedef struct reading {
    int view;    /* 0 or VIEW_WHOLE */
    int tokens;  /* 1: token 0 ... */
    int average; /* ... followed by, if 1, the mean of the patches */
} reading;

/* A head that was chosen, and how it did on pictures that it had not seen. */
typedef struct choice {
    reading reading;
    double l2;
    double loss;    /* mean of -log of the held-out probabilities of the right classes */
    double *logits; /* held out: [count][class_count], of the picture as it is */
} choice;

enum { MAX_FOLDS = 5 };

/* The reading and the regularisation of least held-out loss. views: a set, bit 0 and bit VIEW_WHOLE.
   The folds, which keep a picture and its mirror image together, are the same in every run. */
choice validate(const lessons *l, unsigned views);

/* The samples of a reading: each picture as it is and mirrored. To be freed by samples_free. */
samples lessons_samples(const lessons *l, const reading *r);
void samples_free(samples *s);

/* The first feature of a reading in a view, and their number. */
size_t reading_offset(const lessons *l, const reading *r);
size_t reading_dim(const lessons *l, const reading *r);

#endif
