/* vit-convert by checkpoints that the tests write: one model under the names and in the shapes of every
   family becomes the same weights, config files are obeyed or refused by name, and so are files of names,
   of labels and of texts. */
#include "test_run.h"

#include <sys/stat.h>

/* ---- checkpoints ---- */

/* A model of 2 blocks, 16 wide with 2 heads, for 3 classes: 4 patches of 4x4 pixels. Each line is a name,
   a shape or a shape and strides (16x3:1x16), and which numbers these are: the name of a stream of
   them, maybe from a later one on (qkv+16). {i} is each block. */
#define PATCHES "patch_embed.proj.weight 16x3x4x4 patch\npatch_embed.proj.bias 16 patch.bias\n"
#define TIMM_BLOCKS                                                                       \
    "blocks.{i}.norm1.weight 16 n1.{i}\nblocks.{i}.norm1.bias 16 n1b.{i}\n"               \
    "blocks.{i}.attn.qkv.weight 48x16 qkv.{i}\nblocks.{i}.attn.proj.weight 16x16 o.{i}\n" \
    "blocks.{i}.attn.proj.bias 16 ob.{i}\n"                                               \
    "blocks.{i}.norm2.weight 16 n2.{i}\nblocks.{i}.norm2.bias 16 n2b.{i}\n"               \
    "blocks.{i}.mlp.fc1.weight 24x16 fc1.{i}\nblocks.{i}.mlp.fc1.bias 24 fc1b.{i}\n"      \
    "blocks.{i}.mlp.fc2.weight 16x24 fc2.{i}\nblocks.{i}.mlp.fc2.bias 16 fc2b.{i}\n"
#define QKV_BIAS "blocks.{i}.attn.qkv.bias 48 qkvb.{i}\n"
#define NORM "norm.weight 16 n\nnorm.bias 16 nb\n"
#define HEAD "head.weight 3x16 head\nhead.bias 3 headb\n"
#define TOKENS "cls_token 1x1x16 cls\npos_embed 1x5x16 pos\n"
#define TIMM TOKENS PATCHES TIMM_BLOCKS QKV_BIAS NORM HEAD

static void append_lines(char *text, size_t room, const char *lines, int blocks) {
    for (const char *next; *lines != 0; lines = next) {
        char line[256];
        size_t length = strcspn(lines, "\n"), used;
        next = lines + length + (lines[length] != 0);
        assert_in_range(length, 1, sizeof(line) - 1);
        memcpy(line, lines, length), line[length] = 0;
        for (int block = 0; block < (strstr(line, "{i}") != NULL ? blocks : 1); block++) {
            for (const char *p = line; *p != 0;) {
                used = strlen(text);
                assert_true(used + 8 < room);
                if (strncmp(p, "{i}", 3) == 0) sprintf(text + used, "%d", block), p += 3;
                else text[used] = *p++, text[used + 1] = 0;
            }
            strcat(text, "\n");
        }
    }
}

/* A number of a stream, from -0.5 to 0.5. */
static float number_of(const char *stream, size_t index) {
    uint32_t hash = 2166136261u;
    while (*stream != 0) hash = (hash ^ (unsigned char)*stream++) * 16777619u;
    hash ^= (uint32_t)index * 2654435761u;
    hash = (hash ^ hash >> 15) * 2246822519u;
    return (float)((hash ^ hash >> 13) >> 8) / 16777216.0f - 0.5f;
}

typedef struct numbers {
    size_t rank, shape[4], strides[4], count;
} numbers;

static numbers parse_shape(const char *text) {
    numbers n = {0, {0}, {0}, 1};
    const char *strides = strchr(text, ':');
    for (char *end = NULL; end == NULL || *end == 'x'; text = end + 1)
        n.shape[n.rank++] = (size_t)strtoul(text, &end, 10);
    for (size_t i = n.rank; i-- > 0; n.count *= n.shape[i]) n.strides[i] = n.count;
    for (size_t i = 0; strides != NULL && i < n.rank; i++) {
        char *end;
        n.strides[i] = (size_t)strtoul(strides + 1, &end, 10);
        strides = end;
    }
    return n;
}

static void write_numbers(FILE *file, const numbers *n, char *stream) {
    char *plus = strchr(stream, '+');
    size_t first = plus == NULL ? 0 : (size_t)strtoul(plus + 1, NULL, 10);
    if (plus != NULL) *plus = 0;
    for (size_t i = 0; i < n->count; i++) {
        size_t rest = i, index = first;
        for (size_t axis = n->rank; axis-- > 0; rest /= n->shape[axis])
            index += rest % n->shape[axis] * n->strides[axis];
        float value = strcmp(stream, "0") == 0 ? 0 : number_of(stream, index);
        fwrite(&value, sizeof(value), 1, file);
    }
}

/* A file of safetensors with these lines' tensors. A stream I32 makes the tensor one of that type. */
static void write_checkpoint(const char *name, const char *lines) {
    static char text[16384], header[32768];
    size_t length = 1, end = 0;
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    text[0] = 0, strcpy(header, "{");
    append_lines(text, sizeof(text), lines, 2);
    for (int pass = 0; pass < 2; pass++) {
        for (char *line = text, *next; *line != 0; line = next) {
            char theirs[96], shape[32], stream[32];
            next = strchr(line, '\n') + 1;
            assert_int_equal(sscanf(line, "%95s %31s %31s", theirs, shape, stream), 3);
            numbers n = parse_shape(shape);
            if (pass == 1) {
                write_numbers(file, &n, stream);
                continue;
            }
            length += (size_t)sprintf(header + length, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                                      end > 0 ? "," : "", theirs,
                                      strcmp(stream, "I32") == 0 ? "I32" : "F32");
            for (size_t i = 0; i < n.rank; i++)
                length += (size_t)sprintf(header + length, "%s%zu", i > 0 ? "," : "", n.shape[i]);
            length += (size_t)sprintf(header + length, "],\"data_offsets\":[%zu,%zu]}", end,
                                      end + 4 * n.count);
            end += 4 * n.count;
            assert_true(length < sizeof(header) - 512);
        }
        if (pass == 0) {
            uint64_t size = ++length;
            strcat(header, "}");
            fwrite(&size, sizeof(size), 1, file);
            fwrite(header, 1, (size_t)size, file);
        }
    }
    assert_int_equal(fclose(file), 0);
}

static int convert(const char *options, const char *in, const char *out) {
    char command[1024];
    int length = snprintf(command, sizeof(command), "vit-convert %s $T/%s $T/%s", options, in, out);
    assert_in_range(length, 1, sizeof(command) - 1);
    return run(command);
}

static void assert_converted(const char *options, const char *in, const char *out) {
    if (convert(options, in, out) == 0) return;
    char *err = printed("err");
    fail_msg("%s %s: %s", options, in, err);
}

static void assert_refused(const char *options, const char *in, const char *message) {
    if (convert(options, in, "none.vit") != 1) fail_msg("not refused: %s %s", options, in);
    assert_printed("err", message);
    assert_int_equal(count_files("none.vit"), 0);
}

/* Two models compute the same: sizes, the tensors' checksums, and what the head reads. */
static void assert_same_models(const char *got, const char *want) {
    char command[512];
    snprintf(command, sizeof(command),
             "vit-info $T/%s >$T/got.txt && %s/vit-info $T/%s >$T/want.txt && cd $T && "
             "for f in got want; do sed '1d;/^architecture/d;/^crop/d;/^position/d' $f.txt "
             ">$f.sed; done; diff got.sed want.sed",
             got, BUILD, want);
    if (run(command) == 0) return;
    char *out = printed("out");
    fail_msg("%s is not %s: %s", got, want, out);
}

/* ---- families ---- */

#define HF_BLOCKS(norm1, norm2, fc1, fc2)                                    \
    "encoder.layer.{i}." norm1 ".weight 16 n1.{i}\n"                         \
    "encoder.layer.{i}." norm1 ".bias 16 n1b.{i}\n"                          \
    "encoder.layer.{i}.attention.attention.query.weight 16x16 qkv.{i}\n"     \
    "encoder.layer.{i}.attention.attention.key.weight 16x16 qkv.{i}+256\n"   \
    "encoder.layer.{i}.attention.attention.value.weight 16x16 qkv.{i}+512\n" \
    "encoder.layer.{i}.attention.output.dense.weight 16x16 o.{i}\n"          \
    "encoder.layer.{i}.attention.output.dense.bias 16 ob.{i}\n"              \
    "encoder.layer.{i}." norm2 ".weight 16 n2.{i}\n"                         \
    "encoder.layer.{i}." norm2 ".bias 16 n2b.{i}\n"                          \
    "encoder.layer.{i}." fc1 ".weight 24x16 fc1.{i}\n"                       \
    "encoder.layer.{i}." fc1 ".bias 24 fc1b.{i}\n"                           \
    "encoder.layer.{i}." fc2 ".weight 16x24 fc2.{i}\n"                       \
    "encoder.layer.{i}." fc2 ".bias 16 fc2b.{i}\n"
#define HF_QV_BIAS                                                   \
    "encoder.layer.{i}.attention.attention.query.bias 16 qkvb.{i}\n" \
    "encoder.layer.{i}.attention.attention.value.bias 16 qkvb.{i}+32\n"
#define HF_K_BIAS "encoder.layer.{i}.attention.attention.key.bias 16 qkvb.{i}+16\n"
#define HF_PATCHES                                                   \
    "embeddings.cls_token 1x1x16 cls\n"                              \
    "embeddings.position_embeddings 1x5x16 pos\n"                    \
    "embeddings.patch_embeddings.projection.weight 16x3x4x4 patch\n" \
    "embeddings.patch_embeddings.projection.bias 16 patch.bias\n"
#define HF_HEAD "classifier.weight 3x16 head\nclassifier.bias 3 headb\n"
#define HF_NORM "layernorm.weight 16 n\nlayernorm.bias 16 nb\n"

static const char hf_vit[] = HF_PATCHES HF_BLOCKS("layernorm_before", "layernorm_after",
                                                  "intermediate.dense", "output.dense")
    HF_QV_BIAS HF_K_BIAS HF_NORM HF_HEAD "pooler.dense.weight 16x16 pool\n";

static const char hf_dinov2[] = HF_PATCHES HF_BLOCKS("norm1", "norm2", "mlp.fc1", "mlp.fc2")
    HF_QV_BIAS HF_K_BIAS HF_NORM "encoder.layer.{i}.layer_scale1.lambda1 16 ls1.{i}\n"
                                 "encoder.layer.{i}.layer_scale2.lambda1 16 ls2.{i}\n"
                                 "embeddings.mask_token 1x16 mask\n" HF_HEAD;

static const char hf_beit[] = HF_PATCHES HF_BLOCKS("layernorm_before", "layernorm_after",
                                                   "intermediate.dense", "output.dense") HF_QV_BIAS
    "encoder.layer.{i}.lambda_1 16 ls1.{i}\n"
    "encoder.layer.{i}.lambda_2 16 ls2.{i}\n"
    "pooler.layernorm.weight 16 n\npooler.layernorm.bias 16 nb\n" HF_HEAD;

