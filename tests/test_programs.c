/* The programs as a user runs them: vit-convert, vit-info, vit-classify, vit-bench, minimal. Their
   output is compared with golden files, their failures with what they promise. */
#include "test_run.h"

#include <sys/stat.h>

#define TINY GOLDEN "tiny.vit"
#define CHECKPOINT GOLDEN "tiny_timm"
#define CONTAINERS GOLDEN "containers/"
#define MODEL "examples/models/fashion-mnist.vit"
#define SAMPLE "examples/images/9-ankle-boot-1.jpg"

/* ---- vit-convert ---- */

static void test_a_checkpoint_becomes_the_golden_file(void **state) {
    vit_model got, want;
    (void)state;
    assert_int_equal(run("vit-convert " CHECKPOINT " $T/tiny.vit"), 0);
    assert_int_equal(vit_model_load(&got, in_folder("tiny.vit"), NULL), VIT_OK);
    assert_int_equal(vit_model_load(&want, TINY, NULL), VIT_OK);
    assert_memory_equal(got.data + 64, want.data + 64, 192 - 64); /* config and recipe */
    for (int i = 0; i < vit__tensor_count(&want.config); i++) {
        const unsigned char *a = vit__entry(got.data, i), *b = vit__entry(want.data, i);
        assert_memory_equal(a, b, 32);
        assert_memory_equal(got.data + vit__u64(a + 32), want.data + vit__u64(b + 32),
                            (size_t)vit__u64(b + 40));
    }
    for (int i = 0; i < want.config.num_classes; i++)
        assert_string_equal(vit_model_label(&got, i), vit_model_label(&want, i));
    vit_model_close(&got);
    vit_model_close(&want);
}

/* A copy of the checkpoint's one file with a few bytes replaced, all occurrences of `from`. */
static void write_damaged(const char *path, const char *from, const char *to) {
    size_t size, length = strlen(from);
    unsigned char *bytes = read_file(CHECKPOINT "/model.safetensors", &size);
    int found = 0;
    assert_int_equal(length, strlen(to));
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(bytes + i, from, length) != 0) continue;
        memcpy(bytes + i, to, length);
        found = 1;
    }
    assert_true(found);
    write_file(path, bytes, size);
    free(bytes);
}

static void test_an_unfit_checkpoint_is_refused_by_name_and_leaves_nothing(void **state) {
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"head.weight\"", "\"head.wright\"", "head.weight"},
        {"\"norm.bias\"", "\"norm.bios\"", "norm.bias"},
        {"\"blocks.1.mlp.fc1.weight\"", "\"blocks.1.mlp.fc9.weight\"", "blocks.1.mlp.fc1.weight"},
        {"\"cls_token\"", "\"cls_taken\"", "cls_token"},
        {"\"patch_embed.proj.weight\"", "\"patch_embed.prof.weight\"", "patch_embed.proj.weight"},
        {"[1,17,48]", "[17,1,48]", "pos_embed"},
        {"\"BF16\"", "\"BF61\"", ": "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_damaged(in_folder("damaged.safetensors"), cases[i].from, cases[i].to);
        assert_int_equal(run("vit-convert --heads 3 $T/damaged.safetensors $T/damaged.vit"), 1);
        assert_printed("err", cases[i].message);
        assert_int_equal(count_files("damaged.vit"), 0);
    }
}

static void test_a_failed_conversion_leaves_the_old_file_as_it_was(void **state) {
    size_t size;
    (void)state;
    write_damaged(in_folder("old.safetensors"), "\"head.bias\"", "\"head.bios\"");
    write_file(in_folder("old.vit"), "old", 3);
    assert_int_equal(run("vit-convert --heads 3 $T/old.safetensors $T/old.vit"), 1);
    unsigned char *bytes = read_file(in_folder("old.vit"), &size);
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "old", 3);
    free(bytes);
    assert_int_equal(count_files("old.vit"), 1);
}

static void test_options_replace_what_the_config_says(void **state) {
    vit_model model;
    (void)state;
    assert_int_equal(run("vit-convert --eps 0.5 --act gelu_tanh --mean 0.1,0.2,0.3 --std 2 "
                         "--resize 40x50 --interpolation bilinear --heads 6 " CHECKPOINT
                         " $T/options.vit"),
                     0);
    assert_int_equal(vit_model_load(&model, in_folder("options.vit"), NULL), VIT_OK);
    const vit_config *c = vit_model_config(&model);
    const vit_preprocess_config *p = &c->preprocess;
    assert_true(c->norm_eps == 0.5f);
    assert_int_equal(c->act, VIT_ACT_GELU_TANH);
    assert_int_equal(c->num_heads, 6);
    assert_int_equal(c->head_dim, 8);
    assert_int_equal(p->resize, VIT_RESIZE_EXACT);
    assert_int_equal(p->resize_size[0], 40);
    assert_int_equal(p->resize_size[1], 50);
    assert_int_equal(p->interpolation, VIT_INTERPOLATION_BILINEAR);
    assert_true(p->mean[0] == 0.1f && p->mean[2] == 0.3f && p->std[0] == 2 && p->std[2] == 2);
    vit_model_close(&model);
}

