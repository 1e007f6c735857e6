/* Attention, rollout, features and merged tokens as functions of a shared library, for attention.py. */
#define VIT_IMPLEMENTATION
#include "vit.h"

int parity_open(vit_model *model, const char *path);
size_t parity_model_size(void);
vit_status parity_attention(const vit_model *model, const float *pixels, float *attention);
vit_status parity_rollout(const vit_model *model, const float *pixels, int token, float *rollout);
vit_status parity_features(const vit_model *model, const float *pixels, vit_features features,
                           int height, int width, float *output);
vit_status parity_merged(const vit_model *model, const float *pixels, int merge, int low_memory,
                         float *output);

size_t parity_model_size(void) {
    return sizeof(vit_model);
}

int parity_open(vit_model *model, const char *path) {
    return (int)vit_model_load(model, path, NULL);
}

/* Into [depth][heads][tokens][tokens]. */
static int keep(void *user, const vit_attention *a) {
    float **out = (float **)user;
    size_t count = (size_t)a->tokens;
    for (int row = 0; row < a->heads * a->queries; row++, *out += count)
        memcpy(*out, a->rows + (size_t)row * a->row_stride, count * sizeof(float));
    return 0;
}

static vit_status forward(const vit_model *model, const vit_options *options, const float *pixels,
                          float *output) {
    size_t size = vit_workspace_size(model, options, 1);
    void *workspace = malloc(size);
    vit_status status = vit_forward(model, options, pixels, 1, output, workspace, size);
    free(workspace);
    return status;
}

vit_status parity_features(const vit_model *model, const float *pixels, vit_features features,
                           int height, int width, float *output) {
    vit_options options = {.features = features, .img_size = {height, width}};
    return forward(model, &options, pixels, output);
}

vit_status parity_merged(const vit_model *model, const float *pixels, int merge, int low_memory,
                         float *output) {
    vit_options options = {.merge = merge, .low_memory = low_memory};
    return forward(model, &options, pixels, output);
}

vit_status parity_attention(const vit_model *model, const float *pixels, float *attention) {
    vit_options options = {.all_tokens = 1, .on_attention = keep, .on_attention_user = &attention};
    float *logits = malloc(vit_output_count(model, NULL) * sizeof(float));
    vit_status status = forward(model, &options, pixels, logits);
    free(logits);
    return status;
}

vit_status parity_rollout(const vit_model *model, const float *pixels, int token, float *rollout) {
    size_t size = vit_rollout_workspace_size(model, NULL);
    void *workspace = malloc(size);
    float *logits = malloc(vit_output_count(model, NULL) * sizeof(float));
    vit_status status =
        vit_rollout(model, NULL, pixels, 1, logits, token, rollout, workspace, size);
    free(logits);
    free(workspace);
    return status;
}