static const char openai[] =
    "visual.class_embedding 16 cls\nvisual.positional_embedding 5x16 pos\n"
    "visual.conv1.weight 16x3x4x4 patch\nvisual.ln_pre.weight 16 np\nvisual.ln_pre.bias 16 npb\n"
    "visual.transformer.resblocks.{i}.ln_1.weight 16 n1.{i}\n"
    "visual.transformer.resblocks.{i}.ln_1.bias 16 n1b.{i}\n"
    "visual.transformer.resblocks.{i}.attn.in_proj_weight 48x16 qkv.{i}\n"
    "visual.transformer.resblocks.{i}.attn.in_proj_bias 48 qkvb.{i}\n"
    "visual.transformer.resblocks.{i}.attn.out_proj.weight 16x16 o.{i}\n"
    "visual.transformer.resblocks.{i}.attn.out_proj.bias 16 ob.{i}\n"
    "visual.transformer.resblocks.{i}.ln_2.weight 16 n2.{i}\n"
    "visual.transformer.resblocks.{i}.ln_2.bias 16 n2b.{i}\n"
    "visual.transformer.resblocks.{i}.mlp.c_fc.weight 24x16 fc1.{i}\n"
    "visual.transformer.resblocks.{i}.mlp.c_fc.bias 24 fc1b.{i}\n"
    "visual.transformer.resblocks.{i}.mlp.c_proj.weight 16x24 fc2.{i}\n"
    "visual.transformer.resblocks.{i}.mlp.c_proj.bias 16 fc2b.{i}\n"
    "visual.ln_post.weight 16 n\nvisual.ln_post.bias 16 nb\n"
    "visual.proj 16x3:1x16 head\ntoken_embedding.weight 2x2 text\nlogit_scale 1 scale\n";

static const char hf_clip[] =
    "vision_model.embeddings.class_embedding 16 cls\n"
    "vision_model.embeddings.patch_embedding.weight 16x3x4x4 patch\n"
    "vision_model.embeddings.position_embedding.weight 5x16 pos\n"
    "vision_model.pre_layrnorm.weight 16 np\nvision_model.pre_layrnorm.bias 16 npb\n"
    "vision_model.encoder.layers.{i}.layer_norm1.weight 16 n1.{i}\n"
    "vision_model.encoder.layers.{i}.layer_norm1.bias 16 n1b.{i}\n"
    "vision_model.encoder.layers.{i}.self_attn.q_proj.weight 16x16 qkv.{i}\n"
    "vision_model.encoder.layers.{i}.self_attn.q_proj.bias 16 qkvb.{i}\n"
    "vision_model.encoder.layers.{i}.self_attn.k_proj.weight 16x16 qkv.{i}+256\n"
    "vision_model.encoder.layers.{i}.self_attn.k_proj.bias 16 qkvb.{i}+16\n"
    "vision_model.encoder.layers.{i}.self_attn.v_proj.weight 16x16 qkv.{i}+512\n"
    "vision_model.encoder.layers.{i}.self_attn.v_proj.bias 16 qkvb.{i}+32\n"
    "vision_model.encoder.layers.{i}.self_attn.out_proj.weight 16x16 o.{i}\n"
    "vision_model.encoder.layers.{i}.self_attn.out_proj.bias 16 ob.{i}\n"
    "vision_model.encoder.layers.{i}.layer_norm2.weight 16 n2.{i}\n"
    "vision_model.encoder.layers.{i}.layer_norm2.bias 16 n2b.{i}\n"
    "vision_model.encoder.layers.{i}.mlp.fc1.weight 24x16 fc1.{i}\n"
    "vision_model.encoder.layers.{i}.mlp.fc1.bias 24 fc1b.{i}\n"
    "vision_model.encoder.layers.{i}.mlp.fc2.weight 16x24 fc2.{i}\n"
    "vision_model.encoder.layers.{i}.mlp.fc2.bias 16 fc2b.{i}\n"
    "vision_model.post_layernorm.weight 16 n\nvision_model.post_layernorm.bias 16 nb\n"
    "vision_model.embeddings.position_ids 1x5 I32\n"
    "visual_projection.weight 3x16 head\ntext_model.x 1 text\nlogit_scale 1 scale\n";

#define CLIP_TIMM                                                               \
    TOKENS "patch_embed.proj.weight 16x3x4x4 patch\n" TIMM_BLOCKS QKV_BIAS NORM \
           "norm_pre.weight 16 np\nnorm_pre.bias 16 npb\nhead.weight 3x16 head\n"

#define JAX "Transformer/encoderblock_{i}/"
#define JAX_PART(name, first) \
    JAX "MultiHeadDotProductAttention_1/" name "/kernel 16x2x8:1x128x16 qkv.{i}+" first "\n"
static const char jax[] =
    "cls 1x1x16 cls\nTransformer/posembed_input/pos_embedding 1x5x16 pos\n"
    "embedding/kernel 4x4x3x16:4x1x16x48 patch\nembedding/bias 16 patch.bias\n" JAX
    "LayerNorm_0/scale 16 n1.{i}\n" JAX "LayerNorm_0/bias 16 n1b.{i}\n" JAX_PART("query", "0")
        JAX_PART("key", "256") JAX_PART("value", "512") JAX
    "MultiHeadDotProductAttention_1/query/bias 2x8 qkvb.{i}\n" JAX
    "MultiHeadDotProductAttention_1/key/bias 2x8 qkvb.{i}+16\n" JAX
    "MultiHeadDotProductAttention_1/value/bias 2x8 qkvb.{i}+32\n" JAX
    "MultiHeadDotProductAttention_1/out/kernel 2x8x16:8x1x16 o.{i}\n" JAX
    "MultiHeadDotProductAttention_1/out/bias 16 ob.{i}\n" JAX "LayerNorm_2/scale 16 n2.{i}\n" JAX
    "LayerNorm_2/bias 16 n2b.{i}\n" JAX "MlpBlock_3/Dense_0/kernel 16x24:1x16 fc1.{i}\n" JAX
    "MlpBlock_3/Dense_0/bias 24 fc1b.{i}\n" JAX "MlpBlock_3/Dense_1/kernel 24x16:1x24 fc2.{i}\n" JAX
    "MlpBlock_3/Dense_1/bias 16 fc2b.{i}\nTransformer/encoder_norm/scale 16 n\n"
    "Transformer/encoder_norm/bias 16 nb\nhead/kernel 16x3:1x16 head\nhead/bias 3 headb\n";

#define LUCIDRAINS(norm1, attention, norm2, fc1, fc2)                                    \
    "pos_embedding 1x5x16 pos\ncls_token 1x1x16 cls\n"                                   \
    "to_patch_embedding.1.weight 16x48 patch\nto_patch_embedding.1.bias 16 patch.bias\n" \
    "transformer.layers.{i}.0." norm1 ".weight 16 n1.{i}\n"                              \
    "transformer.layers.{i}.0." norm1 ".bias 16 n1b.{i}\n"                               \
    "transformer.layers.{i}.0." attention "to_qkv.weight 48x16 qkv.{i}\n"                \
    "transformer.layers.{i}.0." attention "to_out.0.weight 16x16 o.{i}\n"                \
    "transformer.layers.{i}.0." attention "to_out.0.bias 16 ob.{i}\n"                    \
    "transformer.layers.{i}.1." norm2 ".weight 16 n2.{i}\n"                              \
    "transformer.layers.{i}.1." norm2 ".bias 16 n2b.{i}\n"                               \
    "transformer.layers.{i}.1." fc1 ".weight 24x16 fc1.{i}\n"                            \
    "transformer.layers.{i}.1." fc1 ".bias 24 fc1b.{i}\n"                                \
    "transformer.layers.{i}.1." fc2 ".weight 16x24 fc2.{i}\n"                            \
    "transformer.layers.{i}.1." fc2 ".bias 16 fc2b.{i}\n"

/* Its patches have the order row, column, channel. */
#define LUCIDRAINS_TIMM                                         \
    TOKENS "patch_embed.proj.weight 16x3x4x4:48x1x12x3 patch\n" \
           "patch_embed.proj.bias 16 patch.bias\n" TIMM_BLOCKS NORM HEAD
static const char lucidrains[] =
    LUCIDRAINS("norm", "", "net.0", "net.1",
               "net.4") "transformer.norm.weight 16 n\ntransformer.norm.bias 16 nb\n"
                        "mlp_head.weight 3x16 head\nmlp_head.bias 3 headb\n";
static const char older_lucidrains[] = LUCIDRAINS(
    "norm", "fn.", "norm", "fn.net.0",
    "fn.net.3") "mlp_head.0.weight 16 n\n"
                "mlp_head.0.bias 16 nb\nmlp_head.1.weight 3x16 head\nmlp_head.1.bias 3 headb\n";

#define TORCHVISION_BLOCK "encoder.layers.encoder_layer_{i}."
static const char torchvision[] =
    "class_token 1x1x16 cls\nencoder.pos_embedding 1x5x16 pos\n"
    "conv_proj.weight 16x3x4x4 patch\nconv_proj.bias 16 patch.bias\n" TORCHVISION_BLOCK
    "ln_1.weight 16 n1.{i}\n" TORCHVISION_BLOCK "ln_1.bias 16 n1b.{i}\n" TORCHVISION_BLOCK
    "self_attention.in_proj_weight 48x16 qkv.{i}\n" TORCHVISION_BLOCK
    "self_attention.in_proj_bias 48 qkvb.{i}\n" TORCHVISION_BLOCK
    "self_attention.out_proj.weight 16x16 o.{i}\n" TORCHVISION_BLOCK
    "self_attention.out_proj.bias 16 ob.{i}\n" TORCHVISION_BLOCK
    "ln_2.weight 16 n2.{i}\n" TORCHVISION_BLOCK "ln_2.bias 16 n2b.{i}\n" TORCHVISION_BLOCK
    "mlp.linear_1.weight 24x16 fc1.{i}\n" TORCHVISION_BLOCK
    "mlp.linear_1.bias 24 fc1b.{i}\n" TORCHVISION_BLOCK
    "mlp.linear_2.weight 16x24 fc2.{i}\n" TORCHVISION_BLOCK
    "mlp.linear_2.bias 16 fc2b.{i}\nencoder.ln.weight 16 n\nencoder.ln.bias 16 nb\n"
    "heads.head.weight 3x16 head\nheads.head.bias 3 headb\n";

#define LAYER_SCALES "blocks.{i}.ls1.gamma 16 ls1.{i}\nblocks.{i}.ls2.gamma 16 ls2.{i}\n"

/* What neither names nor shapes say is given to all. */
#define GIVEN                                                                                     \
    "--eps 1e-6 --act gelu --output softmax --resize 8 --interpolation bicubic --mean 0.5 --std " \
    "0.5 --pos-resample bicubic "

static const struct {
    const char *name, *lines, *options, *timm;
} families[] = {
    {"vit", hf_vit, "--heads 2", TIMM},
    {"dinov2", hf_dinov2, "--heads 2", TIMM LAYER_SCALES},
    {"beit", hf_beit, "--heads 2 --pool avg",
     TOKENS PATCHES TIMM_BLOCKS LAYER_SCALES HEAD "fc_norm.weight 16 n\nfc_norm.bias 16 nb\n"
                                                  "blocks.{i}.attn.q_bias 16 qkvb.{i}\n"
                                                  "blocks.{i}.attn.v_bias 16 qkvb.{i}+32\n"},
    {"openai", openai, "--heads 2", CLIP_TIMM},
    {"clip", hf_clip, "--heads 2", CLIP_TIMM},
    {"jax", jax, "", TIMM},
    {"lucidrains", lucidrains, "--heads 2", LUCIDRAINS_TIMM},
    {"older lucidrains", older_lucidrains, "--heads 2", LUCIDRAINS_TIMM},
    {"torchvision", torchvision, "--heads 2", TIMM},
};