static void test_a_threshold_is_kept_where_scores_have_one(void **state) {
    vit_model model;
    (void)state;
    assert_int_equal(run("vit-convert --reject-below 0.25 " CHECKPOINT " $T/threshold.vit"), 0);
    assert_int_equal(vit_model_load(&model, in_folder("threshold.vit"), NULL), VIT_OK);
    assert_true(vit_model_config(&model)->reject_below == 0.25f);
    vit_model_close(&model);
    assert_int_equal(run("vit-convert --reject-below 1.5 " CHECKPOINT " $T/no.vit"), 1);
    assert_printed("err", "--reject-below: 1.5");
    assert_int_equal(run("vit-convert --reject-below 0 " CHECKPOINT " $T/no.vit"), 1);
    assert_int_equal(run("vit-convert --output number --reject-below 0.5 " CHECKPOINT " $T/no.vit"),
                     1);
    assert_printed("err", "--reject-below: the output (number)");
    assert_int_equal(count_files("no.vit"), 0);
}

/* A key that changes the result, and the ways out: without the key, and without the whole file. */
static void test_a_key_that_is_not_supported_is_refused_by_name(void **state) {
    static const char config[] = "{\"model_args\": {\"num_heads\": 3, \"scale_attn_norm\": true}}";
    (void)state;
    size_t size;
    unsigned char *weights = read_file(CHECKPOINT "/model.safetensors", &size);
    assert_int_equal(mkdir(in_folder("keys"), 0700), 0);
    write_file(in_folder("keys/model.safetensors"), weights, size);
    free(weights);
    write_file(in_folder("keys/config.json"), config, strlen(config));
    assert_int_equal(run("vit-convert $T/keys $T/keys.vit"), 1);
    assert_printed("err", "config.json: model_args.scale_attn_norm true is not supported");
    assert_int_equal(count_files("keys.vit"), 0);
    assert_int_equal(run("vit-convert --ignore-key scale_attn_norm $T/keys $T/keys.vit"), 0);
    assert_printed("err", "scale_attn_norm is left out");
}

/* Compiles the array in the folder and a program with it, and runs that on a .vit file. Returns its
   exit status. */
