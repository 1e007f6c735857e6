#include "layouts.h"

#include "families.h"
#include "names.h"
#include "report.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGGING_FACE(prefix)                                                           \
    {                                                                                  \
        [PART_PATCH_EMBED] = {prefix "embeddings.patch_embeddings.projection.weight"}, \
        [PART_CLASS_TOKEN] = {prefix "embeddings.cls_token"},                          \
        [PART_DIST_TOKEN] = {prefix "embeddings.distillation_token"},                  \
        [PART_POS_EMBED] = {prefix "embeddings.position_embeddings"},                  \
        [PART_NORM1] = {prefix "encoder.layer.%d.layernorm_before.weight"},            \
        [PART_Q] = {prefix "encoder.layer.%d.attention.attention.query.weight"},       \
        [PART_K] = {prefix "encoder.layer.%d.attention.attention.key.weight"},         \
        [PART_V] = {prefix "encoder.layer.%d.attention.attention.value.weight"},       \
        [PART_PROJ] = {prefix "encoder.layer.%d.attention.output.dense.weight"},       \
        [PART_NORM2] = {prefix "encoder.layer.%d.layernorm_after.weight"},             \
        [PART_FC1] = {prefix "encoder.layer.%d.intermediate.dense.weight"},            \
        [PART_FC2] = {prefix "encoder.layer.%d.output.dense.weight"},                  \
        [PART_NORM] = {prefix "layernorm.weight"},                                     \
        [PART_HEAD] = {"classifier.weight", "cls_classifier.weight"},                  \
        [PART_HEAD_DIST] = {"distillation_classifier.weight"},                         \
    }

#define TIMM                                                                                     \
    {                                                                                            \
        [PART_PATCH_EMBED] = {"patch_embed.proj.weight"}, [PART_CLASS_TOKEN] = {"cls_token"},    \
        [PART_DIST_TOKEN] = {"dist_token"}, [PART_REG_TOKEN] = {"reg_token", "register_tokens"}, \
        [PART_POS_EMBED] = {"pos_embed"}, [PART_PATCH_NORM] = {"patch_norm.weight"},             \
        [PART_EMBED_NORM] = {"patch_embed.norm.weight"}, [PART_NORM_PRE] = {"norm_pre.weight"},  \
        [PART_NORM1] = {"blocks.%d.norm1.weight"}, [PART_QKV] = {"blocks.%d.attn.qkv.weight"},   \
        [PART_Q] = {"blocks.%d.attn.q.weight"}, [PART_K] = {"blocks.%d.attn.k.weight"},          \
        [PART_V] = {"blocks.%d.attn.v.weight"}, [PART_Q_BIAS] = {"blocks.%d.attn.q_bias"},       \
        [PART_V_BIAS] = {"blocks.%d.attn.v_bias"},                                               \
        [PART_Q_NORM] = {"blocks.%d.attn.q_norm.weight"},                                        \
        [PART_K_NORM] = {"blocks.%d.attn.k_norm.weight"},                                        \
        [PART_PROJ] = {"blocks.%d.attn.proj.weight"},                                            \
        [PART_LAYER_SCALE1] = {"blocks.%d.ls1.gamma", "blocks.%d.gamma_1"},                      \
        [PART_NORM2] = {"blocks.%d.norm2.weight"},                                               \
        [PART_FC1] = {"blocks.%d.mlp.fc1.weight", "blocks.%d.mlp.w12.weight"},                   \
        [PART_FC2] = {"blocks.%d.mlp.fc2.weight", "blocks.%d.mlp.w3.weight"},                    \
        [PART_LAYER_SCALE2] = {"blocks.%d.ls2.gamma", "blocks.%d.gamma_2"},                      \
        [PART_NORM] = {"norm.weight"}, [PART_FC_NORM] = {"fc_norm.weight"},                      \
        [PART_PRE_LOGITS] = {"pre_logits.fc.weight", "pre_logits.weight"},                       \
        [PART_HEAD] = {"head.weight", "linear_head.weight"},                                     \
        [PART_HEAD_DIST] = {"head_dist.weight"},                                                 \
    }

