/* What is told about answers: how many are right, which are confused, how far their probabilities are to
   be believed. */
#ifndef TELL_H
#define TELL_H

#include <stddef.h>

/* Logits of pictures whose classes are known. */
typedef struct answers {
    const double *logits;     /* [count][class_count] */
    const int *classes;       /* [count] */
    const char *const *paths; /* [count] */
    size_t count;
    int class_count;
    char *const *labels; /* [class_count] */
    double factor;       /* of the logits: 1 / temperature */
} answers;

/* The factor of least -log of the right classes' probabilities: Guo et al. 2017, "On Calibration of
   Modern Neural Networks" (arXiv:1706.04599), where it is 1 / T. */
double tell_best_factor(const answers *a);

/* Mean difference of the first answer's probability and the share that is right, in 15 bins of
   probability: the same paper's expected calibration error. */
double tell_calibration_error(const answers *a);

/* The largest score below which a share of the right answers would be refused: at least `share` of
   them are at it or above. */
double tell_threshold(const answers *a, double share);

/* How many answers are right, with Wilson's 95 % interval: "80.8 % (291 of 360; 95 %: 76.4 to 84.6 %)". */
void tell_accuracy(const char *what, const answers *a);

/* Which class is taken for which: a table, or with many classes the pairs. */
void tell_confusion(const answers *a);

/* The pictures that look as if they were in a wrong folder. */
void tell_mislabelled(const answers *a);

/* What a threshold does to right and to wrong answers. */
void tell_rejected(const answers *a, double threshold);

#endif
