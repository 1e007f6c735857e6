/* vit-classify with many pictures: where they come from, what is printed of them, embeddings and similar
   pictures. test_programs.c has the rest of it. */
#include "test_run.h"

#include <sys/stat.h>

#define TINY GOLDEN "tiny.vit"
#define MODEL "examples/models/fashion-mnist.vit"
#define IMAGES "examples/images"
#define SAMPLE IMAGES "/9-ankle-boot-1.jpg"

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

static void assert_silent(const char *stream) {
    char *output = printed(stream);
    assert_string_equal(output, "");
    free(output);
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
    assert_silent("out");
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
    assert_silent("out");
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

/* ---- where pictures come from ---- */

/* Files of what was printed as CSV, in order. */
static void assert_files(const char *want) {
    char *out = printed("out"), *line = strchr(out, '\n') + 1, got[4096] = "";
    for (; *line != 0; line = strchr(line, '\n') + 1) {
        size_t used = strlen(got);
        snprintf(got + used, sizeof(got) - used, "%.*s ", (int)strcspn(line, ","), line);
    }
    assert_string_equal(got, want);
    free(out);
}

static void test_a_folder_is_walked_through_in_order(void **state) {
    (void)state;
    assert_int_equal(
        run_shell("mkdir -p $T/walk/b/c $T/walk/.hidden && cd $T/walk && "
                  "for n in z.jpg a.JPG b/2.jpeg b/c/1.jpg .h.jpg .hidden/x.jpg B.png; "
                  "do cp \"$OLDPWD/" SAMPLE "\" $n; done && "
                  "echo a >notes.txt && ln -s ../../walk b/loop"),
        0);
    assert_int_equal(run_shell("cd $T && \"$OLDPWD/$B/vit-classify\" -m \"$OLDPWD/" MODEL
                               "\" --csv walk/ walk/z.jpg >out 2>err"),
                     1);
    assert_files("walk/B.png walk/a.JPG walk/b/2.jpeg walk/b/c/1.jpg walk/b/loop walk/z.jpg "
                 "walk/z.jpg ");
    assert_printed("out", "walk/b/loop,fashion-mnist.vit,,,a link to a folder that it is in");
    assert_printed("err", "are left out: 1\n");
}

/* More than are kept in memory at a time. */
static void test_a_folder_may_have_many_files(void **state) {
    enum { COUNT = 20000 };
    (void)state;
    assert_int_equal(run_shell("mkdir $T/many && cd $T/many && "
                               "seq 10000 29999 | sed 's/$/.jpg/' | xargs touch"),
                     0);
    assert_int_equal(run("vit-classify -m " MODEL " --csv $T/many"), 1);
    char *out = printed("out"), *line = strchr(out, '\n') + 1;
    for (int i = 0; i < COUNT; i++, line = strchr(line, '\n') + 1)
        assert_int_equal(atoi(strstr(line, "/many/") + 6), 10000 + i);
    assert_int_equal(*line, 0);
    free(out);
    assert_int_equal(run_shell("rm -r $T/many"), 0);
}

static void test_lists_of_names(void **state) {
    (void)state;
    write_text("crlf.txt", SAMPLE "\r\n\r\nMakefile\r\n" SAMPLE);
    assert_int_equal(run("vit-classify -m " MODEL " --csv @$T/crlf.txt README.md"), 1);
    assert_files(SAMPLE " Makefile " SAMPLE " README.md ");
    assert_int_equal(run("vit-classify -m " MODEL " --csv @- <$T/crlf.txt"), 1);
    assert_files(SAMPLE " Makefile " SAMPLE " ");
    assert_int_equal(run_shell("printf '" SAMPLE "\\0a\\nb\\0' >$T/null.txt"), 0);
    assert_int_equal(run("vit-classify -m " MODEL " --json -0 <$T/null.txt"), 1);
    cJSON *line = json_line(1);
    assert_string_equal(cJSON_GetObjectItem(line, "file")->valuestring, "a\nb");
    cJSON_Delete(line);
    assert_int_equal(run("vit-classify -m " MODEL " -0 " SAMPLE), 2);
    assert_int_equal(run("vit-classify -m " MODEL " @$T/none.txt"), 1);
    assert_printed("err", "none.txt: No such file or directory");
    write_text("folders.txt", IMAGES "\n");
    assert_int_equal(run("vit-classify -m " MODEL " --embed $T/list.npy @$T/folders.txt"), 0);
    assert_printed("err", "12 embeddings");
}

/* However many workers there are, and whatever is slow or damaged among the pictures. */
static void test_results_are_in_the_order_of_the_pictures(void **state) {
    const char *const pictures = IMAGES " Makefile " IMAGES " $T/none.jpg " TINY " " IMAGES;
    char *want = NULL;
    (void)state;
    for (int jobs = 1; jobs <= 16; jobs *= 2) {
        char command[512];
        snprintf(command, sizeof(command), "vit-classify -m " MODEL " --json --logits -j %d %s",
                 jobs, pictures);
        assert_int_equal(run(command), 1);
        char *got = printed("out");
        if (want != NULL) assert_string_equal(got, want);
        else want = strdup(got);
        free(got);
    }
    free(want);
}

/* ---- what is printed ---- */

static void assert_schema(const char *status_and_command) {
    assert_int_equal(run(status_and_command + 1), status_and_command[0] - '0');
    if (run_shell(
            "/usr/bin/python3 tests/check_schema.py examples/classify/line.schema.json $T/out "
            ">$T/schema.txt 2>&1") == 0)
        return;
    char *problem = printed("schema.txt");
    fail_msg("%s: %s", status_and_command, problem);
}

static void test_lines_of_json_are_as_their_schema_says(void **state) {
    static const char *const commands[] = {
        "1vit-classify -m " MODEL " --json --logits " IMAGES " Makefile $T/none",
        "0vit-classify -m " TINY " --json --size 40x32 --pixels $T/pixels.f32",
        "0vit-classify -m " MODEL " --json --size native " SAMPLE,
        "0vit-classify -m " MODEL " --json --similar " IMAGES " " SAMPLE,
        "0vit-classify -m $T/embedding.vit --json " SAMPLE,
        "0vit-classify -m $T/sigmoid.vit --json " SAMPLE,
    };
    static const float pixels[3 * 40 * 32];
    (void)state;
    if (run_shell("/usr/bin/python3 -c 'import jsonschema'") != 0) {
        print_message("python3-jsonschema is not there: the schema is not checked\n");
        skip();
    }
    write_file(in_folder("pixels.f32"), pixels, sizeof(pixels));
    assert_int_equal(run("vit-convert --output embedding " GOLDEN "tiny_timm $T/embedding.vit"), 0);
    assert_int_equal(run("vit-convert --output sigmoid " GOLDEN "tiny_timm $T/sigmoid.vit"), 0);
    for (size_t i = 0; i < COUNT_OF(commands); i++) assert_schema(commands[i]);
    write_text("out", "{\"file\": \"a\", \"model\": \"b\"}\n");
    assert_int_equal(run_shell("/usr/bin/python3 tests/check_schema.py "
                               "examples/classify/line.schema.json $T/out >$T/schema.txt"),
                     1);
}

static void test_json_tells_the_model_and_the_pictures_size(void **state) {
    (void)state;
    write_text("wide.ppm", "P6 3 2 255 abcdefghijklmnopqr");
    assert_int_equal(run("vit-classify -m " MODEL " --json $T/wide.ppm"), 0);
    cJSON *line = json_line(0);
    assert_string_equal(cJSON_GetObjectItem(line, "model")->valuestring, "fashion-mnist.vit");
    assert_int_equal(cJSON_GetObjectItem(line, "width")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(line, "height")->valueint, 2);
    cJSON_Delete(line);
}

/* As many fields in each line, whatever became of the picture. */
static void test_csv(void **state) {
    static const char *const commands[] = {
        "vit-classify -m " MODEL " --csv -k 3 --logits \"$T/a,\\\"b.jpg\" Makefile",
        "vit-classify -m " MODEL " --csv -k 3 --similar " IMAGES " \"$T/a,\\\"b.jpg\" Makefile",
    };
    static const int columns[] = {5 + 3 * 3 + 10, 5 + 2 * 3};
    (void)state;
    assert_int_equal(run_shell("cp " SAMPLE " \"$T/a,\\\"b.jpg\""), 0);
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        char script[512];
        assert_int_equal(run(commands[i]), 1);
        assert_printed("out", "/a,\"\"b.jpg\",fashion-mnist.vit,28,28,,");
        assert_silent("err");
        snprintf(script, sizeof(script),
                 "/usr/bin/python3 -c 'import csv, sys\n"
                 "rows = list(csv.reader(open(sys.argv[1])))\n"
                 "assert [len(row) for row in rows] == [%d] * 3\n"
                 "assert rows[0][:5] == \"file model width height error\".split()\n"
                 "assert rows[1][0].endswith(\"a,\\\"b.jpg\") and rows[2][4]' $T/out",
                 columns[i]);
        assert_int_equal(run_shell(script), 0);
    }
}

