#include "tell.h"

#include "fit.h"
#include "tools/convert/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* BINS: of calibration. TABLE: the most classes whose confusions are a table. LISTED: lines of a list, at
   most. */
enum { BINS = 15, TABLE = 12, LISTED = 10 };

/* A first answer. */
typedef struct answer {
    int class; /* that is answered */
    double score;
    double right_score; /* of the class that is right */
} answer;

static answer answer_of(const answers *a, size_t index) {
    size_t classes = (size_t)a->class_count;
    double *q = allocate(classes, sizeof(double));
    answer first = {0, 0, 0};
    for (size_t c = 0; c < classes; c++) q[c] = a->logits[index * classes + c] * a->factor;
    fit_softmax(q, a->class_count, q);
    for (int c = 1; c < a->class_count; c++)
        if (q[c] > q[first.class]) first.class = c;
    first.score = q[first.class];
    first.right_score = q[a->classes[index]];
    free(q);
    return first;
}

/* ---- calibration ----------------------------------------------------------------------------- */

/* The derivative of the loss by the factor: the mean logit by the probabilities, without the right one. */
static double slope(const answers *a, double factor) {
    size_t classes = (size_t)a->class_count;
    double *q = allocate(classes, sizeof(double)), sum = 0;
    for (size_t i = 0; i < a->count; i++) {
        const double *z = a->logits + i * classes;
        for (size_t c = 0; c < classes; c++) q[c] = factor * z[c];
        fit_softmax(q, a->class_count, q);
        for (size_t c = 0; c < classes; c++) sum += q[c] * z[c];
        sum -= z[a->classes[i]];
    }
    free(q);
    return sum;
}

/* The loss is convex in the factor, which is halved down on a logarithmic scale. */
double tell_best_factor(const answers *a) {
    double low = log(0.05), high = log(20);
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        if (slope(a, exp(middle)) < 0) low = middle;
        else high = middle;
    }
    return exp(low);
}

double tell_calibration_error(const answers *a) {
    double sums[BINS] = {0}, error = 0; /* of score - right */
    for (size_t i = 0; i < a->count; i++) {
        answer first = answer_of(a, i);
        int bin = (int)fmin(first.score * BINS, BINS - 1);
        sums[bin] += first.score - (first.class == a->classes[i]);
    }
    for (int bin = 0; bin < BINS; bin++) error += fabs(sums[bin]);
    return error / (double)a->count;
}

/* ---- right and wrong ------------------------------------------------------------------------- */

static size_t count_right(const answers *a) {
    size_t right = 0;
    for (size_t i = 0; i < a->count; i++) right += answer_of(a, i).class == a->classes[i];
    return right;
}