static int run_with_array(const char *vit) {
    char line[1024];
    snprintf(
        line, sizeof(line),
        "T=%s; ${CC:-cc} -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -pedantic -Werror -I. "
        "-I$T -o $T/user $T/linked_model.c tests/c_array_user.c -lm -lpthread && $T/user %s",
        folder, vit);
    int status = system(line);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_a_model_becomes_an_array_in_c(void **state) {
    (void)state;
    assert_int_equal(run("vit-convert --c-array $T/linked_model.c " TINY), 0);
    assert_int_equal(run_with_array(TINY), 0);
    assert_int_equal(run("vit-convert --dtype int8 --c-array $T/linked_model.c "
                         "--section .rodata.model " CHECKPOINT " $T/int8.vit"),
                     0);
    assert_int_equal(run_with_array("$T/int8.vit"), 0);
    size_t size;
    unsigned char *text = read_file(in_folder("linked_model.c"), &size);
    text[size - 1] = 0;
    assert_non_null(strstr((char *)text, "section(\".rodata.model\")"));
    free(text);
}

static void test_what_cannot_become_an_array_is_refused(void **state) {
    static const struct {
        const char *command, *message;
    } cases[] = {
        {"vit-convert --c-array $T/a-b.c " TINY, "a-b is not a name in C"},
        {"vit-convert --c-array $T/1st.c " TINY, "1st is not a name in C"},
        {"vit-convert --c-array $T/.c " TINY, "is not a name in C"},
        {"vit-convert --c-array $T/array.h " TINY, "does not end with .c"},
        {"vit-convert --c-array $T/array.c --section 'a b' " TINY, "a b is not a section's name"},
        {"vit-convert --c-array $T/array.c --section 'a\"' " TINY, "is not a section's name"},
        {"vit-convert --c-array $T/array.c " SAMPLE, "this is not a .vit file"},
        {"vit-convert --c-array $T/array.c $T/none.vit", "none.vit: "},
        {"vit-convert --c-array $T/none/array.c " TINY, "none/array.h: "},
        {"vit-convert --dtype int8 --c-array $T/array.c " TINY, "nothing is converted"},
        {"vit-convert --heads 3 --c-array $T/array.c " TINY, "nothing is converted"},
        {"vit-convert --section .model " CHECKPOINT " $T/array.vit", "without --c-array"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(run(cases[i].command), 1);
        assert_printed("err", cases[i].message);
    }
    assert_int_equal(run("vit-convert --c-array $T/array.c"), 2);
    assert_int_equal(count_files("array"), 0);
}

/* By the way of float32, a checkpoint becomes the same file. */
static void test_a_file_of_float32_takes_another_type(void **state) {
    static const char *const names[] = {"f32", "f16", "bf16", "int8", "int8x", "int4"};
    char command[512];
    (void)state;
    assert_int_equal(run("vit-convert " CHECKPOINT " $T/plain.vit"), 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(command, sizeof(command),
                 "vit-convert --dtype %s " CHECKPOINT " $T/want.vit && convert=%s/vit-convert && "
                 "$convert --dtype %s $T/plain.vit $T/got.vit && cmp $T/want.vit $T/got.vit",
                 names[i], BUILD, names[i]);
        assert_int_equal(run(command), 0);
    }
    assert_int_equal(run("vit-convert --dtype int8 $T/plain.vit $T/int8.vit"), 0);
    assert_int_equal(run("vit-convert --dtype int4 $T/int8.vit $T/int4.vit"), 1);
    assert_printed("err", "not all float32");
    assert_int_equal(run("vit-convert --heads 3 $T/plain.vit $T/heads.vit"), 1);
    assert_printed("err", "no option but --dtype, --calibrate and --labels");
    assert_int_equal(count_files("int4") + count_files("heads"), 0);
}

static void copy_file(const char *from, const char *to) {
    size_t size;
    unsigned char *bytes = read_file(from, &size);
    write_file(to, bytes, size);
    free(bytes);
}

static void assert_same_files(const char *got, const char *want) {
    size_t got_size, want_size;
    unsigned char *a = read_file(got, &got_size), *b = read_file(want, &want_size);
    assert_int_equal(got_size, want_size);
    assert_memory_equal(a, b, want_size);
    free(a);
    free(b);
}

static void write_text(const char *name, const char *text) {
    write_file(in_folder(name), text, strlen(text));
}

/* A finished model with other labels is what the conversion with those is, whatever the dtype: so the
   weights are the same bytes. Longer and shorter heads; a model without labels. */
static void test_a_finished_model_takes_other_labels(void **state) {
    static const char *const names[] = {"f32", "f16", "bf16", "int8", "int8x", "int4"};
    char command[1024], lines[7 * 100 + 1] = "";
    (void)state;
    for (int i = 0; i < 7; i++)
        snprintf(lines + i * 100, sizeof(lines) - (size_t)i * 100, "%099d\n", i);
    write_text("long.txt", lines);
    write_text("short.json", "{\"0\":\"a\",\"1\":\"\",\"2\":\"c\",\"3\":\"d\","
                             "\"4\":[\"n4\",\"e\"],\"5\":\"f\",\"6\":\"g\"}");
    copy_file(CHECKPOINT "/model.safetensors", in_folder("bare.safetensors"));
    for (size_t i = 0; i < 2 * COUNT_OF(names); i++) {
        const char *in = i % 2 == 0 ? CHECKPOINT : "--heads 3 $T/bare.safetensors";
        snprintf(command, sizeof(command),
                 "vit-convert --dtype %s %s $T/old.vit && convert=%s/vit-convert && "
                 "for labels in long.txt short.json; do "
                 "$convert --dtype %s --labels $T/$labels %s $T/want.vit && "
                 "$convert --labels $T/$labels $T/old.vit $T/got.vit && "
                 "cmp $T/want.vit $T/got.vit && cp $T/got.vit $T/old.vit || exit 1; done",
                 names[i / 2], in, BUILD, names[i / 2], in);
        assert_int_equal(run(command), 0);
    }
    assert_int_equal(run("vit-convert --dtype int4 --labels $T/long.txt " TINY " $T/got.vit"), 0);
    assert_int_equal(run("vit-info $T/got.vit"), 0);
}

static void test_labels_that_do_not_fit_leave_a_model_alone(void **state) {
    size_t size;
    (void)state;
    write_text("six.txt", "a\nb\nc\nd\ne\nf\n");
    write_text("seven.txt", "a\nb\nc\nd\ne\nf\ng\n");
    copy_file(TINY, in_folder("kept.vit"));
    assert_int_equal(run("vit-convert --labels $T/six.txt $T/kept.vit $T/kept.vit"), 1);
    assert_printed("err", "6 lines for 7 classes");
    assert_same_files(in_folder("kept.vit"), TINY);
    unsigned char *bytes = read_file(TINY, &size);
    bytes[size - 100] ^= 1;
    write_file(in_folder("flipped.vit"), bytes, size);
    free(bytes);
    assert_int_equal(run("vit-convert --labels $T/seven.txt $T/flipped.vit $T/relabelled.vit"), 1);
    assert_int_equal(run("vit-convert --labels $T/seven.txt --eps 1 " TINY " $T/relabelled.vit"),
                     1);
    assert_int_equal(count_files("relabelled.vit"), 0);
}

/* The same weights in other files, of the same name, which a .vit file keeps. */
static void test_other_containers_become_the_same_file(void **state) {
    static const char *const names[][2] = {
        {"zip.pth", "plain.pth"},         {"before_1_6.pt", "plain.pt"},
        {"training.pth", "plain.pth"},    {"deflated.npz", "plain.npz"},
        {"untyped.pth", "plain.pth.tar"}, {"parameters.bin", "plain.bin"}};
    char path[128], command[128];
    (void)state;
    assert_int_equal(
        run("vit-convert --heads 2 --size 4 " CONTAINERS "plain.safetensors $T/want.vit"), 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), CONTAINERS "%s", names[i][0]);
        copy_file(path, in_folder(names[i][1]));
        snprintf(command, sizeof(command), "vit-convert --heads 2 --size 4 $T/%s $T/got.vit",
                 names[i][1]);
        assert_int_equal(run(command), 0);
        assert_same_files(in_folder("got.vit"), in_folder("want.vit"));
    }
    assert_int_equal(run("vit-convert --help"), 0);
    assert_printed("out", "  state_dict_ema, model_ema, ");
}

/* A copy of a checkpoint of safetensors, whose tensors are float32, with other names: each is printed
   by a format that has one %s for it. */
static void write_renamed(const char *path, const char *format) {
    size_t size;
    unsigned char *bytes = read_file(CONTAINERS "plain.safetensors", &size);
    uint32_t length = vit__u32(bytes);
    cJSON *header = cJSON_ParseWithLength((const char *)bytes + 8, length), *entry;
    assert_non_null(header);
    cJSON_ArrayForEach(entry, header) {
        char name[128];
        snprintf(name, sizeof(name), format, entry->string);
        cJSON_free(entry->string);
        entry->string = (char *)cJSON_malloc(sizeof(name));
        memcpy(entry->string, name, sizeof(name));
    }
    char *text = cJSON_PrintUnformatted(header);
    unsigned char start[8] = {0};
    for (int i = 0; i < 4; i++) start[i] = (unsigned char)(strlen(text) >> 8 * i);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(start, 1, 8, file);
    fwrite(text, 1, strlen(text), file);
    fwrite(bytes + 8 + length, 1, size - 8 - length, file);
    assert_int_equal(fclose(file), 0);
    cJSON_free(text);
    cJSON_Delete(header);
    free(bytes);
}

