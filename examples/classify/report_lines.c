/* A line for each picture: a table for people, CSV (RFC 4180) for spreadsheets. */
#include "report.h"

#include <string.h>

/* ---- a table ---- */

enum { WIDEST = 32 };

/* Columns for the names of classes. */
static int names_width(const vit_model *model) {
    char buffer[32];
    int widest = (int)sizeof("none of these") - 1;
    for (int i = 0; i < vit_model_config(model)->num_classes; i++) {
        int width = text_width(class_name(model, i, buffer));
        if (width > widest) widest = width;
    }
    return widest < WIDEST ? widest : WIDEST;
}

static void table_name(FILE *out, const char *name, int width) {
    int missing = width - text_width(name);
    fprintf(out, "  %s%*s", name, missing > 0 ? missing : 0, "");
}

void report_begin_table(FILE *out, const classifier *c) {
    int width = names_width(c->model);
    for (int i = 0; i < c->similar_count; i++) fputs("  cosine  similar", out);
    for (int i = 0; i < c->top_count; i++) fprintf(out, "   score  %-*s", width, "class");
    fprintf(out, "  picture\n");
}

void report_answer_table(FILE *out, const classifier *c) {
    char buffer[32];
    int width = names_width(c->model);
    int is_number = vit_model_config(c->model)->output == VIT_OUTPUT_NUMBER;
    for (int i = 0; i < c->top_count; i++) {
        double score = (double)c->scores[c->top[i]];
        int rejected = i == 0 && vit_answer(c->model, c->scores) < 0;
        fprintf(out, is_number ? "%8.4g" : "%6.2f %%", is_number ? score : score * 100);
        table_name(out, rejected ? "none of these" : class_name(c->model, c->top[i], buffer),
                   width);
    }
    if (is_embedding(c->model)) fprintf(out, "an embedding of %d numbers", c->count);
    fprintf(out, "  %s\n", c->view.file);
}

void report_similar_table(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                          const int *indices) {
    for (int i = 0; i < c->similar_count; i++)
        fprintf(out, " %7.4f  %s", (double)cosines[indices[i]], g->names[indices[i]]);
    fprintf(out, "  %s\n", c->view.file);
}

/* ---- CSV ---- */

/* In quotes where it has to be. */
static void csv_text(FILE *out, const char *text) {
    int is_plain = text[strcspn(text, ",\"\r\n")] == '\0';
    if (!is_plain) putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') putc('"', out);
        putc(*text, out);
    }
    if (!is_plain) putc('"', out);
}

static int shows_output(const classifier *c) {
    return c->options.features == VIT_FEATURES_NONE &&
           (c->settings->logits || is_embedding(c->model));
}

static int has_threshold(const classifier *c) {
    return c->top_count > 0 && vit_model_config(c->model)->reject_below > 0;
}

void report_begin_csv(FILE *out, const classifier *c) {
    const char *kind = is_embedding(c->model) ? "embedding" : "logit";
    fputs("file,model,width,height,error", out);
    if (has_threshold(c)) fputs(",none_of_these", out);
    for (int i = 1; i <= c->top_count; i++) fprintf(out, ",index_%d,label_%d,score_%d", i, i, i);
    for (int i = 1; i <= c->similar_count; i++) fprintf(out, ",similar_%d,cosine_%d", i, i);
    for (int i = 0; i < c->count && shows_output(c); i++) fprintf(out, ",%s_%d", kind, i);
    putc('\n', out);
}

/* The columns that all lines have. error: empty, or why there are no more. */
static void csv_begin(FILE *out, const classifier *c, const char *error) {
    csv_text(out, c->view.file);
    putc(',', out);
    csv_text(out, c->settings->model_name);
    if (c->view.width > 0) fprintf(out, ",%d,%d,", c->view.width, c->view.height);
    else fputs(",,,", out);
    csv_text(out, error);
}

void report_answer_csv(FILE *out, const classifier *c) {
    csv_begin(out, c, "");
    if (has_threshold(c)) fprintf(out, ",%d", vit_answer(c->model, c->scores) < 0);
    for (int i = 0; i < c->top_count; i++) {
        const char *label = vit_model_label(c->model, c->top[i]);
        fprintf(out, ",%d,", c->top[i]);
        csv_text(out, label != NULL ? label : "");
        fprintf(out, ",%.9g", (double)c->scores[c->top[i]]);
    }
    for (int i = 0; i < c->count && shows_output(c); i++)
        fprintf(out, ",%.9g", (double)c->output[i]);
    putc('\n', out);
}

void report_similar_csv(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                        const int *indices) {
    csv_begin(out, c, "");
    for (int i = 0; i < c->similar_count; i++) {
        putc(',', out);
        csv_text(out, g->names[indices[i]]);
        fprintf(out, ",%.9g", (double)cosines[indices[i]]);
    }
    putc('\n', out);
}

void report_error_csv(FILE *out, const classifier *c, const char *error) {
    int columns = 3 * c->top_count + 2 * c->similar_count + has_threshold(c);
    csv_begin(out, c, error);
    for (int i = 0; i < columns; i++) putc(',', out);
    for (int i = 0; i < c->count && shows_output(c); i++) putc(',', out);
    putc('\n', out);
}
