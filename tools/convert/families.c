#include "families.h"

#include "names.h"
#include "report.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* Rules for the tensors of a family, used if the tensor `where` is there; "!": if it is not. */
typedef struct part_rules {
    const char *where, *rules;
} part_rules;

#define MAX_PARTS 5
#define MAX_OTHERS 8

typedef struct family_rules {
    family family;
    int alone; /* 1: what lacks the mark's prefix is another network, left out */
    const char *title;
    const char *mark; /* a name that no other family has, after a prefix that is dropped */
    const char *others[MAX_OTHERS]; /* beginnings of names that are left out, and why: */
    const char *reason;
    part_rules parts[MAX_PARTS];
} family_rules;

static const char dinov2_rules[] =
    "embeddings.cls_token = cls_token\n"
    "embeddings.register_tokens = reg_token\n"
    "embeddings.position_embeddings = pos_embed\n"
    "embeddings.patch_embeddings.projection.* = patch_embed.proj.*\n"
    "encoder.layer.{i}.norm1.* = blocks.{i}.norm1.*\n"
    "encoder.layer.{i}.attention.attention.query.* = blocks.{i}.attn.q.*\n"
    "encoder.layer.{i}.attention.attention.key.* = blocks.{i}.attn.k.*\n"
    "encoder.layer.{i}.attention.attention.value.* = blocks.{i}.attn.v.*\n"
    "encoder.layer.{i}.attention.output.dense.* = blocks.{i}.attn.proj.*\n"
    "encoder.layer.{i}.layer_scale1.lambda1 = blocks.{i}.ls1.gamma\n"
    "encoder.layer.{i}.norm2.* = blocks.{i}.norm2.*\n"
    "encoder.layer.{i}.mlp.fc1.* = blocks.{i}.mlp.fc1.*\n"
    "encoder.layer.{i}.mlp.fc2.* = blocks.{i}.mlp.fc2.*\n"
    "encoder.layer.{i}.mlp.weights_in.* = blocks.{i}.mlp.fc1.*\n"
    "encoder.layer.{i}.mlp.weights_out.* = blocks.{i}.mlp.fc2.*\n"
    "encoder.layer.{i}.layer_scale2.lambda1 = blocks.{i}.ls2.gamma\n"
    "layernorm.* = norm.*\n"
    "classifier.* = head.*\n";

static const char clip_rules[] =
    "embeddings.class_embedding = cls_token\n"
    "embeddings.patch_embedding.weight = patch_embed.proj.weight\n"
    "embeddings.position_embedding.weight = pos_embed\n"
    "pre_layrnorm.* = norm_pre.*\n"
    "encoder.layers.{i}.layer_norm1.* = blocks.{i}.norm1.*\n"
    "encoder.layers.{i}.self_attn.q_proj.* = blocks.{i}.attn.q.*\n"
    "encoder.layers.{i}.self_attn.k_proj.* = blocks.{i}.attn.k.*\n"
    "encoder.layers.{i}.self_attn.v_proj.* = blocks.{i}.attn.v.*\n"
    "encoder.layers.{i}.self_attn.out_proj.* = blocks.{i}.attn.proj.*\n"
    "encoder.layers.{i}.layer_norm2.* = blocks.{i}.norm2.*\n"
    "encoder.layers.{i}.mlp.fc1.* = blocks.{i}.mlp.fc1.*\n"
    "encoder.layers.{i}.mlp.fc2.* = blocks.{i}.mlp.fc2.*\n"
    "post_layernorm.* = norm.*\n"
    "visual_projection.weight = head.weight\n";