static void test_a_prefix_of_all_names_is_dropped(void **state) {
    static const char *const formats[] = {"module.%s", "_orig_mod.%s", "base_model.model.%s"};
    (void)state;
    assert_int_equal(
        run("vit-convert --heads 2 --size 4 " CONTAINERS "plain.safetensors $T/want.vit"), 0);
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        write_renamed(in_folder("plain.safetensors"), formats[i]);
        assert_int_equal(run("vit-convert --heads 2 --size 4 $T/plain.safetensors $T/got.vit"), 0);
        assert_printed("err", "of all names is dropped");
        assert_same_files(in_folder("got.vit"), in_folder("want.vit"));
    }
}

static void test_any_names_become_timms(void **state) {
    static const char names[] = "# nobody's names\n"
                                "\n"
                                "cls_token of mine = cls_token\n"
                                "pos_embed of mine [1 tokens width] = pos_embed\n"
                                "patch_embed.proj.weight of mine = patch_embed.proj.weight\n"
                                "patch_embed.proj.bias of mine = patch_embed.proj.bias\n";
    char text[4096];
    size_t length = strlen(names);
    static const char *const others[] = {"blocks.{i}.norm1.%s",
                                         "blocks.{i}.norm2.%s",
                                         "blocks.{i}.attn.qkv.%s",
                                         "blocks.{i}.attn.proj.%s",
                                         "blocks.{i}.mlp.fc1.%s",
                                         "blocks.{i}.mlp.fc2.%s",
                                         "norm.%s",
                                         "head.%s"};
    (void)state;
    memcpy(text, names, sizeof(names));
    for (size_t i = 0; i < 2 * COUNT_OF(others); i++) {
        char name[64];
        snprintf(name, sizeof(name), others[i / 2], i % 2 == 0 ? "weight" : "bias");
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s of mine = %s\r\n",
                                   name, name);
    }
    write_text("names", text);
    write_renamed(in_folder("plain.safetensors"), "%s of mine");
    assert_int_equal(
        run("vit-convert --heads 2 --size 4 " CONTAINERS "plain.safetensors $T/want.vit"), 0);
    assert_int_equal(run("vit-convert --heads 2 --size 4 --names $T/names $T/plain.safetensors "
                         "$T/got.vit"),
                     0);
    assert_same_files(in_folder("got.vit"), in_folder("want.vit"));
    write_text("names", "# one\nhead.weight of yours = head.weight\n");
    assert_int_equal(run("vit-convert --names $T/names $T/plain.safetensors $T/none.vit"), 1);
    assert_printed("err", "names: line 2: no tensor");
    assert_int_equal(run("vit-convert --list $T/plain.safetensors"), 0);
    assert_printed("out", "cls_token of mine = cls_token  # [1, 1, 8]");
    assert_int_equal(run("vit-convert --list $T/plain.safetensors $T/none.vit"), 2);
    assert_int_equal(run("vit-convert --list --dtype f16 $T/plain.safetensors"), 1);
    assert_int_equal(run("vit-convert --list $T/want.vit"), 1);
    assert_printed("err", "vit-info");
    assert_int_equal(count_files("none.vit"), 0);
}

/* ---- vit-info ---- */

/* What vit-info says of the workspace is what the library says. */
static void assert_workspace_printed(const char *name, int low_memory) {
    vit_model model;
    vit_options options;
    char line[64];
    memset(&options, 0, sizeof(options));
    options.low_memory = low_memory;
    assert_int_equal(vit_model_load(&model, TINY, NULL), VIT_OK);
    snprintf(line, sizeof(line), "%s%zu bytes\n", name, vit_workspace_size(&model, &options, 1));
    assert_printed("out", line);
    vit_model_close(&model);
}

static void test_info_tells_a_good_file_from_a_damaged_one(void **state) {
    size_t size;
    (void)state;
    assert_int_equal(run("vit-info " TINY), 0);
    assert_printed("out", "embed_dim      48");
    assert_printed("out", "dtype          f32");
    assert_workspace_printed("workspace      ", 0);
    assert_workspace_printed("low_memory   ", 1);
    unsigned char *bytes = read_file(TINY, &size);
    bytes[size - 100] ^= 1;
    write_file(in_folder("flipped.vit"), bytes, size);
    free(bytes);
    assert_int_equal(run("vit-info $T/flipped.vit"), 1);
    assert_int_equal(run("vit-info " SAMPLE), 1);
}

/* ---- vit-classify ---- */

static void test_a_tensor_gives_the_golden_logits(void **state) {
    float *want = golden_floats("tiny_logits.f32", 7), got[7];
    (void)state;
    assert_int_equal(
        run("vit-classify -m " TINY " --json --logits --pixels " GOLDEN "tiny_pixels.f32"), 0);
    cJSON *line = json_line(0), *logits = cJSON_GetObjectItem(line, "logits");
    assert_int_equal(cJSON_GetArraySize(logits), 7);
    for (int i = 0; i < 7; i++) got[i] = (float)cJSON_GetArrayItem(logits, i)->valuedouble;
    assert_near(got, want, 7, 1e-5f * largest_of(want, 7));
    cJSON_Delete(line);
    free(want);
}

static void test_the_model_that_ships_is_for_photos(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify --json -k 2 " SAMPLE), 0);
    assert_printed("out", "\"model\":\"cifar10.vit\"");
    assert_printed("err", "knows 10 classes and nothing else: airplane, automobile, bird");
}

