#include "settings.h"

#include "keys.h"
#include "model_writer.h"
#include "recipe.h"
#include "report.h"

#include <limits.h>
#include <math.h>
#include <string.h>

void settings_clear(settings *s) {
    memset(s, 0, sizeof(*s));
    s->act = s->fc_norm = s->qkv_bias = s->output = s->resize = s->interpolation = -1;
    s->pos_resample = -1;
}

static const char *const pos_resample_names[VIT_POS_RESAMPLE_COUNT] = {
    "bicubic-antialias", "bicubic", "bicubic-aligned", "bicubic-offset", "bilinear"};

const char *pos_resample_name(vit_pos_resample method) {
    return pos_resample_names[method];
}

vit_pos_resample pos_resample_find(const char *name) {
    int method = 0;
    while (method < VIT_POS_RESAMPLE_COUNT && strcmp(pos_resample_names[method], name) != 0)
        method++;
    return (vit_pos_resample)method;
}

/* ---- from the files -------------------------------------------------------------------------- */

/* A number of the config that the tensors' shapes also give. */
static void expect(json object, const char *key, int from_tensors) {
    if (json_int(object, key, from_tensors, 0, INT_MAX) != from_tensors)
        fail("%s: %s does not fit the tensors, which say %d", object.file, key, from_tensors);
}

static void expect_patch_size(json object, const vit_config *config) {
    int size[2] = {0, 0};
    json_size(object, "patch_size", MODEL_MAX_SIZE, size);
    if (size[0] > 0 && (size[0] != config->patch_size[0] || size[1] != config->patch_size[1]))
        fail("%s: patch_size does not fit the tensors, which say %dx%d", object.file,
             config->patch_size[0], config->patch_size[1]);
}

/* A name for the file's 64 bytes, cut if it is longer. */
static void set_architecture(settings *s, const char *name) {
    size_t length = name == NULL ? 0 : strlen(name);
    if (length == 0 || s->architecture[0] != 0 || !text_is_valid(name)) return;
    if (length > 63) {
        length = 63;
        while (((unsigned char)name[length] & 0xC0) == 0x80) length--;
    }
    memcpy(s->architecture, name, length);
}

static int read_act(const char *file, const char *name) {
    static const struct {
        const char *name;
        vit_act act;
    } acts[] = {{"gelu", VIT_ACT_GELU},           {"gelu_python", VIT_ACT_GELU},
                {"gelu_new", VIT_ACT_GELU_TANH},  {"gelu_pytorch_tanh", VIT_ACT_GELU_TANH},
                {"gelu_tanh", VIT_ACT_GELU_TANH}, {"gelu_fast", VIT_ACT_GELU_TANH}};
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        if (strcmp(acts[i].name, name) == 0) return (int)acts[i].act;
    }
    fail("%s: the activation %s is not supported (--act)", file, name);
}

/* problem_type, as Hugging Face transformers have it. */
static void read_output(settings *s, json config) {
    static const struct {
        const char *name;
        vit_output output;
    } types[] = {{"single_label_classification", VIT_OUTPUT_SOFTMAX},
                 {"multi_label_classification", VIT_OUTPUT_SIGMOID},
                 {"regression", VIT_OUTPUT_NUMBER}};
    const char *name = s->output >= 0 ? NULL : json_text(config, "problem_type", NULL);
    if (name == NULL) return;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0) s->output = (int)types[i].output;
    }
    if (s->output < 0) fail("%s: problem_type %s is not supported (--output)", config.file, name);
}

static pooling read_pooling(const char *file, const char *name) {
    if (strcmp(name, "token") == 0) return POOLING_TOKEN;
    if (strcmp(name, "avg") == 0) return POOLING_AVG;
    fail("%s: global_pool %s is not supported: token and avg are", file, name);
}

/* ---- timm ---------------------------------------------------------------------------------- */

static void read_timm_pooling(settings *s, json config, json args, json recipe) {
    const char *name = json_text(recipe, "global_pool", NULL);
    name = json_text(args, "global_pool", json_text(config, "global_pool", name));
    if (name != NULL) s->pooling = read_pooling(config.file, name);
    s->pool_prefix = json_bool(args, "pool_include_prefix", 0);
    s->fc_norm = json_bool(args, "fc_norm", -1);
    s->qkv_bias = json_bool(args, "qkv_bias", -1);
}