static const layout layouts[] = {
    {FAMILY_TIMM, "timm", VIT_POS_BICUBIC_ANTIALIAS, TIMM},
    {FAMILY_HF_VIT, "Hugging Face ViT", VIT_POS_BICUBIC, HUGGING_FACE("vit.")},
    {FAMILY_HF_DEIT, "Hugging Face DeiT", VIT_POS_BICUBIC, HUGGING_FACE("deit.")},
    {FAMILY_HF_VIT, "Hugging Face IJepa", VIT_POS_BICUBIC, HUGGING_FACE("ijepa.")},
    {FAMILY_HF_VIT, "Hugging Face ViT or DeiT, the model alone", VIT_POS_BICUBIC, HUGGING_FACE("")},
    {FAMILY_TORCHVISION,
     "torchvision",
     VIT_POS_BICUBIC_ALIGNED,
     {
         [PART_PATCH_EMBED] = {"conv_proj.weight"},
         [PART_CLASS_TOKEN] = {"class_token"},
         [PART_POS_EMBED] = {"encoder.pos_embedding"},
         [PART_NORM1] = {"encoder.layers.encoder_layer_%d.ln_1.weight"},
         [PART_QKV] = {"encoder.layers.encoder_layer_%d.self_attention.in_proj_weight"},
         [PART_PROJ] = {"encoder.layers.encoder_layer_%d.self_attention.out_proj.weight"},
         [PART_NORM2] = {"encoder.layers.encoder_layer_%d.ln_2.weight"},
         [PART_FC1] = {"encoder.layers.encoder_layer_%d.mlp.0.weight",
                       "encoder.layers.encoder_layer_%d.mlp.linear_1.weight"},
         [PART_FC2] = {"encoder.layers.encoder_layer_%d.mlp.3.weight",
                       "encoder.layers.encoder_layer_%d.mlp.linear_2.weight"},
         [PART_NORM] = {"encoder.ln.weight"},
         [PART_PRE_LOGITS] = {"heads.pre_logits.weight"},
         [PART_HEAD] = {"heads.head.weight"},
     }},
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

/* Of the families that families.c makes timm's names of. */
static const layout renamed[] = {
    {FAMILY_HF_DINOV2, "Hugging Face Dinov2", VIT_POS_BICUBIC, TIMM},
    {FAMILY_HF_CLIP, "Hugging Face CLIP", VIT_POS_BICUBIC, TIMM},
    {FAMILY_HF_BEIT, "Hugging Face Beit", VIT_POS_BICUBIC, TIMM},
    {FAMILY_OPENAI_CLIP, "OpenAI CLIP or OpenCLIP", VIT_POS_BICUBIC, TIMM},
    {FAMILY_JAX, "Google's JAX ViT", VIT_POS_BILINEAR, TIMM},
    {FAMILY_LUCIDRAINS, "lucidrains' vit-pytorch", VIT_POS_BICUBIC, TIMM},
};

/* timm's files of the same models have no mask_token. */
static const layout dinov2 = {FAMILY_DINOV2, "DINOv2", VIT_POS_BICUBIC_OFFSET, TIMM};

int family_is_hugging_face(family f) {
    return f == FAMILY_HF_VIT || f == FAMILY_HF_DEIT || f == FAMILY_HF_DINOV2 ||
           f == FAMILY_HF_CLIP || f == FAMILY_HF_BEIT;
}

/* Parts of names that show a model which the .vit format cannot express. */
static const struct {
    const char *name, *reason;
} refused[] = {
    {"mlp.fc1_g.", "a SwiGLU MLP in two matrices, as EVA has,"},
    {"visual.attnpool.", "a CLIP model whose image tower is a ResNet"},
    {"visual.trunk.", "a CLIP model whose image tower is timm's"},
    {"head.probe", "attention pooling (SigLIP)"},
    {"rotary", "rotary positions"},
    {"rope", "rotary positions"},
    {"freqs_cis", "rotary positions"},
    {"downsample.reduction.", "a network with windows (Swin)"},
    {"mlp.norm.", "a norm within the MLP"},
    {"attn_pool.", "attention pooling (global_pool map)"},
    {"rel_pos", "a relative position bias"},
    {"relative_position", "a relative position bias"},
    {"patch_embed.backbone.", "a hybrid with a convolutional network"},
};

/* Name of a tensor in a block; bias: with "bias" instead of "weight" at its end. */
static void make_name(char *name, size_t size, const char *pattern, int block, int bias) {
    int length = snprintf(name, size, pattern, block);
    if (bias) memcpy(name + length - strlen("weight"), "bias", sizeof("bias"));
}

/* The tensor by its first name or the older one; name becomes the one found, or the first. One without
   an element is none: timm's reg_token, where there are no register tokens. */
static tensor *look_up(const model *m, part p, int block, int bias, char *name, size_t size) {
    if (p == PART_HEAD && m->head != NULL) {
        snprintf(name, size, "%s", bias ? "bias" : "weight");
        return checkpoint_find(m->head, name);
    }
    for (int i = 1; i >= 0; i--) {
        if (m->layout->names[p][i] == NULL) continue;
        make_name(name, size, m->layout->names[p][i], block, bias);
        tensor *t = checkpoint_find(m->checkpoint, name);
        if (t != NULL && tensor_count(t) > 0) return t;
    }
    return NULL;
}

static void print_shape(char *text, size_t size, shape s) {
    int length = snprintf(text, size, "[");
    for (size_t i = 0; i < s.rank; i++)
        length += snprintf(text + length, size - (size_t)length, i ? ", %zu" : "%zu", s.sizes[i]);
    snprintf(text + length, size - (size_t)length, "]");
}

static shape shape_of(const tensor *t) {
    shape s;
    s.rank = tensor_shape(t, s.sizes);
    return s;
}

static int shapes_differ(shape a, shape b) {
    if (a.rank != b.rank) return 1;
    for (size_t i = 0; i < a.rank; i++) {
        if (a.sizes[i] != b.sizes[i]) return 1;
    }
    return 0;
}

/* Mark a tensor as used, after a check of its shape and type. */
static tensor *take(tensor *t, shape expected) {
    char is[256], should[256]; /* TENSOR_RANK times 20 digits, a comma and a space at most */
    if (shapes_differ(shape_of(t), expected)) {
        print_shape(is, sizeof(is), shape_of(t));
        print_shape(should, sizeof(should), expected);
        fail("%s: %s%s%s%s has the shape %s, not %s", t->file, t->name,
             t->original != NULL ? " (in the file: " : "", t->original != NULL ? t->original : "",
             t->original != NULL ? ")" : "", is, should);
    }
    if (t->type == TENSOR_OTHER)
        fail("%s: %s is of %s, which weights cannot be: F64, F32, F16 and BF16 are read", t->file,
             t->name, t->dtype);
    t->used = 1;
    return t;
}

REPORT_NORETURN static void fail_missing(const model *m, const char *name) {
    fail("%s: %s is missing", m->checkpoint->file, name);
}

static tensor *get(const model *m, part p, int block, int bias, shape expected, int needed) {
    char name[128] = "";
    tensor *t = look_up(m, p, block, bias, name, sizeof(name));
    if (t != NULL) return take(t, expected);
    if (needed) fail_missing(m, name);
    return NULL;
}

tensor *layout_need(const model *m, part p, int block, shape expected) {
    return get(m, p, block, 0, expected, 1);
}

tensor *layout_find_bias(const model *m, part p, int block, size_t size) {
    return get(m, p, block, 1, (shape){1, {size}}, 0);
}

tensor *layout_need_bias(const model *m, part p, int block, size_t size) {
    return get(m, p, block, 1, (shape){1, {size}}, 1);
}

int layout_has(const model *m, part p) {
    char name[128];
    return look_up(m, p, 0, 0, name, sizeof(name)) != NULL;
}

/* One dimension of a tensor that has to be there and has one of two ranks. */
static int size_of(const model *m, part p, size_t axis, size_t rank, size_t other_rank) {
    char name[128];
    const tensor *t = look_up(m, p, 0, 0, name, sizeof(name));
    if (t == NULL) fail_missing(m, name);
    shape s = shape_of(t);
    if (s.rank != rank && s.rank != other_rank)
        fail("%s: %s has %zu dimensions, not %zu", t->file, name, s.rank, rank);
    if (axis >= s.rank) return 0;
    if (s.sizes[axis] < 1 || s.sizes[axis] > MODEL_MAX_SIZE)
        fail("%s: %s: a dimension of %zu is out of range", t->file, name, s.sizes[axis]);
    return (int)s.sizes[axis];
}

/* The number of blocks. A missing one among them is found later, when it is looked up. */
static int count_blocks(const model *m) {
    char name[128];
    int count = 0;
    for (size_t i = 0; i < m->checkpoint->count && i < MODEL_MAX_SIZE; i++)
        count += look_up(m, PART_NORM1, (int)i, 0, name, sizeof(name)) != NULL;
    if (count == 0 && look_up(m, PART_NORM1, 0, 0, name, sizeof(name)) == NULL)
        fail_missing(m, name);
    return count;
}

const tensor *layout_refused(const checkpoint *c, const char **reason) {
    for (size_t i = 0; i < c->count; i++) {
        for (size_t j = 0; j < sizeof(refused) / sizeof(refused[0]); j++) {
            *reason = refused[j].reason;
            if (strstr(c->tensors[i].name, refused[j].name) != NULL) return &c->tensors[i];
        }
    }
    return NULL;
}

const char *layout_first_name(size_t index) {
    return index < LAYOUTS ? layouts[index].names[PART_PATCH_EMBED][0]
                           : families_mark(index - LAYOUTS);
}

/* The layout whose names these are: any one of three tensors decides, so that another one that is
   missing can be named. */
static const layout *find_layout(const checkpoint *c, const char **why) {
    static const part first[] = {PART_PATCH_EMBED, PART_CLASS_TOKEN, PART_POS_EMBED};
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        for (size_t j = 0; j < LAYOUTS; j++) {
            *why = layouts[j].names[first[i]][0];
            if (checkpoint_find(c, *why) != NULL) return &layouts[j];
        }
    }
    return NULL;
}