static void test_one_model_by_every_familys_names_is_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        char options[512];
        int avg = strstr(families[i].options, "avg") != NULL;
        write_checkpoint("family.safetensors", families[i].lines);
        write_checkpoint("timm.safetensors", families[i].timm);
        snprintf(options, sizeof(options), GIVEN "%s", families[i].options);
        assert_converted(options, "family.safetensors", "family.vit");
        snprintf(options, sizeof(options), GIVEN "--heads 2 --pool %s", avg ? "avg" : "token");
        assert_converted(options, "timm.safetensors", "timm.vit");
        assert_same_models("family.vit", "timm.vit");
        assert_int_equal(run("vit-convert --list $T/family.safetensors"), 0);
        assert_printed("out", "their shapes say: embed_dim 16, depth 2, mlp_dim 24, 3 classes");
    }
}

/* ---- config files ---- */

/* A folder with a checkpoint, config.json and, unless it is NULL, preprocessor_config.json. */
static void write_folder(const char *lines, const char *config, const char *processor) {
    mkdir(in_folder("model"), 0700);
    write_checkpoint("model/model.safetensors", lines);
    write_file(in_folder("model/config.json"), config, strlen(config));
    remove(in_folder("model/preprocessor_config.json"));
    if (processor != NULL)
        write_file(in_folder("model/preprocessor_config.json"), processor, strlen(processor));
}

static vit_model converted(const char *options) {
    vit_model model;
    assert_converted(options, "model", "model.vit");
    assert_int_equal(vit_model_load(&model, in_folder("model.vit"), NULL), VIT_OK);
    return model;
}

static void test_a_config_of_hugging_face_is_obeyed(void **state) {
    static const char config[] =
        "{\"model_type\": \"vit\", \"architectures\": [\"ViTForImageClassification\"], "
        "\"num_attention_heads\": 2, \"layer_norm_eps\": 1e-3, \"hidden_act\": \"gelu_new\", "
        "\"image_size\": [8, 8], \"patch_size\": 4, \"problem_type\": "
        "\"multi_label_classification\", \"id2label\": {\"0\": \"a\", \"2\": \"c\", \"1\": \"b\"}}";
    static const char processor[] =
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 8, \"width\": "
        "8}, "
        "\"resample\": 3, \"image_mean\": [0.1, 0.2, 0.3], \"rescale_factor\": 0.5}";
    (void)state;
    write_folder(hf_vit, config, processor);
    vit_model model = converted("");
    const vit_config *c = vit_model_config(&model);
    assert_int_equal(c->num_heads, 2);
    assert_true(c->norm_eps == 1e-3f);
    assert_int_equal(c->act, VIT_ACT_GELU_TANH);
    assert_int_equal(c->output, VIT_OUTPUT_SIGMOID);
    assert_string_equal(vit_model_label(&model, 1), "b");
    assert_int_equal(c->preprocess.resize, VIT_RESIZE_EXACT);
    assert_int_equal(c->preprocess.interpolation, VIT_INTERPOLATION_BICUBIC);
    assert_true(c->preprocess.mean[1] == 0.2f && c->preprocess.std[1] == 0.5f);
    assert_true(c->preprocess.rescale == 2);
    vit_model_close(&model);
}

/* What stands for keys that a processor's file does not have, and its rules for sizes. */
static void test_each_processor_has_its_recipe(void **state) {
    static const struct {
        const char *processor;
        vit_resize resize;
        int side;
        vit_interpolation interpolation;
        float mean, rescale;
    } cases[] = {
        {"{\"image_processor_type\": \"DeiTImageProcessor\", \"size\": 10, \"crop_size\": 8}",
         VIT_RESIZE_EXACT, 10, VIT_INTERPOLATION_BICUBIC, 0.5f, 255},
        {"{\"image_processor_type\": \"BitImageProcessorFast\", \"size\": {\"shortest_edge\": 9}, "
         "\"crop_size\": {\"height\": 8, \"width\": 8}, \"do_rescale\": false}",
         VIT_RESIZE_SHORTEST, 9, VIT_INTERPOLATION_BICUBIC, 0.48145466f, 1},
        {"{\"feature_extractor_type\": \"CLIPFeatureExtractor\", \"size\": 12, \"crop_size\": 8, "
         "\"do_normalize\": false}",
         VIT_RESIZE_SHORTEST, 12, VIT_INTERPOLATION_BICUBIC, 0, 255},
        {"{\"image_processor_type\": \"ConvNextImageProcessor\", \"size\": {\"shortest_edge\": 8}, "
         "\"crop_pct\": 0.5}",
         VIT_RESIZE_SHORTEST, 16, VIT_INTERPOLATION_BILINEAR, 0.5f, 255},
        {"{\"size\": 8, \"do_resize\": false, \"resample\": 2}", VIT_RESIZE_NONE, 0,
         VIT_INTERPOLATION_BILINEAR, 0.5f, 255},
        {"{\"image_processor_type\": \"TimmWrapperImageProcessor\", \"pretrained_cfg\": "
         "{\"input_size\": [3, 8, 8], \"crop_pct\": 0.5, \"crop_mode\": \"squash\", \"mean\": "
         "[0.25, "
         "0, 0], \"interpolation\": \"bilinear\"}}",
         VIT_RESIZE_EXACT, 16, VIT_INTERPOLATION_BILINEAR, 0.25f, 255},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_folder(hf_vit, "{\"num_attention_heads\": 2, \"image_size\": 8}", cases[i].processor);
        vit_model model = converted("");
        const vit_preprocess_config *p = &vit_model_config(&model)->preprocess;
        assert_int_equal(p->resize, cases[i].resize);
        if (cases[i].side > 0) assert_int_equal(p->resize_size[0], cases[i].side);
        assert_int_equal(p->interpolation, cases[i].interpolation);
        assert_true(p->mean[0] == cases[i].mean);
        assert_true(p->rescale == cases[i].rescale);
        vit_model_close(&model);
    }
}

/* The keys that only one family has. */
static void test_configs_of_other_families_are_obeyed(void **state) {
    vit_model model;
    (void)state;
    write_folder(
        hf_dinov2,
        "{\"model_type\": \"dinov2\", \"num_attention_heads\": 2, \"image_size\": 8, "
        "\"use_swiglu_ffn\": false, \"_name_or_path\": \"somebody/dino\"}",
        "{\"size\": {\"shortest_edge\": 20}, \"crop_size\": {\"height\": 16, \"width\": 16}}");
    model = converted("");
    assert_int_equal(vit_model_config(&model)->img_size[0], 16); /* the processor's */
    assert_int_equal(vit_model_config(&model)->pos_size[0], 2);
    assert_string_equal(vit_model_config(&model)->architecture, "somebody/dino");
    vit_model_close(&model);
    write_folder(hf_beit,
                 "{\"num_attention_heads\": 2, \"image_size\": 8, \"problem_type\": "
                 "\"regression\", \"use_absolute_position_embeddings\": true}",
                 NULL);
    model = converted("");
    assert_int_equal(vit_model_config(&model)->output, VIT_OUTPUT_NUMBER);
    assert_int_equal(vit_model_config(&model)->head_avg, 1);
    vit_model_close(&model);
    write_folder(hf_clip,
                 "{\"model_type\": \"clip\", \"projection_dim\": 3, \"vision_config\": "
                 "{\"num_attention_heads\": 4, \"image_size\": 8, \"hidden_act\": \"gelu\"}}",
                 NULL);
    model = converted("");
    assert_int_equal(vit_model_config(&model)->num_heads, 4);
    assert_int_equal(vit_model_config(&model)->act, VIT_ACT_GELU);
    assert_int_equal(vit_model_config(&model)->output, VIT_OUTPUT_EMBEDDING);
    vit_model_close(&model);
}

static void test_a_config_of_timm_is_obeyed(void **state) {
    (void)state;
    write_folder(
        TIMM,
        "{\"architecture\": \"vit_tiny_quickgelu\", \"num_classes\": 3, \"label_names\": [\"a\", "
        "[\"n1\", \"b\"], \"c\"], \"model_args\": {\"num_heads\": 4, \"norm_eps\": 1e-4, "
        "\"class_token\": true, \"mlp_ratio\": 1.5}, \"pretrained_cfg\": {\"input_size\": [3, 8, "
        "8], "
        "\"mean\": [0.25, 0.5, 0.75], \"interpolation\": \"bilinear\", \"crop_pct\": 1.0}}",
        "{}");
    vit_model model = converted("");
    const vit_config *c = vit_model_config(&model);
    assert_string_equal(c->architecture, "vit_tiny_quickgelu");
    assert_int_equal(c->act, VIT_ACT_QUICK_GELU);
    assert_int_equal(c->num_heads, 4);
    assert_true(c->norm_eps == 1e-4f && c->preprocess.mean[2] == 0.75f);
    assert_true(c->preprocess.std[0] == 0.229f); /* timm's own */
    assert_string_equal(vit_model_label(&model, 1), "b");
    vit_model_close(&model);
    assert_printed("err", "is not read: the recipe is known without it");
}

#define HF_NEED "\"num_attention_heads\": 2, \"image_size\": 8"
#define RECIPE "\"image_processor_type\": "