static void test_the_model_of_clothes_knows_a_boot(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify --json -k 2 -m " MODEL " " SAMPLE), 0);
    cJSON *line = json_line(0), *top = cJSON_GetObjectItem(line, "top");
    assert_string_equal(cJSON_GetObjectItem(line, "file")->valuestring, SAMPLE);
    assert_int_equal(cJSON_GetArraySize(top), 2);
    cJSON *best = cJSON_GetArrayItem(top, 0);
    assert_int_equal(cJSON_GetObjectItem(best, "index")->valueint, 9);
    assert_string_equal(cJSON_GetObjectItem(best, "label")->valuestring, "Ankle boot");
    assert_true(cJSON_GetObjectItem(best, "score")->valuedouble > 0.5);
    cJSON_Delete(line);
}

static void test_a_bad_picture_does_not_stop_the_others(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify -m " MODEL " --json " SAMPLE " Makefile " SAMPLE), 1);
    for (int i = 0; i < 3; i++) {
        cJSON *line = json_line(i);
        assert_true(cJSON_HasObjectItem(line, i == 1 ? "error" : "top"));
        cJSON_Delete(line);
    }
}

static void test_standard_input_and_a_table(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify -m " MODEL " -t 2 - <" SAMPLE), 0);
    assert_printed("out", "Ankle boot");
    assert_printed("out", "###");
}

/* The checkpoint with another output, classified: one line of JSON. */
static cJSON *classify_as(const char *output) {
    char command[128];
    snprintf(command, sizeof(command), "vit-convert --output %s " CHECKPOINT " $T/output.vit",
             output);
    assert_int_equal(run(command), 0);
    assert_int_equal(run("vit-classify -k 7 --json --logits -m $T/output.vit " SAMPLE), 0);
    cJSON *line = json_line(0);
    assert_string_equal(cJSON_GetObjectItem(line, "output")->valuestring, output);
    return line;
}

/* What a score is, from all logits, in double. */
static double score_of(vit_output output, const cJSON *logits, int index) {
    double x = cJSON_GetArrayItem(logits, index)->valuedouble, sum = 0;
    if (output == VIT_OUTPUT_NUMBER) return x;
    if (output == VIT_OUTPUT_SIGMOID) return 1 / (1 + exp(-x));
    for (int i = 0; i < cJSON_GetArraySize(logits); i++)
        sum += exp(cJSON_GetArrayItem(logits, i)->valuedouble - x);
    return 1 / sum;
}

static void assert_scores(vit_output output, const cJSON *line) {
    const cJSON *logits = cJSON_GetObjectItem(line, "logits"), *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(line, "top")) {
        int index = cJSON_GetObjectItem(entry, "index")->valueint;
        float want = (float)score_of(output, logits, index);
        float got = (float)cJSON_GetObjectItem(entry, "score")->valuedouble;
        assert_near(&got, &want, 1, 1e-5f);
    }
}

/* By vit-classify in JSON and in its table, and by vit-info; other weights keep it. */
static void test_scores_are_what_the_file_says(void **state) {
    (void)state;
    for (int output = 0; output < VIT_OUTPUT_EMBEDDING; output++) {
        char shown[64];
        snprintf(shown, sizeof(shown), "output         %s\n", vit_output_name((vit_output)output));
        cJSON *line = classify_as(vit_output_name((vit_output)output));
        assert_scores((vit_output)output, line);
        cJSON_Delete(line);
        assert_int_equal(run("vit-classify -m $T/output.vit " SAMPLE), 0);
        char *table = printed("out");
        assert_int_equal(strchr(table, '%') != NULL, output != VIT_OUTPUT_NUMBER);
        free(table);
        assert_int_equal(run("vit-convert --dtype int8 $T/output.vit $T/again.vit"), 0);
        assert_int_equal(run("vit-info $T/again.vit"), 0);
        assert_printed("out", shown);
    }
}

static void test_an_embedding_has_no_classes(void **state) {
    (void)state;
    cJSON *line = classify_as("embedding"), *numbers = cJSON_GetObjectItem(line, "embedding");
    assert_int_equal(cJSON_GetArraySize(numbers), 7);
    assert_false(cJSON_HasObjectItem(line, "top"));
    cJSON_Delete(line);
    assert_int_equal(run("vit-classify -m $T/output.vit " SAMPLE), 0);
    assert_printed("out", "an embedding of 7 numbers");
}

/* The picture has the size that the model sees, and with another head other colours. */
static void test_a_heatmap_is_a_picture_of_what_the_model_sees(void **state) {
    static const unsigned char start[] = {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A};
    static const char *const ways[] = {"", "--head 0:0", "--head 3:1"};
    unsigned char *files[COUNT_OF(ways)];
    size_t sizes[COUNT_OF(ways)];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        char command[256];
        snprintf(command, sizeof(command),
                 "vit-classify -m " MODEL " --heatmap $T/heat %s ./" SAMPLE, ways[i]);
        assert_int_equal(run(command), 0);
        files[i] = read_file(in_folder("heat/examples_images_9-ankle-boot-1.jpg.png"), &sizes[i]);
        assert_memory_equal(files[i], start, sizeof(start));
        assert_int_equal(files[i][19], 28); /* width and height, big-endian */
        assert_int_equal(files[i][23], 28);
    }
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        size_t next = (i + 1) % COUNT_OF(ways);
        assert_false(sizes[i] == sizes[next] && memcmp(files[i], files[next], sizes[i]) == 0);
    }
    for (size_t i = 0; i < COUNT_OF(ways); i++) free(files[i]);
}

