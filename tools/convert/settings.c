#include "settings.h"

#include "report.h"
#include "model_writer.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static const float imagenet_mean[3] = {0.485f, 0.456f, 0.406f};
static const float imagenet_std[3] = {0.229f, 0.224f, 0.225f};

void settings_clear(settings *s) {
    memset(s, 0, sizeof(*s));
    s->act = s->fc_norm = s->qkv_bias = s->resize = s->interpolation = -1;
}

/* ---- from the files -------------------------------------------------------------------------- */

/* A size: a number for both, or [height, width]. */
static void read_pair(json object, const char *key, int size[2]) {
    json value = json_get(object, key);
    const cJSON *height = value.node, *width = value.node;
    if (value.node == NULL || size[0] > 0) return;
    if (cJSON_IsArray(value.node) && cJSON_GetArraySize(value.node) == 2) {
        height = cJSON_GetArrayItem(value.node, 0);
        width = cJSON_GetArrayItem(value.node, 1);
    }
    if (!json_is_whole(height, 1, MODEL_MAX_SIZE) || !json_is_whole(width, 1, MODEL_MAX_SIZE))
        fail("%s: %s is not a size", object.file, key);
    size[0] = (int)height->valuedouble;
    size[1] = (int)width->valuedouble;
}

/* mean or std: a number for each channel, of which the first four are kept. */
static void read_channels(json object, const char *key, float values[4], int *count) {
    json list = json_get(object, key);
    const cJSON *value;
    if (list.node == NULL || *count > 0) return;
    if (!cJSON_IsArray(list.node)) fail("%s: %s is not a list", object.file, key);
    cJSON_ArrayForEach(value, list.node) {
        if (!cJSON_IsNumber(value) || !isfinite((float)value->valuedouble))
            fail("%s: %s: not a number", object.file, key);
        if (*count < 4) values[*count] = (float)value->valuedouble;
        ++*count;
    }
    if (*count == 0) fail("%s: %s is empty", object.file, key);
}

static void set_channels(float values[4], int *count, const float *from, int channels) {
    if (*count > 0) return;
    memcpy(values, from, (size_t)channels * sizeof(float));
    *count = channels;
}

static void set_channel(float values[4], int *count, float value) {
    set_channels(values, count, &value, 1);
}

/* A number of the config that the tensors' shapes also give. */
static void expect(json object, const char *key, int from_tensors) {
    if (json_int(object, key, from_tensors, 0, INT_MAX) != from_tensors)
        fail("%s: %s does not fit the tensors, which say %d", object.file, key, from_tensors);
}

static void expect_patch_size(json object, const vit_config *config) {
    int size[2] = {0, 0};
    read_pair(object, "patch_size", size);
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
    fail("%s: the activation %s is not supported", file, name);
}

static int read_interpolation(const char *file, const char *name) {
    if (strcmp(name, "bilinear") == 0) return VIT_INTERPOLATION_BILINEAR;
    if (strcmp(name, "bicubic") == 0) return VIT_INTERPOLATION_BICUBIC;
    fail("%s: the interpolation %s is not supported: bilinear and bicubic are", file, name);
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
    s->fc_norm = json_bool(args, "fc_norm", -1);
    s->qkv_bias = json_bool(args, "qkv_bias", -1);
}

/* model_args: the arguments that the model was built with, where they differ from those of its name. */
static void read_timm_model(settings *s, const model *m, json config, json args) {
    const char *name = json_text(config, "architecture", NULL);
    const char *act = json_text(args, "act_layer", "gelu");
    if (name != NULL && strstr(name, "quickgelu") != NULL) act = "quick_gelu";
    set_architecture(s, name);
    if (s->num_heads == 0) s->num_heads = json_int(args, "num_heads", 0, 1, MODEL_MAX_SIZE);
    if (s->norm_eps == 0) s->norm_eps = json_positive(args, "norm_eps", 1e-6);
    if (s->act < 0) s->act = read_act(config.file, act);
    read_pair(args, "img_size", s->img_size);
    expect(args, "embed_dim", m->config.embed_dim);
    expect(args, "depth", m->config.depth);
    expect(args, "in_chans", m->config.in_chans);
    expect(config, "num_classes", m->config.num_classes);
    expect_patch_size(args, &m->config);
}

/* input_size: [channels, height, width]. */
static void read_timm_input_size(json recipe, int size[2]) {
    json input = json_get(recipe, "input_size");
    if (input.node == NULL) return;
    for (int i = 0; i < 2; i++) {
        const cJSON *side = cJSON_GetArrayItem(input.node, i + 1);
        if (cJSON_GetArraySize(input.node) != 3 || !json_is_whole(side, 1, MODEL_MAX_SIZE))
            fail("%s: input_size is not [channels, height, width]", recipe.file);
        size[i] = (int)side->valuedouble;
    }
}

