/* What a classifier has found, in the layout that the settings ask for. */
#ifndef REPORT_H
#define REPORT_H

#include "classifier.h"
#include "embeddings.h"

#include <stdio.h>

/* Columns that a text takes, and a class's label, or "class N" put into buffer. */
int text_width(const char *text);
const char *class_name(const vit_model *model, int index, char buffer[32]);

/* What precedes all: the columns' names in CSV. */
void report_begin(FILE *out, const classifier *c);

/* The classes, or what the model has instead. */
void report_answer(FILE *out, const classifier *c);

/* The pictures that gallery_find has found. cosines: [gallery.count]; indices: [similar_count] */
void report_similar(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                    const int *indices);

/* An input that could not be looked at; nothing in the layouts for people, for whom there is standard
   error. */
void report_error(FILE *out, const classifier *c, const char *error);

/* Lines of a table and of CSV: report_lines.c. */
void report_begin_table(FILE *out, const classifier *c);
void report_answer_table(FILE *out, const classifier *c);
void report_similar_table(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                          const int *indices);
void report_begin_csv(FILE *out, const classifier *c);
void report_answer_csv(FILE *out, const classifier *c);
void report_similar_csv(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                        const int *indices);
void report_error_csv(FILE *out, const classifier *c, const char *error);

/* As JSON: report_json.c. */
void report_answer_json(FILE *out, const classifier *c);
void report_similar_json(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                         const int *indices);
void report_error_json(FILE *out, const classifier *c, const char *error);

#endif