static const char openai_rules[] =
    "class_embedding = cls_token\n"
    "positional_embedding = pos_embed\n"
    "conv1.weight = patch_embed.proj.weight\n"
    "ln_pre.* = norm_pre.*\n"
    "transformer.resblocks.{i}.ln_1.* = blocks.{i}.norm1.*\n"
    "transformer.resblocks.{i}.attn.in_proj_weight = blocks.{i}.attn.qkv.weight\n"
    "transformer.resblocks.{i}.attn.in_proj_bias = blocks.{i}.attn.qkv.bias\n"
    "transformer.resblocks.{i}.attn.out_proj.* = blocks.{i}.attn.proj.*\n"
    "transformer.resblocks.{i}.ls_1.gamma = blocks.{i}.ls1.gamma\n"
    "transformer.resblocks.{i}.ln_2.* = blocks.{i}.norm2.*\n"
    "transformer.resblocks.{i}.mlp.c_fc.* = blocks.{i}.mlp.fc1.*\n"
    "transformer.resblocks.{i}.mlp.c_proj.* = blocks.{i}.mlp.fc2.*\n"
    "transformer.resblocks.{i}.ls_2.gamma = blocks.{i}.ls2.gamma\n"
    "ln_post.* = norm.*\n"
    "proj [in out] = head.weight\n";

static const char beit_rules[] =
    "embeddings.cls_token = cls_token\n"
    "embeddings.position_embeddings = pos_embed\n"
    "embeddings.patch_embeddings.projection.* = patch_embed.proj.*\n"
    "encoder.layer.{i}.layernorm_before.* = blocks.{i}.norm1.*\n"
    "encoder.layer.{i}.attention.attention.query.* = blocks.{i}.attn.q.*\n"
    "encoder.layer.{i}.attention.attention.key.* = blocks.{i}.attn.k.*\n"
    "encoder.layer.{i}.attention.attention.value.* = blocks.{i}.attn.v.*\n"
    "encoder.layer.{i}.attention.output.dense.* = blocks.{i}.attn.proj.*\n"
    "encoder.layer.{i}.lambda_1 = blocks.{i}.ls1.gamma\n"
    "encoder.layer.{i}.layernorm_after.* = blocks.{i}.norm2.*\n"
    "encoder.layer.{i}.intermediate.dense.* = blocks.{i}.mlp.fc1.*\n"
    "encoder.layer.{i}.output.dense.* = blocks.{i}.mlp.fc2.*\n"
    "encoder.layer.{i}.lambda_2 = blocks.{i}.ls2.gamma\n"
    "layernorm.* = norm.*\n"
    "pooler.layernorm.* = fc_norm.*\n"
    "classifier.* = head.*\n";

#define JAX "Transformer/encoderblock_{i}/"
static const char jax_rules[] =
    "embedding/kernel [row col chan out] = patch_embed.proj.weight\n"
    "embedding/bias = patch_embed.proj.bias\n"
    "cls = cls_token\n"
    "Transformer/posembed_input/pos_embedding = pos_embed\n" JAX
    "LayerNorm_0/scale = blocks.{i}.norm1.weight\n" JAX
    "LayerNorm_0/bias = blocks.{i}.norm1.bias\n" JAX
    "MultiHeadDotProductAttention_1/query/kernel [in head dim] = blocks.{i}.attn.q.weight\n" JAX
    "MultiHeadDotProductAttention_1/query/bias [head dim] = blocks.{i}.attn.q.bias\n" JAX
    "MultiHeadDotProductAttention_1/key/kernel [in head dim] = blocks.{i}.attn.k.weight\n" JAX
    "MultiHeadDotProductAttention_1/key/bias [head dim] = blocks.{i}.attn.k.bias\n" JAX
    "MultiHeadDotProductAttention_1/value/kernel [in head dim] = blocks.{i}.attn.v.weight\n" JAX
    "MultiHeadDotProductAttention_1/value/bias [head dim] = blocks.{i}.attn.v.bias\n" JAX
    "MultiHeadDotProductAttention_1/out/kernel [head dim out] = blocks.{i}.attn.proj.weight\n" JAX
    "MultiHeadDotProductAttention_1/out/bias = blocks.{i}.attn.proj.bias\n" JAX
    "LayerNorm_2/scale = blocks.{i}.norm2.weight\n" JAX
    "LayerNorm_2/bias = blocks.{i}.norm2.bias\n" JAX
    "MlpBlock_3/Dense_0/kernel [in out] = blocks.{i}.mlp.fc1.weight\n" JAX
    "MlpBlock_3/Dense_0/bias = blocks.{i}.mlp.fc1.bias\n" JAX
    "MlpBlock_3/Dense_1/kernel [in out] = blocks.{i}.mlp.fc2.weight\n" JAX
    "MlpBlock_3/Dense_1/bias = blocks.{i}.mlp.fc2.bias\n"
    "Transformer/encoder_norm/scale = norm.weight\n"
    "Transformer/encoder_norm/bias = norm.bias\n"
    "pre_logits/kernel [in out] = pre_logits.fc.weight\n"
    "pre_logits/bias = pre_logits.fc.bias\n"
    "head/kernel [in out] = head.weight\n"
    "head/bias = head.bias\n";