static void read_timm_crop(settings *s, json recipe, const int input[2]) {
    const char *mode = json_text(recipe, "crop_mode", "center");
    if (s->resize >= 0) return;
    if (strcmp(mode, "center") != 0 && strcmp(mode, "squash") != 0)
        fail("%s: crop_mode %s is not supported: center and squash are", recipe.file, mode);
    s->squash = strcmp(mode, "squash") == 0;
    if (s->crop_pct > 0) return;
    s->crop_pct = json_positive(recipe, "crop_pct", 0.875);
    memcpy(s->crop_size, input, sizeof(s->crop_size));
}

/* Whether any key of a recipe is there: then timm's own defaults replace the missing ones. */
static int has_timm_recipe(json object) {
    static const char *const keys[] = {"input_size", "interpolation", "crop_pct",
                                       "crop_mode",  "mean",          "std"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (json_get(object, keys[i]).node != NULL) return 1;
    }
    return 0;
}

static void read_timm_recipe(settings *s, json recipe) {
    int input[2] = {0, 0};
    if (!has_timm_recipe(recipe)) return;
    read_timm_input_size(recipe, input);
    if (s->img_size[0] == 0) memcpy(s->img_size, input, sizeof(input));
    read_timm_crop(s, recipe, input);
    read_channels(recipe, "mean", s->mean, &s->means);
    read_channels(recipe, "std", s->std, &s->stds);
    set_channels(s->mean, &s->means, imagenet_mean, 3);
    set_channels(s->std, &s->stds, imagenet_std, 3);
    if (s->interpolation < 0)
        s->interpolation =
            read_interpolation(recipe.file, json_text(recipe, "interpolation", "bicubic"));
}

/* Older files have the recipe at the top level. */
static void read_timm(settings *s, const model *m, json config) {
    json args = json_get(config, "model_args"), recipe = json_get(config, "pretrained_cfg");
    if (args.node != NULL && !cJSON_IsObject(args.node))
        fail("%s: model_args is not an object", config.file);
    if (recipe.node != NULL && !cJSON_IsObject(recipe.node))
        fail("%s: pretrained_cfg is not an object", config.file);
    if (!has_timm_recipe(recipe)) recipe = config;
    read_timm_pooling(s, config, args, recipe);
    read_timm_model(s, m, config, args);
    read_timm_recipe(s, recipe);
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
    read_hf_name(s, config);
    if (s->num_heads == 0)
        s->num_heads = json_int(config, "num_attention_heads", 12, 1, MODEL_MAX_SIZE);
    if (s->norm_eps == 0) s->norm_eps = json_positive(config, "layer_norm_eps", 1e-12);
    if (s->act < 0) s->act = read_act(config.file, json_text(config, "hidden_act", "gelu"));
    s->qkv_bias = json_bool(config, "qkv_bias", 1);
    read_pair(config, "image_size", s->img_size);
    if (s->img_size[0] == 0) s->img_size[0] = s->img_size[1] = 224;
    expect(config, "hidden_size", m->config.embed_dim);
    expect(config, "num_hidden_layers", m->config.depth);
    expect(config, "intermediate_size", m->config.mlp_dim);
    expect(config, "num_channels", m->config.in_chans);
    expect(config, "num_labels", m->config.num_classes);
    expect_patch_size(config, &m->config);
}

/* A number, {height, width} or {shortest_edge}. Returns how to resize to it. */
static vit_resize read_hf_size(json processor, const char *key, int size[2]) {
    json value = json_get(processor, key);
    int given[2] = {0, 0};
    if (!cJSON_IsObject(value.node)) {
        read_pair(processor, key, given);
    } else if (json_get(value, "shortest_edge").node != NULL) {
        read_pair(value, "shortest_edge", given);
    } else {
        given[0] = json_int(value, "height", 0, 1, MODEL_MAX_SIZE);
        given[1] = json_int(value, "width", 0, 1, MODEL_MAX_SIZE);
        if (given[0] == 0 || given[1] == 0)
            fail("%s: %s is neither height and width nor shortest_edge", processor.file, key);
    }
    if (given[0] > 0) memcpy(size, given, sizeof(given));
    return json_get(value, "shortest_edge").node != NULL ? VIT_RESIZE_SHORTEST : VIT_RESIZE_EXACT;
}

