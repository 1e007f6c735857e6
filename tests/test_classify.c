/* vit-classify with many pictures: embeddings and similar pictures. test_programs.c has the rest of it. */
#include "test_run.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>

#define TINY GOLDEN "tiny.vit"
#define MODEL "examples/models/fashion-mnist.vit"
#define IMAGES "examples/images"
#define SAMPLE IMAGES "/9-ankle-boot-1.jpg"

/* Line n of what was printed, as JSON. */
static cJSON *json_line(int n) {
    char *output = printed("out"), *line = output;
    while (n-- > 0 && line != NULL) {
        line = strchr(line, '\n');
        if (line != NULL) line++;
    }
    assert_non_null(line);
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    free(output);
    return json;
}

/* Runs a shell's command with the folder as $T and the programs as $B. */
static int run_shell(const char *command) {
    char line[2048];
    int length = snprintf(line, sizeof(line), "T=%s; B=%s; %s", folder, BUILD, command);
    assert_in_range(length, 0, sizeof(line) - 1);
    int status = system(line);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void write_text(const char *name, const char *text) {
    write_file(in_folder(name), text, strlen(text));
}

static void assert_file(const char *name, const char *want) {
    size_t size;
    unsigned char *bytes = read_file(in_folder(name), &size);
    if (size != strlen(want) || memcmp(bytes, want, size) != 0)
        fail_msg("%s: %.*s", name, (int)size, (char *)bytes);
    free(bytes);
}

/* ---- embeddings ---- */

enum { NPY_HEADER = 128 };

/* The rows of an .npy that --embed wrote, to be freed. */
static float *read_rows(const char *name, size_t rows, size_t columns) {
    size_t size;
    char shape[64];
    unsigned char *bytes = read_file(in_folder(name), &size);
    snprintf(shape, sizeof(shape), "'shape': (%zu, %zu), }", rows, columns);
    assert_int_equal(size, NPY_HEADER + rows * columns * sizeof(float));
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', ", 27);
    bytes[NPY_HEADER - 1] = 0;
    assert_non_null(strstr((char *)bytes + 10, shape));
    float *floats = allocate_floats(rows * columns);
    memcpy(floats, bytes + NPY_HEADER, rows * columns * sizeof(float));
    free(bytes);
    return floats;
}

/* What the library gives for the golden tensor. */
static float *pooled(size_t *count) {
    vit_model model;
    vit_options options = {.features = VIT_FEATURES_POOLED};
    assert_int_equal(vit_model_load(&model, TINY, NULL), VIT_OK);
    *count = vit_output_count(&model, &options);
    float *pixels = golden_floats("tiny_pixels.f32", vit_pixels_count(&model, NULL));
    float *output = allocate_floats(*count);
    assert_int_equal(forward(&model, &options, pixels, 1, output), VIT_OK);
    vit_model_close(&model);
    free(pixels);
    return output;
}

static void test_an_embedding_is_what_the_head_reads(void **state) {
    size_t count;
    float *want = pooled(&count);
    (void)state;
    assert_int_equal(
        run("vit-classify -m " TINY " --embed $T/e.npy --pixels " GOLDEN "tiny_pixels.f32 " IMAGES),
        0);
    float *got = read_rows("e.npy", 1 + 12, count);
    assert_near(got, want, count, 1e-6f * largest_of(want, count));
    assert_printed("out", "");
    assert_int_equal(count_files("e."), 2); /* nothing is left beside e.npy and e.txt */
    free(got);
    free(want);
}

static void test_embeddings_have_rows_for_the_pictures_that_can_be_read(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify -m " TINY " --embed $T/some.npy " SAMPLE
                         " Makefile ./" SAMPLE " $T/none.jpg"),
                     1);
    assert_printed("err", "Makefile: not a JPEG");
    assert_printed("err", "none.jpg: ");
    assert_file("some.txt", SAMPLE "\n./" SAMPLE "\n");
    float *rows = read_rows("some.npy", 2, 48);
    assert_memory_equal(rows, rows + 48, 48 * sizeof(float));
    free(rows);
}

static void test_embeddings_that_cannot_be_written_leave_nothing(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify -m " TINY " --embed $T/none/e.npy " SAMPLE), 1);
    assert_printed("err", "none/e.npy: No such file or directory");
    assert_int_equal(run_shell("mkdir $T/is_folder.npy"), 0);
    assert_int_equal(run("vit-classify -m " TINY " --embed $T/is_folder.npy " SAMPLE), 1);
    assert_printed("err", "is_folder.npy: ");
    assert_int_equal(run("vit-classify -m " TINY " --embed $T/e.bin " SAMPLE), 2);
    assert_printed("err", "ends with .npy");
}

/* ---- similar pictures ---- */

static const char *similar_file(const cJSON *line, int n) {
    const cJSON *entry = cJSON_GetArrayItem(cJSON_GetObjectItem(line, "similar"), n);
    return cJSON_GetObjectItem(entry, "file")->valuestring;
}

static double cosine_of(const float *a, const float *b, size_t count) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* The number of a line of a file. */
static size_t line_of(const char *name, const char *wanted) {
    char line[1024];
    FILE *file = fopen(in_folder(name), "r");
    assert_non_null(file);
    for (size_t i = 0; fgets(line, sizeof(line), file) != NULL; i++) {
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, wanted) != 0) continue;
        fclose(file);
        return i;
    }
    fail_msg("%s is not in %s", wanted, name);
    return 0;
}