/* model_args: the arguments that the model was built with, where they differ from those of its name. */
static void read_timm_model(settings *s, json config, json args) {
    const char *name = json_text(config, "architecture", NULL);
    const char *act = json_text(args, "act_layer", "gelu");
    if (name != NULL && strstr(name, "quickgelu") != NULL) act = "quick_gelu";
    set_architecture(s, name);
    if (s->num_heads == 0) s->num_heads = json_int(args, "num_heads", 0, 1, MODEL_MAX_SIZE);
    if (s->norm_eps == 0) s->norm_eps = json_positive(args, "norm_eps", 1e-6);
    if (s->act < 0) s->act = read_act(config.file, act);
    json_size(args, "img_size", MODEL_MAX_SIZE, s->img_size);
    json_size(args, "img_size", MODEL_MAX_SIZE, s->own_size);
    read_output(s, config);
}

/* What the tensors say as well. */
static void expect_timm(const model *m, json config, json args) {
    const vit_config *c = &m->config;
    int class_token = layout_has(m, PART_CLASS_TOKEN), dist_token = layout_has(m, PART_DIST_TOKEN);
    double ratio = json_positive(args, "mlp_ratio", 0);
    expect(args, "embed_dim", c->embed_dim);
    expect(args, "depth", c->depth);
    expect(args, "in_chans", c->in_chans);
    expect(args, "num_classes", c->num_classes);
    expect(args, "reg_tokens", c->prefix_tokens - class_token - dist_token);
    expect(config, "num_classes", c->num_classes);
    expect(config, "num_labels", c->num_classes);
    expect_patch_size(args, c);
    if (ratio > 0 && (int)fmin(c->embed_dim * ratio, INT_MAX) != c->mlp_dim)
        fail("%s: mlp_ratio %g does not fit the tensors, whose MLPs are %d wide", args.file, ratio,
             c->mlp_dim);
    if (json_bool(args, "class_token", class_token) != class_token)
        fail("%s: class_token is %s, but %s is %s", args.file, class_token ? "false" : "true",
             m->layout->names[PART_CLASS_TOKEN][0], class_token ? "there" : "missing");
}

static void read_timm(settings *s, const model *m, json config) {
    json args = json_get(config, "model_args"), recipe = json_get(config, "pretrained_cfg");
    if (args.node != NULL && !cJSON_IsObject(args.node))
        fail("%s: model_args is not an object", config.file);
    if (recipe.node != NULL && !cJSON_IsObject(recipe.node))
        fail("%s: pretrained_cfg is not an object", config.file);
    keys_check(config, "", KEYS_TIMM);
    keys_check(args, "model_args.", KEYS_TIMM_ARGS);
    keys_check(recipe, "pretrained_cfg.", KEYS_RECIPE);
    read_timm_pooling(s, config, args, recipe);
    read_timm_model(s, config, args);
    expect_timm(m, config, args);
    recipe_read_timm(s, m, config);
}

/* ---- Hugging Face transformers ------------------------------------------------------------- */

/* The name on the hub, unless it is a path on somebody's disk; else the class. */
static void read_hf_name(settings *s, json config) {
    const char *name = json_text(config, "_name_or_path", "");
    const cJSON *class = cJSON_GetArrayItem(json_get(config, "architectures").node, 0);
    if (name[0] != '/' && name[0] != '.') set_architecture(s, name);
    if (cJSON_IsString(class)) set_architecture(s, class->valuestring);
}

static void read_hf_model(settings *s, const model *m, json config) {
    keys_check(config, "", KEYS_HF);
    read_hf_name(s, config);
    if (s->num_heads == 0)
        s->num_heads = json_int(config, "num_attention_heads", 12, 1, MODEL_MAX_SIZE);
    if (s->norm_eps == 0) s->norm_eps = json_positive(config, "layer_norm_eps", 1e-12);
    if (s->act < 0) s->act = read_act(config.file, json_text(config, "hidden_act", "gelu"));
    read_output(s, config);
    s->qkv_bias = json_bool(config, "qkv_bias", 1);
    json_size(config, "image_size", MODEL_MAX_SIZE, s->img_size);
    json_size(config, "image_size", MODEL_MAX_SIZE, s->own_size);
    if (s->img_size[0] == 0) s->img_size[0] = s->img_size[1] = 224;
    expect(config, "hidden_size", m->config.embed_dim);
    expect(config, "num_hidden_layers", m->config.depth);
    expect(config, "intermediate_size", m->config.mlp_dim);
    expect(config, "num_channels", m->config.in_chans);
    expect(config, "num_labels", m->config.num_classes);
    expect_patch_size(config, &m->config);
}

void settings_read(settings *s, const model *m, json config, json processor) {
    family f = m->layout->family;
    int hugging_face = f == FAMILY_HF_VIT || f == FAMILY_HF_DEIT;
    if (hugging_face) s->crop = VIT_CROP_FLOOR;
    if (hugging_face && config.node != NULL) read_hf_model(s, m, config);
    if (f == FAMILY_TIMM && config.node != NULL) read_timm(s, m, config);
    if (f == FAMILY_TORCHVISION && config.node != NULL)
        note("%s: its labels alone are read, as torchvision has no such file", config.file);
    if (processor.node != NULL) recipe_read_processor(s, m, processor);
}