static void read_hf_resize(settings *s, json processor, int deit) {
    int crops = json_bool(processor, "do_center_crop", deit), crop[2] = {224, 224};
    int side = deit ? 256 : 224, size[2] = {side, side};
    if (s->resize >= 0 || s->crop_pct > 0) return;
    s->resize = (int)read_hf_size(processor, "size", size);
    if (crops) read_hf_size(processor, "crop_size", crop);
    if (s->resize == VIT_RESIZE_SHORTEST && !crops)
        fail("%s: it resizes to shortest_edge and does not crop", processor.file);
    memcpy(s->crop_size, crops ? crop : size, sizeof(size));
    if (json_bool(processor, "do_resize", 1)) {
        memcpy(s->resize_size, size, sizeof(size));
        return;
    }
    s->resize = VIT_RESIZE_NONE;
    if (!crops) s->crop_size[0] = s->crop_size[1] = 0;
}

static void read_hf_values(settings *s, json processor) {
    if (s->rescale == 0 && !json_bool(processor, "do_rescale", 1)) s->rescale = 1;
    if (s->rescale == 0) s->rescale = 1 / json_positive(processor, "rescale_factor", 1 / 255.0);
    if (json_bool(processor, "do_normalize", 1)) {
        read_channels(processor, "image_mean", s->mean, &s->means);
        read_channels(processor, "image_std", s->std, &s->stds);
        set_channel(s->mean, &s->means, 0.5f);
        set_channel(s->std, &s->stds, 0.5f);
    }
    set_channel(s->mean, &s->means, 0);
    set_channel(s->std, &s->stds, 1);
}

/* ViT's processor resizes to 224 x 224, bilinear; DeiT's to 256 x 256, bicubic, and crops. */
static void read_hf_processor(settings *s, const model *m, json processor) {
    const char *type = json_text(processor, "feature_extractor_type", NULL);
    type = json_text(processor, "image_processor_type", type);
    int deit = m->layout->family == FAMILY_HF_DEIT;
    if (type != NULL) {
        deit = strncmp(type, "DeiT", 4) == 0;
        if (!deit && strncmp(type, "ViTImageProcessor", 17) != 0 &&
            strcmp(type, "ViTFeatureExtractor") != 0)
            fail("%s: %s is not supported: the processors of ViT and DeiT are", processor.file,
                 type);
    }
    read_hf_resize(s, processor, deit);
    read_hf_values(s, processor);
    int resample = json_int(processor, "resample", deit ? 3 : 2, 0, 5);
    if (s->interpolation >= 0) return;
    if (resample != 2 && resample != 3)
        fail("%s: resample %d is not supported: 2 (bilinear) and 3 (bicubic) are", processor.file,
             resample);
    s->interpolation = resample == 2 ? VIT_INTERPOLATION_BILINEAR : VIT_INTERPOLATION_BICUBIC;
}

void settings_read(settings *s, const model *m, json config, json processor) {
    family f = m->layout->family;
    int hugging_face = f == FAMILY_HF_VIT || f == FAMILY_HF_DEIT;
    if (hugging_face) s->crop = VIT_CROP_FLOOR;
    if (hugging_face && config.node != NULL) read_hf_model(s, m, config);
    if (hugging_face && processor.node != NULL) read_hf_processor(s, m, processor);
    if (f == FAMILY_TIMM && config.node != NULL) read_timm(s, m, config);
}

/* ---- what is usual ------------------------------------------------------------------------- */

