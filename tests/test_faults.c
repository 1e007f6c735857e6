/* Faults that the other tests do not have: every byte of the weights changed and not verified, files that
   end or fail while they are read, callbacks that misbehave, bytes at any address, and pictures whose
   every allocation fails once. To be run with sanitizers, too (make check-sanitize). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Reading of a file: after so many bytes it ends, or fails. */
static struct {
    size_t left; /* bytes until then */
    int fails, failed;
} disk = {SIZE_MAX, 0, 0};

static size_t disk_fread(void *to, size_t size, size_t count, FILE *file) {
    size_t most = disk.left / size, wanted = count < most ? count : most;
    size_t got = fread(to, size, wanted, file);
    disk.left -= got * size;
    disk.failed |= got < count && disk.fails;
    return got;
}

static int disk_fgetc(FILE *file) {
    disk.failed |= disk.left == 0 && disk.fails;
    return disk.left == 0 ? EOF : fgetc(file);
}

static int disk_ferror(FILE *file) {
    return disk.failed || ferror(file);
}

#define fread disk_fread
#define fgetc disk_fgetc
#define ferror disk_ferror
#include "test_util.h"
#undef fread
#undef fgetc
#undef ferror

#include <unistd.h>

/* The heap of pictures: it fails at one of the calls. */
static int heap_calls, heap_fails_at, heap_live; /* 0: never */

static int heap_fails(void) {
    return ++heap_calls == heap_fails_at;
}

static void *heap_calloc(size_t count, size_t size) {
    void *memory = heap_fails() ? NULL : calloc(count, size);
    heap_live += memory != NULL;
    return memory;
}

static void *heap_realloc(void *old, size_t size) {
    void *memory = heap_fails() ? NULL : realloc(old, size);
    heap_live += old == NULL && memory != NULL;
    return memory;
}

static void heap_free(void *memory) {
    heap_live -= memory != NULL;
    free(memory);
}

#define malloc(size) heap_calloc(1, size)
#define calloc heap_calloc
#define realloc heap_realloc
#define free heap_free
#include "examples/picture.c"
#undef malloc
#undef calloc
#undef realloc
#undef free

/* ---- a model and what it says of random pixels ---- */

enum { IMAGES = 2, CLASSES = 5, MOST_TOKENS = 16 };

typedef struct rig {
    model_file file;
    vit_model model;
    float *pixels, logits[IMAGES * CLASSES];
} rig;

static void rig_make(rig *r, const vit_config *config, vit_dtype dtype) {
    uint32_t random = 5;
    r->file = model_make_dtype(config, dtype, 4, &r->model);
    size_t count = IMAGES * vit_pixels_count(&r->model, NULL);
    r->pixels = allocate_floats(count);
    random_floats(&random, r->pixels, count);
    assert_status(forward(&r->model, NULL, r->pixels, IMAGES, r->logits), VIT_OK, "forward");
}

static void rig_free(rig *r) {
    free(r->pixels);
    model_free(&r->file);
}

/* ---- weights ---- */

/* Each byte in turn becomes something else, behind the checksum's back. Returns how often the logits
   became others. */
static int change_each_byte(rig *r) {
    static const unsigned char changes[] = {0xFF, 0x80, 0x01};
    size_t outputs = vit_output_count(&r->model, NULL);
    int changed = 0;
    for (size_t i = vit__u32(r->file.data + 16); i < r->file.size; i++) {
        float logits[IMAGES * CLASSES];
        unsigned char change = changes[i % COUNT_OF(changes)];
        vit_model model;
        r->file.data[i] ^= change;
        assert_status(vit_model_open(&model, r->file.data, r->file.size), VIT_OK, "open");
        assert_status(vit_model_verify(&model), VIT_ERROR_CHECKSUM, "verify");
        assert_status(forward(&model, NULL, r->pixels, 1, logits), VIT_OK, "forward");
        changed += memcmp(logits, r->logits, outputs * sizeof(float)) != 0;
        r->file.data[i] ^= change;
    }
    return changed;
}

static void test_a_changed_byte_of_the_weights_does_no_harm_unverified(void **state) {
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_config config = tiny_config();
        rig r;
        rig_make(&r, &config, (vit_dtype)dtype);
        assert_true(change_each_byte(&r) > 0);
        rig_free(&r);
    }
}

/* ---- reading ---- */

/* Reads the file until so many bytes, where it ends or fails; nothing is left of it. */
static vit_status load_part(const char *path, size_t bytes, int fails) {
    vit_load_options options = {.no_map = 1};
    vit_model model;
    disk.left = bytes, disk.fails = fails, disk.failed = 0;
    vit_status status = vit_model_load(&model, path, &options);
    disk.left = SIZE_MAX, disk.fails = disk.failed = 0;
    if (status != VIT_OK) assert_null(model.data);
    vit_model_close(&model);
    return status;
}