/* ---- what is usual ------------------------------------------------------------------------- */

/* timm's rule is 64 per head; the huge and giant models have 16 heads in every library. */
static void assume_heads(settings *s, const vit_config *config) {
    int dim = config->embed_dim;
    int wide = dim == 1152 || dim == 1280 || dim == 1408 || dim == 1664;
    if (s->num_heads == 0) s->num_heads = s->shape_heads;
    if (s->shape_heads > 0 && s->num_heads != s->shape_heads)
        fail("a config says that there are %d heads, the tensors' shapes say %d", s->num_heads,
             s->shape_heads);
    if (s->num_heads > 0) return;
    if (!wide && dim % 64 != 0)
        fail("the number of heads is not known, and %d is not a multiple of 64: give --heads", dim);
    s->num_heads = wide ? 16 : dim / 64;
    note("no config says how many heads there are: assumed %d, %d wide each (--heads)",
         s->num_heads, dim / s->num_heads);
}

static void assume_numerics(settings *s, family f) {
    if (s->norm_eps == 0) {
        s->norm_eps = f == FAMILY_HF_VIT || f == FAMILY_HF_DEIT ? 1e-12 : 1e-6;
        note("no config gives epsilon: assumed %g (--eps)", s->norm_eps);
    }
    if (s->act < 0) {
        s->act = VIT_ACT_GELU;
        note("no config gives the activation: assumed gelu (--act)");
    }
}

static void assume_pooling(settings *s, const model *m) {
    if (m->layout->family != FAMILY_TIMM) s->pooling = POOLING_TOKEN;
    if (s->pooling != POOLING_UNKNOWN) return;
    int avg = layout_has(m, PART_FC_NORM);
    s->pooling = avg ? POOLING_AVG : POOLING_TOKEN;
    note("no config gives global_pool: assumed %s", avg ? "avg, as there is fc_norm" : "token");
}

static void assume_output(settings *s, const vit_config *config) {
    int one = config->num_classes == 1;
    if (s->output == VIT_OUTPUT_SOFTMAX && one)
        note("the softmax of one class is always 1 (--output number or sigmoid)");
    if (s->output >= 0) return;
    s->output = one ? VIT_OUTPUT_NUMBER : VIT_OUTPUT_SOFTMAX;
    if (one) note("one class: assumed that its output is a plain number (--output)");
}

/* ---- what follows -------------------------------------------------------------------------- */

static int root_of(int square) {
    int root = 0;
    while ((root + 1) * (root + 1) <= square && root < 4096) root++;
    return root * root == square ? root : 0;
}

/* img_size where nothing gives it: a square with one patch for each position. timm has models with
   positions for the patches alone. */
static void assume_img_size(settings *s, const model *m, int rows) {
    int timm = m->layout->family == FAMILY_TIMM;
    int side = rows > m->config.prefix_tokens ? root_of(rows - m->config.prefix_tokens) : 0;
    if (side == 0 && timm) side = root_of(rows);
    if (side == 0)
        fail("%s: %s has %d rows, which is not a square and %d tokens in front: give --size",
             m->checkpoint->file, m->layout->names[PART_POS_EMBED][0], rows,
             m->config.prefix_tokens);
    for (int i = 0; i < 2; i++) s->img_size[i] = side * m->config.patch_size[i];
    note("no config gives img_size: assumed %dx%d from %d position embeddings (--size)",
         s->img_size[0], s->img_size[1], rows);
}

/* The grid of some position embeddings: that of the model's size, of the size in the config, or a
   square. Returns whether it is one of these. */
static int find_pos_grid(const settings *s, const vit_config *c, int positions, int grid[2]) {
    const int *sizes[2] = {c->img_size, s->own_size};
    for (int i = 0; i < 2; i++) {
        for (int side = 0; side < 2; side++) grid[side] = sizes[i][side] / c->patch_size[side];
        if ((long long)grid[0] * grid[1] == positions) return 1;
    }
    grid[0] = grid[1] = root_of(positions);
    return grid[0] > 0;
}