/* lucidrains' vit-pytorch: pixels in the order row, column, channel; older files have neither norms of
   the patches nor one at the end, and the blocks' norms in other places. */
static const char lucidrains_rules[] = "pos_embedding = pos_embed\n"
                                       "cls_token = cls_token\n"
                                       "transformer.norm.* = norm.*\n"
                                       "mlp_head.* = head.*\n"
                                       "mlp_head.0.* = fc_norm.*\n"
                                       "mlp_head.1.* = head.*\n";
static const char lucidrains_patch_norms[] =
    "to_patch_embedding.1.* [(row col chan=3)] = patch_norm.*\n"
    "to_patch_embedding.2.weight [out (row col chan=3)] = patch_embed.proj.weight\n"
    "to_patch_embedding.2.bias = patch_embed.proj.bias\n"
    "to_patch_embedding.3.* = patch_embed.norm.*\n";
static const char lucidrains_patches[] =
    "to_patch_embedding.1.weight [out (row col chan=3)] = patch_embed.proj.weight\n"
    "to_patch_embedding.1.bias = patch_embed.proj.bias\n";
static const char lucidrains_blocks[] =
    "transformer.layers.{i}.0.norm.* = blocks.{i}.norm1.*\n"
    "transformer.layers.{i}.0.to_qkv.* = blocks.{i}.attn.qkv.*\n"
    "transformer.layers.{i}.0.to_out.0.* = blocks.{i}.attn.proj.*\n"
    "transformer.layers.{i}.1.net.0.* = blocks.{i}.norm2.*\n"
    "transformer.layers.{i}.1.net.1.* = blocks.{i}.mlp.fc1.*\n"
    "transformer.layers.{i}.1.net.4.* = blocks.{i}.mlp.fc2.*\n";
static const char lucidrains_older_blocks[] =
    "transformer.layers.{i}.0.norm.* = blocks.{i}.norm1.*\n"
    "transformer.layers.{i}.0.fn.to_qkv.* = blocks.{i}.attn.qkv.*\n"
    "transformer.layers.{i}.0.fn.to_out.0.* = blocks.{i}.attn.proj.*\n"
    "transformer.layers.{i}.1.norm.* = blocks.{i}.norm2.*\n"
    "transformer.layers.{i}.1.fn.net.0.* = blocks.{i}.mlp.fc1.*\n"
    "transformer.layers.{i}.1.fn.net.3.* = blocks.{i}.mlp.fc2.*\n";