/* fashion-mnist.vit is 28 x 28 with patches of 4; the picture is square. */
static void test_pictures_of_another_size(void **state) {
    static const char *const sizes[] = {"36", "40x32", "native"};
    static const int heights[] = {36, 40, 28}, widths[] = {36, 32, 28};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char command[256];
        snprintf(command, sizeof(command),
                 "vit-classify -m " MODEL " --json --size %s --heatmap $T/sized " SAMPLE, sizes[i]);
        assert_int_equal(run(command), 0);
        cJSON *line = json_line(0), *size = cJSON_GetObjectItem(line, "img_size");
        assert_int_equal(cJSON_GetArrayItem(size, 0)->valueint, heights[i]);
        assert_int_equal(cJSON_GetArrayItem(size, 1)->valueint, widths[i]);
        cJSON_Delete(line);
        size_t bytes;
        unsigned char *png =
            read_file(in_folder("sized/examples_images_9-ankle-boot-1.jpg.png"), &bytes);
        assert_int_equal(png[19], widths[i]);
        assert_int_equal(png[23], heights[i]);
        free(png);
    }
    assert_int_equal(run("vit-classify -m " MODEL " --size 3 " SAMPLE), 1);
    assert_printed("err", "--size");
    assert_int_equal(run("vit-classify -m " MODEL " --size 3x " SAMPLE), 2);
    assert_int_equal(run("vit-classify -m " MODEL " --size large " SAMPLE), 2);
}

static void test_a_heatmap_that_cannot_be_is_refused(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify -m " MODEL " --heatmap $T/heat --head 99:0 " SAMPLE), 1);
    assert_printed("err", "no such block or head");
    assert_int_equal(run("vit-classify -m " MODEL " --head 0:0 " SAMPLE), 2);
    assert_int_equal(run("vit-classify -m " MODEL " --heatmap $T/heat --head 0 " SAMPLE), 2);
    assert_int_equal(run("vit-classify -m " MODEL " --heatmap Makefile " SAMPLE), 1);
    assert_printed("err", "Makefile");
}

static void test_an_output_that_is_not_a_number_is_an_error_of_that_picture(void **state) {
    static float pixels[3 * 64 * 64];
    vit_model model;
    (void)state;
    assert_int_equal(vit_model_load(&model, TINY, NULL), VIT_OK);
    size_t count = vit_pixels_count(&model, NULL);
    vit_model_close(&model);
    assert_in_range(count, 1, COUNT_OF(pixels));
    for (size_t i = 0; i < count; i++) pixels[i] = NAN;
    write_file(in_folder("nan.f32"), pixels, count * sizeof(float));
    assert_int_equal(run("vit-classify -m " TINY " --json --pixels $T/nan.f32 " SAMPLE), 1);
    for (int i = 0; i < 2; i++) {
        cJSON *line = json_line(i), *error = cJSON_GetObjectItem(line, "error");
        assert_int_equal(cJSON_HasObjectItem(line, "top"), i == 1);
        if (i == 0) assert_string_equal(error->valuestring, "the model's output is not a number");
        cJSON_Delete(line);
    }
}

/* The last two bytes of a float of any type, all ones, make a NaN. */
static void test_weights_that_are_not_numbers_give_no_class(void **state) {
    size_t size;
    unsigned char *bytes = read_file(CHECKPOINT "/model.safetensors", &size);
    (void)state;
    memset(bytes + size - 2, 0xFF, 2);
    write_file(in_folder("nan.safetensors"), bytes, size);
    free(bytes);
    assert_int_equal(run("vit-convert --heads 3 $T/nan.safetensors $T/nan.vit"), 0);
    assert_printed("err", "not finite");
    assert_int_equal(run("vit-classify -m $T/nan.vit " SAMPLE), 1);
    assert_printed("err", SAMPLE ": the model's output is not a number");
    assert_printed("out", "");
}

/* Threads of vit-classify, counted while it waits for standard input, as its second picture or for the
   names of more. */
static int threads_under(const char *prefix, const char *inputs) {
    char script[2048];
    snprintf(script, sizeof(script),
             "T=%s; mkfifo $T/input; %s %s/vit-classify -m " MODEL " %s"
             " <$T/input >$T/out 2>$T/err & exec 9>$T/input; i=0; "
             "until grep -q Ankle $T/out || [ $((i += 1)) = 1000 ]; do sleep 0.01; done; "
             "threads=$(ls /proc/$!/task | wc -l); exec 9>&-; rm $T/input; wait; exit $threads",
             folder, prefix, BUILD, inputs);
    int status = system(script);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_threads_are_as_many_as_processors_may_be_used(void **state) {
    (void)state;
    const char *const one = "taskset -c $(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')";
    const char *const inputs[] = {"-j 1 " SAMPLE " -", SAMPLE " @-"};
    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        assert_int_equal(threads_under("", inputs[i]), vit_processor_count());
        assert_int_equal(threads_under(one, inputs[i]), 1);
    }
}

static void test_wrong_usage_is_status_2_and_says_so(void **state) {
    static const char *const commands[] = {
        "vit-classify",  "vit-classify -k 0 x", "vit-classify -?", "vit-convert",
        "vit-convert a", "vit-convert --x",     "vit-info",        "vit-info --x",
        "vit-info a b",  "vit-bench",           "vit-bench --x",   "vit-bench -n 1",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        assert_int_equal(run(commands[i]), 2);
        if (strstr(commands[i], "-k 0") == NULL) assert_printed("err", "usage: ");
    }
}