static void test_a_file_that_ends_or_fails_while_it_is_read_is_refused(void **state) {
    vit_config config = tiny_config();
    char path[] = "/tmp/vit_test_XXXXXX";
    int descriptor = mkstemp(path);
    rig r;
    (void)state;
    rig_make(&r, &config, VIT_INT8);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, r.file.data, r.file.size), r.file.size);
    close(descriptor);
    for (size_t size = 0; size < r.file.size; size++) {
        vit_status want = size < 12 ? VIT_ERROR_MAGIC : VIT_ERROR_SIZE;
        assert_status(load_part(path, size, 0), want, "the file ends");
        assert_status(load_part(path, size, 1), VIT_ERROR_READ, "the file fails");
    }
    assert_status(load_part(path, r.file.size, 1), VIT_ERROR_READ, "it fails at its end");
    assert_status(load_part(path, SIZE_MAX, 1), VIT_OK, "the whole file");
    remove(path);
    rig_free(&r);
}

/* ---- callbacks ---- */

static void nothing_for(void *user, int count, vit_task task, void *arg) {
    (void)user, (void)count, (void)task, (void)arg;
}

static void first_for(void *user, int count, vit_task task, void *arg) {
    (void)user, (void)count;
    task(arg, 0);
}

static void twice_backwards_for(void *user, int count, vit_task task, void *arg) {
    (void)user;
    for (int i = 2 * count; i-- > 0;) task(arg, i / 2);
}

static void beyond_for(void *user, int count, vit_task task, void *arg) {
    (void)user;
    for (int i = count + 8; i >= -8; i--) task(arg, i);
    task(arg, INT32_MAX), task(arg, INT32_MIN);
}

static const vit_parallel_for bad_fors[] = {nothing_for, first_for, twice_backwards_for,
                                            beyond_for};

/* [IMAGES][tokens] of rollout, and the logits. */
static void roll_out(const rig *r, const vit_options *options, float *rollout, float *logits) {
    size_t need = vit_rollout_workspace_size(&r->model, options);
    guarded workspace = guarded_make(need, 0);
    assert_status(vit_rollout(&r->model, options, r->pixels, IMAGES, logits, -1, rollout,
                              workspace.bytes, need),
                  VIT_OK, "rollout");
    guarded_free(&workspace);
}

static void test_rollout_is_the_same_whatever_parallel_for_does(void **state) {
    vit_config config = small_config();
    rig r;
    float want[IMAGES * MOST_TOKENS], got[IMAGES * MOST_TOKENS];
    float want_logits[IMAGES * CLASSES], logits[IMAGES * CLASSES];
    (void)state;
    rig_make(&r, &config, VIT_F32);
    size_t tokens = (size_t)vit_token_count(&r.model, NULL);
    assert_true(tokens <= MOST_TOKENS);
    roll_out(&r, NULL, want, want_logits);
    for (size_t i = 0; i < COUNT_OF(bad_fors); i++) {
        vit_options options = {.threads = 3, .parallel_for = bad_fors[i]};
        roll_out(&r, &options, got, logits);
        assert_same_bits(got, want, IMAGES * tokens);
        assert_same_bits(logits, want_logits, IMAGES * CLASSES);
    }
    rig_free(&r);
}

static void preprocess(const vit_model *model, const vit_options *options, const vit_image *images,
                       float *pixels) {
    size_t need = vit_preprocess_batch_workspace_size(model, options, images, IMAGES);
    guarded workspace = guarded_make(need, 1);
    assert_status(
        vit_preprocess_batch(model, options, images, IMAGES, pixels, workspace.bytes, need), VIT_OK,
        "preprocess");
    guarded_free(&workspace);
}

static void test_pictures_are_the_same_whatever_parallel_for_does(void **state) {
    static unsigned char bytes[40 * 30 * 3];
    const vit_image images[IMAGES] = {{bytes, 40, 30, 0, 0, 0}, {bytes, 20, 25, 0, 0, 0}};
    vit_config config = small_config();
    uint32_t random = 7;
    rig r;
    (void)state;
    random_bytes(&random, bytes, sizeof(bytes));
    rig_make(&r, &config, VIT_F32);
    size_t count = IMAGES * vit_pixels_count(&r.model, NULL);
    float *want = allocate_floats(count), *got = allocate_floats(count);
    preprocess(&r.model, NULL, images, want);
    for (size_t i = 0; i < COUNT_OF(bad_fors); i++) {
        vit_options options = {.threads = 3, .parallel_for = bad_fors[i]};
        memset(got, 0xFF, count * sizeof(float));
        preprocess(&r.model, &options, images, got);
        assert_same_bits(got, want, count);
    }
    free(want), free(got);
    rig_free(&r);
}

typedef struct stop {
    int at, calls, value;
} stop;

static int stop_block(void *user, const vit_block_output *output) {
    stop *s = (stop *)user;
    (void)output;
    return s->calls++ == s->at ? s->value : 0;
}

static int stop_attention(void *user, const vit_attention *attention) {
    stop *s = (stop *)user;
    (void)attention;
    return s->calls++ == s->at ? s->value : 0;
}