static void test_what_a_config_says_wrongly_is_named(void **state) {
    static const struct {
        const char *lines, *config, *processor, *message;
    } cases[] = {
        {hf_vit, "{", NULL, "not valid JSON"},
        {hf_vit, "[1]", NULL, "not an object"},
        {hf_vit, "{\"hidden_size\": 17, " HF_NEED "}", NULL, "hidden_size does not fit"},
        {hf_vit, "{\"patch_size\": 5, " HF_NEED "}", NULL, "patch_size does not fit the tensors"},
        {hf_vit, "{\"patch_size\": 0, " HF_NEED "}", NULL, "patch_size is not a size"},
        {hf_vit, "{\"hidden_act\": \"swish\", " HF_NEED "}", NULL, "activation swish"},
        {hf_vit, "{\"hidden_act\": 1, " HF_NEED "}", NULL, "hidden_act is not a string"},
        {hf_vit, "{\"qkv_bias\": 1, " HF_NEED "}", NULL, "qkv_bias is neither true nor false"},
        {hf_vit, "{\"qkv_bias\": false, " HF_NEED "}", NULL, "qkv_bias is false"},
        {hf_vit, "{\"layer_norm_eps\": -1, " HF_NEED "}", NULL, "not a positive number"},
        {hf_vit, "{\"layer_norm_eps\": 1e-300, " HF_NEED "}", NULL, "is too small"},
        {hf_vit, "{\"num_attention_heads\": 0}", NULL, "not a whole number from 1"},
        {hf_vit, "{\"num_attention_heads\": 3, \"image_size\": 8}", NULL, "3 heads do not divide"},
        {hf_vit, "{\"problem_type\": \"ranking\", " HF_NEED "}", NULL, "problem_type ranking"},
        {hf_vit, "{\"id2label\": {\"0\": \"a\", \"x\": \"b\"}, " HF_NEED "}", NULL,
         "'x' is not the number of a class"},
        {hf_vit, "{\"id2label\": {\"0\": \"a\", \"0\": \"b\"}, " HF_NEED "}", NULL, "two labels"},
        {hf_vit, "{\"id2label\": {\"0\": \"a\"}, " HF_NEED "}", NULL, "too few names: 1 for 3"},
        {hf_vit, "{\"id2label\": {\"3\": \"d\"}, " HF_NEED "}", NULL, "too many names"},
        {hf_vit, "{\"id2label\": {\"0\": 1}, " HF_NEED "}", NULL, "neither a string nor"},
        {hf_vit, "{\"id2label\": 3, " HF_NEED "}", NULL, "neither a list nor an object"},
        {hf_dinov2, "{\"use_swiglu_ffn\": true, " HF_NEED "}", NULL, "use_swiglu_ffn does not fit"},
        {hf_dinov2, "{\"num_register_tokens\": 4, " HF_NEED "}", NULL, "num_register_tokens"},
        {hf_beit, "{\"use_mean_pooling\": false, " HF_NEED "}", NULL, "use_mean_pooling is false"},
        {hf_clip, "{\"projection_dim\": 4, \"vision_config\": {" HF_NEED "}}", NULL,
         "projection_dim"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": {\"height\": 8}}", "neither height and width"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": {\"depth\": 8}}", "size.depth is a key"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": [8, 8, 8]}", "size is not a size"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": {\"shortest_edge\": 8}}", "and does not crop"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": 9}", "the recipe crops to 9x9, but img_size is 8x8"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": 8, \"resample\": 0}", "resample 0 is not supported"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": 8, \"image_mean\": 1}", "image_mean is not a list"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": 8, \"image_mean\": [\"a\"]}", "not a number"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": 8, \"image_mean\": []}", "image_mean is empty"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": 8, \"image_std\": [1, 0, 1]}",
         "std 0 is not positive"},
        {hf_vit, "{" HF_NEED "}", "{\"size\": 8, \"image_std\": [1, 1]}", "2 values of std for 3"},
        {hf_vit, "{" HF_NEED "}", "{\"crop_pct\": 1}", "crop_pct is of ConvNext's processor"},
        {hf_vit, "{" HF_NEED "}",
         "{" RECIPE "\"ConvNextImageProcessor\", \"size\": {\"height\": 8, "
         "\"width\": 8}}",
         "size without shortest_edge is not ConvNext's"},
        {hf_vit, "{" HF_NEED "}",
         "{" RECIPE "\"ConvNextImageProcessor\", \"size\": 8, \"crop_pct\": "
         "1e-9}",
         "crop_pct 1e-09 is out of range"},
        {hf_vit, "{" HF_NEED "}",
         "{" RECIPE "\"ConvNextImageProcessor\", \"do_center_crop\": true}",
         "do_center_crop is not of ConvNext's"},
        {hf_vit, "{" HF_NEED "}", "{" RECIPE "\"SamImageProcessor\"}",
         "SamImageProcessor is not supp"},
        {hf_vit, "{" HF_NEED "}", "{" RECIPE "\"TimmWrapperImageProcessor\", \"x\": 1}",
         "x is a key"},
        {TIMM, "{\"model_args\": []}", NULL, "model_args is not an object"},
        {TIMM, "{\"pretrained_cfg\": []}", NULL, "pretrained_cfg is not an object"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2, \"mlp_ratio\": 4}}", NULL,
         "mlp_ratio 4 does not"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2, \"qk_norm\": true}}", NULL, "qk_norm is true"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2, \"class_token\": false}}", NULL,
         "class_token is false"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2}, \"global_pool\": \"max\"}", NULL,
         "global_pool max is not supported"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2, \"fc_norm\": true}}", NULL, "fc_norm is true"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2}, \"input_size\": [8, 8]}", NULL, "input_size"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2}, \"crop_mode\": \"border\"}", NULL,
         "crop_mode border"},
        {TIMM, "{\"model_args\": {\"num_heads\": 2}, \"interpolation\": \"lanczos\"}", NULL,
         "interpolation lanczos"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_folder(cases[i].lines, cases[i].config, cases[i].processor);
        assert_refused("", "model", cases[i].message);
    }
}

static void test_options_replace_a_processor_that_is_not_supported(void **state) {
    (void)state;
    write_folder(hf_vit, "{" HF_NEED "}", "{" RECIPE "\"SamImageProcessor\"}");
    vit_model model = converted("--resize 8 --interpolation bilinear --mean 0 --std 1");
    assert_true(vit_model_config(&model)->preprocess.mean[0] == 0);
    vit_model_close(&model);
    assert_printed("err", "the options replace the file");
}

/* ---- options and tensors that do not fit ---- */

static void test_options_that_cannot_be_are_named(void **state) {
    static const struct {
        const char *options, *message;
    } cases[] = {
        {"--heads x", "--heads: x is not a size"},
        {"--eps -1", "--eps: -1 is not positive"},
        {"--eps 1e", "--eps: 1e is not a number"},
        {"--act swish", "--act: swish is none of"},
        {"--pool max", "--pool: max is none of"},
        {"--size 8y8", "--size: 8y8 is neither N nor HxW"},
        {"--pos-resample nearest", "--pos-resample: nearest is none of"},
        {"--interpolation lanczos", "--interpolation: lanczos is neither"},
        {"--mean 1,2,3,4,5", "--mean: not one to four numbers"},
        {"--std 1,2", "2 values of std for 3 channels"},
        {"--output rank", "--output: rank is none of"},
        {"--dtype int2", "--dtype: int2 is none of"},
        {"--pos-embed rope", "--pos-embed: rope is none of"},
        {"--pos-embed sincos2d", "--pos-embed, but there is pos_embed"},
        {"--resize 9 --crop-pct 0.5", "exclude each other"},
        {"--crop-pct 1e-30", "crop_pct 1e-30 is out of range"},
        {"--logit-scale 3", "without --classes"},
        {"--classes $T/none.npy", "--labels has to name them"},
        {"--ignore-key x", "no config file has the key x"},
        {"--pool token_avg", "head.weight"},
        {"--prefix model.", "no name begins with model."},
        {"--size 8x12 --pos-resample bicubic --mean 0.5,0.5", "2 values of mean"},
        {"--head $T/timm.safetensors", "--head takes a matrix and its bias"},
    };
    (void)state;
    write_checkpoint("timm.safetensors", TIMM);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char options[256];
        snprintf(options, sizeof(options), "--heads 2 %s", cases[i].options);
        assert_refused(options, "timm.safetensors", cases[i].message);
    }
    assert_refused("", "timm.safetensors", "16 is not a multiple of 64: give --heads");
}