/* timm's rule is 64 per head; the huge and giant models have 16 heads in every library. */
static void assume_heads(settings *s, const vit_config *config) {
    int dim = config->embed_dim;
    int wide = dim == 1152 || dim == 1280 || dim == 1408 || dim == 1664;
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

/* The recipe of most published models of the family, for any img_size. */
static void assume_recipe(settings *s, const model *m) {
    family f = m->layout->family;
    int torchvision = f == FAMILY_TORCHVISION, huge = torchvision && m->config.img_size[0] != 224;
    int imagenet = torchvision || layout_has(m, PART_DIST_TOKEN);
    if (f == FAMILY_HF_DEIT) imagenet = 0;
    if (s->resize < 0 && s->crop_pct == 0) {
        s->squash = f == FAMILY_HF_VIT || f == FAMILY_HF_DEIT;
        s->crop_pct = f == FAMILY_TIMM ? 0.9 : f == FAMILY_HF_VIT || huge ? 1 : 0.875;
    }
    if (s->interpolation < 0)
        s->interpolation = f == FAMILY_HF_VIT || (torchvision && !huge) ? VIT_INTERPOLATION_BILINEAR
                                                                        : VIT_INTERPOLATION_BICUBIC;
    set_channels(s->mean, &s->means, imagenet ? imagenet_mean : (const float[]){0.5f},
                 imagenet ? 3 : 1);
    set_channels(s->std, &s->stds, imagenet ? imagenet_std : (const float[]){0.5f},
                 imagenet ? 3 : 1);
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

/* The checkpoint has positions for all tokens, or for the patches alone. */
static void apply_positions(model *m, int rows) {
    const vit_config *c = &m->config;
    long long patches =
        (long long)(c->img_size[0] / c->patch_size[0]) * (c->img_size[1] / c->patch_size[1]);
    m->pos_prefix = rows == patches ? 0 : c->prefix_tokens;
    if (rows == m->pos_prefix + patches && (m->pos_prefix > 0 || m->layout->family == FAMILY_TIMM))
        return;
    fail(
        "%s: %s has %d rows, but img_size %dx%d with patches of %dx%d makes %lld, and %d tokens in "
        "front",
        m->checkpoint->file, m->layout->names[PART_POS_EMBED][0], rows, c->img_size[0],
        c->img_size[1], c->patch_size[0], c->patch_size[1], patches, c->prefix_tokens);
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
    if (rows > 0) apply_positions(m, rows);
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
    if (avg && layout_has(m, PART_HEAD_DIST))
        fail("%s: two heads with global_pool avg", m->checkpoint->file);
    c->head_tokens = avg ? 0 : layout_has(m, PART_HEAD_DIST) ? 2 : 1;
    c->head_avg = avg;
    c->final_norm = avg && fc_norm ? VIT_FINAL_NORM_POOLED : VIT_FINAL_NORM_TOKENS;
    m->qkv_bias = s->qkv_bias;
}

static void apply_channels(const char *name, float to[4], const float from[4], int count,
                           int in_chans) {
    if (in_chans > 4) return;
    if (count != 1 && count != in_chans)
        fail("%d values of %s for %d channels (--%s)", count, name, in_chans, name);
    for (int i = 0; i < in_chans; i++) to[i] = from[count == 1 ? 0 : i];
}

static void apply_resize(const settings *s, const vit_config *c, vit_preprocess_config *p) {
    p->resize = (vit_resize)s->resize;
    memcpy(p->resize_size, s->resize_size, sizeof(p->resize_size));
    if (s->resize < 0) {
        p->resize = s->squash ? VIT_RESIZE_EXACT : VIT_RESIZE_SHORTEST;
        for (int i = 0; i < 2; i++) {
            double size = floor(c->img_size[i] / s->crop_pct);
            if (!(size >= 1 && size <= MODEL_MAX_SIZE))
                fail("crop_pct %g is out of range", s->crop_pct);
            p->resize_size[i] = (int)size;
        }
    }
    if (s->crop_size[0] > 0 &&
        (s->crop_size[0] != c->img_size[0] || s->crop_size[1] != c->img_size[1]))
        fail(
            "the recipe crops to %dx%d, but img_size is %dx%d (--resize or --crop-pct replaces it)",
            s->crop_size[0], s->crop_size[1], c->img_size[0], c->img_size[1]);
}

static void apply_recipe(settings *s, model *m) {
    vit_preprocess_config *p = &m->config.preprocess;
    int assumed = (s->resize < 0 && s->crop_pct == 0) || s->interpolation < 0 || s->means == 0 ||
                  s->stds == 0;
    assume_recipe(s, m);
    apply_resize(s, &m->config, p);
    p->interpolation = (vit_interpolation)s->interpolation;
    p->crop = (vit_crop)s->crop;
    p->rescale = (float)(s->rescale == 0 ? 255 : s->rescale);
    for (int i = 0; i < 4; i++) {
        p->mean[i] = 0, p->std[i] = 1;
        if (i < s->stds && !(s->std[i] > 0)) fail("std %g is not positive", (double)s->std[i]);
    }
    apply_channels("mean", p->mean, s->mean, s->means, m->config.in_chans);
    apply_channels("std", p->std, s->std, s->stds, m->config.in_chans);
    if (!assumed) return;
    note("no config gives all of the recipe: assumed %s to %dx%d, %s, mean %g %g %g, std %g %g %g",
         p->resize == VIT_RESIZE_SHORTEST ? "the short side" : "exactly", p->resize_size[0],
         p->resize_size[1], p->interpolation == VIT_INTERPOLATION_BICUBIC ? "bicubic" : "bilinear",
         (double)p->mean[0], (double)p->mean[1], (double)p->mean[2], (double)p->std[0],
         (double)p->std[1], (double)p->std[2]);
}

void settings_apply(settings *s, model *m, const char *name) {
    assume_heads(s, &m->config);
    assume_numerics(s, m->layout->family);
    assume_pooling(s, m);
    apply_pooling(s, m);
    apply_img_size(s, m);
    apply_heads(s, &m->config);
    apply_recipe(s, m);
    set_architecture(s, name);
    memcpy(m->architecture, s->architecture, sizeof(m->architecture));
    m->config.architecture = m->architecture;
}