/* What stands before a layout's name, at the end of one of a tensor; its length, or 0. */
static size_t prefix_length(const char *name, const char *end) {
    size_t length = strlen(name) - (text_ends_with(name, end) ? strlen(end) : strlen(name));
    return length > 0 && strchr("./", name[length - 1]) != NULL ? length : 0;
}

/* What stands before the patch embedding of a layout, to be freed; NULL if it is there without, or no
   layout has it. The tensors of two models are an error. */
static char *find_prefix(const checkpoint *c) {
    for (size_t i = 0; i < LAYOUTS; i++) {
        if (checkpoint_find(c, layouts[i].names[PART_PATCH_EMBED][0]) != NULL) return NULL;
    }
    for (size_t i = 0; i < LAYOUTS; i++) {
        const char *end = layouts[i].names[PART_PATCH_EMBED][0];
        char *prefix = NULL;
        for (size_t j = 0; j < c->count; j++) {
            size_t length = prefix_length(c->tensors[j].name, end);
            if (length > 0 && prefix != NULL)
                fail("%s: the tensors of two models, %s... and %.*s...: --prefix takes one",
                     c->file, prefix, (int)length, c->tensors[j].name);
            if (length > 0) prefix = format_text("%.*s", (int)length, c->tensors[j].name);
        }
        if (prefix != NULL) return prefix;
    }
    return NULL;
}