static void test_a_table_has_a_line_for_each_picture(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify -m " MODEL " --table " IMAGES "/9*.jpg " IMAGES "/1*.jpg"),
                     0);
    char *out = printed("out");
    int lines = 0;
    for (char *p = out; *p != 0; p++) lines += *p == '\n';
    assert_int_equal(lines, 1 + 3);
    free(out);
    assert_printed("out", "%  Ankle boot     " SAMPLE);
    assert_int_equal(run("vit-classify -m " MODEL " --table -k 2 " SAMPLE), 0);
    assert_printed("out", "   score  class           score  class          picture\n");
    assert_int_equal(run("vit-classify -m " MODEL " --table --json " SAMPLE), 2);
}

/* ---- on a terminal ---- */

/* What the program shows on a terminal of its own, which is standard output and error. */
static char *on_terminal(const char *environment, const char *command) {
    char line[1024];
    snprintf(line, sizeof(line),
             "TERM=xterm %s script -qec \"$B/%s\" /dev/null >$T/terminal </dev/null", environment,
             command);
    run_shell(line);
    return printed("terminal");
}

static void assert_shown(const char *environment, const char *command, const char *part,
                         int is_wanted) {
    char *shown = on_terminal(environment, command);
    if ((strstr(shown, part) != NULL) != is_wanted)
        fail_msg("%s %s: '%s' in: %s", environment, command, part, shown);
    free(shown);
}

