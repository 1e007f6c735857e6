#include "json.h"
#include "report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* With enough digits to read the same float back. Not for infinity and NaN, which JSON lacks. */
static cJSON *json_float(float x) {
    char digits[32];
    snprintf(digits, sizeof(digits), "%.9g", (double)x);
    return cJSON_CreateRaw(digits);
}

static cJSON *json_top(const classifier *c) {
    cJSON *top = cJSON_CreateArray();
    for (int i = 0; i < c->top_count; i++) {
        const char *label = vit_model_label(c->model, c->top[i]);
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "index", c->top[i]);
        cJSON_AddItemToObject(entry, "label", label ? json_text(label) : cJSON_CreateNull());
        cJSON_AddItemToObject(entry, "score", json_float(c->scores[c->top[i]]));
        cJSON_AddItemToArray(top, entry);
    }
    return top;
}

static cJSON *json_output(const classifier *c) {
    cJSON *numbers = cJSON_CreateArray();
    for (int i = 0; i < c->count; i++) cJSON_AddItemToArray(numbers, json_float(c->output[i]));
    return numbers;
}

/* What every line begins with. */
static cJSON *json_line(const classifier *c) {
    cJSON *line = cJSON_CreateObject();
    cJSON_AddItemToObject(line, "file", json_text(c->view.file));
    cJSON_AddItemToObject(line, "model", json_text(c->settings->model_name));
    if (c->view.width > 0) {
        cJSON_AddNumberToObject(line, "width", c->view.width);
        cJSON_AddNumberToObject(line, "height", c->view.height);
    }
    return line;
}

static void add_size(cJSON *line, const classifier *c) {
    if (c->options.img_size[0] > 0)
        cJSON_AddItemToObject(line, "img_size", cJSON_CreateIntArray(c->options.img_size, 2));
}

static void print_line(FILE *out, cJSON *line) {
    char *text = cJSON_PrintUnformatted(line);
    fprintf(out, "%s\n", text != NULL ? text : "{\"error\":\"out of memory\"}");
    cJSON_free(text);
    cJSON_Delete(line);
}

void report_answer_json(FILE *out, const classifier *c) {
    cJSON *line = json_line(c);
    cJSON_AddStringToObject(line, "output", vit_output_name(vit_model_config(c->model)->output));
    add_size(line, c);
    if (vit_model_config(c->model)->reject_below > 0)
        cJSON_AddBoolToObject(line, "none_of_these", vit_answer(c->model, c->scores) < 0);
    cJSON_AddItemToObject(line, is_embedding(c->model) ? "embedding" : "top",
                          is_embedding(c->model) ? json_output(c) : json_top(c));
    if (c->settings->logits && !is_embedding(c->model))
        cJSON_AddItemToObject(line, "logits", json_output(c));
    print_line(out, line);
}

void report_similar_json(FILE *out, const classifier *c, const gallery *g, const float *cosines,
                         const int *indices) {
    cJSON *line = json_line(c), *similar = cJSON_CreateArray();
    for (int i = 0; i < c->similar_count; i++) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddItemToObject(entry, "file", json_text(g->names[indices[i]]));
        cJSON_AddItemToObject(entry, "cosine", json_float(cosines[indices[i]]));
        cJSON_AddItemToArray(similar, entry);
    }
    add_size(line, c);
    cJSON_AddItemToObject(line, "similar", similar);
    print_line(out, line);
}

void report_error_json(FILE *out, const classifier *c, const char *error) {
    cJSON *line = json_line(c);
    cJSON_AddItemToObject(line, "error", json_text(error));
    print_line(out, line);
}
