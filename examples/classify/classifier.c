#include "classifier.h"

#include "say.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int is_embedding(const vit_model *model) {
    return vit_model_config(model)->output == VIT_OUTPUT_EMBEDDING;
}

/* ---- memory ---- */

/* Makes the workspace at least this large. A size of 0 is an error of the size functions. */
static int reserve(classifier *c, size_t size) {
    if (size == 0) return 0;
    if (size <= c->workspace_size) return 1;
    free(c->workspace);
    c->workspace = (unsigned char *)malloc(size);
    c->workspace_size = c->workspace == NULL ? 0 : size;
    return c->workspace != NULL;
}

static size_t forward_size(const classifier *c) {
    if (c->settings->heatmap_dir == NULL) return vit_workspace_size(c->model, &c->options, 1);
    return heatmap_workspace_size(c->model, &c->options, c->settings->heatmap_source);
}

/* Makes room for pictures of a size; 0: the model's own. */
static const char *set_size(classifier *c, const int img_size[2]) {
    memcpy(c->options.img_size, img_size, sizeof(c->options.img_size));
    size_t count = vit_pixels_count(c->model, &c->options);
    size_t tokens = (size_t)vit_token_count(c->model, &c->options);
    if (count == 0 || tokens == 0) return "--size: smaller than a patch, or too large";
    free(c->pixels);
    free(c->heat);
    c->pixels = (float *)malloc(count * sizeof(float));
    c->heat = (float *)malloc(tokens * sizeof(float));
    if (c->pixels == NULL || c->heat == NULL || !reserve(c, forward_size(c)))
        return "out of memory";
    return NULL;
}

const char *classifier_start(classifier *c, const vit_model *model, const settings *s,
                             int threads) {
    int classifies = s->embed_path == NULL && s->similar_path == NULL;
    memset(c, 0, sizeof(*c));
    c->model = model;
    c->settings = s;
    c->options.isa = s->isa;
    c->options.merge = s->merge;
    c->options.features = classifies ? VIT_FEATURES_NONE : VIT_FEATURES_POOLED;
    c->count = (int)vit_output_count(model, &c->options);
    if (classifies && !is_embedding(model)) c->top_count = s->top < c->count ? s->top : c->count;
    c->output = (float *)allocate((size_t)c->count, sizeof(float));
    c->scores = (float *)allocate((size_t)c->count, sizeof(float));
    c->top = (int *)allocate((size_t)c->top_count, sizeof(int));
    c->pool = threads == 1 ? NULL : vit_pool_create(threads, NULL);
    c->options.parallel_for = c->pool == NULL ? NULL : vit_pool_parallel_for;
    c->options.parallel_user = c->pool;
    if (!heatmap_source_is_valid(model, s->heatmap_source))
        return "--head: there is no such block or head in this model";
    return set_size(c, s->img_size);
}

void classifier_stop(classifier *c) {
    vit_pool_destroy(c->pool);
    free(c->pixels);
    free(c->output);
    free(c->scores);
    free(c->top);
    free(c->heat);
    free(c->workspace);
}

/* ---- the model's input ---- */

/* With the option that is the way out. */
static const char *name_option(const char *error) {
    if (error == picture_beyond_memory) return "takes more memory to decode than --max-memory says";
    if (error == picture_beyond_scans) return "a JPEG of more scans than --max-scans says";
    if (error == picture_beyond_stream) return "more bytes on standard input than --max-input says";
    return error;
}

static const char *read_tensor(classifier *c, const char *path) {
    unsigned char *bytes;
    size_t size, expected = vit_pixels_count(c->model, &c->options) * sizeof(float);
    double begin = milliseconds();
    const char *error = picture_read_file_within(path, &bytes, &size, &c->settings->limits);
    if (error != NULL) return name_option(error);
    if (size == expected) memcpy(c->pixels, bytes, expected);
    free(bytes);
    c->view.time.decode = milliseconds() - begin;
    return size == expected ? NULL : "not the size of the model's input in float32";
}