static void test_colours_are_for_terminals(void **state) {
    const char *const command = "vit-classify -m " MODEL " " SAMPLE;
    (void)state;
    assert_shown("", command, "\033[1mAnkle boot\033[0m", 1);
    assert_shown("NO_COLOR=", command, "\033[1mAnkle boot\033[0m", 1);
    assert_shown("NO_COLOR=1", command, "\033[", 0);
    assert_shown("", "vit-classify -m " MODEL " --csv " SAMPLE, "\033[", 0);
    assert_int_equal(run(command), 0);
    char *out = printed("out");
    assert_null(strchr(out, '\033'));
    free(out);
}

/* Pictures of a size that takes the small model a while. */
static void test_a_bar_is_for_terminals(void **state) {
    char *shown =
        on_terminal("", "vit-classify -m " MODEL " --size 140 -j 1 -t 1 --json Makefile " IMAGES
                        " " IMAGES " " IMAGES);
    (void)state;
    assert_non_null(strstr(shown, " of 37, "));
    assert_non_null(strstr(shown, " a second, 0:0"));
    assert_non_null(strstr(shown, " left, 1 error"));
    free(shown);
    assert_int_equal(run("vit-classify -m " MODEL " --size 56 --json " IMAGES), 0);
    assert_silent("err");
}

/* ---- runs that end early ---- */

/* Two pictures are named, then the list waits for more. */
static void test_an_interrupt_leaves_what_is_done(void **state) {
    (void)state;
    assert_int_equal(
        run_shell(
            "mkfifo $T/names; $B/vit-classify -m " MODEL " --resume $T/int.ndjson @- "
            "<$T/names >$T/out 2>$T/err & "
            "exec 9>$T/names; touch $T/int.ndjson; echo " SAMPLE " >&9; echo Makefile >&9; i=0; "
            "until [ $(cat $T/int.ndjson | wc -l) = 2 ] || [ $((i += 1)) = 1000 ]; do sleep 0.01; "
            "done; kill -INT $!; wait $!"),
        130);
    assert_printed("err", "interrupted after 2 pictures");
    assert_int_equal(run("vit-classify -m " MODEL " --resume $T/int.ndjson " SAMPLE " Makefile"),
                     1);
    assert_int_equal(run_shell("exit $(wc -l <$T/int.ndjson)"), 2);
}

static void test_an_interrupt_leaves_whole_embeddings(void **state) {
    (void)state;
    assert_int_equal(run_shell("mkfifo $T/more; $B/vit-classify -m " MODEL " --embed $T/int.npy @- "
                               "<$T/more >$T/out 2>$T/err & "
                               "exec 9>$T/more; echo " SAMPLE
                               " >&9; sleep 1; kill -INT $!; wait $!"),
                     130);
    free(read_rows("int.npy", 1, 64));
    assert_file("int.txt", SAMPLE "\n");
}