static void test_tensors_that_cannot_be_are_named(void **state) {
    static const struct {
        const char *lines, *message;
    } cases[] = {
        {TIMM "head_dist.weight 3x16 hd\nhead_dist.bias 3 hdb\npre_logits.fc.weight 16x16 p\n",
         "two heads with pre_logits"},
        {TIMM "blocks.{i}.rel_pos 2 r\n", "a relative position bias is not supported"},
        {TIMM "another 2 x\n", "another is not a tensor of a timm model"},
        {TIMM "another.bias 2 x\n", "another.weight is missing, but there is another.bias"},
        {TOKENS PATCHES TIMM_BLOCKS NORM "head.weight 3x48 head\n", "of several blocks"},
        {TOKENS PATCHES TIMM_BLOCKS NORM "head.weight 3x16x1 head\n", "has 3 dimensions, not 2"},
        {TOKENS PATCHES TIMM_BLOCKS NORM "head.weight 3x17 head\n", "has the shape [3, 17], not"},
        {TOKENS PATCHES TIMM_BLOCKS NORM "head.weight 3x16 I32\n", "is of I32"},
        {"cls_token 1x1x16 cls\npos_embed 1x4x16 pos\n" PATCHES TIMM_BLOCKS NORM HEAD,
         NULL}, /* positions for the patches alone, as timm has them */
        {"pos_embed 1x7x16 pos\ncls_token 1x1x16 cls\n" PATCHES TIMM_BLOCKS NORM HEAD,
         "pos_embed has 7 rows, which is not a square"},
        {"cls_token 1x1x16 cls\n" PATCHES TIMM_BLOCKS NORM HEAD, "give --pos-embed"},
        {TOKENS "patch_embed.proj.weight 16x50 patch\n" TIMM_BLOCKS NORM HEAD,
         "50 inputs are not 3 channels of a square patch"},
        {TOKENS PATCHES NORM HEAD, "blocks.0.norm1.weight is missing"},
        {TOKENS PATCHES TIMM_BLOCKS NORM HEAD "model.patch_embed.proj.weight 16x3x4x4 p\n",
         "model.patch_embed.proj.weight is not a tensor"},
        {"a.patch_embed.proj.weight 1x1 a\nb.patch_embed.proj.weight 1x1 b\n",
         "the tensors of two models, a.... and b...."},
        {"something 3 x\n", "are not those of a ViT"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_checkpoint("odd.safetensors", cases[i].lines);
        if (cases[i].message == NULL) assert_converted("--heads 2", "odd.safetensors", "odd.vit");
        else assert_refused("--heads 2", "odd.safetensors", cases[i].message);
    }
}

/* A matrix as patch embedding, two heads, positions that are computed, another size: the same as the
   models that say so in other words. */
static void test_the_same_model_said_otherwise(void **state) {
    static const char *const sincos[] = {"sincos1d", "sincos2d", "sincos2d-moco"};
    (void)state;
    write_checkpoint("want.safetensors", TIMM);
    assert_converted(GIVEN "--heads 2 --pool token", "want.safetensors", "want.vit");
    write_checkpoint("flat.safetensors",
                     TOKENS "patch_embed.proj.weight 16x48 patch\npatch_embed.proj.bias 16 "
                            "patch.bias\n" TIMM_BLOCKS QKV_BIAS NORM HEAD);
    assert_converted(GIVEN "--heads 2 --pool token", "flat.safetensors", "flat.vit");
    assert_same_models("flat.vit", "want.vit");
    write_checkpoint("body.safetensors", TOKENS PATCHES TIMM_BLOCKS QKV_BIAS NORM);
    write_checkpoint("head.safetensors", "w 3x16 head\nb 3 headb\n");
    assert_converted(GIVEN "--heads 2 --pool token --head $T/head.safetensors", "body.safetensors",
                     "body.vit");
    assert_same_models("body.vit", "want.vit");
    assert_refused("--heads 2 --head $T/head.safetensors", "want.safetensors", "has a head");
    write_checkpoint("none.safetensors",
                     "cls_token 1x1x16 cls\n" PATCHES TIMM_BLOCKS QKV_BIAS NORM HEAD);
    for (size_t i = 0; i < COUNT_OF(sincos); i++) {
        char options[256];
        snprintf(options, sizeof(options), GIVEN "--heads 2 --size 8 --pos-embed %s", sincos[i]);
        assert_converted(options, "none.safetensors", "none1.vit");
        vit_model model;
        float first, row[16];
        assert_int_equal(vit_model_load(&model, in_folder("none1.vit"), NULL), VIT_OK);
        const unsigned char *entry = vit__entry(model.data, VIT__POS_EMBED);
        memcpy(row, model.data + vit__u64(entry + 32) + 2 * sizeof(row), sizeof(row));
        first = (float)sin(i == 0 ? 2 : i == 1 ? 1 : 0);
        assert_near(row, &first, 1, 1e-6f); /* row 2: column 1 of row 0, after the class token */
        vit_model_close(&model);
    }
    assert_refused("--heads 2 --pos-embed sincos2d", "none.safetensors", "give --size");
    remove(in_folder("none1.vit"));
}

/* ---- files of names ---- */

/* All matrices are [in][out]. */
#define THEIRS(qkv)                                                                                \
    "stem.w 4x4x3x16:4x1x16x48 patch\nstem.b 16 patch.bias\nfirst 16 cls\nplaces 5x16 pos\n"       \
    "l{i}.na.weight 16 n1.{i}\nl{i}.na.bias 16 n1b.{i}\n" qkv "l{i}.out.weight 16x16:1x16 o.{i}\n" \
    "l{i}.out.bias 16 ob.{i}\nl{i}.nb.weight 16 n2.{i}\nl{i}.nb.bias 16 n2b.{i}\n"                 \
    "l{i}.up.weight 16x24:1x16 fc1.{i}\nl{i}.up.bias 24 fc1b.{i}\n"                                \
    "l{i}.down.weight 24x16:1x24 fc2.{i}\nl{i}.down.bias 16 fc2b.{i}\n"                            \
    "end.weight 16 n\nend.bias 16 nb\ntop.weight 16x3:1x16 head\ntop.bias 3 headb\nspare 2 x\n"
#define RULES(qkv)                                                                  \
    "\xEF\xBB\xBFstem.w [row col chan out] = patch_embed.proj.weight\n"             \
    "stem.b = patch_embed.proj.bias\nfirst = cls_token\nplaces = pos_embed # any\n" \
    "l{i}.na.* = blocks.{i}.norm1.*\n" qkv                                          \
    "l{i}.out.* [(head dim) out] = blocks.{i}.attn.proj.*\n"                        \
    "l{i}.nb.* = blocks.{i}.norm2.*\nl{i}.up.* [in out] = blocks.{i}.mlp.fc1.*\n"   \
    "l{i}.down.* [in out] = blocks.{i}.mlp.fc2.*\nend.* = norm.*\n"                 \
    "top.* [in out] = head.*\nspare = -\n"

/* Queries, keys and values in one tensor in another order, in three, and in one for each head. */
static const struct {
    const char *lines, *rules, *options;
} renamings[] = {
    {THEIRS("l{i}.mix.weight 16x48:1x16 qkv.{i}\nl{i}.mix.bias 48 qkvb.{i}\n"),
     RULES("l{i}.mix.* [in (qkv head dim)] = blocks.{i}.attn.qkv.*\n"), "--heads 2"},
    {THEIRS("l{i}.mix.weight 2x3x8x16:128x256x16x1 qkv.{i}\n"
            "l{i}.mix.bias 2x3x8:8x16x1 qkvb.{i}\n"),
     RULES("l{i}.mix.* [head qkv dim in] = blocks.{i}.attn.qkv.*\n"), ""},
    {THEIRS("l{i}.p0.weight 16x16 qkv.{i}\nl{i}.p1.weight 16x16 qkv.{i}+256\n"
            "l{i}.p2.weight 16x16 qkv.{i}+512\nl{i}.p0.bias 16 qkvb.{i}\n"
            "l{i}.p1.bias 16 qkvb.{i}+16\nl{i}.p2.bias 16 qkvb.{i}+32\n"),
     RULES("l{i}.p{qkv}.* = blocks.{i}.attn.qkv.*\n"), "--heads 2"},
    {THEIRS("l{i}.q0.weight 8x16 qkv.{i}\nl{i}.q1.weight 8x16 qkv.{i}+128\n"
            "l{i}.k0.weight 8x16 qkv.{i}+256\nl{i}.k1.weight 8x16 qkv.{i}+384\n"
            "l{i}.v0.weight 8x16 qkv.{i}+512\nl{i}.v1.weight 8x16 qkv.{i}+640\n"
            "l{i}.q0.bias 8 qkvb.{i}\nl{i}.q1.bias 8 qkvb.{i}+8\nl{i}.k0.bias 8 qkvb.{i}+16\n"
            "l{i}.k1.bias 8 qkvb.{i}+24\nl{i}.v0.bias 8 qkvb.{i}+32\nl{i}.v1.bias 8 "
            "qkvb.{i}+40\n"),
     RULES("l{i}.q{head}.* = blocks.{i}.attn.q.*\nl{i}.k{head}.* = blocks.{i}.attn.k.*\n"
           "l{i}.v{head}.* = blocks.{i}.attn.v.*\n"),
     ""},
};

static void write_text(const char *name, const char *text) {
    write_file(in_folder(name), text, strlen(text));
}

static void test_names_of_ones_own_make_the_same_model(void **state) {
    (void)state;
    write_checkpoint("timm.safetensors", TIMM);
    assert_converted(GIVEN "--heads 2 --pool token", "timm.safetensors", "timm.vit");
    for (size_t i = 0; i < COUNT_OF(renamings); i++) {
        char options[512];
        write_checkpoint("own.safetensors", renamings[i].lines);
        write_text("names", renamings[i].rules);
        snprintf(options, sizeof(options), GIVEN "--pool token --names $T/names %s",
                 renamings[i].options);
        assert_converted(options, "own.safetensors", "own.vit");
        assert_printed("err", "spare is left out, by line");
        assert_same_models("own.vit", "timm.vit");
        assert_int_equal(run("vit-convert --list $T/own.safetensors"), 0);
        assert_printed("out", "# 2 blocks, numbered from 0 to 1\n# embed_dim 16\n");
        assert_printed("out", "l{i}.down.* [in out] = blocks.{i}.mlp.fc2.*");
        assert_printed("out", "stem.w [row col chan out] = patch_embed.proj");
    }
}

static void test_a_file_of_names_that_is_wrong_is_refused_by_its_line(void **state) {
    static const struct {
        const char *names, *message;
    } cases[] = {
        {"", "no line with a name"},
        {"# nothing\n", "no line with a name"},
        {"first cls_token\n", "line 1: no = between"},
        {"\n = cls_token\n", "line 2: a name is missing beside ="},
        {"first = ?\n", "? stands for timm's name"},
        {"first = class_token\n", "not one of timm's names"},
        {"top.* = head\n", "not one of timm's names"},
        {"first [1 width = cls_token\n", "a [ without ]"},
        {"first [width] x = cls_token\n", "no = after ]"},
        {"l{i.na.* = blocks.{i}.norm1.*\n", "a { without }"},
        {"l{i}.{i}.* = blocks.{i}.norm1.*\n", "{i} is there twice"},
        {"l{i}.{dim}.* = blocks.{i}.norm1.*\n", "one {i} and one of {head} and {qkv}"},
        {"l{i}.*.na = blocks.{i}.norm1.*\n", "* stands for weight or bias, at the end"},
        {"l0.na.* = blocks.{i}.norm1.*\n", "{i} has to be on both sides"},
        {"top.weight = head.*\n", "* has to be on both sides"},
        {"first = cls_token\nfirst = -\n", "lines 1 and 2 both take first"},
        {"none = cls_token\n", "no tensor has such a name"},
        {"first [(width] = cls_token\n", "unpaired ( or )"},
        {"first [width)] = cls_token\n", "unpaired ( or )"},
        {"first [width a b c d e f g h] = cls_token\n", "not the axes of a tensor"},
        {"first [width=x] = cls_token\n", "not a length after ="},
        {"first [width head] = cls_token\n", "cls_token has no axis 'head'"},
        {"top.* [out] = head.*\n", "the axis 'in' of head.* is missing"},
        {"places [tokens width chan] = pos_embed\n", "has no axis 'chan'"},
        {"stem.w [out in] = head.weight\n", "has 4 axes, not 2"},
        {"top.weight [out (row col chan=5)] = patch_embed.proj.weight\n",
         "is not a multiple of chan"},
        {"top.weight [(row col chan) out] = patch_embed.proj.weight\n", "give one of them"},
        {"l{i}.mix.weight [in (head qkv dim)] = blocks.{i}.attn.qkv.weight\n", "give --heads"},
        {"top.weight [in out=2] = head.weight\n", "an axis of 3"},
        {"l{i}.{head}.weight = blocks.{i}.norm1.weight\n", "no tensor has such a name"},
    };
    (void)state;
    write_checkpoint("own.safetensors", renamings[0].lines);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_text("names", cases[i].names);
        assert_refused("--names $T/names", "own.safetensors", cases[i].message);
    }
    write_checkpoint("gap.safetensors", "l0.q0.weight 8x16 a\nl0.q2.weight 8x16 b\n");
    write_text("names", "l{i}.q{head}.weight = blocks.{i}.attn.q.weight\n");
    assert_refused("--names $T/names", "gap.safetensors", "have a gap, or are there twice");
    write_checkpoint("gap.safetensors", "l0.q0.weight 8x16 a\nl0.q1.weight 4x16 b\n");
    assert_refused("--names $T/names", "gap.safetensors", "differ in shape or type");
    write_checkpoint("gap.safetensors", "l0.q0.weight 8x16 a\nl0.q1.weight 8x16 b\n");
    assert_refused("--heads 3 --names $T/names", "gap.safetensors",
                   "its shape says 2 heads, not 3");
    write_text("names", "l{i}.q{qkv}.weight = blocks.{i}.attn.qkv.weight\n");
    assert_refused("--names $T/names", "gap.safetensors", "2 pieces of blocks.0.attn.qkv.weight");
    write_file(in_folder("names"), "a\0b", 3);
    assert_refused("--names $T/names", "gap.safetensors", "not a text: it has a NUL");
}

/* What the shapes say of names that nobody knows, and what they leave open. */
static void test_a_list_says_what_the_shapes_decide(void **state) {
    (void)state;
    write_checkpoint("own.safetensors",
                     "a.weight 16x3x4x4 a\na.bias 16 b\ncls 1x1x16 c\npos 1x5x16 d\nreg 1x2x16 e\n"
                     "l{i}.q0.weight 8x16 q\nl{i}.q1.weight 8x16 q\nl{i}.x.kernel 16x24 r\n"
                     "l{i}.x.bias 24 s\nl{i}.y.kernel 24x16 t\nl{i}.y.bias 16 u\n"
                     "l{i}.p.kernel 2x8x16 v\nl{i}.s 16 w\nl{i}.n.scale 16 w\nl{i}.n.bias 16 w\n"
                     "l{i}.k.kernel 16x2x8 k\ncount 1 I32\nh.kernel 16x3 h\nh.bias 3 hb\n"
                     "n.gamma 16 n\nn.beta 16 nb\n");
    assert_int_equal(run("vit-convert --list $T/own.safetensors"), 0);
    static const char *const parts[] = {
        "the names are not those of timm",
        "a.* = patch_embed.proj.*  # [16, 3, 4, 4]\n",
        "cls = cls_token",
        "count = -  # [1]\n",
        "l{i}.x.kernel [in out] = blocks.{i}.mlp.fc1.weight  # [16, 24]\n",
        "l{i}.y.kernel [in out] = blocks.{i}.mlp.fc2.weight  # [24, 16]\n",
        "l{i}.y.bias = blocks.{i}.mlp.fc2.bias",
        "l{i}.p.kernel [head dim out] = blocks.{i}.attn.proj.weight  # [2, 8, 16]\n",
        "l{i}.k.kernel [in head dim] = ?  # [16, 2, 8] blocks.{i}.attn.q, .k, .v\n",
        "l{i}.q{head}.weight = ?  # [8, 16] blocks.{i}.attn.q, .k, .v or .qkv\n",
        "h.kernel [in out] = head.weight  # [16, 3]\n",
        "reg = ?  # [1, 2, 16] cls_token, dist_token, reg_token or pos_embed\n",
        "n.gamma = norm.weight",
    };
    for (size_t i = 0; i < COUNT_OF(parts); i++) assert_printed("out", parts[i]);
    write_checkpoint("own.safetensors", "x 2 x\ny 2x2 y\n");
    assert_int_equal(run("vit-convert --list $T/own.safetensors"), 0);
    assert_printed("out", "# no numbers of blocks in the names\n# embed_dim is not known");
    write_checkpoint("own.safetensors", TIMM "blocks.{i}.rel_pos 2 r\n");
    assert_int_equal(run("vit-convert --list $T/own.safetensors"), 0);
    assert_printed("out", "rel_pos shows a relative position bias, which is not supported");
    assert_int_equal(run("vit-convert --list --key a $T/own.safetensors"), 1);
}