void tell_accuracy(const char *what, const answers *a) {
    const double z = 1.959964; /* of 95 % */
    double n = (double)a->count, right = (double)count_right(a), share = right / n;
    double middle = (share + z * z / (2 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    printf("%s: %.1f %% (%.0f of %.0f; 95 %%: %.1f to %.1f %%)\n", what, 100 * share, right, n,
           100 * (middle - half), 100 * (middle + half));
}

/* counts[right][answered], to be freed */
static size_t *count_pairs(const answers *a) {
    size_t classes = (size_t)a->class_count;
    size_t *counts = allocate(classes * classes, sizeof(size_t));
    for (size_t i = 0; i < a->count; i++)
        counts[(size_t)a->classes[i] * classes + (size_t)answer_of(a, i).class]++;
    return counts;
}

static int text_width(const char *text) {
    int width = 0;
    for (; *text != 0; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_table(const answers *a, const size_t *counts) {
    int classes = a->class_count, widest = 0;
    for (int c = 0; c < classes; c++)
        if (text_width(a->labels[c]) > widest) widest = text_width(a->labels[c]);
    printf("a row for each folder, a column for each answer, in the same order:\n");
    for (int right = 0; right < classes; right++) {
        printf("  %s%*s", a->labels[right], widest - text_width(a->labels[right]), "");
        for (int c = 0; c < classes; c++) printf(" %5zu", counts[right * classes + c]);
        printf("\n");
    }
}

/* The largest count of two different classes; it is then taken out. */
static size_t take_largest(const answers *a, size_t *counts, int *right, int *answered) {
    size_t largest = 0, place = 0, classes = (size_t)a->class_count;
    for (size_t i = 0; i < classes * classes; i++) {
        if (i / classes == i % classes || counts[i] <= largest) continue;
        largest = counts[i];
        place = i;
    }
    *right = (int)(place / classes), *answered = (int)(place % classes);
    counts[place] = 0;
    return largest;
}

void tell_confusion(const answers *a) {
    size_t *counts = count_pairs(a), count;
    int right, answered;
    if (a->class_count <= TABLE) print_table(a, counts);
    else printf("most often confused:\n");
    for (int i = 0; a->class_count > TABLE && i < LISTED; i++) {
        if ((count = take_largest(a, counts, &right, &answered)) == 0) break;
        printf("  %s taken for %s: %zu\n", a->labels[right], a->labels[answered], count);
    }
    free(counts);
}

/* ---- pictures to look at --------------------------------------------------------------------- */

/* A picture whose folder is held to be unlikely. */
typedef struct suspect {
    double right_score;
    size_t index;
} suspect;

static int compare_suspects(const void *a, const void *b) {
    const suspect *x = a, *y = b;
    if (x->right_score < y->right_score || x->right_score > y->right_score)
        return x->right_score < y->right_score ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* Less likely than 1 in 20, where another class is more likely than not. */
void tell_mislabelled(const answers *a) {
    suspect *suspects = allocate(a->count, sizeof(suspect));
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++) {
        answer first = answer_of(a, i);
        suspect new = {first.right_score, i};
        if (first.right_score < 0.05 && first.score > 0.5) suspects[count++] = new;
    }
    if (count > 1) qsort(suspects, count, sizeof(suspect), compare_suspects);
    if (count > 0) printf("pictures that look as if they were in a wrong folder: %zu\n", count);
    for (size_t i = 0; i < count && i < LISTED; i++) {
        answer first = answer_of(a, suspects[i].index);
        printf("  %s: %s %.1f %%, %s %.1f %%\n", a->paths[suspects[i].index],
               a->labels[a->classes[suspects[i].index]], 100 * first.right_score,
               a->labels[first.class], 100 * first.score);
    }
    if (count > LISTED) printf("  and %zu more\n", count - LISTED);
    free(suspects);
}

/* ---- none of these --------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double tell_threshold(const answers *a, double share) {
    double *scores = allocate(a->count, sizeof(double)), threshold = 0;
    size_t right = 0;
    for (size_t i = 0; i < a->count; i++) {
        answer first = answer_of(a, i);
        if (first.class == a->classes[i]) scores[right++] = first.score;
    }
    if (right > 0) {
        qsort(scores, right, sizeof(double), compare_numbers);
        threshold = scores[(size_t)floor((1 - share) * (double)right * (1 + 1e-12))];
    }
    free(scores);
    return threshold;
}

void tell_rejected(const answers *a, double threshold) {
    size_t right = 0, wrong = 0, kept_right = 0, kept_wrong = 0;
    for (size_t i = 0; i < a->count; i++) {
        answer first = answer_of(a, i);
        int is_right = first.class == a->classes[i], is_kept = first.score >= threshold;
        right += (size_t)is_right, wrong += (size_t)!is_right;
        kept_right += (size_t)(is_right && is_kept), kept_wrong += (size_t)(!is_right && is_kept);
    }
    printf(
        "none of these below %.1f %%: keeps %zu of %zu right answers and %zu of %zu wrong ones\n",
        100 * threshold, kept_right, right, kept_wrong, wrong);
}