static void test_a_run_goes_on_where_another_ended(void **state) {
    char *want, *got;
    (void)state;
    assert_int_equal(run("vit-classify -m " MODEL " --json " IMAGES " Makefile"), 1);
    want = printed("out");
    for (size_t cut = 0; cut <= strlen(want); cut += 997) { /* anywhere */
        write_file(in_folder("part.ndjson"), want, cut);
        assert_int_equal(
            run("vit-classify -m " MODEL " --resume $T/part.ndjson " IMAGES " Makefile"), 1);
        assert_silent("out");
        got = printed("part.ndjson");
        assert_string_equal(got, want);
        free(got);
    }
    assert_int_equal(run("vit-classify -m " MODEL " --resume $T/new.ndjson " SAMPLE), 0);
    assert_int_equal(run("vit-classify -m " MODEL " --resume $T/new.ndjson " SAMPLE), 0);
    assert_int_equal(run_shell("exit $(wc -l <$T/new.ndjson)"), 1);
    free(want);
}

static void test_what_is_not_a_runs_file_stays_as_it_is(void **state) {
    static const char *const texts[] = {
        "half a line of something else", "{\"a\": 1}\n", "{\"file\":\"a\"}\n",
        "{\"file\":\"a\",\"model\":\"fashion-mnist.vit\"}\n\n", "{\"file\":x}\n"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        write_text("other.ndjson", texts[i]);
        assert_int_equal(run("vit-classify -m " MODEL " --resume $T/other.ndjson " SAMPLE), 1);
        assert_printed("err", "is not vit-classify's");
        assert_file("other.ndjson", texts[i]);
    }
    assert_int_equal(run("vit-classify -m " MODEL " --resume $T/model.ndjson " SAMPLE), 0);
    assert_int_equal(run("vit-classify -m " TINY " --resume $T/model.ndjson " SAMPLE), 1);
    assert_printed("err", "of the model fashion-mnist.vit, not tiny.vit");
}

/* ---- errors ---- */

static void assert_fails(const char *arguments, const char *message) {
    char command[512];
    snprintf(command, sizeof(command), "vit-classify %s", arguments);
    if (run(command) != 1) fail_msg("%s: not status 1", arguments);
    assert_printed("err", message);
    char *err = printed("err");
    if (strchr(err, '\n') != err + strlen(err) - 1) fail_msg("not one line: %s", err);
    free(err);
}

static void test_errors_say_why(void **state) {
    (void)state;
    assert_fails("-m " MODEL " $T/none.jpg", "none.jpg: No such file or directory");
    assert_fails("-m $T/none.vit " SAMPLE, "none.vit: No such file or directory");
    assert_fails("-m tests " SAMPLE, "tests: Is a directory");
    assert_fails("-m README.md " SAMPLE, "README.md: this is not a .vit file; vit-convert");
    write_text("lfs.vit", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    assert_fails("-m $T/lfs.vit " SAMPLE, "lfs.vit: a git-lfs pointer");
    assert_fails("-m " MODEL " $T/lfs.vit", "lfs.vit: a git-lfs pointer");
    write_text("empty", "");
    assert_fails("-m $T/empty " SAMPLE, "empty: the file is empty");
    assert_fails("-m " MODEL " $T/empty", "empty: the file is empty");
    assert_int_equal(
        run_shell("head -c 5000 " MODEL " >$T/cut.vit; head -c 300 " SAMPLE " >$T/cut.jpg"), 0);
    assert_fails("-m $T/cut.vit " SAMPLE, "cut.vit: the file is shorter or longer than it says");
    assert_fails("-m " MODEL " $T/cut.jpg", "cut.jpg: the file is cut short");
    if (run_shell("[ $(id -u) != 0 ]") != 0) return; /* who may read everything */
    assert_int_equal(run_shell("cp " SAMPLE " $T/secret.jpg && chmod 0 $T/secret.jpg"), 0);
    assert_fails("-m " MODEL " $T/secret.jpg", "secret.jpg: Permission denied");
}

static void test_output_that_cannot_be_written_is_an_error(void **state) {
    static const char *const arguments[] = {
        "-m " MODEL " " SAMPLE " " SAMPLE,
        "-m " MODEL " --csv " SAMPLE,
        "-m " MODEL " --json " IMAGES " " IMAGES,
        "--help",
        "--version",
    };
    char command[512];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(arguments); i++) {
        snprintf(command, sizeof(command), "$B/vit-classify %s 2>$T/err >/dev/full", arguments[i]);
        assert_int_equal(run_shell(command), 1);
        assert_file("err", "vit-classify: standard output: No space left on device\n");
    }
    assert_int_equal(run_shell("{ $B/vit-classify -m " MODEL " --json " IMAGES " " IMAGES
                               " 2>$T/err; echo $? >$T/status; } | true"),
                     0);
    assert_file("status", "1\n");
    assert_file("err", "vit-classify: standard output: Broken pipe\n");
    assert_fails("-m " MODEL " --resume /dev/full " SAMPLE, "/dev/full");
}

