#define VIT_NO_STDIO
#define VIT_IMPLEMENTATION
#include "session.h"

#include "tools/convert/report.h"

#include <stdlib.h>

session web_session;

/* ---- memory ---- */

int buffer_reserve(buffer *b, size_t size) {
    if (size <= b->size) return 1;
    free(b->data);
    size_t rounded = vit__round_up(size, VIT__ALIGN);
    b->data = rounded < SIZE_MAX ? aligned_alloc(VIT__ALIGN, rounded) : NULL;
    b->size = b->data != NULL ? rounded : 0;
    return b->data != NULL;
}

/* Ends the instance: vit.mjs catches the trap and says that memory is out. */
void *allocate(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) __builtin_trap();
    return memory;
}

/* Of what is compiled here only a lack of memory calls it. */
void fail(const char *format, ...) {
    (void)format;
    __builtin_trap();
}

/* ---- the model ---- */

/* Where to put a file of size bytes; NULL: no memory. */
void *WEB_EXPORT(web_file)(size_t size) {
    vit_model_close(&web_session.model);
    return buffer_reserve(&web_session.file, size > 0 ? size : 1) ? web_session.file.data : NULL;
}

vit_status WEB_EXPORT(web_open)(size_t size) {
    vit_status status = vit_model_open(&web_session.model, web_session.file.data, size);
    return status == VIT_OK ? vit_model_verify(&web_session.model) : status;
}

const char *WEB_EXPORT(web_status_text)(int status) {
    return vit_status_string((vit_status)status);
}

/* "VIT_ERROR_MAGIC" and so on. */
const char *WEB_EXPORT(web_status_name)(int status) {
#define STATUS_NAME(name, text) #name,
    static const char *const names[] = {VIT_STATUS_LIST(STATUS_NAME)};
    return names[status];
}

/* What a model is: the names are vit_config's, those in a list ending with their index. */
#define NUMBERS(X)                                 \
    X(img_size_0, c->img_size[0])                  \
    X(img_size_1, c->img_size[1])                  \
    X(patch_size_0, c->patch_size[0])              \
    X(patch_size_1, c->patch_size[1])              \
    X(in_chans, c->in_chans)                       \
    X(num_classes, c->num_classes)                 \
    X(embed_dim, c->embed_dim)                     \
    X(depth, c->depth)                             \
    X(num_heads, c->num_heads)                     \
    X(head_dim, c->head_dim)                       \
    X(mlp_dim, c->mlp_dim)                         \
    X(prefix_tokens, c->prefix_tokens)             \
    X(head_tokens, c->head_tokens)                 \
    X(head_avg, c->head_avg)                       \
    X(reject_below, (double)c->reject_below)       \
    X(resize, c->preprocess.resize)                \
    X(resize_size_0, c->preprocess.resize_size[0]) \
    X(resize_size_1, c->preprocess.resize_size[1]) \
    X(token_count, vit_token_count(model, NULL))   \
    X(output_count, vit_output_count(model, NULL)) \
    X(parameters, count_parameters(model))

static double count_parameters(const vit_model *model) {
    double count = 0;
    vit_tensor t;
    for (int i = 0; vit_model_tensor(model, i, &t) == VIT_OK; i++)
        count += (double)t.rows * t.cols + (t.is_matrix ? t.rows : 0);
    return count;
}

const char *WEB_EXPORT(web_number_name)(int index) {
#define NAME(name, value) #name,
    static const char *const names[] = {NUMBERS(NAME)};
    return index < (int)(sizeof(names) / sizeof(names[0])) ? names[index] : NULL;
}

double WEB_EXPORT(web_number)(int index) {
    const vit_model *model = &web_session.model;
    const vit_config *c = vit_model_config(model);
#define VALUE(name, value) (double)(value),
    const double values[] = {NUMBERS(VALUE)};
    return values[index];
}

const char *WEB_EXPORT(web_architecture)(void) {
    return vit_model_config(&web_session.model)->architecture;
}

