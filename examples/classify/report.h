/* What a classifier has found, in the layout that the settings ask for. */
#ifndef REPORT_H
#define REPORT_H

#include "classifier.h"
#include "embeddings.h"

#include <stdio.h>

/* The classes, or what the model has instead. */
void report_answer(FILE *out, const classifier *c);

/* The pictures that gallery_find has found. cosines: [gallery.count]; indices: [count] */
void report_similar(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                    const int *indices, int count);

/* An input that could not be looked at; nothing in the layouts for people, for whom there is standard
   error. */
void report_error(FILE *out, const classifier *c, const char *error);

/* As JSON: report_json.c. */
void report_answer_json(FILE *out, const classifier *c);
void report_similar_json(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                         const int *indices, int count);
void report_error_json(FILE *out, const classifier *c, const char *error);

#endif
