#include "report.h"

#define BAR_LENGTH 30

static int utf8_width(const char *text) {
    int width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* The label, or "class N" put into buffer. */
static const char *class_name(const vit_model *model, int index, char buffer[32]) {
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

/* A probability with a bar, or a plain number. */
static void list_score(FILE *out, float score, vit_output output) {
    if (output == VIT_OUTPUT_NUMBER) {
        fprintf(out, "%12.6g\n", (double)score);
        return;
    }
    fprintf(out, "%6.2f %%  ", (double)score * 100);
    for (int bar = 0; (float)bar + 0.5f < score * BAR_LENGTH; bar++) putc('#', out);
    putc('\n', out);
}

static void list_classes(FILE *out, const classifier *c) {
    char buffer[32];
    int widest = 0;
    for (int i = 0; i < c->top_count; i++) {
        int width = utf8_width(class_name(c->model, c->top[i], buffer));
        if (width > widest) widest = width;
    }
    for (int i = 0; i < c->top_count; i++) {
        const char *name = class_name(c->model, c->top[i], buffer);
        fprintf(out, "  %s%*s  ", name, widest - utf8_width(name), "");
        list_score(out, c->scores[c->top[i]], vit_model_config(c->model)->output);
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
                         const int *indices, int count) {
    list_picture(out, &c->view);
    for (int i = 0; i < count; i++)
        fprintf(out, "  %7.4f  %s\n", (double)cosines[indices[i]], g->names[indices[i]]);
}

/* ---- all layouts ---- */

void report_answer(FILE *out, const classifier *c) {
    if (c->settings->layout == LAYOUT_JSON) report_answer_json(out, c);
    else list_answer(out, c);
}

void report_similar(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                    const int *indices, int count) {
    if (c->settings->layout == LAYOUT_JSON) report_similar_json(out, c, g, cosines, indices, count);
    else list_similar(out, c, g, cosines, indices, count);
}

void report_error(FILE *out, const classifier *c, const char *error) {
    if (c->settings->layout == LAYOUT_JSON) report_error_json(out, c, error);
}