/* ---- labels ---- */

static void test_labels_that_are_wrong_are_named(void **state) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a\nb\tc\nd\n", "line 2: a tab (byte 2)"},
        {"a\nb\001\nd\n", "line 2: a control character, U+0001, at byte 2"},
        {"a\n\xC2\x85\nd\n", "line 2: a control character, U+0085, at byte 1"},
        {"a\n\xFF\nd\n", "line 2: not UTF-8 at byte 1, which is 0xFF"},
        {"\xFF\xFE"
         "a",
         "UTF-16: save it as UTF-8"},
        {"a\nb\nc\nd\n", "line 4 ('d'): too many names: the classes are 3"},
        {"a\nb\n", "2 lines for 3 classes, so there is no label for class 2"},
        {"[\"a\", 1, \"c\"]", "label 1 is neither a string nor [synset, name]"},
        {"[\"a\", \"b\", \"c\", \"d\"]", "label 3 ('d'): too many names"},
        {"[\"a\"", "not valid JSON"},
        {"{\"0\": \"a\", \"0\": \"b\"}", "two labels for class 0"},
        {"{\"label_names\": 3}", "the labels are neither a list nor an object"},
    };
    (void)state;
    write_checkpoint("timm.safetensors", TIMM);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_text("labels", cases[i].text);
        assert_refused("--heads 2 --labels $T/labels", "timm.safetensors", cases[i].message);
    }
    write_file(in_folder("labels"), "a\nb\0\nc\n", 7);
    assert_refused("--heads 2 --labels $T/labels", "timm.safetensors", "line 2: a NUL");
    assert_refused("--heads 2 --labels cifar-10", "timm.safetensors",
                   "it has 10 classes, the model 3");
    assert_converted("--heads 2", "timm.safetensors", "timm.vit");
    assert_printed("err", "they have numbers only (--labels FILE)");
    write_checkpoint("ten.safetensors", TOKENS PATCHES TIMM_BLOCKS QKV_BIAS NORM
                     "head.weight 10x16 head\nhead.bias 10 headb\n");
    assert_converted("--heads 2", "ten.safetensors", "ten.vit");
    assert_printed("err", "--labels cifar-10 if they are those");
    assert_refused("--heads 2 --output embedding --labels cifar-10", "timm.safetensors",
                   "an embedding has no classes");
}

static void test_labels_are_read_from_each_kind_of_file(void **state) {
    static const char *const files[] = {
        "\357\273\277a\r\nb\r\nc\r\n\r\n", "[[\"n1\", \"a\"], \"b\", \"c\"]",
        "{\"2\": \"c\", \"0\": \"a\", \"1\": \"b\"}", "{\"id2label\": [\"a\", \"b\", \"c\"]}",
        "{\"pretrained_cfg\": {\"labels\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}}}"};
    static const char *const want[] = {"a", "b", "c"};
    vit_model model;
    (void)state;
    write_checkpoint("timm.safetensors", TIMM);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        write_text("labels", files[i]);
        assert_converted("--heads 2 --labels $T/labels", "timm.safetensors", "named.vit");
        assert_int_equal(vit_model_load(&model, in_folder("named.vit"), NULL), VIT_OK);
        for (int j = 0; j < 3; j++) assert_string_equal(vit_model_label(&model, j), want[j]);
        vit_model_close(&model);
    }
    write_text("labels", "a\n\nc\n");
    assert_converted("--heads 2 --labels $T/labels", "timm.safetensors", "named.vit");
    assert_printed("err", "line 2 is empty, and so is the name of class 1");
}

/* ---- texts ---- */

/* An array of NumPy; the header as it says, or one of floats of this shape. */
static void write_npy(const char *name, const char *header, const float *values, size_t count) {
    unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 0, 0};
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    start[8] = (unsigned char)strlen(header);
    fwrite(start, 1, sizeof(start), file);
    fwrite(header, 1, strlen(header), file);
    if (count > 0) fwrite(values, sizeof(float), count, file);
    assert_int_equal(fclose(file), 0);
}

#define ARRAY(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': " shape ", }\n"

/* Prompts of other lengths and their mean are the same text. */
static void test_texts_are_classes(void **state) {
    static const float one[] = {1, 0, 0, 0, 0.6f, 0.8f},
                       two[] = {2, 0, 0, 9, 0, 0, 0, 3, 4, 0, 1.5f, 2};
    (void)state;
    write_checkpoint("clip.safetensors", openai);
    write_text("labels", "x\ny\n");
    write_npy("one.npy", ARRAY("(2, 3)"), one, COUNT_OF(one));
    write_npy("two.npy", ARRAY("(2, 2, 3)"), two, COUNT_OF(two));
    assert_converted("--heads 2 --act quick_gelu --classes $T/one.npy --labels $T/labels",
                     "clip.safetensors", "one.vit");
    assert_converted("--heads 2 --act quick_gelu --classes $T/two.npy --labels $T/labels",
                     "clip.safetensors", "two.vit");
    vit_model a, b;
    assert_int_equal(vit_model_load(&a, in_folder("one.vit"), NULL), VIT_OK);
    assert_int_equal(vit_model_load(&b, in_folder("two.vit"), NULL), VIT_OK);
    assert_int_equal(vit_model_config(&a)->num_classes, 2);
    assert_string_equal(vit_model_label(&a, 1), "y");
    float pixels[3 * 8 * 8], got[2], want[2];
    for (size_t i = 0; i < COUNT_OF(pixels); i++) pixels[i] = number_of("pixels", i);
    assert_int_equal(forward(&a, NULL, pixels, 1, want), VIT_OK);
    assert_int_equal(forward(&b, NULL, pixels, 1, got), VIT_OK);
    assert_near(got, want, 2, 1e-5f);
    assert_true(fabsf(want[0] - want[1]) > 1e-3f);
    vit_model_close(&a);
    vit_model_close(&b);
}

static void test_texts_that_do_not_fit_are_named(void **state) {
    static const float zeros[6] = {0}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    static const struct {
        const char *header, *message;
        const float *values;
        size_t count;
    } cases[] = {
        {ARRAY("(2, 3)"), "class 0: its text is of length 0", zeros, 6},
        {ARRAY("(6,)"), "1 dimensions: neither", ones, 6},
        {ARRAY("(2, 4)"), "texts of 4 numbers, but the projection", ones, 8},
        {ARRAY("(2, 4)"), "32 bytes by its shape, but 24 are there", ones, 6},
        {ARRAY("(2, 99999999999999999999)"), "the shape is too large", ones, 6},
        {ARRAY("2"), "its shape is no tuple", ones, 6},
        {ARRAY("(2, x)"), "its shape is no tuple of sizes", ones, 6},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (6,), }", "Python objects", ones, 6},
        {"{'descr': '|V2', 'fortran_order': False, 'shape': (6,), }", "arrays of |V2", ones, 6},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", "records", ones, 6},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }", "of I32, not of", ones, 6},
        {"{'descr': '<f4', 'shape': (6,), }", "says no 'fortran_order'", ones, 6},
        {"{'fortran_order': False, 'shape': (6,), }", "says no 'descr'", ones, 6},
    };
    (void)state;
    write_checkpoint("clip.safetensors", openai);
    write_checkpoint("timm.safetensors", TIMM);
    write_text("labels", "x\ny\n");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_npy("texts.npy", cases[i].header, cases[i].values, cases[i].count);
        assert_refused("--heads 2 --act gelu --classes $T/texts.npy --labels $T/labels",
                       "clip.safetensors", cases[i].message);
    }
    write_npy("texts.npy", ARRAY("(2, 3)"), ones, 6);
    assert_refused("--heads 2 --classes $T/texts.npy --labels $T/labels", "timm.safetensors",
                   "--classes is for a model with a projection");
    assert_refused("--heads 2 --act gelu --classes $T/timm.safetensors --labels $T/labels",
                   "clip.safetensors", "arrays: --classes takes one");
    assert_refused("--heads 2", "clip.safetensors", "the activation is not known");
}

/* ---- files and folders ---- */

static void write_header(const char *name, const char *header, size_t data) {
    static const char zeros[64];
    uint64_t size = strlen(header);
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    fwrite(&size, sizeof(size), 1, file);
    fwrite(header, 1, (size_t)size, file);
    fwrite(zeros, 1, data, file);
    assert_int_equal(fclose(file), 0);
}

#define ENTRY(shape, begin, end) \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void test_damaged_safetensors_are_refused(void **state) {
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"{\"a\":3}", "not an object of dtype"},
        {"{\"a\":{\"dtype\":1,\"shape\":[],\"data_offsets\":[0,8]}}", "a: no dtype"},
        {"{\"a\":{\"dtype\":\"F9\",\"shape\":[],\"data_offsets\":[0,8]}}", "unknown dtype F9"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", "a: no shape"},
        {"{\"a\":" ENTRY("[2.5]", "0", "8") "}", "a dimension is not a size"},
        {"{\"a\":" ENTRY("[-1]", "0", "8") "}", "a dimension is not a size"},
        {"{\"a\":" ENTRY("[4294967296,4294967296]", "0", "8") "}", "the shape is too large"},
        {"{\"a\":" ENTRY("[2]", "8", "0") "}", "its data are outside the file"},
        {"{\"a\":" ENTRY("[2]", "0", "16") "}", "its data are outside the file"},
        {"{\"a\":" ENTRY("[3]", "0", "8") "}", "12 bytes by its shape, but 8 by its offsets"},
        {"{\"a\":" ENTRY("[2]", "0", "true") "}", "data_offsets are not two sizes"},
        {"{\"a\":" ENTRY("[1]", "4", "8") "}", "do not start where those before end"},
        {"{\"a\":" ENTRY("[1]", "0", "4") "}", "bytes after the last tensor"},
        {"{\"__metadata__\":3}", "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", "a is not a string"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__ is there twice"},
        {"{\"a\":" ENTRY("[1]", "0", "4") ",\"a\":" ENTRY("[1]", "4", "8") "}", "a"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_header("bad.safetensors", cases[i].header, 8);
        assert_refused("", "bad.safetensors", cases[i].message);
    }
}

static void test_a_folder_has_one_checkpoint(void **state) {
    static const struct {
        const char *name, *message;
    } others[] = {
        {"saved_model.pb", "a TensorFlow SavedModel"},
        {"model.onnx", "an ONNX model"},
        {"flax_model.msgpack", "a checkpoint of Flax"},
        {"notes.txt", "there is no checkpoint"},
    };
    char path[64];
    (void)state;
    assert_int_equal(mkdir(in_folder("folder"), 0700), 0);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        snprintf(path, sizeof(path), "folder/%s", others[i].name);
        write_text(path, "x");
        assert_refused("", "folder", others[i].message);
        remove(in_folder(path));
    }
    write_checkpoint("folder/my.safetensors", TIMM);
    assert_converted("--heads 2", "folder", "folder.vit");
    assert_printed("err", "my.safetensors is read");
    write_text("folder/other.pth", "x");
    assert_refused("--heads 2", "folder", "which file is meant, my.safetensors or other.pth?");
}