/* What is no model is named for what it is, in one line, by each program that opens one. */
static void test_what_is_no_model_is_named(void **state) {
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\nsize 1\n";
    static const char *const cases[][2] = {
        {"$T/missing", "missing: No such file or directory"},
        {"timm/vit_tiny", "huggingface-cli download timm/vit_tiny"},
        {"$T", ": a folder"},
        {"$T/empty.vit", "empty.vit: it is empty"},
        {"$T/pointer.vit", "pointer.vit: a git-lfs pointer"},
        {CHECKPOINT "/model.safetensors", "vit-convert makes one of a checkpoint"},
        {"/dev/null", "/dev/null: "},
    };
    static const char *const programs[] = {"vit-info %s", "vit-bench -m %s",
                                           "vit-teach -m %s -o $T/none.vit examples"};
    char command[256];
    (void)state;
    write_file(in_folder("empty.vit"), "", 0);
    write_file(in_folder("pointer.vit"), pointer, sizeof(pointer) - 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t j = 0; j < COUNT_OF(programs); j++) {
            int length = snprintf(command, sizeof(command), programs[j], cases[i][0]);
            assert_in_range(length, 0, sizeof(command) - 1);
            assert_int_equal(run(command), 1);
            assert_printed("err", cases[i][1]);
        }
    }
}

static void test_every_program_has_help_and_a_version(void **state) {
    static const char *const programs[] = {"vit-classify", "vit-convert", "vit-info", "vit-teach",
                                           "vit-bench"};
    char command[64], version[32];
    (void)state;
    snprintf(version, sizeof(version), "%d.%d.%d\n", VIT_VERSION_MAJOR, VIT_VERSION_MINOR,
             VIT_VERSION_PATCH);
    for (size_t i = 0; i < COUNT_OF(programs); i++) {
        snprintf(command, sizeof(command), "%s --help", programs[i]);
        assert_int_equal(run(command), 0);
        assert_printed("out", "usage: ");
        assert_printed("out", "--help");
        assert_printed("out", "--version");
        snprintf(command, sizeof(command), "%s --version", programs[i]);
        assert_int_equal(run(command), 0);
        assert_printed("out", version);
    }
}

/* ---- vit-bench ---- */

static void test_a_random_model_is_timed(void **state) {
    (void)state;
    assert_int_equal(run("vit-bench --random ti --dtype int8 -n 1 --json"), 0);
    assert_printed("out", "\"dtype\":\"int8\"");
    assert_int_equal(run("vit-bench --random xl"), 1);
    assert_printed("err", "size");
}

static void test_a_model_is_timed_as_the_options_say(void **state) {
    (void)state;
    assert_int_equal(run("vit-bench -m " TINY " -n 2 -t 2 -b 3 --isa portable"), 0);
    assert_printed("out", "portable, f32, 2 threads, batch 3: median ");
    assert_int_equal(run("vit-bench -m " TINY " -n 1 --isa none"), 1);
    assert_printed("err", "there is no such instruction set");
    assert_int_equal(run("vit-bench -m " TINY " -n 0"), 1);
    assert_printed("err", "not a count");
}

static void test_options_of_vit_classify_that_cannot_be_are_named(void **state) {
    static const char *const cases[][2] = {
        {"-j 0 x", "-j takes a number from 1 to"},
        {"--isa none x", "there is no instruction set 'none'"},
        {"--head 0:0 x", "--head is of no use without --heatmap"},
        {"--embed $T/e.npy --similar $T/s.npy x", "--embed and --similar are two runs"},
        {"--embed $T/e.npy --logits x", "--embed computes no logits"},
        {"--similar $T/s.npy --heatmap $T/h x", "--similar draws no heatmaps"},
        {"--embed $T/e.npy --resume $T/r x", "--embed writes a file of its own"},
        {"--embed $T/e.npy --csv x", "--embed"},
        {"--merge 0 x", "--merge takes a number from 1 to"},
        {"--merge 8 --heatmap $T/h x", "merged tokens have no places to draw"},
        {"--max-memory 0 x", "--max-memory takes a number from 1 to"},
        {"--json", "no picture is named"},
    };
    char command[256];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(command, sizeof(command), "vit-classify -m " MODEL " %s", cases[i][0]);
        assert_int_equal(run(command), 2);
        assert_printed("err", cases[i][1]);
    }
    assert_int_equal(run("vit-classify -m " MODEL " --isa portable -j 2 --table " SAMPLE), 0);
    assert_printed("out", "Ankle boot");
}

static void test_inputs_that_do_not_fit_are_named(void **state) {
    static const char head[] = "P5 1200 1200 255\n";
    static char picture[sizeof(head) - 1 + 1200 * 1200];
    static const char *const cases[][2] = {
        {"--max-memory 1 $T/large.pgm", "takes more memory to decode than --max-memory says"},
        {"--max-input 1 - <$T/large.pgm", "more bytes on standard input than --max-input says"},
        {"--pixels $T/large.pgm", "not the size of the model's input in float32"},
        {"--pixels $T/nothing.f32", "No such file"},
    };
    (void)state;
    memcpy(picture, head, sizeof(head) - 1);
    write_file(in_folder("large.pgm"), picture, sizeof(picture));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char command[256];
        snprintf(command, sizeof(command), "vit-classify -m " MODEL " %s", cases[i][0]);
        assert_int_equal(run(command), 1);
        assert_printed("err", cases[i][1]);
    }
}