const char *WEB_EXPORT(web_dtype)(void) {
    return vit_dtype_name(vit_model_dtype(&web_session.model));
}

const char *WEB_EXPORT(web_output_kind)(void) {
    return vit_output_name(vit_model_config(&web_session.model)->output);
}

const char *WEB_EXPORT(web_label)(int index) {
    return vit_model_label(&web_session.model, index);
}

/* ---- a picture ---- */

/* Where to put a picture's bytes; NULL: no memory. */
void *WEB_EXPORT(web_bytes)(size_t size) {
    return buffer_reserve(&web_session.bytes, size) ? web_session.bytes.data : NULL;
}

/* What the bytes are: channels 1 (grey), 3 (RGB) or 4 (RGBA, whose A is dropped). */
void WEB_EXPORT(web_image)(int width, int height, int channels) {
    vit_image image = {web_session.bytes.data, width, height, 0, channels, 0};
    web_session.image = image;
}

/* The size in which pictures are seen from now on; 0: the model's own. */
void WEB_EXPORT(web_size)(int height, int width) {
    web_session.options.img_size[0] = height;
    web_session.options.img_size[1] = width;
}

/* As web_size, in the aspect ratio of the image. */
vit_status WEB_EXPORT(web_native_size)(void) {
    return vit_native_img_size(&web_session.model, &web_session.image,
                               web_session.options.img_size);
}

int WEB_EXPORT(web_height)(void) {
    int own = vit_model_config(&web_session.model)->img_size[0];
    return web_session.options.img_size[0] > 0 ? web_session.options.img_size[0] : own;
}

int WEB_EXPORT(web_width)(void) {
    int own = vit_model_config(&web_session.model)->img_size[1];
    return web_session.options.img_size[1] > 0 ? web_session.options.img_size[1] : own;
}

static vit_image view_of(const vit_image *image, int view) {
    vit_image seen = *image;
    if (!(view & VIEW_MIRRORED)) return seen;
    seen.row_stride = seen.width * seen.pixel_stride;
    seen.data += (seen.width - 1) * seen.pixel_stride;
    seen.channel_stride = seen.pixel_stride >= 3 ? 1 : 0;
    seen.pixel_stride = -seen.pixel_stride;
    return seen;
}

vit_status session_preprocess(const vit_model *model, int view) {
    session *s = &web_session;
    vit_image image = view_of(&s->image, view);
    size_t need = vit_preprocess_workspace_size(model, &s->options, &image);
    size_t count = vit_pixels_count(model, &s->options);
    if (count == 0) return VIT_ERROR_ARGUMENT;
    if (!buffer_reserve(&s->pixels, vit__mul(count, sizeof(float))) ||
        !buffer_reserve(&s->workspace, need))
        return VIT_ERROR_MEMORY;
    return vit_preprocess(model, &s->options, &image, s->pixels.data, s->workspace.data,
                          s->workspace.size);
}

vit_status WEB_EXPORT(web_preprocess)(void) {
    return session_preprocess(&web_session.model, 0);
}

const float *WEB_EXPORT(web_pixels)(void) {
    return web_session.pixels.data;
}

int WEB_EXPORT(web_pixels_count)(void) {
    return (int)vit_pixels_count(&web_session.model, &web_session.options);
}

/* Where to put pixels that are preprocessed already; NULL: no memory, or a size out of range. */
float *WEB_EXPORT(web_own_pixels)(void) {
    session *s = &web_session;
    size_t count = vit_pixels_count(&s->model, &s->options);
    if (count == 0 || !buffer_reserve(&s->pixels, vit__mul(count, sizeof(float)))) return NULL;
    return s->pixels.data;
}

/* ---- results ---- */

