#include "report.h"

#define BAR_LENGTH 30
#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

int text_width(const char *text) {
    int width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

const char *class_name(const vit_model *model, int index, char buffer[32]) {
    const char *label = vit_model_label(model, index);
    if (label != NULL) return label;
    snprintf(buffer, 32, "class %d", index);
    return buffer;
}

/* ---- a list for people ---- */

static void list_picture(FILE *out, const view *v) {
    fprintf(out, "%s   (decode %.1f ms, preprocess %.1f ms, inference %.1f ms)\n", v->file,
            v->time.decode, v->time.preprocess, v->time.inference);
}

/* Escape sequences of terminals, where they are wanted. */
static const char *style(const classifier *c, const char *sequence) {
    return c->settings->colours ? sequence : "";
}

/* A probability with a bar, or a plain number. */
static void list_score(FILE *out, const classifier *c, float score) {
    if (vit_model_config(c->model)->output == VIT_OUTPUT_NUMBER) {
        fprintf(out, "%12.6g\n", (double)score);
        return;
    }
    fprintf(out, "%6.2f %%  %s", (double)score * 100, style(c, GREEN));
    for (int bar = 0; (float)bar + 0.5f < score * BAR_LENGTH; bar++) putc('#', out);
    fprintf(out, "%s\n", style(c, PLAIN));
}

static void list_classes(FILE *out, const classifier *c) {
    char buffer[32];
    int widest = 0;
    for (int i = 0; i < c->top_count; i++) {
        int width = text_width(class_name(c->model, c->top[i], buffer));
        if (width > widest) widest = width;
    }
    for (int i = 0; i < c->top_count; i++) {
        const char *name = class_name(c->model, c->top[i], buffer);
        fprintf(out, "  %s%s%s%*s  ", style(c, i == 0 ? BOLD : ""), name, style(c, PLAIN),
                widest - text_width(name), "");
        list_score(out, c, c->scores[c->top[i]]);
    }
}

static void list_answer(FILE *out, const classifier *c) {
    list_picture(out, &c->view);
    if (is_embedding(c->model))
        fprintf(out, "  an embedding of %d numbers (--logits shows them)\n", c->count);
    else if (vit_answer(c->model, c->scores) < 0) fprintf(out, "  none of these\n");
    list_classes(out, c);
    if (!c->settings->logits) return;
    fputs(is_embedding(c->model) ? "  embedding" : "  logits", out);
    for (int i = 0; i < c->count; i++) fprintf(out, " %.9g", (double)c->output[i]);
    putc('\n', out);
}

static void list_similar(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                         const int *indices) {
    list_picture(out, &c->view);
    for (int i = 0; i < c->similar_count; i++)
        fprintf(out, "  %7.4f  %s\n", (double)cosines[indices[i]], g->names[indices[i]]);
}

/* ---- all layouts ---- */

void report_begin(FILE *out, const classifier *c) {
    if (c->settings->layout == LAYOUT_TABLE) report_begin_table(out, c);
    if (c->settings->layout == LAYOUT_CSV) report_begin_csv(out, c);
}

void report_answer(FILE *out, const classifier *c) {
    static void (*const by_layout[])(FILE *, const classifier *) = {
        list_answer, report_answer_table, report_answer_csv, report_answer_json};
    by_layout[c->settings->layout](out, c);
}

void report_similar(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                    const int *indices) {
    static void (*const by_layout[])(FILE *, const classifier *, const gallery *, const float *,
                                     const int *) = {list_similar, report_similar_table,
                                                     report_similar_csv, report_similar_json};
    by_layout[c->settings->layout](out, c, g, cosines, indices);
}

void report_error(FILE *out, const classifier *c, const char *error) {
    if (c->settings->layout == LAYOUT_JSON) report_error_json(out, c, error);
    if (c->settings->layout == LAYOUT_CSV) report_error_csv(out, c, error);
}