/* The logits that vit-classify prints with these options. */
static void print_logits(const char *options, float logits[10]) {
    char command[256];
    snprintf(command, sizeof(command), "vit-classify -m " MODEL " %s --logits --json " SAMPLE,
             options);
    assert_int_equal(run(command), 0);
    cJSON *line = json_line(0), *numbers = cJSON_GetObjectItem(line, "logits");
    assert_int_equal(cJSON_GetArraySize(numbers), 10);
    for (int i = 0; i < 10; i++) logits[i] = (float)cJSON_GetArrayItem(numbers, i)->valuedouble;
    cJSON_Delete(line);
}

static void test_merged_tokens_change_the_logits_a_little(void **state) {
    float plain[10], merged[10], difference = 0;
    (void)state;
    print_logits("--max-memory 64 --max-scans 10 --max-input 1", plain);
    print_logits("--merge 2", merged);
    for (int i = 0; i < 10; i++) difference = fmaxf(difference, fabsf(merged[i] - plain[i]));
    assert_true(difference > 1e-3f && difference < 0.2f * largest_of(plain, 10));
    assert_int_equal(run("vit-classify -m " MODEL " --merge 2 -k 1 " SAMPLE), 0);
    assert_printed("out", "Ankle boot");
}

/* More names than its table has at first; each is found again. */
static void test_resume_keeps_many_names(void **state) {
    FILE *file = fopen(in_folder("many.ndjson"), "wb");
    (void)state;
    assert_non_null(file);
    for (int i = 0; i < 2000; i++)
        fprintf(file, "{\"file\":\"p%d\",\"model\":\"fashion-mnist.vit\"}\n", i);
    assert_int_equal(fclose(file), 0);
    file = fopen(in_folder("names"), "wb");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++) fprintf(file, "p%d\n", i);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(run("vit-classify -m " MODEL " --resume $T/many.ndjson @$T/names"), 0);
    assert_int_equal(run("vit-classify -m " MODEL " --resume $T/many.ndjson p1999 p2000"), 1);
    size_t size, lines = 0;
    unsigned char *bytes = read_file(in_folder("many.ndjson"), &size);
    for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n';
    assert_int_equal(lines, 2001); /* p2000's alone is new */
    free(bytes);
}

/* ---- minimal and steps ---- */

/* They leave the freeing to their end, which the leak sanitizer would not let pass. */
static void test_the_short_programs(void **state) {
    static const char *const names[] = {"minimal", "steps"};
    char command[256];
    (void)state;
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof(command), "%s " MODEL " " SAMPLE, names[i]);
        assert_int_equal(run(command), 0);
        assert_printed("out", "Ankle boot");
        snprintf(command, sizeof(command), "%s " MODEL " Makefile", names[i]);
        assert_int_equal(run(command), 1);
        snprintf(command, sizeof(command), "%s Makefile " SAMPLE, names[i]);
        assert_int_equal(run(command), 1);
        assert_int_not_equal(run(names[i]), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_checkpoint_becomes_the_golden_file),
        cmocka_unit_test(test_an_unfit_checkpoint_is_refused_by_name_and_leaves_nothing),
        cmocka_unit_test(test_a_failed_conversion_leaves_the_old_file_as_it_was),
        cmocka_unit_test(test_options_replace_what_the_config_says),
        cmocka_unit_test(test_a_threshold_is_kept_where_scores_have_one),
        cmocka_unit_test(test_a_key_that_is_not_supported_is_refused_by_name),
        cmocka_unit_test(test_a_model_becomes_an_array_in_c),
        cmocka_unit_test(test_what_cannot_become_an_array_is_refused),
        cmocka_unit_test(test_a_file_of_float32_takes_another_type),
        cmocka_unit_test(test_a_finished_model_takes_other_labels),
        cmocka_unit_test(test_labels_that_do_not_fit_leave_a_model_alone),
        cmocka_unit_test(test_other_containers_become_the_same_file),
        cmocka_unit_test(test_a_prefix_of_all_names_is_dropped),
        cmocka_unit_test(test_any_names_become_timms),
        cmocka_unit_test(test_info_tells_a_good_file_from_a_damaged_one),
        cmocka_unit_test(test_a_tensor_gives_the_golden_logits),
        cmocka_unit_test(test_the_model_that_ships_is_for_photos),
        cmocka_unit_test(test_the_model_of_clothes_knows_a_boot),
        cmocka_unit_test(test_a_bad_picture_does_not_stop_the_others),
        cmocka_unit_test(test_standard_input_and_a_table),
        cmocka_unit_test(test_scores_are_what_the_file_says),
        cmocka_unit_test(test_an_embedding_has_no_classes),
        cmocka_unit_test(test_a_heatmap_is_a_picture_of_what_the_model_sees),
        cmocka_unit_test(test_pictures_of_another_size),
        cmocka_unit_test(test_a_heatmap_that_cannot_be_is_refused),
        cmocka_unit_test(test_an_output_that_is_not_a_number_is_an_error_of_that_picture),
        cmocka_unit_test(test_weights_that_are_not_numbers_give_no_class),
        cmocka_unit_test(test_threads_are_as_many_as_processors_may_be_used),
        cmocka_unit_test(test_wrong_usage_is_status_2_and_says_so),
        cmocka_unit_test(test_what_is_no_model_is_named),
        cmocka_unit_test(test_every_program_has_help_and_a_version),
        cmocka_unit_test(test_a_random_model_is_timed),
        cmocka_unit_test(test_a_model_is_timed_as_the_options_say),
        cmocka_unit_test(test_options_of_vit_classify_that_cannot_be_are_named),
        cmocka_unit_test(test_inputs_that_do_not_fit_are_named),
        cmocka_unit_test(test_merged_tokens_change_the_logits_a_little),
        cmocka_unit_test(test_resume_keeps_many_names),
        cmocka_unit_test(test_the_short_programs),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