static void drop_prefix(checkpoint *c) {
    char *prefix = find_prefix(c);
    if (prefix != NULL) names_drop_prefix(c, prefix, 0);
    free(prefix);
}

/* Old timm files have the patch embedding as a matrix, [embed_dim][3 * size * size]. */
static void guess_patch_size(model *m) {
    int inputs = size_of(m, PART_PATCH_EMBED, 1, 2, 4), size = 1;
    while (3 * size * size < inputs) size++;
    if (3 * size * size != inputs)
        fail("%s: patch_embed.proj.weight: %d inputs are not 3 channels of a square patch",
             m->checkpoint->file, inputs);
    m->flat_patch_embed = 1;
    m->config.in_chans = 3;
    m->config.patch_size[0] = m->config.patch_size[1] = size;
    note("patch_embed.proj.weight is a matrix: assumed 3 channels and patches of %dx%d", size,
         size);
}

/* The width of that layer. timm no longer has it, and drops it from such a file. */
static int find_pre_logits(const model *m) {
    char name[128];
    const tensor *t = look_up(m, PART_PRE_LOGITS, 0, 0, name, sizeof(name));
    if (m->layout->family == FAMILY_TIMM)
        note("%s is applied, with tanh after it: newer versions of timm leave it out", t->name);
    return size_of(m, PART_PRE_LOGITS, 0, 2, 2);
}

