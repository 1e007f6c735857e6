/* vit-teach as a user runs it, on tiny pictures and fashion-mnist.vit. */
#include "test_run.h"

#include <sys/stat.h>

#define MODEL "examples/models/fashion-mnist.vit"
#define SAMPLE "examples/images/9-ankle-boot-1.jpg"
#define SIDE 28 /* of a picture */

static const char *const labels[] = {"across", "gr\xC3\xBCn down", "spots"}; /* sorted */

/* Stripes across or down, or spots, at a random place and of random brightness, in noise. */
static void make_picture(const char *path, int class, uint32_t *seed) {
    unsigned char pixels[SIDE * SIDE];
    char text[sizeof(pixels) + 32];
    int phase = (int)(random_u32(seed) % 8), light = 80 + (int)(random_u32(seed) % 150);
    for (int i = 0; i < SIDE * SIDE; i++) {
        int x = i % SIDE + phase, y = i / SIDE + phase;
        int on = class == 0 ? y / 4 % 2 : class == 1 ? x / 4 % 2 : x / 2 % 4 == 0 && y / 2 % 4 == 0;
        pixels[i] = (unsigned char)(on * light + (int)(random_u32(seed) % 20));
    }
    int head = snprintf(text, sizeof(text), "P5 %d %d 255\n", SIDE, SIDE);
    memcpy(text + head, pixels, sizeof(pixels));
    write_file(path, text, (size_t)head + sizeof(pixels));
}

/* $T/NAME/LABEL/NUMBER.pgm */
static void make_pictures(const char *name, int count, uint32_t seed) {
    char path[128];
    assert_int_equal(mkdir(in_folder(name), 0777), 0);
    for (int class = 0; class < 3; class ++) {
        snprintf(path, sizeof(path), "%s/%s", name, labels[class]);
        assert_int_equal(mkdir(in_folder(path), 0777), 0);
        for (int i = 0; i < count; i++) {
            snprintf(path, sizeof(path), "%s/%s/%02d.pgm", name, labels[class], i);
            make_picture(in_folder(path), class, &seed);
        }
    }
}

static int make_photos(void **state) {
    if (make_folder(state) != 0) return -1;
    make_pictures("photos", 12, 1);
    make_pictures("more", 5, 2);
    return 0;
}

/* A shell's command line in the folder $T. */
static void shell(const char *command) {
    char line[1024];
    snprintf(line, sizeof(line), "T=%s; %s", folder, command);
    assert_int_equal(system(line), 0);
}

static void assert_same(const char *got, const char *want) {
    size_t got_size, want_size;
    unsigned char *a = read_file(in_folder(got), &got_size);
    unsigned char *b = read_file(in_folder(want), &want_size);
    assert_int_equal(got_size, want_size);
    assert_memory_equal(a, b, want_size);
    free(a);
    free(b);
}

/* The bytes of all tensors but the head are those of the backbone. */
static void assert_backbone(const char *name, const char *backbone, vit_dtype head) {
    vit_model got, want;
    vit_tensor a, b;
    assert_int_equal(vit_model_load(&got, in_folder(name), NULL), VIT_OK);
    assert_int_equal(vit_model_load(&want, backbone, NULL), VIT_OK);
    int last = vit_model_tensor_count(&want) - 1;
    assert_int_equal(vit_model_tensor_count(&got), last + 1);
    for (int i = 0; i <= last; i++) {
        assert_int_equal(vit_model_tensor(&got, i, &a), VIT_OK);
        assert_int_equal(vit_model_tensor(&want, i, &b), VIT_OK);
        assert_int_equal(a.dtype, i == last ? head : b.dtype);
        if (i == last) continue;
        assert_int_equal(a.size, b.size);
        assert_memory_equal(got.data + a.offset, want.data + b.offset, a.size);
    }
    assert_int_equal(got.config.num_classes, 3);
    for (int i = 0; i < 3; i++) assert_string_equal(vit_model_label(&got, i), labels[i]);
    vit_model_close(&got);
    vit_model_close(&want);
}

/* Share of the pictures in $T/more that a model gives the folder's label. */
static void assert_knows_more(const char *model) {
    char command[256];
    snprintf(command, sizeof(command), "vit-classify -k1 --json -m $T/%s $T/more/*/*.pgm", model);
    assert_int_equal(run(command), 0);
    char *lines = printed("out"), *next = lines;
    int right = 0;
    for (char *line; (line = next) != NULL && *line != 0;) {
        next = strchr(line, '\n');
        if (next != NULL) *next++ = 0;
        cJSON *json = cJSON_Parse(line), *top = cJSON_GetObjectItem(json, "top");
        const char *label = cJSON_GetObjectItem(cJSON_GetArrayItem(top, 0), "label")->valuestring;
        right += strstr(cJSON_GetObjectItem(json, "file")->valuestring, label) != NULL;
        cJSON_Delete(json);
    }
    free(lines);
    assert_in_range(right, 13, 15);
}

