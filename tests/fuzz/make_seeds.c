/* Writes what the fuzzers begin with: FOLDER/NAME/..., for each NAME that tests/golden has no files for.

   make build/fuzz/seeds */
#include "tests/test_util.h"

#include "tools/teach/cache.h"

#include <sys/stat.h>

static const char *folder;

static void write_seed(const char *fuzzer, const char *name, const void *bytes, size_t size) {
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, fuzzer);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s", folder, fuzzer, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* ---- models ---- */

/* Each has something that the others do not have. */
static vit_config config_of(int variant) {
    vit_config c = variant == 0 ? tiny_config() : small_config();
    c.img_size[0] = c.img_size[1] = variant == 0 ? 2 : 9, c.depth = 1 + (variant == 0);
    if (variant == 2) c.act = VIT_ACT_SWIGLU, c.norm_pre = c.qk_norm = 1, c.head_avg = 1;
    if (variant == 3) c.post_norm = c.patch_norm = c.embed_norm = 1, c.act = VIT_ACT_RELU;
    if (variant == 4) c.pos_size[0] = 2, c.pos_size[1] = 4, c.pre_logits = 5;
    if (variant == 5) c.num_classes = 0, c.output = VIT_OUTPUT_EMBEDDING, c.head_avg = 2;
    return c;
}

/* options: see model.c; they stand in place of the head's checksum. */
static void write_model(int variant, vit_dtype dtype, uint32_t options) {
    model_parts parts;
    char name[64];
    memset(&parts, 0, sizeof(parts));
    parts.config = config_of(variant), parts.dtype = dtype, parts.chunks = 1;
    if (parts.config.num_classes == 2) parts.labels = "a\0b", parts.labels_size = 4;
    model_file file = model_make(&parts, 1 + (uint32_t)variant);
    put_u32(file.data + 12, options);
    snprintf(name, sizeof(name), "%s-%d.vit", vit_dtype_name(dtype), variant);
    write_seed("model", name, file.data, file.size);
    model_free(&file);
}

static void write_models(void) {
    static const uint32_t options[] = {0, 0x84, 0x1081D, 0x1824, 0x82A001, 0x20000042};
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        for (int variant = 0; variant < 6; variant++)
            write_model(variant, (vit_dtype)dtype, options[(dtype + variant) % 6]);
    }
}

/* ---- recipes: see preprocess.c ---- */

static void write_recipes(void) {
    static const int32_t sizes[][11] = {
        {9, 7, 0, 0, 0, 0, 0, 4, 5, 6, 6},           {40, 3, -120, 3, 0, 8, 8, 6, 6, 7, 9},
        {16, 16, 16, 1, 256, 0, 0, 8, 8, 8, 8},      {5, 60, 0, 4, 0, 3, 9, 20, 4, 24, 24},
        {1, 1, 0, 1, 0, 1, 1, 9, 9, 30, 30},         {33, 21, 0, -3, 1, 0, 0, 16, 16, 18, 18},
        {300, 200, 900, 3, -1, 12, 4, 32, 32, 36, 9}};
    static const float numbers[] = {255, 0.5f, 0.4f, 0.3f, 0.2f, 0.25f, 0.5f, 0.875f};
    for (size_t i = 0; i < COUNT_OF(sizes) * 6; i++) {
        unsigned char bytes[11 * 4 + 8 * 4 + 4 + 30], *p = bytes;
        char name[16];
        uint32_t seed = (uint32_t)i + 1;
        for (int j = 0; j < 11; j++, p += 4) put_u32(p, (uint32_t)sizes[i % COUNT_OF(sizes)][j]);
        for (int j = 0; j < 8; j++, p += 4) put_f32(p, numbers[j]);
        for (size_t j = 0; j < 4; j++) *p++ = (unsigned char)(i >> j);
        random_bytes(&seed, p, 30);
        snprintf(name, sizeof(name), "%zu", i);
        write_seed("preprocess", name, bytes, sizeof(bytes));
    }
}

/* ---- texts, whose first byte is a count: see labels.c and names.c ---- */

static void write_texts(void) {
    static const char lines[] = "\3one\nzwei\r\n\xE4\xB8\x89\n";
    static const char list[] = "\3\xEF\xBB\xBF[\"a\", [\"n1\", \"b\"], \"\\u00e7\"]";
    static const char object[] = "\2{\"id2label\": {\"1\": \"b\", \"0\": \"a\"}, \"labels\": null}";
    static const char fused[] =
        "\2# a comment\nstem.proj.* = patch_embed.proj.*\ntoken = cls_token\n"
        "positions = pos_embed\nlayer{i}.qkv.* [in (qkv head dim)] = blocks.{i}.attn.qkv.*\n"
        "layer2.* = -\nlayer1.* = -\nstem.flat.weight = -\nfinal.* = norm.*\nlogits.* = head.*\n";
    static const char pieces[] =
        "\2layer{i}.{head}.weight = blocks.{i}.attn.q.weight\n"
        "layer{i}.{head}.bias = blocks.{i}.attn.q.bias\n"
        "layer{i}.k.weight [head dim in] = blocks.{i}.attn.k.weight\n"
        "layer{i}.v.weight [(dim head) in] = blocks.{i}.attn.v.weight\n"
        "stem.flat.weight [out (row col chan=3)] = patch_embed.proj.weight\n"
        "layer{i}.up.* = blocks.{i}.mlp.fc1.*\nlayer{i}.down.* [out in] = blocks.{i}.mlp.fc2.*\n";
    write_seed("labels", "lines", lines, sizeof(lines) - 1);
    write_seed("labels", "list", list, sizeof(list) - 1);
    write_seed("labels", "object", object, sizeof(object) - 1);
    write_seed("names", "fused", fused, sizeof(fused) - 1);
    write_seed("names", "pieces", pieces, sizeof(pieces) - 1);
}

/* ---- features ---- */

static void write_features(void) {
    char path[1024];
    float view[3] = {1, 2, 3};
    char one_path[] = "a/one.jpg", two_path[] = "b/two.png";
    record one = {one_path, 100, 1, 7, {view, view, NULL, NULL}, 0, 0};
    record two = {two_path, 90, 2, 8, {NULL, NULL, view, NULL}, 0, 0};
    write_seed("cache", "two", "", 0);
    snprintf(path, sizeof(path), "%s/cache/two", folder);
    cache c = cache_open(path, 5, 3);
    cache_add(&c, &one);
    cache_add(&c, &two);
    cache_close(&c);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    folder = argv[1];
    mkdir(folder, 0777);
    write_models();
    write_recipes();
    write_texts();
    write_features();
    return 0;
}