const layout *layout_identify(checkpoint *c, int *heads, const char **why) {
    family f = FAMILY_TIMM;
    *why = families_apply(c, heads, &f);
    if (*why != NULL) {
        size_t i = 0;
        while (renamed[i].family != f) i++;
        return &renamed[i];
    }
    drop_prefix(c);
    const layout *l = find_layout(c, why);
    if (l == &layouts[0] && checkpoint_find(c, "mask_token") != NULL &&
        checkpoint_find(c, "blocks.0.ls1.gamma") != NULL) {
        *why = "mask_token";
        return &dinov2;
    }
    return l;
}

/* What is not in every model. */
static void find_optional(model *m) {
    vit_config *config = &m->config;
    config->prefix_tokens = layout_has(m, PART_CLASS_TOKEN) + layout_has(m, PART_DIST_TOKEN);
    if (layout_has(m, PART_REG_TOKEN)) config->prefix_tokens += size_of(m, PART_REG_TOKEN, 1, 3, 3);
    config->patch_norm = layout_has(m, PART_PATCH_NORM);
    config->embed_norm = layout_has(m, PART_EMBED_NORM);
    config->norm_pre = layout_has(m, PART_NORM_PRE);
    config->qk_norm = layout_has(m, PART_Q_NORM) || layout_has(m, PART_K_NORM);
    if (layout_has(m, PART_HEAD)) config->num_classes = size_of(m, PART_HEAD, 0, 2, 2);
    else note("there is no head: the model's output is an embedding");
    if (layout_has(m, PART_PRE_LOGITS)) config->pre_logits = find_pre_logits(m);
}

/* fc1 has a gate where it has twice the outputs that fc2 reads. */
static void find_mlp(model *m) {
    vit_config *config = &m->config;
    int outputs = size_of(m, PART_FC1, 0, 2, 2);
    config->mlp_dim = size_of(m, PART_FC2, 1, 2, 2);
    if (outputs == 2 * config->mlp_dim) config->act = VIT_ACT_SWIGLU;
    else if (outputs != config->mlp_dim)
        fail("%s: the MLP's first matrix has %d outputs, its second %d inputs", m->checkpoint->file,
             outputs, config->mlp_dim);
}

/* A head in a file of its own is the only one. */
static void check_one_head(const model *m) {
    model own = *m;
    own.head = NULL;
    if (m->head != NULL && layout_has(&own, PART_HEAD))
        fail("--head: %s has a head, %s", m->checkpoint->file, m->layout->names[PART_HEAD][0]);
}

void layout_recognise(model *m, checkpoint *c, int *heads) {
    const char *reason, *why;
    const tensor *other = layout_refused(c, &reason);
    if (other != NULL) fail("%s: %s: %s is not supported", other->file, other->name, reason);
    m->checkpoint = c;
    m->layout = layout_identify(c, heads, &why);
    if (m->layout == NULL)
        fail("%s: the tensors' names (%s, ...) are not those of a ViT in timm, Hugging Face "
             "transformers, torchvision, CLIP, JAX or vit-pytorch: --list shows them, --names says "
             "what they are",
             c->file, c->tensors[0].name);
    check_one_head(m);
    layout_measure(m);
}