static void test_an_index_of_shards_is_checked(void **state) {
    static const struct {
        const char *index, *message;
    } cases[] = {
        {"{\"weight_map\": 3}", "no index of shards"},
        {"{\"weight_map\": {\"a\": \"../a.safetensors\"}}", "is not the name of a shard"},
        {"{\"weight_map\": {\"a\": 1}}", "is not the name of a shard"},
        {"{\"weight_map\": {\"a\": \"none.safetensors\"}}", "none.safetensors: No such file"},
        {"{\"weight_map\": {\"a\": \"part.safetensors\", \"b\": \"part.safetensors\", \"c\": "
         "\"part.safetensors\"}}",
         "c is not in"},
        {"{\"weight_map\": {\"a\": \"part.safetensors\"}}", "1 tensors are listed, 2 are there"},
        {"{\"weight_map\": {\"a\": \"other.json\"}}", "index of shards in an index"},
    };
    (void)state;
    assert_int_equal(mkdir(in_folder("shards"), 0700), 0);
    write_checkpoint("shards/part.safetensors", "a 2 a\nb 2 b\n");
    write_text("shards/other.json", "{\"weight_map\": {\"a\": \"part.safetensors\"}}");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_text("shards/model.safetensors.index.json", cases[i].index);
        assert_refused("", "shards", cases[i].message);
    }
}

/* A folder of arrays of NumPy, one for each tensor. */
static void test_a_folder_of_arrays_is_a_checkpoint(void **state) {
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    (void)state;
    assert_int_equal(mkdir(in_folder("arrays"), 0700), 0);
    write_npy("arrays/b.npy", ARRAY("(2, 3)"), values, 6);
    write_npy("arrays/a.npy", ARRAY("(6,)"), values, 6);
    assert_int_equal(run("vit-convert --list $T/arrays"), 0);
    assert_printed("out", "a  F32  [6]\nb  F32  [2, 3]\n");
    assert_printed("out", "2 tensors with 12 elements");
}

static size_t append_number(unsigned char *bytes, size_t size, uint64_t value, int count) {
    for (int i = 0; i < count; i++, value >>= 8) bytes[size++] = (unsigned char)value;
    return size;
}

static size_t append_name(unsigned char *bytes, size_t size, const char *name) {
    memcpy(bytes + size, name, strlen(name));
    return size + strlen(name);
}

/* A zip archive of empty files of one name; in zip64's way, what has 4 bytes is all ones, and 8 bytes of
   another record say it. Its end record is at `record`, unless that is 0. */
static void write_zip(const char *name, int count, int zip64, size_t record) {
    static unsigned char bytes[4096];
    const char *entry = name;
    size_t size = 0, directory;
    for (int i = 0; i < count; i++) {
        size = append_number(bytes, append_number(bytes, size, 0x04034b50, 4), 20, 22);
        size = append_number(bytes, append_number(bytes, size, strlen(entry), 2), 0, 2);
        size = append_name(bytes, size, entry);
    }
    directory = size;
    for (int i = 0; i < count; i++) {
        size_t header = (30 + strlen(entry)) * (size_t)i;
        uint32_t ones = zip64 ? UINT32_MAX : 0;
        size = append_number(bytes, append_number(bytes, size, 0x02014b50, 4), 20, 16);
        size = append_number(bytes, append_number(bytes, size, ones, 4), ones, 4);
        size =
            append_number(bytes, append_number(bytes, size, strlen(entry), 2), zip64 ? 33 : 0, 2);
        size = append_number(bytes, size, 0, 10);
        size = append_number(bytes, size, zip64 ? UINT32_MAX : header, 4);
        size = append_name(bytes, size, entry);
        if (!zip64) continue;
        size = append_number(bytes, append_number(bytes, size, 0x9999, 2), 1, 2);
        size = append_number(bytes, append_number(bytes, size, 0, 1), 1, 2); /* the next field */
        size = append_number(bytes, append_number(bytes, size, 24, 2), 0, 16);
        size = append_number(bytes, size, header, 8);
    }
    size_t end = size;
    if (zip64) {
        size = append_number(bytes, append_number(bytes, size, 0x06064b50, 4), 44, 20);
        size = append_number(bytes, size, (uint64_t)count, 8);
        size = append_number(bytes, append_number(bytes, size, (uint64_t)count, 8), end - directory,
                             8);
        size = append_number(bytes, size, directory, 8);
        size = append_number(bytes, append_number(bytes, size, 0x07064b50, 4), 0, 4);
        size = append_number(bytes, append_number(bytes, size, record > 0 ? record : end, 8), 1, 4);
    }
    size = append_number(bytes, append_number(bytes, size, 0x06054b50, 4), 0, 4);
    size = append_number(bytes, append_number(bytes, size, (uint64_t)count, 2), (uint64_t)count, 2);
    size = append_number(bytes, append_number(bytes, size, end - directory, 4), directory, 4);
    write_file(in_folder("archive.zip"), bytes, append_number(bytes, size, 0, 2));
}

static void test_archives_of_others_are_named(void **state) {
    static const char *const cases[][2] = {
        {"a/model.weights.h5", "a Keras model"},
        {"saved_model.pb", "a packed TensorFlow SavedModel"},
        {"x/models/model.json", "a program of torch.export"},
        {"model.safetensors", "an archive with a checkpoint in it: unpack it"},
        {"model/constants.pkl", "TorchScript, not a state dict"},
        {"notes.txt", "(notes.txt, ...) that neither PyTorch nor NumPy wrote"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int zip64 = 0; zip64 < 2; zip64++) {
            write_zip(cases[i][0], 1, zip64, 0);
            assert_refused("", "archive.zip", cases[i][1]);
        }
    }
    write_zip("", 0, 0, 0);
    assert_refused("", "archive.zip", "a zip archive without a file");
    write_zip("notes.txt", 2, 0, 0);
    assert_refused("", "archive.zip", "notes.txt is there twice");
    write_zip("notes.txt", 1, 1, 7);
    assert_refused("", "archive.zip", "its zip64 record is not where it should be");
}

static void test_what_is_no_file_is_named(void **state) {
    (void)state;
    assert_int_equal(run("vit-convert /dev/null $T/none.vit"), 1);
    assert_printed("err", "/dev/null: not a regular file");
    assert_int_equal(run("vit-convert --names $T " GOLDEN "tiny_timm $T/none.vit"), 1);
    assert_printed("err", ": a folder");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_refused("", "pipe", "a pipe: it has to be a file, which can be mapped");
}

/* ---- calibration ---- */

#define CALIBRATED 24 /* photos */

/* A photo of 12 by 10 pixels: a smooth one, so that a patch's pixels go together as those of photos do. */
static void write_photo(const char *name, int index) {
    static const char head[] = "P6 12 10 255\n";
    unsigned char bytes[sizeof(head) - 1 + 12 * 10 * 3], *p = bytes + sizeof(head) - 1;
    char stream[16];
    float waves[9];
    snprintf(stream, sizeof(stream), "photo%d", index);
    for (size_t i = 0; i < COUNT_OF(waves); i++) waves[i] = number_of(stream, i);
    memcpy(bytes, head, sizeof(head) - 1);
    for (int i = 0; i < 12 * 10; i++) {
        for (int c = 0; c < 3; c++) {
            float x = (float)(i % 12) / 12, y = (float)(i / 12) / 10;
            float value = 0.5f + waves[c] * x + waves[3 + c] * y + waves[6 + c] * x * y;
            *p++ = (unsigned char)(255 * fminf(fmaxf(value, 0), 1));
        }
    }
    write_file(in_folder(name), bytes, sizeof(bytes));
}

static void write_photos(void) {
    char name[32];
    assert_int_equal(mkdir(in_folder("photos"), 0700), 0);
    assert_int_equal(mkdir(in_folder("photos/more"), 0700), 0);
    for (int i = 0; i < CALIBRATED; i++) {
        snprintf(name, sizeof(name), "photos/%s%d.ppm", i % 2 ? "more/" : "", i);
        write_photo(name, i);
    }
    write_text("photos/notes.txt", "no picture");
}

/* The logits of all photos, [CALIBRATED][3]. */
static void logits_of(const char *name, double logits[CALIBRATED * 3]) {
    char command[256];
    snprintf(command, sizeof(command), "vit-classify --json --logits -m $T/%s $T/photos", name);
    assert_int_equal(run(command), 0);
    for (int i = 0; i < CALIBRATED; i++) {
        cJSON *line = json_line(i), *list = cJSON_GetObjectItem(line, "logits");
        assert_int_equal(cJSON_GetArraySize(list), 3);
        for (int j = 0; j < 3; j++) logits[3 * i + j] = cJSON_GetArrayItem(list, j)->valuedouble;
        cJSON_Delete(line);
    }
}

/* The sum of squares by which a model's logits differ from those of f32.vit. */
static double error_of(const char *name) {
    double want[CALIBRATED * 3], got[CALIBRATED * 3], error = 0;
    logits_of("f32.vit", want);
    logits_of(name, got);
    for (int i = 0; i < CALIBRATED * 3; i++) error += (got[i] - want[i]) * (got[i] - want[i]);
    return error;
}

#define CALIBRATE "--calibrate $T/photos "

static void test_photos_say_how_to_round(void **state) {
    (void)state;
    write_checkpoint("calibrated.safetensors", TIMM);
    write_photos();
    assert_converted("--heads 2", "calibrated.safetensors", "f32.vit");
    assert_converted("--heads 2 --dtype int4", "calibrated.safetensors", "plain.vit");
    assert_converted("--heads 2 --dtype int4 " CALIBRATE, "calibrated.safetensors", "int4.vit");
    assert_printed("err", "calibrated by 24 pictures, 0 left out\n");
    double plain = error_of("plain.vit"), calibrated = error_of("int4.vit");
    if (!(calibrated < 0.7 * plain)) fail_msg("%g, to nearest %g", calibrated, plain);
    assert_converted("--dtype int4 " CALIBRATE, "f32.vit", "again.vit");
    assert_int_equal(run("vit-info $T/int4.vit"), 0);
    assert_printed("out", "dtype          int4");
    assert_int_equal(run("vit-info $T/again.vit >/dev/null && cmp $T/int4.vit $T/again.vit"), 0);
    assert_int_equal(count_files("int4.vit"), 1);
}

