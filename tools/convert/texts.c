#include "texts.h"

#include "container.h"
#include "report.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double length_of(const float *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += (double)row[i] * (double)row[i];
    return sqrt(sum);
}

static void divide_by_length(const tensor *t, size_t class_index, float *row, size_t width) {
    double length = length_of(row, width);
    if (!(length > 0) || !isfinite(length))
        fail("%s: class %zu: its text is of length %g", t->file, class_index, length);
    for (size_t i = 0; i < width; i++) row[i] = (float)((double)row[i] / length);
}

/* The mean of a class's prompts, each of length 1 before. */
static void read_class(const tensor *t, size_t index, size_t prompts, size_t width, float *mean) {
    float *prompt = allocate(width, sizeof(float));
    for (size_t p = 0; p < prompts; p++) {
        tensor_read(t, (index * prompts + p) * width, width, prompt);
        divide_by_length(t, index, prompt, width);
        for (size_t i = 0; i < width; i++) mean[i] += prompt[i] / (float)prompts;
    }
    divide_by_length(t, index, mean, width);
    free(prompt);
}

texts texts_read(const char *path) {
    checkpoint file = checkpoint_open(path, NULL);
    const tensor *t = &file.tensors[0];
    size_t sizes[TENSOR_RANK], rank = file.count == 1 ? tensor_shape(t, sizes) : 0;
    texts x = {NULL, 0, 0, 0};
    if (file.count != 1) fail("%s: %zu arrays: --classes takes one", path, file.count);
    if (rank != 2 && rank != 3)
        fail("%s: %zu dimensions: neither [classes][width] nor [classes][prompts][width]", path,
             rank);
    if (t->type == TENSOR_OTHER) fail("%s: of %s, not of floats", path, t->dtype);
    for (size_t i = 0; i < rank; i++) {
        if (sizes[i] < 1 || sizes[i] > MODEL_MAX_SIZE)
            fail("%s: a dimension of %zu is out of range", path, sizes[i]);
    }
    x.classes = (int)sizes[0], x.width = (int)sizes[rank - 1];
    x.rows = allocate(sizes[0], sizes[rank - 1] * sizeof(float));
    for (size_t i = 0; i < sizes[0]; i++)
        read_class(t, i, rank == 3 ? sizes[1] : 1, sizes[rank - 1], x.rows + i * sizes[rank - 1]);
    checkpoint_close(&file);
    return x;
}

void texts_free(texts *t) {
    free(t->rows);
}

float texts_find_scale(const checkpoint *c) {
    for (size_t i = 0; i < c->count; i++) {
        const tensor *t = &c->tensors[i];
        if (!text_ends_with(t->name, "logit_scale") || tensor_count(t) != 1) continue;
        if (t->type == TENSOR_OTHER) continue;
        float value;
        tensor_read(t, 0, 1, &value);
        value = expf(value);
        if (!(value > 0) || !isfinite(value))
            fail("%s: exp(%s) is %g (--logit-scale)", t->file, t->name, (double)value);
        return value;
    }
    return 0;
}

void texts_apply(const texts *t, float scale, model *m) {
    vit_config *c = &m->config;
    if (c->output != VIT_OUTPUT_EMBEDDING || c->num_classes == 0 || c->pre_logits > 0)
        fail("%s: --classes is for a model with a projection for which there are texts, as CLIP's "
             "is (--output embedding says that its head is one)",
             m->checkpoint->file);
    if (t->width != c->num_classes)
        fail("--classes: texts of %d numbers, but the projection of %s gives %d", t->width,
             m->checkpoint->file, c->num_classes);
    if (scale == 0) {
        scale = 100;
        note(
            "the file has no logit_scale: assumed 100, as in all models of OpenAI (--logit-scale)");
    }
    c->pre_logits = c->num_classes;
    c->pre_logits_l2 = 1;
    c->num_classes = t->classes;
    c->output = VIT_OUTPUT_SOFTMAX;
    m->texts = *t;
    m->texts.scale = scale;
}