void layout_measure(model *m) {
    vit_config *config = &m->config;
    config->embed_dim = size_of(m, PART_PATCH_EMBED, 0, 4, 2);
    config->in_chans = size_of(m, PART_PATCH_EMBED, 1, 4, 2);
    config->patch_size[0] = size_of(m, PART_PATCH_EMBED, 2, 4, 2);
    config->patch_size[1] = size_of(m, PART_PATCH_EMBED, 3, 4, 2);
    if (config->patch_size[0] == 0) guess_patch_size(m);
    config->depth = count_blocks(m);
    m->inner =
        layout_has(m, PART_Q) ? size_of(m, PART_Q, 0, 2, 2) : size_of(m, PART_QKV, 0, 2, 2) / 3;
    find_mlp(m);
    find_optional(m);
}

int layout_biases_apart(const model *m) {
    return layout_has(m, PART_Q_BIAS) || layout_has(m, PART_V_BIAS);
}

int layout_head_inputs(const model *m) {
    return layout_has(m, PART_HEAD) ? size_of(m, PART_HEAD, 1, 2, 2) : 0;
}

int layout_norm_size(const model *m, part p) {
    return layout_has(m, p) ? size_of(m, p, 0, 1, 1) : 0;
}

int layout_pos_rows(const model *m) {
    return layout_has(m, PART_POS_EMBED) ? size_of(m, PART_POS_EMBED, 1, 3, 3) : 0;
}

/* Why a tensor that the model does not use is left out; NULL: there is no good reason. */
static const char *reason_to_leave_out(const model *m, const tensor *t) {
    const char *name = t->name;
    int timm = m->layout->family == FAMILY_TIMM || m->layout->family > FAMILY_TORCHVISION;
    if (strstr(name, "pooler.dense.") != NULL) return "not used for classification";
    if (text_ends_with(name, "mask_token")) return "used in pre-training only";
    if (m->layout->family == FAMILY_HF_VIT && strncmp(name, "decoder.", 8) == 0)
        return "used in pre-training only"; /* ViTMAE's */
    if (text_ends_with(name, "position_ids")) return "an index, not a weight";
    if (tensor_count(t) == 0) return "it is empty";
    if (t->type == TENSOR_OTHER) return "its type is not that of weights";
    if (strncmp(name, "criterion.", 10) == 0) return "it is the loss's";
    if (timm && strncmp(name, "norm.", 5) == 0 && layout_has(m, PART_FC_NORM))
        return "an identity beside fc_norm";
    return NULL;
}

/* A bias alone: what is missing is the weight. */
static void check_weight(const model *m, const tensor *t) {
    if (!text_ends_with(t->name, "bias")) return;
    char *weight = format_text("%.*sweight", (int)(strlen(t->name) - strlen("bias")), t->name);
    if (checkpoint_find(m->checkpoint, weight) == NULL)
        fail("%s: %s is missing, but there is %s", t->file, weight, t->name);
    free(weight);
}

static void check_unused(const model *m) {
    for (size_t i = 0; i < m->checkpoint->count; i++) {
        const tensor *t = &m->checkpoint->tensors[i];
        if (t->used) continue;
        const char *reason = reason_to_leave_out(m, t);
        if (reason == NULL) check_weight(m, t);
        if (reason == NULL)
            fail("%s: %s is not a tensor of a %s model", t->file, t->name, m->layout->title);
        note("%s is left out: %s", t->name, reason);
    }
}

void layout_check_rest(const model *m) {
    static const part matrices[] = {PART_PATCH_EMBED, PART_QKV,  PART_Q,        PART_K,
                                    PART_V,           PART_PROJ, PART_FC1,      PART_FC2,
                                    PART_PRE_LOGITS,  PART_HEAD, PART_HEAD_DIST};
    char name[128];
    check_unused(m);
    for (size_t i = 0; i < sizeof(matrices) / sizeof(matrices[0]); i++) {
        if (layout_has(m, matrices[i]) && look_up(m, matrices[i], 0, 1, name, sizeof(name)) == NULL)
            note("%s is not there: taken as zeros", name);
    }
}