/* Stops at each call of a callback until there are no more; a whole pass in the same workspace follows each,
   whose logits are always the same. Returns the number of calls of a whole pass. */
static int stop_at_each(const rig *r, vit_options options, int value) {
    stop s = {INT32_MAX, 0, value};
    float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    options.on_block_user = options.on_attention_user = &s;
    assert_status(forward(&r->model, &options, r->pixels, IMAGES, want), VIT_OK, "whole");
    assert_near(want, r->logits, IMAGES * CLASSES, 1e-5f);
    const int calls = s.calls;
    size_t size = vit_workspace_size(&r->model, &options, IMAGES);
    guarded workspace = guarded_make(size, 3);
    for (int at = 0; at < calls; at++) {
        s.calls = 0, s.at = at;
        vit_status status =
            vit_forward(&r->model, &options, r->pixels, IMAGES, got, workspace.bytes, size);
        assert_status(status, VIT_ERROR_STOPPED, "stopped");
        assert_int_equal(s.calls, at + 1);
        s.at = INT32_MAX;
        status = vit_forward(&r->model, &options, r->pixels, IMAGES, got, workspace.bytes, size);
        assert_status(status, VIT_OK, "after it");
        assert_same_bits(got, want, IMAGES * CLASSES);
    }
    guarded_free(&workspace);
    return calls;
}

static void test_a_pass_stops_at_each_block_and_the_next_is_whole(void **state) {
    static const int values[] = {1, -1, INT32_MIN, 256};
    vit_config config = small_config();
    rig r;
    (void)state;
    rig_make(&r, &config, VIT_F32);
    for (int low_memory = 0; low_memory < 2; low_memory++) {
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            vit_options by_block = {.low_memory = low_memory, .on_block = stop_block};
            vit_options by_head = {.low_memory = low_memory, .on_attention = stop_attention};
            assert_true(stop_at_each(&r, by_block, values[i]) >= config.depth);
            assert_true(stop_at_each(&r, by_head, values[i]) >= config.depth);
        }
    }
    rig_free(&r);
}

/* ---- addresses ---- */

static void test_bytes_of_pictures_may_lie_anywhere(void **state) {
    vit_config config = small_config();
    vit_options options = {.pixel_type = VIT_PIXELS_U8};
    uint32_t random = 8;
    rig r;
    float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        rig_make(&r, &config, (vit_dtype)dtype);
        size_t size = IMAGES * vit_pixels_count(&r.model, NULL);
        unsigned char *bytes = (unsigned char *)allocate(size);
        random_bytes(&random, bytes, size);
        assert_status(forward(&r.model, &options, bytes, IMAGES, want), VIT_OK, "forward");
        for (size_t shift = 1; shift < 16; shift++) {
            unsigned char *moved = (unsigned char *)allocate(size + shift);
            memcpy(moved + shift, bytes, size);
            assert_status(forward(&r.model, &options, moved + shift, IMAGES, got), VIT_OK, "moved");
            assert_same_bits(got, want, IMAGES * CLASSES);
            free(moved);
        }
        free(bytes);
        rig_free(&r);
    }
}

/* ---- pictures without memory ---- */

/* Each allocation fails once. Returns how many there are. PNG files of 16 bits are not among them: where
   there is no memory for 8 bits, stb_image does not free the 16. */
static int fail_each_allocation(const char *name) {
    char path[256];
    size_t size = 0;
    snprintf(path, sizeof(path), GOLDEN "picture/%s", name);
    unsigned char *bytes = read_file(path, &size);
    int at = 1;
    for (int reached = 1; reached; at++) {
        picture pic;
        heap_calls = 0, heap_fails_at = at;
        const char *error = picture_decode(&pic, bytes, size);
        reached = heap_calls >= at;
        if (error == NULL) picture_free(&pic);
        else if (!reached) fail_msg("%s: %s", name, error);
        if (heap_live != 0) fail_msg("%s: allocation %d leaks", name, at);
    }
    heap_fails_at = 0;
    free(bytes);
    return at - 2;
}

static void test_pictures_survive_the_failure_of_every_allocation(void **state) {
    static const char *const names[] = {
        "exif.jpg",    "progressive.jpg", "cmyk.jpg",    "exif_after.png", "grey.pgm",
        "deep.ppm",    "grey_alpha.png",  "one_bit.png", "palette.bmp",    "rgb.bmp",
        "palette.png", "rgba.png",        "rgb.png"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) assert_true(fail_each_allocation(names[i]) >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_changed_byte_of_the_weights_does_no_harm_unverified),
        cmocka_unit_test(test_a_file_that_ends_or_fails_while_it_is_read_is_refused),
        cmocka_unit_test(test_rollout_is_the_same_whatever_parallel_for_does),
        cmocka_unit_test(test_pictures_are_the_same_whatever_parallel_for_does),
        cmocka_unit_test(test_a_pass_stops_at_each_block_and_the_next_is_whole),
        cmocka_unit_test(test_bytes_of_pictures_may_lie_anywhere),
        cmocka_unit_test(test_pictures_survive_the_failure_of_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
