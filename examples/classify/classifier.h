/* What one thread needs to turn pictures into the model's output. */
#ifndef CLASSIFIER_H
#define CLASSIFIER_H

#include "examples/picture.h"
#include "inputs.h"
#include "settings.h"
#include "vit.h"

/* Where the time went, in milliseconds. */
typedef struct timing {
    double decode, preprocess, inference;
} timing;

/* What is known of the input that a classifier looked at last. */
typedef struct view {
    const char *file;
    int width, height; /* of the picture, upright; 0: it is not known, or a tensor */
    timing time;
} view;

typedef struct classifier {
    const vit_model *model; /* shared by all */
    const settings *settings;
    vit_options options;
    vit_pool *pool;    /* NULL: the pass has one thread */
    float *pixels;     /* [in_chans][height][width] */
    int count;         /* of the output's numbers: classes, or those of an embedding */
    float *output;     /* [count]: logits, or an embedding */
    float *scores;     /* [count] */
    int *top;          /* [top_count] */
    int top_count;     /* 0 where there are no classes */
    int similar_count; /* of pictures that are shown as similar */
    float *heat;       /* [tokens] */
    unsigned char *workspace;
    size_t workspace_size;
    view view;
} classifier;

/* Whether the model's output describes the picture, instead of classes. */
int is_embedding(const vit_model *model);

/* threads: of each forward pass; 0: as vit_pool_create chooses. These return NULL, or what is wrong. A
   classifier has to be stopped after an error, too. */
const char *classifier_start(classifier *c, const vit_model *model, const settings *s, int threads);
const char *classifier_look(classifier *c, const input *in);
void classifier_stop(classifier *c);

#endif