static void test_classes_are_learned_and_the_backbone_stays(void **state) {
    (void)state;
    assert_int_equal(run("vit-teach -m " MODEL " $T/photos -o $T/mine.vit --test $T/more"), 0);
    assert_printed("out", "36 pictures of 3 classes, 36 of them new, 15 to test on");
    assert_printed("out", "right on held-out pictures: ");
    assert_printed("out", "right on the pictures of --test: ");
    assert_printed("out", "\n  spots         0     0    12\n");
    assert_printed("err", "");
    assert_backbone("mine.vit", MODEL, VIT_F32);
    assert_knows_more("mine.vit");
}

/* CLIP with classes that are texts: the layer that projects goes with them. */
static void test_a_model_that_compares_with_texts_is_taught(void **state) {
    vit_model model;
    vit_config config = tiny_config();
    (void)state;
    config.img_size[0] = config.img_size[1] = SIDE, config.patch_size[0] = config.patch_size[1] = 7;
    config.pre_logits = 9, config.pre_logits_l2 = 1;
    model_file file = model_make_open(&config, 7, &model);
    write_file(in_folder("clip.vit"), file.data, file.size);
    model_free(&file);
    assert_int_equal(run("vit-teach -m $T/clip.vit $T/photos -o $T/from_clip.vit"), 0);
    assert_int_equal(vit_model_load(&model, in_folder("from_clip.vit"), NULL), VIT_OK);
    assert_int_equal(vit_model_config(&model)->pre_logits, 0);
    assert_int_equal(vit_model_config(&model)->num_classes, 3);
    vit_model_close(&model);
}

static void test_a_second_run_and_other_threads_give_the_same_file(void **state) {
    (void)state;
    shell("cp $T/mine.vit $T/first.vit; cp $T/mine.vit.features $T/first.features");
    assert_int_equal(run("vit-teach -m " MODEL " $T/photos -o $T/mine.vit --test $T/more"), 0);
    assert_same("mine.vit", "first.vit");
    assert_same("mine.vit.features", "first.features");
    assert_printed("out", "36 pictures of 3 classes, 0 of them new, 15 to test on");
    assert_int_equal(run("vit-teach -j1 -m " MODEL " $T/photos -o $T/mine.vit --cache $T/new"), 0);
    assert_same("mine.vit", "first.vit");
}

static void test_only_new_pictures_are_embedded(void **state) {
    size_t size;
    (void)state;
    shell("cp -r $T/photos $T/moved; cp $T/more/spots/00.pgm $T/moved/spots/new.pgm");
    unsigned char *bytes = read_file(in_folder("mine.vit.features"), &size);
    bytes[size / 2] ^= 1; /* among the features */
    write_file(in_folder("damaged"), bytes, size);
    free(bytes);
    assert_int_equal(run("vit-teach -m " MODEL " $T/moved -o $T/moved.vit --cache $T/new"), 0);
    assert_printed("out", "37 pictures of 3 classes, 1 of them new");
    assert_int_equal(run("vit-teach -m " MODEL " $T/photos -o $T/a.vit --cache $T/damaged"), 0);
    assert_printed("err", "damaged: features are damaged, and are computed anew");
    assert_same("a.vit", "first.vit");
}

static void test_other_types_keep_their_bytes(void **state) {
    (void)state;
    assert_int_equal(run("vit-convert --dtype int8 " MODEL " $T/int8.vit"), 0);
    assert_int_equal(run("vit-teach -m $T/int8.vit $T/photos -o $T/mine8.vit"), 0);
    assert_backbone("mine8.vit", in_folder("int8.vit"), VIT_INT8X);
    assert_knows_more("mine8.vit");
    assert_int_equal(run("vit-teach --dtype int8 -m " MODEL " $T/photos -o $T/typed.vit"), 0);
    assert_same("typed.vit", "mine8.vit");
    assert_int_equal(run("vit-teach --dtype f16 -m $T/int8.vit $T/photos -o $T/typed.vit"), 1);
    assert_printed("err", "its weights are not all float32");
    assert_int_equal(count_files("typed.vit."), 1); /* the features of before */
}