vit_status session_forward(const vit_model *model, const vit_options *options) {
    session *s = &web_session;
    size_t need = vit_workspace_size(model, options, 1), count = vit_output_count(model, options);
    if (need == 0) return VIT_ERROR_ARGUMENT;
    if (!buffer_reserve(&s->output, vit__mul(count, sizeof(float))) ||
        !buffer_reserve(&s->workspace, need))
        return VIT_ERROR_MEMORY;
    return vit_forward(model, options, s->pixels.data, 1, s->output.data, s->workspace.data,
                       s->workspace.size);
}

static vit_options options_with(int features) {
    vit_options options = web_session.options;
    options.features = (vit_features)features;
    return options;
}

vit_status WEB_EXPORT(web_forward)(int features) {
    vit_options options = options_with(features);
    return session_forward(&web_session.model, &options);
}

const float *WEB_EXPORT(web_output)(void) {
    return web_session.output.data;
}

int WEB_EXPORT(web_output_count)(int features) {
    vit_options options = options_with(features);
    return (int)vit_output_count(&web_session.model, &options);
}

int WEB_EXPORT(web_token_count)(void) {
    return vit_token_count(&web_session.model, &web_session.options);
}

/* Scores of the logits in the output; NULL: no memory. */
const float *WEB_EXPORT(web_scores)(void) {
    session *s = &web_session;
    size_t count = vit_output_count(&s->model, NULL);
    if (!buffer_reserve(&s->scores, vit__mul(count, sizeof(float)))) return NULL;
    vit_scores(&s->model, s->output.data, s->scores.data);
    return s->scores.data;
}

/* The class that the scores are for; -1: none of them. */
int WEB_EXPORT(web_answer)(void) {
    return vit_answer(&web_session.model, web_session.scores.data);
}

/* ---- attention ---- */

/* Logits, and the rollout in heat. */
vit_status WEB_EXPORT(web_rollout)(void) {
    session *s = &web_session;
    size_t tokens = (size_t)vit_token_count(&s->model, &s->options);
    size_t need = vit_rollout_workspace_size(&s->model, &s->options);
    size_t count = vit_output_count(&s->model, NULL);
    if (need == 0) return VIT_ERROR_ARGUMENT;
    if (!buffer_reserve(&s->output, vit__mul(count, sizeof(float))) ||
        !buffer_reserve(&s->heat, vit__mul(tokens, sizeof(float))) ||
        !buffer_reserve(&s->workspace, need))
        return VIT_ERROR_MEMORY;
    return vit_rollout(&s->model, &s->options, s->pixels.data, 1, s->output.data, -1, s->heat.data,
                       s->workspace.data, s->workspace.size);
}

const float *WEB_EXPORT(web_heat)(void) {
    return web_session.heat.data;
}

/* Whose attention keep_rows keeps, and for how many queries it came. */
typedef struct watch {
    int block, queries;
} watch;

/* Into heat, [heads][queries][tokens]. */
static int keep_rows(void *user, const vit_attention *a) {
    watch *w = user;
    size_t tokens = (size_t)a->tokens, rows = (size_t)a->heads * (size_t)a->queries;
    float *to = web_session.heat.data;
    if (a->block != w->block) return 0;
    w->queries = a->queries;
    to += (size_t)a->head * (size_t)a->queries * tokens;
    for (size_t i = 0; i < rows; i++, to += tokens)
        memcpy(to, a->rows + i * a->row_stride, tokens * sizeof(float));
    return 0;
}

/* Logits, and in heat the attention of a block's heads. Returns the number of queries, or a status
   below 0. */
int WEB_EXPORT(web_attention)(int block) {
    session *s = &web_session;
    watch w = {block, 0};
    vit_options options = s->options;
    size_t tokens = (size_t)vit_token_count(&s->model, &options);
    size_t heads = (size_t)vit_model_config(&s->model)->num_heads;
    if (!buffer_reserve(&s->heat, vit__mul(vit__mul(heads, tokens), tokens * sizeof(float))))
        return -VIT_ERROR_MEMORY;
    options.on_attention = keep_rows, options.on_attention_user = &w;
    vit_status status = session_forward(&s->model, &options);
    return status == VIT_OK ? w.queries : -(int)status;
}