/* The checkpoint has positions for all tokens, or for the patches alone; maybe for another size. */
static void apply_positions(const settings *s, model *m, int rows) {
    vit_config *c = &m->config;
    const int size[2] = {c->img_size[0] / c->patch_size[0], c->img_size[1] / c->patch_size[1]};
    const int alone = c->prefix_tokens == 0 || m->layout->family == FAMILY_TIMM;
    m->pos_prefix = c->prefix_tokens;
    if (rows <= m->pos_prefix || !find_pos_grid(s, c, rows - m->pos_prefix, m->pos_grid)) {
        m->pos_prefix = 0;
        if (!alone || !find_pos_grid(s, c, rows, m->pos_grid))
            fail("%s: %s has %d rows, which is neither the grid of %dx%d patches nor a square, and "
                 "%d "
                 "tokens in front",
                 m->checkpoint->file, m->layout->names[PART_POS_EMBED][0], rows, size[0], size[1],
                 c->prefix_tokens);
    }
    c->pos_resample =
        s->pos_resample < 0 ? m->layout->pos_resample : (vit_pos_resample)s->pos_resample;
    if (m->pos_grid[0] == size[0] && m->pos_grid[1] == size[1]) return;
    note("position embeddings of %dx%d patches are resampled to %dx%d, %s%s (--pos-resample)",
         m->pos_grid[0], m->pos_grid[1], size[0], size[1], pos_resample_name(c->pos_resample),
         s->pos_resample < 0 ? " as its library does it" : "");
}

static void apply_img_size(settings *s, model *m) {
    int rows = layout_pos_rows(m);
    if (rows == 0 && s->pos_embed == NULL)
        fail("%s: %s is missing: if the model's code computes the positions, give --pos-embed",
             m->checkpoint->file, m->layout->names[PART_POS_EMBED][0]);
    if (rows > 0 && s->pos_embed != NULL)
        fail("%s: --pos-embed, but there is %s", m->checkpoint->file,
             m->layout->names[PART_POS_EMBED][0]);
    if (s->img_size[0] == 0 && rows == 0) fail("img_size is not known: give --size");
    if (s->img_size[0] == 0) assume_img_size(s, m, rows);
    memcpy(m->config.img_size, s->img_size, sizeof(s->img_size));
    m->pos_embed = s->pos_embed;
    if (rows > 0) apply_positions(s, m, rows);
}

static void apply_heads(const settings *s, vit_config *config) {
    if (config->embed_dim % s->num_heads != 0)
        fail("%d heads do not divide embed_dim, which is %d", s->num_heads, config->embed_dim);
    config->num_heads = s->num_heads;
    config->head_dim = config->embed_dim / s->num_heads;
    config->norm_eps = (float)s->norm_eps;
    if (!(config->norm_eps > 0)) fail("epsilon %g is too small", s->norm_eps);
    config->act = (vit_act)s->act;
}

/* In timm global_pool avg implies fc_norm, unless the config says otherwise. */
static void apply_pooling(const settings *s, model *m) {
    vit_config *c = &m->config;
    int avg = s->pooling == POOLING_AVG, fc_norm = layout_has(m, PART_FC_NORM);
    if (s->fc_norm >= 0 && s->fc_norm != fc_norm)
        fail("%s: fc_norm.weight is %s, but fc_norm is %s in the config", m->checkpoint->file,
             fc_norm ? "there" : "missing", fc_norm ? "false" : "true");
    if (!avg && !layout_has(m, PART_CLASS_TOKEN))
        fail("%s: %s is missing", m->checkpoint->file, m->layout->names[PART_CLASS_TOKEN][0]);
    if (avg && !fc_norm && s->fc_norm < 0)
        note("there is no fc_norm: assumed that norm comes before the average (fc_norm=False)");
    if (c->pre_logits > 0 && layout_has(m, PART_HEAD_DIST))
        fail("%s: two heads with pre_logits are not supported", m->checkpoint->file);
    if (avg && layout_has(m, PART_HEAD_DIST))
        fail("%s: two heads with global_pool avg", m->checkpoint->file);
    c->head_tokens = avg ? 0 : layout_has(m, PART_HEAD_DIST) ? 2 : 1;
    c->head_avg = avg ? 1 + s->pool_prefix : 0;
    c->final_norm = avg && fc_norm ? VIT_FINAL_NORM_POOLED : VIT_FINAL_NORM_TOKENS;
    m->qkv_bias = s->qkv_bias;
}

void settings_apply(settings *s, model *m, const char *name) {
    assume_heads(s, &m->config);
    assume_numerics(s, m->layout->family);
    assume_output(s, &m->config);
    assume_pooling(s, m);
    apply_pooling(s, m);
    apply_img_size(s, m);
    apply_heads(s, &m->config);
    m->config.output = (vit_output)s->output;
    recipe_apply(s, m);
    set_architecture(s, name);
    memcpy(m->architecture, s->architecture, sizeof(m->architecture));
    m->config.architecture = m->architecture;
}