static void test_none_of_these_is_stored_and_obeyed(void **state) {
    (void)state;
    assert_int_equal(run("vit-teach --reject 0.5 -m " MODEL " $T/photos -o $T/reject.vit"), 0);
    assert_printed("out", "none of these below ");
    assert_int_equal(run("vit-info $T/reject.vit"), 0);
    assert_printed("out", "reject_below   0.");
    assert_int_equal(run("vit-classify -m $T/reject.vit " SAMPLE), 0);
    assert_printed("out", "none of these");
    assert_int_equal(run("vit-classify --json -m $T/reject.vit " SAMPLE), 0);
    assert_printed("out", "\"none_of_these\":true");
    assert_int_equal(run("vit-classify --json -m $T/mine.vit " SAMPLE), 0);
    char *output = printed("out");
    assert_null(strstr(output, "none_of_these"));
    free(output);
}

static void test_pictures_to_test_on_must_not_be_learned(void **state) {
    (void)state;
    assert_int_equal(run("vit-teach -m " MODEL " $T/photos -o $T/own.vit --test $T/photos"), 0);
    assert_printed("err", "among those to learn from, and prove nothing: 36");
}

/* The fewest that there can be. */
static void test_one_picture_of_each_class_is_learned_with_warnings(void **state) {
    (void)state;
    shell("mkdir -p $T/least/a $T/least/b; cp $T/photos/across/00.pgm $T/least/a;"
          "cp $T/photos/spots/00.pgm $T/least/b");
    assert_int_equal(run("vit-teach -m " MODEL " $T/least -o $T/least.vit --reject 0.9"), 0);
    assert_printed("err", "a: few pictures, 1: 10 or more are better");
    assert_int_equal(run("vit-classify -m $T/least.vit -k1 $T/least/a/00.pgm"), 0);
    assert_printed("out", "  a ");
}

static void make_folder_of(const char *class) {
    char command[128];
    snprintf(command, sizeof(command), "mkdir -p $T/many/%s", class);
    shell(command);
    snprintf(command, sizeof(command), "cp $T/photos/spots/%s.pgm $T/many/%s", class, class);
    shell(command);
    snprintf(command, sizeof(command), "cp $T/photos/across/%s.pgm $T/many/%s/x.pgm", class, class);
    shell(command);
}

static void test_many_classes_are_told_by_their_confusions(void **state) {
    char class[16];
    (void)state;
    for (int i = 0; i < 12; i++) {
        snprintf(class, sizeof(class), "%02d", i);
        make_folder_of(class);
    }
    shell("mkdir $T/many/down; cp $T/photos/gr*/0?.pgm $T/many/down");
    assert_int_equal(run("vit-teach -m " MODEL " $T/many -o $T/many.vit"), 0);
    assert_printed("out", "most often confused:\n  ");
    assert_printed("out", " taken for ");
}

static void test_what_cannot_be_read_is_left_out_and_said(void **state) {
    (void)state;
    shell("cp -r $T/photos $T/some; head -c 100 $T/photos/spots/00.pgm >$T/some/spots/cut.pgm;"
          "echo text >$T/some/spots/note.txt; echo hidden >$T/some/spots/.hidden;"
          "cp $T/some/spots/01.pgm $T/some/spots/copy.pgm; echo >$T/some/beside");
    assert_int_equal(run("vit-teach -m " MODEL " $T/some -o $T/some.vit"), 1);
    assert_printed("err", "spots/cut.pgm: left out: ");
    assert_printed("err", "spots/note.txt: left out: ");
    assert_printed("err", "files beside the folders are left out: 1");
    assert_printed("err", "there twice in a class are taken once: 1");
    assert_printed("out", "36 pictures");
    assert_same("some.vit", "first.vit");
}

/* Status 1, this in its only line, and no model. */
static void assert_refused(const char *arguments, const char *reason) {
    char command[512];
    snprintf(command, sizeof(command), "vit-teach -o $T/refused.vit -m %s", arguments);
    assert_int_equal(run(command), 1);
    assert_printed("err", reason);
    char *error = printed("err");
    if (strchr(error, '\n') != error + strlen(error) - 1) fail_msg("not one line: %s", error);
    free(error);
    assert_int_equal(access(in_folder("refused.vit"), F_OK), -1);
}

