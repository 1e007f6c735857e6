/* vit-teach for JavaScript: features of pictures, a head that is fitted to them, the file with it. Which
   head, and how it is calibrated, is decided by the code of tools/teach. */
#include "save.h"
#include "session.h"

#include "tools/convert/report.h"
#include "tools/teach/fit.h"
#include "tools/teach/head.h"
#include "tools/teach/tell.h"
#include "tools/teach/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the backbone makes of a picture ---- */

/* Its head reads all that a head can: token 0, if there is one, and the mean of the patches. */
static vit_model reading_model(int view) {
    vit_model model = web_session.model;
    vit_config *c = &model.config;
    c->head_tokens = c->prefix_tokens > 0;
    c->head_avg = 1;
    if (view & VIEW_WHOLE) c->preprocess = head_whole_recipe(c);
    return model;
}

static size_t view_size(void) {
    const vit_config *c = vit_model_config(&web_session.model);
    return (size_t)c->embed_dim * (c->prefix_tokens > 0 ? 2 : 1);
}

/* Floats of web_features. */
int WEB_EXPORT(web_features_count)(void) {
    return (int)(VIEW_COUNT * view_size());
}

/* The features of the image's views, one after the other, in heat. */
vit_status WEB_EXPORT(web_features)(void) {
    session *s = &web_session;
    vit_options pooled = {0};
    size_t size = view_size();
    vit_options before = s->options;
    vit_status status = VIT_OK;
    pooled.features = VIT_FEATURES_POOLED;
    pooled.threads = before.threads;
    pooled.parallel_for = before.parallel_for, pooled.parallel_user = before.parallel_user;
    s->options = pooled;
    if (!buffer_reserve(&s->heat, VIEW_COUNT * size * sizeof(float))) status = VIT_ERROR_MEMORY;
    for (int view = 0; view < VIEW_COUNT && status == VIT_OK; view++) {
        vit_model model = reading_model(view);
        status = session_preprocess(&model, view);
        if (status == VIT_OK) status = session_forward(&model, &pooled);
        if (status == VIT_OK)
            memcpy((float *)s->heat.data + (size_t)view * size, s->output.data,
                   size * sizeof(float));
    }
    s->options = before;
    return status;
}

/* ---- learning ---- */

typedef struct lesson {
    float *features; /* [count][VIEW_COUNT][view_size] */
    int *classes;    /* [count] */
    record *records; /* [count] */
    const record **list;
    size_t count;
    int class_count;
    saved_model saved;
    double right, error_before, error_after, threshold; /* of the pictures held out */
    double temperature;
    int reading;  /* 0 token 0, 1 the mean of the patches, 2 both; + 4: of the whole picture */
    int *answers; /* [count]: held out */
} lesson;

static lesson taught;

/* Begin with count pictures of so many classes. */
void WEB_EXPORT(web_lesson)(int count, int class_count) {
    lesson *l = &taught;
    free(l->features);
    free(l->classes);
    free(l->records);
    free((void *)l->list);
    free(l->answers);
    save_free(&l->saved);
    memset(l, 0, sizeof(*l));
    l->count = (size_t)count, l->class_count = class_count;
    l->features = allocate(l->count * VIEW_COUNT * view_size(), sizeof(float));
    l->classes = allocate(l->count, sizeof(int));
    l->records = allocate(l->count, sizeof(record));
    l->list = allocate(l->count, sizeof(record *));
    l->answers = allocate(l->count, sizeof(int));
    for (size_t i = 0; i < l->count; i++) {
        for (size_t view = 0; view < VIEW_COUNT; view++)
            l->records[i].views[view] = l->features + (i * VIEW_COUNT + view) * view_size();
        l->list[i] = &l->records[i];
    }
}

/* Where the features of all pictures go, [count][web_features_count], and their classes. */
float *WEB_EXPORT(web_lesson_features)(void) {
    return taught.features;
}

int *WEB_EXPORT(web_lesson_classes)(void) {
    return taught.classes;
}

/* The class of each picture as the head that had not seen it answers. */
static void keep_answers(lesson *t, const double *logits) {
    size_t right = 0;
    for (size_t i = 0; i < t->count; i++, logits += t->class_count) {
        int best = 0;
        for (int c = 1; c < t->class_count; c++)
            if (logits[c] > logits[best]) best = c;
        t->answers[i] = best;
        right += best == t->classes[i];
    }
    t->right = (double)right;
}

static double keep_calibration(lesson *t, const double *logits, double share) {
    answers a = {logits, t->classes, NULL, t->count, t->class_count, NULL, 1};
    t->error_before = tell_calibration_error(&a);
    a.factor = tell_best_factor(&a);
    t->error_after = tell_calibration_error(&a);
    t->temperature = 1 / a.factor;
    t->threshold = share > 0 ? tell_threshold(&a, share) : 0;
    return a.factor;
}

/* Fit and make the file. labels: the classes' names, each ended by NUL. share: of the right answers that
   a threshold for "none of these" is to keep; 0: no threshold. */
vit_status WEB_EXPORT(web_teach)(const char *labels, size_t labels_size, double share) {
    lesson *t = &taught;
    const vit_config *config = vit_model_config(&web_session.model);
    lessons l = {t->list,
                 t->classes,
                 t->count,
                 t->class_count,
                 (size_t)config->embed_dim,
                 config->prefix_tokens > 0,
                 1,
                 {NULL, NULL}};
    choice c = validate(&l, 1u | 1u << VIEW_WHOLE);
    keep_answers(t, c.logits);
    double factor = keep_calibration(t, c.logits, share);
    linear head = head_fit(&l, &c, factor);
    t->reading = c.reading.tokens + c.reading.average == 2 ? 2 : c.reading.average;
    if (c.reading.view & VIEW_WHOLE) t->reading += 4;
    vit_status status = save_taught(&t->saved, &web_session.model, &c.reading, &head, labels,
                                    labels_size, t->threshold);
    linear_free(&head);
    free(c.logits);
    return status;
}

const void *WEB_EXPORT(web_taught_file)(void) {
    return taught.saved.data;
}

int WEB_EXPORT(web_taught_size)(void) {
    return (int)taught.saved.size;
}

const int *WEB_EXPORT(web_taught_answers)(void) {
    return taught.answers;
}

/* right, calibration error before and after, temperature, threshold, reading */
double WEB_EXPORT(web_taught_number)(int index) {
    const double numbers[] = {taught.right,       taught.error_before, taught.error_after,
                              taught.temperature, taught.threshold,    taught.reading};
    return numbers[index];
}
