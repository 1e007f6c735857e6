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
    } acts[] = {{"gelu", VIT_ACT_GELU},
                {"gelu_python", VIT_ACT_GELU},
                {"gelu_new", VIT_ACT_GELU_TANH},
                {"gelu_pytorch_tanh", VIT_ACT_GELU_TANH},
                {"gelu_tanh", VIT_ACT_GELU_TANH},
                {"gelu_fast", VIT_ACT_GELU_TANH},
                {"quick_gelu", VIT_ACT_QUICK_GELU},
                {"relu", VIT_ACT_RELU}};
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        if (strcmp(acts[i].name, name) == 0) return (int)acts[i].act;
    }
    fail("%s: the activation %s is not supported (--act)", file, name);
}

pooling pooling_find(const char *name) {
    static const char *const names[] = {"", "token", "avg", "all", "token_avg"};
    int i = 1;
    while (i <= POOLING_TOKEN_AVG && strcmp(names[i], name) != 0) i++;
    return i <= POOLING_TOKEN_AVG ? (pooling)i : POOLING_UNKNOWN;
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
    if (name != NULL && s->pooling == POOLING_UNKNOWN) s->pooling = read_pooling(config.file, name);
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

/* Norms that not every model has. */
static void expect_norm(json args, const char *key, int there) {
    if (json_bool(args, key, there) != there)
        fail("%s: %s is %s, but the tensors have %s norm", args.file, key, there ? "false" : "true",
             there ? "such a" : "no such");
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
    expect_norm(args, "qk_norm", c->qk_norm);
    expect_norm(args, "pre_norm", c->norm_pre);
    expect_norm(args, "final_norm", layout_has(m, PART_NORM) || layout_has(m, PART_FC_NORM));
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

/* The keys of a family's config.json, and what stands for those that a file does not have. */
typedef struct hf_defaults {
    family family;
    keys keys;
    double eps;
    const char *act;
} hf_defaults;

static const hf_defaults hf_families[] = {
    {FAMILY_HF_VIT, KEYS_HF, 1e-12, "gelu"},
    {FAMILY_HF_DEIT, KEYS_HF, 1e-12, "gelu"},
    {FAMILY_HF_DINOV2, KEYS_HF_DINOV2, 1e-6, "gelu"},
    {FAMILY_HF_CLIP, KEYS_HF_CLIP, 1e-5, "quick_gelu"},
    {FAMILY_HF_BEIT, KEYS_HF_BEIT, 1e-12, "gelu"},
};

static const hf_defaults *find_hf_defaults(family f) {
    const hf_defaults *d = hf_families;
    while (d->family != f) d++;
    return d;
}

/* Of a whole CLIP model, the part on its image tower. */
static json vision_part(const model *m, json config) {
    json vision = json_get(config, "vision_config");
    if (!cJSON_IsObject(vision.node)) return config;
    keys_check(config, "", KEYS_HF_CLIP_WHOLE);
    if (m->config.num_classes > 0) expect(config, "projection_dim", m->config.num_classes);
    vision.file = config.file;
    return vision;
}

/* Models that have the names of ViT and another default. */
static double default_eps(const hf_defaults *defaults, json config) {
    const char *type = json_text(config, "model_type", "");
    return strcmp(type, "vit_msn") == 0 || strcmp(type, "ijepa") == 0 ? 1e-6 : defaults->eps;
}

/* Dinov2's mlp_ratio and use_swiglu_ffn, which the tensors say as well. */
static void expect_dinov2(const vit_config *c, json config) {
    int gated = json_bool(config, "use_swiglu_ffn", c->act == VIT_ACT_SWIGLU);
    if (gated != (c->act == VIT_ACT_SWIGLU))
        fail("%s: use_swiglu_ffn does not fit the tensors", config.file);
    expect(config, "num_register_tokens", c->prefix_tokens - 1);
}

/* Beit reads the mean of the patches, normalised, or the class token. */
static void read_beit_pooling(settings *s, const model *m, json config) {
    int mean = json_bool(config, "use_mean_pooling", 1);
    if (s->pooling == POOLING_UNKNOWN) s->pooling = mean ? POOLING_AVG : POOLING_TOKEN;
    if (mean != layout_has(m, PART_FC_NORM))
        fail("%s: use_mean_pooling is %s, but pooler.layernorm.weight is %s", config.file,
             mean ? "true" : "false", mean ? "missing" : "there");
}

static void read_hf_model(settings *s, const model *m, json config) {
    const hf_defaults *defaults = find_hf_defaults(m->layout->family);
    keys_check(config, "", defaults->keys);
    read_hf_name(s, config);
    if (s->num_heads == 0)
        s->num_heads = json_int(config, "num_attention_heads", 12, 1, MODEL_MAX_SIZE);
    if (s->norm_eps == 0)
        s->norm_eps = json_positive(config, "layer_norm_eps", default_eps(defaults, config));
    if (s->act < 0) s->act = read_act(config.file, json_text(config, "hidden_act", defaults->act));
    if (defaults->family == FAMILY_HF_DINOV2) expect_dinov2(&m->config, config);
    if (defaults->family == FAMILY_HF_BEIT) read_beit_pooling(s, m, config);
    read_output(s, config);
    s->qkv_bias = defaults->family == FAMILY_HF_BEIT ? -1 : json_bool(config, "qkv_bias", 1);
    json_size(config, "image_size", MODEL_MAX_SIZE, s->img_size);
    json_size(config, "image_size", MODEL_MAX_SIZE, s->own_size);
    if (s->img_size[0] == 0) s->img_size[0] = s->img_size[1] = 224;
    expect(config, "hidden_size", m->config.embed_dim);
    expect(config, "num_hidden_layers", m->config.depth);
    if (m->config.act != VIT_ACT_SWIGLU) expect(config, "intermediate_size", m->config.mlp_dim);
    expect(config, "num_channels", m->config.in_chans);
    if (m->config.num_classes > 0 && defaults->family != FAMILY_HF_CLIP)
        expect(config, "num_labels", m->config.num_classes);
    expect_patch_size(config, &m->config);
}

void settings_read(settings *s, const model *m, json config, json processor) {
    family f = m->layout->family;
    int hugging_face = family_is_hugging_face(f);
    if (hugging_face) s->crop = VIT_CROP_FLOOR;
    if (hugging_face && config.node != NULL) read_hf_model(s, m, vision_part(m, config));
    if (f == FAMILY_TIMM && config.node != NULL) read_timm(s, m, config);
    if (!hugging_face && f != FAMILY_TIMM && config.node != NULL)
        note("%s: its labels alone are read, as %s has no such file", config.file,
             m->layout->title);
    if (processor.node != NULL) recipe_read_processor(s, m, processor);
}

/* ---- what is usual ------------------------------------------------------------------------- */

/* timm's rule is 64 per head; the huge and giant models have 16 heads in every library. */
static void assume_heads(settings *s, const model *m) {
    int dim = m->inner, normed = layout_norm_size(m, PART_Q_NORM);
    int wide = (dim == 1152 || dim == 1280 || dim == 1408 || dim == 1664) &&
               m->layout->family != FAMILY_LUCIDRAINS;
    if (normed > 0 && s->shape_heads == 0) s->shape_heads = dim / normed;
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

static double usual_eps(family f) {
    if (f == FAMILY_HF_VIT || f == FAMILY_HF_DEIT || f == FAMILY_HF_BEIT) return 1e-12;
    return f == FAMILY_HF_CLIP || f == FAMILY_OPENAI_CLIP || f == FAMILY_LUCIDRAINS ? 1e-5 : 1e-6;
}

/* OpenAI's models and OpenCLIP's have the same names and another activation. */
static vit_act usual_act(const model *m) {
    family f = m->layout->family;
    if (f == FAMILY_OPENAI_CLIP)
        fail(
            "%s: the activation is not known: --act quick_gelu for OpenAI's models, --act gelu for "
            "most of OpenCLIP's",
            m->checkpoint->file);
    return f == FAMILY_HF_CLIP ? VIT_ACT_QUICK_GELU
           : f == FAMILY_JAX   ? VIT_ACT_GELU_TANH
                               : VIT_ACT_GELU;
}

static void assume_numerics(settings *s, const model *m) {
    static const char *const acts[] = {"gelu", "gelu_tanh", "quick_gelu"};
    if (s->norm_eps == 0) {
        s->norm_eps = usual_eps(m->layout->family);
        note("no config gives epsilon: assumed %g (--eps)", s->norm_eps);
    }
    if (m->config.act == VIT_ACT_SWIGLU && s->act_given)
        fail("--act: the MLP has a gate in front of its second matrix: it is SwiGLU");
    if (m->config.act == VIT_ACT_SWIGLU) s->act = VIT_ACT_SWIGLU;
    if (s->act < 0) {
        s->act = (int)usual_act(m);
        note("no config gives the activation: assumed %s (--act)", acts[s->act]);
    }
    if (s->renamed && !s->post_norm)
        note("names do not say what comes when: assumed that norms come before attention and MLP "
             "(--post-norm)");
}

/* A head says by its width whether it reads the mean beside token 0. */
static void assume_pooling(settings *s, const model *m) {
    const vit_config *c = &m->config;
    int token = layout_has(m, PART_CLASS_TOKEN), fc_norm = layout_has(m, PART_FC_NORM);
    int inputs = layout_head_inputs(m) / c->embed_dim;
    int both = c->pre_logits == 0 && token && inputs == 2;
    if (inputs > 2 && c->pre_logits == 0)
        fail("%s: the head reads %d features of embed_dim, of several blocks: one block's are "
             "supported",
             m->checkpoint->file, inputs);
    if (both && s->pooling != POOLING_UNKNOWN && s->pooling != POOLING_TOKEN_AVG)
        fail("%s: the head reads two tokens: --pool token_avg", m->checkpoint->file);
    if (both) s->pooling = POOLING_TOKEN_AVG;
    if (s->pooling != POOLING_UNKNOWN) return;
    family f = m->layout->family;
    int usual =
        f != FAMILY_TIMM && f != FAMILY_LUCIDRAINS && f != FAMILY_HF_BEIT; /* one way alone */
    s->pooling =
        token && (usual || f == FAMILY_LUCIDRAINS || !fc_norm) ? POOLING_TOKEN : POOLING_AVG;
    if (!usual)
        note("no config gives global_pool: assumed %s%s (--pool)",
             s->pooling == POOLING_AVG ? "avg" : "token",
             s->pooling == POOLING_TOKEN ? ""
             : token                     ? ", as there is fc_norm"
                                         : ", as there is no class token");
}

static void assume_output(settings *s, const model *m) {
    const vit_config *config = &m->config;
    int one = config->num_classes == 1;
    int clip = m->layout->family == FAMILY_HF_CLIP || m->layout->family == FAMILY_OPENAI_CLIP;
    if (config->num_classes == 0 && s->output >= 0 && s->output != VIT_OUTPUT_EMBEDDING)
        fail("--output %s: there is no head, so the output is an embedding",
             vit_output_name((vit_output)s->output));
    if (config->num_classes == 0) s->output = VIT_OUTPUT_EMBEDDING;
    if (s->output == VIT_OUTPUT_SOFTMAX && one)
        note("the softmax of one class is always 1 (--output number or sigmoid)");
    if (s->output >= 0) return;
    s->output = clip ? VIT_OUTPUT_EMBEDDING : one ? VIT_OUTPUT_NUMBER : VIT_OUTPUT_SOFTMAX;
    if (clip) note("the head is CLIP's projection: the output is an embedding (--output)");
    else if (one) note("one class: assumed that its output is a plain number (--output)");
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
    int timm = m->layout->family == FAMILY_TIMM, token = layout_has(m, PART_CLASS_TOKEN);
    int side = rows > m->config.prefix_tokens ? root_of(rows - m->config.prefix_tokens) : 0;
    if (side == 0 && rows > token) side = root_of(rows - token);
    if (side == 0 && timm) side = root_of(rows);
    if (side == 0)
        fail("%s: %s has %d rows, which is not a square and %d tokens in front%s: give --size",
             m->checkpoint->file, m->layout->names[PART_POS_EMBED][0], rows,
             m->config.prefix_tokens, token ? "" : " (there is no cls_token)");
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

/* How many prefix tokens have a position in a checkpoint with so many rows: all, the class token alone
   (DINOv2's registers have none), or none (timm). Fills in the patches' grid. */
static int find_pos_prefix(const settings *s, model *m, int rows) {
    const vit_config *c = &m->config;
    const int counts[] = {c->prefix_tokens, layout_has(m, PART_CLASS_TOKEN), 0};
    for (int i = 0; i < 3; i++) {
        int allowed = i != 2 || c->prefix_tokens == 0 || m->layout->family == FAMILY_TIMM;
        if (allowed && rows > counts[i] && find_pos_grid(s, c, rows - counts[i], m->pos_grid))
            return counts[i];
    }
    fail("%s: %s has %d rows, which is neither the grid of %dx%d patches nor a square, and %d "
         "tokens in front",
         m->checkpoint->file, m->layout->names[PART_POS_EMBED][0], rows,
         c->img_size[0] / c->patch_size[0], c->img_size[1] / c->patch_size[1], c->prefix_tokens);
}

/* Positions of another size are resampled for --size; otherwise the file keeps them, and they are
   resampled when the model runs, so that it may run at their own size as well. */
static void apply_positions(const settings *s, model *m, int rows) {
    vit_config *c = &m->config;
    const int size[2] = {c->img_size[0] / c->patch_size[0], c->img_size[1] / c->patch_size[1]};
    m->pos_prefix = find_pos_prefix(s, m, rows);
    c->pos_resample =
        s->pos_resample < 0 ? m->layout->pos_resample : (vit_pos_resample)s->pos_resample;
    int dinov2 = m->layout->family == FAMILY_HF_DINOV2 || m->layout->family == FAMILY_DINOV2;
    if (dinov2 && c->prefix_tokens > 1 && s->pos_resample < 0)
        c->pos_resample = VIT_POS_BICUBIC_ANTIALIAS; /* with registers */
    if (m->pos_grid[0] == size[0] && m->pos_grid[1] == size[1]) return;
    if (!s->sized) memcpy(c->pos_size, m->pos_grid, sizeof(c->pos_size));
    note("position embeddings of %dx%d patches are resampled to %dx%d%s, %s%s (--pos-resample)",
         m->pos_grid[0], m->pos_grid[1], size[0], size[1], s->sized ? "" : " when the model runs",
         pos_resample_name(c->pos_resample), s->pos_resample < 0 ? " as its library does it" : "");
}

/* DINOv2 is trained for any size: config.json has the one of its positions, the processor that of the
   pictures. */
static void take_crop_size(settings *s, const model *m) {
    if (m->layout->family != FAMILY_HF_DINOV2 || s->sized || s->crop_size[0] == 0) return;
    memcpy(s->img_size, s->crop_size, sizeof(s->img_size));
}

static void apply_img_size(settings *s, model *m) {
    int rows = layout_pos_rows(m);
    take_crop_size(s, m);
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

static void apply_heads(const settings *s, model *m) {
    vit_config *config = &m->config;
    if (m->inner % s->num_heads != 0)
        fail("%d heads do not divide %s, which is %d", s->num_heads,
             m->inner == config->embed_dim ? "embed_dim" : "the width of the queries", m->inner);
    config->num_heads = s->num_heads;
    config->head_dim = m->inner / s->num_heads;
    config->norm_eps = (float)s->norm_eps;
    if (!(config->norm_eps > 0)) fail("epsilon %g is too small", s->norm_eps);
    config->act = (vit_act)s->act;
}

/* In timm global_pool avg implies fc_norm, unless the config says otherwise. */
static void check_pooling(const settings *s, const model *m) {
    const char *file = m->checkpoint->file;
    int token = s->pooling == POOLING_TOKEN || s->pooling == POOLING_TOKEN_AVG;
    int fc_norm = layout_has(m, PART_FC_NORM), two = layout_has(m, PART_HEAD_DIST);
    if (s->fc_norm >= 0 && s->fc_norm != fc_norm)
        fail("%s: fc_norm.weight is %s, but fc_norm is %s in the config", file,
             fc_norm ? "there" : "missing", fc_norm ? "false" : "true");
    if (token && !layout_has(m, PART_CLASS_TOKEN))
        fail("%s: %s is missing (--pool)", file, m->layout->names[PART_CLASS_TOKEN][0]);
    if (s->pooling == POOLING_AVG && !fc_norm && s->fc_norm < 0 && layout_has(m, PART_NORM) &&
        m->layout->family == FAMILY_TIMM)
        note("there is no fc_norm: assumed that norm comes before the average (fc_norm=False)");
    if (m->config.pre_logits > 0 && two)
        fail("%s: two heads with pre_logits are not supported", file);
    if (s->pooling != POOLING_TOKEN && two) fail("%s: two heads with global_pool avg", file);
    if (fc_norm && layout_has(m, PART_NORM) && m->layout->family == FAMILY_LUCIDRAINS)
        fail("%s: a norm at the end and one in mlp_head are not supported together", file);
}

static void apply_pooling(const settings *s, model *m) {
    vit_config *c = &m->config;
    int token = s->pooling == POOLING_TOKEN || s->pooling == POOLING_TOKEN_AVG;
    int fc_norm = layout_has(m, PART_FC_NORM);
    check_pooling(s, m);
    c->head_tokens = !token ? 0 : layout_has(m, PART_HEAD_DIST) ? 2 : 1;
    c->head_avg = s->pooling == POOLING_TOKEN                   ? 0
                  : s->pooling == POOLING_ALL || s->pool_prefix ? 2
                                                                : 1;
    c->final_norm = fc_norm && !token ? VIT_FINAL_NORM_POOLED : VIT_FINAL_NORM_TOKENS;
    if (!fc_norm && !layout_has(m, PART_NORM)) {
        c->final_norm = VIT_FINAL_NORM_NONE;
        note("there is no norm after the last block");
    }
    m->qkv_bias = s->qkv_bias;
}

void settings_apply(settings *s, model *m, const char *name) {
    assume_heads(s, m);
    assume_numerics(s, m);
    m->config.post_norm = s->post_norm;
    assume_output(s, m);
    assume_pooling(s, m);
    apply_pooling(s, m);
    apply_img_size(s, m);
    apply_heads(s, m);
    m->config.output = (vit_output)s->output;
    m->config.reject_below = (float)s->reject_below;
    recipe_apply(s, m);
    set_architecture(s, name);
    memcpy(m->architecture, s->architecture, sizeof(m->architecture));
    m->config.architecture = m->architecture;
}