static const char *preprocess(classifier *c, const picture *p) {
    const char *error = NULL;
    int native[2];
    if (c->settings->native && vit_native_img_size(c->model, &p->image, native) == VIT_OK)
        error = set_size(c, native);
    if (error != NULL) return error;
    size_t size = vit_preprocess_workspace_size(c->model, &c->options, &p->image);
    if (size != 0 && !reserve(c, size)) return "out of memory"; /* if 0, vit_preprocess says why */
    vit_status status = vit_preprocess(c->model, &c->options, &p->image, c->pixels, c->workspace,
                                       c->workspace_size);
    return status == VIT_OK ? NULL : vit_status_string(status);
}

/* The size that the recipe resizes to, for --draft; 0 where it does not resize. */
static void set_enough(const classifier *c, int enough[2]) {
    const vit_config *config = vit_model_config(c->model);
    const vit_preprocess_config *p = &config->preprocess;
    for (int i = 0; i < 2 && c->settings->draft && p->resize != VIT_RESIZE_NONE; i++) {
        double larger = 1; /* than the model's own size, with --size */
        for (int j = 0; j < 2; j++)
            larger = fmax(larger, (double)c->options.img_size[j] / config->img_size[j]);
        enough[i] = (int)ceil(p->resize_size[i] * larger);
    }
}

static const char *read_picture(classifier *c, const char *path) {
    picture p;
    double begin = milliseconds();
    picture_limits limits = c->settings->limits;
    if (!c->settings->native) set_enough(c, limits.enough);
    const char *error = picture_load_within(&p, path, &limits);
    if (error != NULL) return name_option(error);
    double decoded = milliseconds();
    c->view.width = p.width;
    c->view.height = p.height;
    error = preprocess(c, &p);
    picture_free(&p);
    c->view.time.decode = decoded - begin;
    c->view.time.preprocess = milliseconds() - decoded;
    return error;
}

/* ---- its output ---- */

static vit_status forward(classifier *c) {
    if (c->settings->heatmap_dir == NULL)
        return vit_forward(c->model, &c->options, c->pixels, 1, c->output, c->workspace,
                           c->workspace_size);
    return heatmap_forward(c->model, &c->options, c->settings->heatmap_source, c->pixels, c->output,
                           c->heat, c->workspace, c->workspace_size);
}

/* The size that pictures have now. */
static const int *size_now(const classifier *c) {
    return c->options.img_size[0] > 0 ? c->options.img_size : vit_model_config(c->model)->img_size;
}

/* DIR/FILE.png, with _ for the / in FILE, and without . and / at its beginning. */
static const char *write_heatmap(const classifier *c) {
    const vit_config *config = vit_model_config(c->model);
    const char *dir = c->settings->heatmap_dir, *file = c->view.file + strspn(c->view.file, "./");
    size_t size = strlen(dir) + strlen(file) + sizeof("/.png");
    char *path = (char *)malloc(size);
    if (path == NULL) return "out of memory";
    int length = snprintf(path, size, "%s/", dir);
    snprintf(path + length, size - (size_t)length, "%s.png", file);
    for (char *p = path + length; *p != '\0'; p++)
        if (*p == '/' || *p == ':') *p = '_'; /* C: is a drive */
    const char *error =
        heatmap_write(path, config, size_now(c), c->pixels, c->heat + config->prefix_tokens);
    free(path);
    return error;
}

static const char *classify(classifier *c) {
    double begin = milliseconds();
    vit_status status = forward(c);
    if (status != VIT_OK) return vit_status_string(status);
    c->view.time.inference = milliseconds() - begin;
    for (int i = 0; i < c->count; i++)
        if (!isfinite(c->output[i])) return "the model's output is not a number";
    if (c->options.features == VIT_FEATURES_NONE) {
        vit_scores(c->model, c->output, c->scores);
        vit_top_k(c->output, c->count, c->top_count, c->top);
    }
    return c->settings->heatmap_dir == NULL ? NULL : write_heatmap(c);
}

const char *classifier_look(classifier *c, const input *in) {
    const view new = {in->path != NULL ? in->path : "", 0, 0, {0, 0, 0}};
    c->view = new;
    if (in->error != NULL) return in->error;
    if (in->path == NULL) return "out of memory";
    const char *error = in->is_tensor ? read_tensor(c, in->path) : read_picture(c, in->path);
    return error != NULL ? error : classify(c);
}