/* Of int8 the weights' error is small beside that of the activations: only what is wrong shows. */
static void test_photos_say_how_to_round_int8(void **state) {
    static const char *const dtypes[] = {"int8", "int8x"};
    char options[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dtypes); i++) {
        snprintf(options, sizeof(options), "--dtype %s", dtypes[i]);
        assert_converted(options, "f32.vit", "plain.vit");
        strcat(options, " " CALIBRATE);
        assert_converted(options, "f32.vit", "int8.vit");
        double plain = error_of("plain.vit"), calibrated = error_of("int8.vit");
        if (!(calibrated < 1.5 * plain))
            fail_msg("%s: %g, to nearest %g", dtypes[i], calibrated, plain);
        assert_int_equal(
            run("vit-info $T/int8.vit >/dev/null && ! cmp -s $T/int8.vit $T/plain.vit"), 0);
    }
}

static void test_calibration_is_refused_or_notes(void **state) {
    (void)state;
    assert_refused("--calibrate $T/photos", "f32.vit", "not for f32");
    assert_refused("--dtype f16 " CALIBRATE, "f32.vit", "int8, int8x and int4, not for f16");
    assert_int_equal(mkdir(in_folder("few"), 0700), 0);
    assert_refused("--dtype int4 --calibrate $T/few", "f32.vit", "no picture that can be read");
    assert_refused("--dtype int4 --calibrate $T/nowhere", "f32.vit", "no picture that can be read");
    write_text("few/broken.jpg", "x");
    assert_refused("--dtype int4 --calibrate $T/few", "f32.vit", "broken.jpg: left out: ");
    write_photo("few/one.ppm", 1);
    assert_converted("--dtype int4 --calibrate $T/few", "f32.vit", "few.vit");
    assert_printed("err", "calibrated by 1 pictures, 1 left out: some dozens give better");
    assert_refused("--eps 1e-6 --dtype int4 " CALIBRATE, "f32.vit", "no option but --dtype");
    assert_int_equal(run("vit-convert --list " CALIBRATE "$T/f32.vit"), 1);
    assert_printed("err", "--list converts nothing");
}

/* ---- what few models have ---- */

/* A value of a line that vit-info prints of a model. */
static void assert_info(const char *name, const char *line) {
    char command[256];
    snprintf(command, sizeof(command), "vit-info $T/%s | grep -q '%s'", name, line);
    if (run(command) != 0) fail_msg("%s: not %s", name, line);
}

#define Q_NORMS                                                                       \
    "blocks.{i}.attn.q_norm.weight 8 qn.{i}\nblocks.{i}.attn.q_norm.bias 8 qnb.{i}\n" \
    "blocks.{i}.attn.k_norm.weight 8 kn.{i}\nblocks.{i}.attn.k_norm.bias 8 knb.{i}\n"
#define TWO_TOKENS                                                                             \
    "cls_token 1x1x16 cls\ndist_token 1x1x16 dist\npos_embed 1x6x16 pos\n" PATCHES TIMM_BLOCKS \
        QKV_BIAS NORM HEAD

/* Norms of queries and keys, a layer in front of the head, two heads whose mean counts. */
static void test_parts_that_few_models_have_are_converted(void **state) {
    vit_model model;
    (void)state;
    write_checkpoint("norms.safetensors", TIMM Q_NORMS);
    assert_converted(GIVEN "--pool token", "norms.safetensors", "norms.vit");
    write_checkpoint("pre.safetensors", TOKENS PATCHES TIMM_BLOCKS QKV_BIAS NORM
                     "pre_logits.fc.weight 9x16 pre\npre_logits.fc.bias 9 preb\n"
                     "head.weight 3x9 head\nhead.bias 3 headb\n");
    assert_converted(GIVEN "--heads 2 --pool token", "pre.safetensors", "pre.vit");
    write_checkpoint("two.safetensors",
                     TWO_TOKENS "head_dist.weight 3x16 hd\nhead_dist.bias 3 hdb\n");
    assert_converted(GIVEN "--heads 2", "two.safetensors", "two.vit");
    assert_int_equal(vit_model_load(&model, in_folder("norms.vit"), NULL), VIT_OK);
    assert_true(vit_model_config(&model)->qk_norm && vit_model_config(&model)->num_heads == 2);
    assert_true(vit__tensor_data(&model, VIT__K_NORM, 1)[3] == number_of("kn.1", 3));
    vit_model_close(&model);
    assert_int_equal(vit_model_load(&model, in_folder("pre.vit"), NULL), VIT_OK);
    assert_int_equal(vit_model_config(&model)->pre_logits, 9);
    vit__matrix m = vit__matrix_of(&model, VIT__PRE_LOGITS, 0);
    assert_true(m.bias[4] == number_of("preb", 4));
    vit_model_close(&model);
    assert_int_equal(vit_model_load(&model, in_folder("two.vit"), NULL), VIT_OK);
    assert_int_equal(vit_model_config(&model)->head_tokens, 2);
    m = vit__matrix_of(&model, VIT__HEAD, 0);
    float want = (number_of("headb", 1) + number_of("hdb", 1)) / 2;
    assert_near(&m.bias[1], &want, 1, 1e-6f);
    vit_model_close(&model);
}

/* To another size at once is as the library does it. */
static void test_positions_are_resampled_when_converting(void **state) {
    float pixels[3 * 12 * 8], got[3], want[3];
    const vit_options options = {.img_size = {12, 8}};
    vit_model model;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pixels); i++) pixels[i] = number_of("pixels", i);
    write_checkpoint("timm.safetensors", TIMM);
    assert_converted(GIVEN "--heads 2 --pool token", "timm.safetensors", "own.vit");
    assert_converted(GIVEN "--heads 2 --pool token --size 12x8", "timm.safetensors", "other.vit");
    assert_int_equal(vit_model_load(&model, in_folder("own.vit"), NULL), VIT_OK);
    assert_status(forward(&model, &options, pixels, 1, want), VIT_OK, "own");
    vit_model_close(&model);
    assert_int_equal(vit_model_load(&model, in_folder("other.vit"), NULL), VIT_OK);
    assert_status(forward(&model, NULL, pixels, 1, got), VIT_OK, "other");
    vit_model_close(&model);
    assert_near(got, want, 3, 1e-5f);
}

static void test_parts_that_contradict_each_other_are_named(void **state) {
    static const char no_cls[] = "pos_embed 1x4x16 pos\n" PATCHES TIMM_BLOCKS QKV_BIAS NORM HEAD;
    static const struct {
        const char *lines, *options, *message;
    } cases[] = {
        {TOKENS PATCHES TIMM_BLOCKS QKV_BIAS NORM "head.weight 3x32 head\nhead.bias 3 headb\n",
         "--pool token", "the head reads two tokens: --pool token_avg"},
        {TOKENS PATCHES TIMM_BLOCKS QKV_BIAS NORM, "--output sigmoid",
         "--output sigmoid: there is no head, so the output is an embedding"},
        {TIMM Q_NORMS, "--heads 4", "that there are 4 heads, the tensors' shapes say 2"},
        {no_cls, "--pool token", "is missing (--pool)"},
        {TIMM "blocks.{i}.attn.q_bias 16 qkvb.{i}\nblocks.{i}.attn.v_bias 16 qkvb.{i}+32\n", "",
         "a bias beside q_bias and v_bias"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char options[128];
        write_checkpoint("odd.safetensors", cases[i].lines);
        snprintf(options, sizeof(options), "%s %s", i == 2 ? "" : "--heads 2", cases[i].options);
        assert_refused(options, "odd.safetensors", cases[i].message);
    }
}

static void test_what_is_odd_is_noted(void **state) {
    (void)state;
    write_checkpoint("one.safetensors", TOKENS PATCHES TIMM_BLOCKS QKV_BIAS NORM
                     "head.weight 1x16 head\nhead.bias 1 headb\n");
    assert_converted("--heads 2 --output softmax", "one.safetensors", "one.vit");
    assert_printed("err", "the softmax of one class is always 1");
    assert_info("one.vit", "softmax");
    write_checkpoint("bare.safetensors", TOKENS PATCHES TIMM_BLOCKS QKV_BIAS HEAD);
    assert_converted("--heads 2", "bare.safetensors", "bare.vit");
    assert_printed("err", "there is no norm after the last block");
}

static void test_a_scale_of_texts_that_is_no_number_is_refused(void **state) {
    static const float ones[6] = {1, 1, 1, 1, 1, 1};
    (void)state;
    write_text("labels", "x\ny\n");
    write_npy("texts.npy", ARRAY("(2, 3)"), ones, 6);
    write_npy("empty.npy", ARRAY("(0, 3)"), ones, 0);
    write_checkpoint("clip.safetensors", openai);
    assert_refused("--heads 2 --act gelu --classes $T/empty.npy --labels $T/labels",
                   "clip.safetensors", "a dimension of 0 is out of range");
    static const char *const end = "logit_scale";
    assert_non_null(strstr(openai, end));
    char lines[4096];
    snprintf(lines, sizeof(lines), "%.*s", (int)(strstr(openai, end) - openai), openai);
    write_checkpoint("clip.safetensors", lines);
    assert_converted("--heads 2 --act gelu --classes $T/texts.npy --labels $T/labels",
                     "clip.safetensors", "clip.vit");
    assert_printed("err", "no logit_scale: assumed 100");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_model_by_every_familys_names_is_the_same),
        cmocka_unit_test(test_a_config_of_hugging_face_is_obeyed),
        cmocka_unit_test(test_each_processor_has_its_recipe),
        cmocka_unit_test(test_configs_of_other_families_are_obeyed),
        cmocka_unit_test(test_a_config_of_timm_is_obeyed),
        cmocka_unit_test(test_what_a_config_says_wrongly_is_named),
        cmocka_unit_test(test_options_replace_a_processor_that_is_not_supported),
        cmocka_unit_test(test_options_that_cannot_be_are_named),
        cmocka_unit_test(test_tensors_that_cannot_be_are_named),
        cmocka_unit_test(test_the_same_model_said_otherwise),
        cmocka_unit_test(test_names_of_ones_own_make_the_same_model),
        cmocka_unit_test(test_a_file_of_names_that_is_wrong_is_refused_by_its_line),
        cmocka_unit_test(test_a_list_says_what_the_shapes_decide),
        cmocka_unit_test(test_labels_that_are_wrong_are_named),
        cmocka_unit_test(test_labels_are_read_from_each_kind_of_file),
        cmocka_unit_test(test_texts_are_classes),
        cmocka_unit_test(test_texts_that_do_not_fit_are_named),
        cmocka_unit_test(test_damaged_safetensors_are_refused),
        cmocka_unit_test(test_a_folder_has_one_checkpoint),
        cmocka_unit_test(test_an_index_of_shards_is_checked),
        cmocka_unit_test(test_a_folder_of_arrays_is_a_checkpoint),
        cmocka_unit_test(test_photos_say_how_to_round),
        cmocka_unit_test(test_photos_say_how_to_round_int8),
        cmocka_unit_test(test_calibration_is_refused_or_notes),
        cmocka_unit_test(test_archives_of_others_are_named),
        cmocka_unit_test(test_what_is_no_file_is_named),
        cmocka_unit_test(test_parts_that_few_models_have_are_converted),
        cmocka_unit_test(test_positions_are_resampled_when_converting),
        cmocka_unit_test(test_parts_that_contradict_each_other_are_named),
        cmocka_unit_test(test_what_is_odd_is_noted),
        cmocka_unit_test(test_a_scale_of_texts_that_is_no_number_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