static const family_rules families[] = {
    {FAMILY_HF_DINOV2,
     0,
     "Hugging Face Dinov2",
     "encoder.layer.0.layer_scale1.lambda1",
     {"embeddings.mask_token"},
     "used in pre-training only",
     {{"", dinov2_rules}}},
    {FAMILY_HF_CLIP,
     0,
     "Hugging Face CLIP",
     "pre_layrnorm.weight",
     {"text_model.", "text_projection.", "logit_scale", "embeddings.position_ids"},
     "not of the image tower",
     {{"", clip_rules}}},
    {FAMILY_HF_BEIT,
     0,
     "Hugging Face Beit",
     "encoder.layer.0.lambda_1",
     {"embeddings.mask_token"},
     "used in pre-training only",
     {{"", beit_rules}}},
    {FAMILY_OPENAI_CLIP,
     1,
     "OpenAI CLIP or OpenCLIP",
     "ln_pre.weight",
     {NULL},
     NULL,
     {{"", openai_rules}}},
    {FAMILY_JAX,
     0,
     "Google's JAX ViT",
     "Transformer/encoder_norm/scale",
     {NULL},
     NULL,
     {{"", jax_rules}}},
    {FAMILY_LUCIDRAINS,
     0,
     "lucidrains' vit-pytorch",
     "transformer.layers.0.0.to_qkv.weight",
     {NULL},
     NULL,
     {{"", lucidrains_rules},
      {"", lucidrains_blocks},
      {"to_patch_embedding.2.weight", lucidrains_patch_norms},
      {"!to_patch_embedding.2.weight", lucidrains_patches}}},
    {FAMILY_LUCIDRAINS,
     0,
     "lucidrains' vit-pytorch, older",
     "transformer.layers.0.0.fn.to_qkv.weight",
     {NULL},
     NULL,
     {{"", lucidrains_rules},
      {"", lucidrains_older_blocks},
      {"to_patch_embedding.2.weight", lucidrains_patch_norms},
      {"!to_patch_embedding.2.weight", lucidrains_patches}}},
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

const char *families_mark(size_t index) {
    return index < FAMILIES ? families[index].mark : NULL;
}

/* Whether a name is the mark, or ends with it after a dot or slash. */
static int has_mark(const char *name, const char *mark) {
    size_t length = strlen(name), end = strlen(mark);
    if (!text_ends_with(name, mark)) return 0;
    return length == end || strchr("./", name[length - end - 1]) != NULL;
}

/* The family with that mark, and the prefix before it, to be freed. */
static const family_rules *find_family(const checkpoint *c, char **prefix) {
    for (size_t i = 0; i < FAMILIES; i++) {
        for (size_t j = 0; j < c->count; j++) {
            const char *name = c->tensors[j].name;
            if (!has_mark(name, families[i].mark)) continue;
            *prefix = format_text("%.*s", (int)(strlen(name) - strlen(families[i].mark)), name);
            return &families[i];
        }
    }
    return NULL;
}

static int begins_with_one_of(const char *name, const char *const *beginnings) {
    for (int i = 0; i < MAX_OTHERS && beginnings[i] != NULL; i++) {
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0) return 1;
    }
    return 0;
}

/* Other networks in the same file. */
static void leave_out_others(checkpoint *c, const family_rules *f) {
    const char *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!begins_with_one_of(c->tensors[i].name, f->others)) continue;
        if (count++ == 0) first = c->tensors[i].name;
        c->tensors[i].used = -1;
    }
    if (count == 0) return;
    note("%s%s left out: %s", first, count > 1 ? " and others are" : " is", f->reason);
    checkpoint_remove_marked(c);
}

static char *join_rules(const checkpoint *c, const family_rules *f) {
    char *text = format_text("%s", "");
    for (int i = 0; i < MAX_PARTS && f->parts[i].rules != NULL; i++) {
        const char *where = f->parts[i].where;
        int absent = where[0] == '!';
        if (where[0] != 0 && (checkpoint_find(c, where + absent) == NULL) != absent) continue;
        char *longer = format_text("%s%s", text, f->parts[i].rules);
        free(text);
        text = longer;
    }
    return text;
}

const char *families_apply(checkpoint *c, int *heads, family *found) {
    char *prefix;
    const family_rules *f = find_family(c, &prefix);
    if (f == NULL) return NULL;
    if (prefix[0] != 0) names_drop_prefix(c, prefix, f->alone);
    leave_out_others(c, f);
    char *rules = join_rules(c, f);
    *heads = names_apply_known(c, f->title, rules, *heads);
    *found = f->family;
    free(rules);
    free(prefix);
    return f->mark;
}