static void test_wrong_usage_says_so(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify"), 2);
    assert_printed("err", "no picture is named");
    assert_int_equal(run("vit-classify --nonsense " SAMPLE), 2);
    assert_printed("err", "nonsense");
    assert_printed("err", "--help lists the options");
    assert_int_equal(run("vit-classify --help"), 0);
    assert_printed("out", "usage: vit-classify");
    assert_int_equal(run("vit-classify --version"), 0);
    assert_printed("out", "vit-classify 0.");
}

/* ---- models without names, and tables ---- */

static void write_model(const char *name, const vit_config *config) {
    vit_model model;
    model_file file = model_make_open(config, 3, &model);
    write_file(in_folder(name), file.data, file.size);
    model_free(&file);
}

static void test_classes_without_names_have_numbers(void **state) {
    vit_config config = small_config();
    (void)state;
    write_model("unnamed.vit", &config);
    assert_int_equal(run("vit-classify -k 5 -m $T/unnamed.vit " SAMPLE), 0);
    for (int i = 0; i < config.num_classes; i++) {
        char name[24];
        snprintf(name, sizeof(name), "class %d", i);
        assert_printed("out", name);
    }
}

static void test_an_embedding_is_shown_as_its_numbers(void **state) {
    vit_config config = small_config();
    (void)state;
    config.num_classes = 0, config.output = VIT_OUTPUT_EMBEDDING;
    write_model("embedding.vit", &config);
    assert_int_equal(run("vit-classify -m $T/embedding.vit " SAMPLE), 0);
    assert_printed("out", "an embedding of 20 numbers");
    assert_int_equal(run("vit-classify --logits -m $T/embedding.vit " SAMPLE), 0);
    char *out = printed("out"), *numbers = strstr(out, "  embedding ");
    assert_non_null(numbers);
    int count = 0;
    for (char *next = numbers + 11, *p = next; (void)strtod(p, &next), next != p; p = next) count++;
    assert_int_equal(count, 20);
    free(out);
}

static void test_similar_pictures_are_a_table(void **state) {
    (void)state;
    assert_int_equal(run("vit-classify --embed $T/few.npy -m " MODEL " " IMAGES), 0);
    assert_int_equal(run("vit-classify --table -k 2 -m " MODEL " --similar $T/few.npy " SAMPLE), 0);
    char *out = printed("out");
    char *row =
        strstr(out, "  cosine  similar  cosine  similar  picture\n  1.0000  " SAMPLE "  0.");
    assert_true(row == out);
    assert_string_equal(out + strlen(out) - strlen(SAMPLE) - 3, "  " SAMPLE "\n");
    free(out);
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
        cmocka_unit_test(test_a_folder_is_walked_through_in_order),
        cmocka_unit_test(test_a_folder_may_have_many_files),
        cmocka_unit_test(test_lists_of_names),
        cmocka_unit_test(test_results_are_in_the_order_of_the_pictures),
        cmocka_unit_test(test_lines_of_json_are_as_their_schema_says),
        cmocka_unit_test(test_json_tells_the_model_and_the_pictures_size),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_a_table_has_a_line_for_each_picture),
        cmocka_unit_test(test_colours_are_for_terminals),
        cmocka_unit_test(test_a_bar_is_for_terminals),
        cmocka_unit_test(test_an_interrupt_leaves_what_is_done),
        cmocka_unit_test(test_an_interrupt_leaves_whole_embeddings),
        cmocka_unit_test(test_a_run_goes_on_where_another_ended),
        cmocka_unit_test(test_what_is_not_a_runs_file_stays_as_it_is),
        cmocka_unit_test(test_errors_say_why),
        cmocka_unit_test(test_output_that_cannot_be_written_is_an_error),
        cmocka_unit_test(test_wrong_usage_says_so),
        cmocka_unit_test(test_classes_without_names_have_numbers),
        cmocka_unit_test(test_an_embedding_is_shown_as_its_numbers),
        cmocka_unit_test(test_similar_pictures_are_a_table),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