static void test_each_error_is_one_line_and_leaves_no_model(void **state) {
    (void)state;
    shell("mkdir -p $T/one/a $T/none $T/empty/a $T/empty/b $T/twice/a $T/twice/b $T/bad/a;"
          "cp $T/photos/spots/00.pgm $T/one/a; cp $T/photos/spots/0?.pgm $T/twice/a;"
          "cp $T/photos/across/0?.pgm $T/twice/b; cp $T/photos/spots/03.pgm $T/twice/b/same.pgm;"
          "mkdir $T/bad/$(printf '\\377'); cp $T/one/a/00.pgm $T/empty/a; cp -r $T/more $T/other;"
          "mv $T/other/spots $T/other/unknown; mkdir -p $T/text/a $T/text/b;"
          "echo >$T/text/a/a; cp $T/one/a/00.pgm $T/text/b");
    assert_refused(MODEL " $T/absent", "absent: No such file or directory");
    assert_refused(MODEL " $T/one", "only one folder in it");
    assert_refused(MODEL " $T/none", "no folder in it");
    assert_refused(MODEL " $T/empty", "empty/b: no picture in the folder");
    assert_refused(MODEL " $T/bad", "is not UTF-8");
    assert_refused(MODEL " $T/photos --test $T/other", "unknown: no such class has been learned");
    assert_refused("Makefile $T/photos", "Makefile: this is not a .vit file");
    assert_refused(MODEL " $T/photos --cache Makefile", "not a file of features");
    assert_refused(MODEL " $T/photos --cache /dev/full", "/dev/full: not a regular file");
    assert_refused(MODEL " $T/photos -o /dev/full", "/dev/full: not a regular file");
    assert_refused(MODEL " $T/photos -o $T/absent/x", "absent/x: No such file or directory");
    assert_refused(MODEL " $T/photos --reject 1", "--reject: 1 is not between 0 and 1");
    assert_refused(MODEL " $T/photos -j 0", "-j: 0 is not a number from 1 to 1024");
    assert_refused(MODEL " $T/photos --recipe half",
                   "--recipe: half is none of own, whole and best");
    assert_refused(MODEL " $T/photos --dtype f8", "--dtype: f8 is none of f32, f16, ");
    assert_int_equal(run("vit-teach -m " MODEL " $T/text -o $T/refused.vit"), 1);
    assert_printed("err", "error: a: none of its pictures can be read");
}

static void test_a_picture_in_two_classes_is_named(void **state) {
    (void)state;
    assert_int_equal(run("vit-teach -m " MODEL " $T/twice -o $T/twice.vit"), 1);
    assert_printed("err", "twice/b/same.pgm is the same picture as ");
    assert_printed("err", "the same picture in two classes, 1 times");
    assert_int_equal(access(in_folder("twice.vit"), F_OK), -1);
}

/* The last picture is a pipe, which keeps the program waiting until it has been interrupted. */
static void test_an_interrupted_run_keeps_what_is_done(void **state) {
    (void)state;
    shell("cp -r $T/photos $T/slow; mkfifo $T/slow/spots/pipe.pgm;" BUILD "/vit-teach -j1 -m " MODEL
          " $T/slow -o $T/slow.vit 2>$T/err & teach=$!;"
          "exec 3>$T/slow/spots/pipe.pgm; kill -INT $teach; exec 3>&-; wait $teach; test $? = 1");
    assert_printed("err", "interrupted: 37 of 37 pictures are in ");
    shell("rm $T/slow/spots/pipe.pgm");
    assert_int_equal(access(in_folder("slow.vit"), F_OK), -1);
    assert_int_equal(run("vit-teach -m " MODEL " $T/slow -o $T/slow.vit"), 0);
    assert_printed("out", "36 pictures of 3 classes, 0 of them new");
    assert_same("slow.vit", "first.vit");
}

/* A limit of 51 KB stands for a full disk: of the model, then of the features, too. */
static void test_a_full_disk_is_an_error_and_the_old_files_stay(void **state) {
    (void)state;
    shell("cp $T/first.vit $T/full.vit; cp $T/first.features $T/full.vit.features;"
          "(ulimit -f 100; " BUILD "/vit-teach -m " MODEL
          " $T/photos -o $T/full.vit >$T/out 2>$T/err;"
          "test $? = 1)");
    assert_printed("err", "full.vit: File too large");
    assert_same("full.vit", "first.vit");
    assert_same("full.vit.features", "first.features");
    shell("(ulimit -f 100; " BUILD "/vit-teach -m " MODEL
          " $T/photos -o $T/full.vit --cache $T/full >$T/out 2>$T/err; test $? = 1)");
    assert_printed("err", "full: the features cannot be kept: File too large");
    assert_same("full.vit", "first.vit");
    assert_int_equal(run("vit-teach -m " MODEL " $T/photos -o $T/full.vit --cache $T/full"), 0);
    assert_printed("err", "full: features are damaged, and are computed anew, but for those in fr");
    assert_same("full.vit", "first.vit");
    assert_int_equal(count_files("full"), 3);
}

/* 396 pictures, whose features take 7 MB, with 16 MB of data (RLIMIT_DATA, which mapped files do not
   count for): 13 MB of them are the head and what writes it. */