/* The cosines of the .npy's rows; a folder gives the same lines. */
static void test_similar_pictures_are_those_of_the_largest_cosine(void **state) {
    char *lines[2];
    (void)state;
    assert_int_equal(run("vit-classify -m " MODEL " --embed $T/all.npy " IMAGES), 0);
    float *rows = read_rows("all.npy", 12, 64);
    assert_int_equal(run("vit-classify --json -k 12 -m " MODEL " --similar $T/all.npy " SAMPLE), 0);
    lines[0] = printed("out");
    cJSON *line = json_line(0), *entry;
    double last = 1;
    assert_string_equal(similar_file(line, 0), SAMPLE);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(line, "similar")), 12);
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(line, "similar")) {
        double cosine = cJSON_GetObjectItem(entry, "cosine")->valuedouble;
        size_t row = line_of("all.txt", cJSON_GetObjectItem(entry, "file")->valuestring);
        float got = (float)cosine, want = (float)cosine_of(rows + 64 * row, rows + 64 * 11, 64);
        assert_near(&got, &want, 1, 1e-5f);
        assert_true(cosine <= last);
        last = cosine;
    }
    assert_int_equal(run("vit-classify --json -k 12 -m " MODEL " --similar " IMAGES " " SAMPLE), 0);
    lines[1] = printed("out");
    assert_string_equal(lines[0], lines[1]);
    cJSON_Delete(line);
    free(lines[0]);
    free(lines[1]);
    free(rows);
}

static void test_similar_pictures_for_people(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify -m " MODEL " -k 2 --similar " IMAGES " " SAMPLE), 0);
    assert_printed("out", "  1.0000  " SAMPLE "\n");
    char *out = printed("out");
    int lines = 0;
    for (char *p = out; *p != 0; p++) lines += *p == '\n';
    assert_int_equal(lines, 3);
    free(out);
}

/* An .npy as NumPy writes it. */
static void write_npy(const char *name, const char *dict, const void *data, size_t size) {
    unsigned char bytes[1024] = "\x93NUMPY\x01\x00\x76\x00";
    assert_in_range(size, 0, sizeof(bytes) - NPY_HEADER);
    memset(bytes + 10, ' ', NPY_HEADER - 10);
    memcpy(bytes + 10, dict, strlen(dict));
    bytes[NPY_HEADER - 1] = '\n';
    memcpy(bytes + NPY_HEADER, data, size);
    write_file(in_folder(name), bytes, NPY_HEADER + size);
}

static void assert_refused_gallery(const char *name, const char *message) {
    char command[256];
    snprintf(command, sizeof(command), "vit-classify -m " MODEL " --similar $T/%s " SAMPLE, name);
    if (run(command) != 1) fail_msg("%s is not refused", name);
    assert_printed("err", message);
    assert_printed("out", "");
}

static void test_what_is_no_collection_of_embeddings_is_refused(void **state) {
    float rows[128] = {0};
    (void)state;
    write_npy("f8.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 64), }", rows, 512);
    assert_refused_gallery("f8.npy", "not of float32");
    write_npy("order.npy", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 64), }", rows,
              512);
    assert_refused_gallery("order.npy", "Fortran");
    write_npy("one.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (64,), }", rows, 256);
    assert_refused_gallery("one.npy", "two dimensions");
    write_npy("wide.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 65), }", rows,
              260);
    assert_refused_gallery("wide.npy", "another model's");
    write_npy("short.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 64), }", rows,
              512);
    assert_refused_gallery("short.npy", "cut short");
    write_npy("none.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 64), }", rows, 0);
    assert_refused_gallery("none.npy", "no picture in it");
    rows[70] = NAN;
    write_npy("nan.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 64), }", rows, 512);
    assert_refused_gallery("nan.npy", "row 1 is not a number");
    assert_refused_gallery("missing.npy", "No such file");
    write_text("text.npy", "abc");
    assert_refused_gallery("text.npy", "not an .npy file");
    write_text("text.txt", "abc");
    assert_refused_gallery("text.txt", "neither a folder nor an .npy");
}

static void test_names_belong_to_their_rows(void **state) {
    const char *const dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 64), }";
    float rows[128] = {1};
    (void)state;
    write_npy("named.npy", dict, rows, sizeof(rows));
    assert_int_equal(run("vit-classify -m " MODEL " --similar $T/named.npy " SAMPLE), 0);
    assert_printed("out", "row 1\n");
    write_text("named.txt", "first\nsecond");
    assert_int_equal(run("vit-classify -m " MODEL " --similar $T/named.npy " SAMPLE), 0);
    assert_printed("out", "second\n");
    write_text("named.txt", "first\n");
    assert_refused_gallery("named.npy", "fewer lines");
    write_text("named.txt", "first\nsecond\nthird\n");
    assert_refused_gallery("named.npy", "more lines");
}

static void test_options_that_do_nothing_are_refused(void **state) {
    static const struct {
        const char *options, *message;
    } cases[] = {
        {"--embed $T/e.npy --json", "--json"},
        {"--embed $T/e.npy --logits", "--logits"},
        {"--embed $T/e.npy --heatmap $T/h", "--heatmap"},
        {"--similar " IMAGES " --logits", "--logits"},
        {"--similar " IMAGES " --embed $T/e.npy", "--embed"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char command[256];
        snprintf(command, sizeof(command), "vit-classify %s " SAMPLE, cases[i].options);
        assert_int_equal(run(command), 2);
        assert_printed("err", cases[i].message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_embedding_is_what_the_head_reads),
        cmocka_unit_test(test_embeddings_have_rows_for_the_pictures_that_can_be_read),
        cmocka_unit_test(test_embeddings_that_cannot_be_written_leave_nothing),
        cmocka_unit_test(test_similar_pictures_are_those_of_the_largest_cosine),
        cmocka_unit_test(test_similar_pictures_for_people),
        cmocka_unit_test(test_what_is_no_collection_of_embeddings_is_refused),
        cmocka_unit_test(test_names_belong_to_their_rows),
        cmocka_unit_test(test_options_that_do_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