static void test_features_do_not_take_memory(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* its shadow alone is more */
#else
    vit_model model;
    vit_config config = tiny_config();
    config.img_size[0] = config.img_size[1] = config.patch_size[0] = config.patch_size[1] = SIDE;
    config.embed_dim = 1024;
    model_file file = model_make_open(&config, 7, &model);
    write_file(in_folder("wide.vit"), file.data, file.size);
    model_free(&file);
    make_pictures("hundreds", 120, 3);
    shell("(ulimit -d 16000; " BUILD "/vit-teach -j1 -m $T/wide.vit $T/photos --test $T/hundreds"
          " -o $T/wide_mine.vit >$T/out 2>$T/err)");
    assert_printed("out", "36 pictures of 3 classes, 36 of them new, 360 to test on");
#endif
}

/* Pictures that are no longer there: their features leave the file once they are most of it. */
static void test_what_is_of_no_use_leaves_the_cache(void **state) {
    struct stat before, after;
    (void)state;
    shell("cp -r $T/photos $T/fewer; cp $T/first.features $T/fewer.features");
    assert_int_equal(
        run("vit-teach -m " MODEL " $T/fewer -o $T/fewer.vit --cache $T/fewer.features"), 0);
    assert_printed("out", "36 pictures of 3 classes, 0 of them new");
    assert_int_equal(stat(in_folder("fewer.features"), &before), 0);
    shell("rm $T/fewer/*/0?.pgm; mv $T/photos $T/away");
    assert_int_equal(
        run("vit-teach -m " MODEL " $T/fewer -o $T/fewer.vit --cache $T/fewer.features"), 0);
    assert_printed("out", "6 pictures of 3 classes, 0 of them new");
    assert_int_equal(stat(in_folder("fewer.features"), &after), 0);
    assert_true(after.st_size < before.st_size / 3);
    shell("mv $T/away $T/photos");
}

static void test_wrong_usage_is_status_2(void **state) {
    (void)state;
    assert_int_equal(run("vit-teach --help"), 0);
    assert_printed("out", "usage: vit-teach");
    assert_int_equal(run("vit-teach --version"), 0);
    assert_int_equal(run("vit-teach"), 2);
    assert_int_equal(run("vit-teach -m " MODEL " $T/photos"), 2);
    assert_int_equal(run("vit-teach --frobnicate"), 2);
}

/* Two pictures of each other's class. */
static void test_pictures_in_a_wrong_folder_are_named(void **state) {
    (void)state;
    make_pictures("mixed", 20, 4);
    shell("mv $T/mixed/across/00.pgm $T/mixed/spots/wrong.pgm");
    shell("mv $T/mixed/spots/00.pgm $T/mixed/across/wrong.pgm");
    assert_int_equal(run("vit-teach -m " MODEL " $T/mixed -o $T/mixed.vit"), 0);
    assert_printed("out", "pictures that look as if they were in a wrong folder: 2\n");
    assert_printed("out", "across/wrong.pgm: across ");
    assert_printed("out", "spots/wrong.pgm: spots ");
    shell("rm -r $T/mixed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_are_learned_and_the_backbone_stays),
        cmocka_unit_test(test_a_model_that_compares_with_texts_is_taught),
        cmocka_unit_test(test_a_second_run_and_other_threads_give_the_same_file),
        cmocka_unit_test(test_only_new_pictures_are_embedded),
        cmocka_unit_test(test_other_types_keep_their_bytes),
        cmocka_unit_test(test_none_of_these_is_stored_and_obeyed),
        cmocka_unit_test(test_pictures_to_test_on_must_not_be_learned),
        cmocka_unit_test(test_one_picture_of_each_class_is_learned_with_warnings),
        cmocka_unit_test(test_many_classes_are_told_by_their_confusions),
        cmocka_unit_test(test_what_cannot_be_read_is_left_out_and_said),
        cmocka_unit_test(test_each_error_is_one_line_and_leaves_no_model),
        cmocka_unit_test(test_a_picture_in_two_classes_is_named),
        cmocka_unit_test(test_an_interrupted_run_keeps_what_is_done),
        cmocka_unit_test(test_a_full_disk_is_an_error_and_the_old_files_stay),
        cmocka_unit_test(test_features_do_not_take_memory),
        cmocka_unit_test(test_what_is_of_no_use_leaves_the_cache),
        cmocka_unit_test(test_wrong_usage_is_status_2),
        cmocka_unit_test(test_pictures_in_a_wrong_folder_are_named),
    };
    return cmocka_run_group_tests(tests, make_photos, remove_folder);
}
