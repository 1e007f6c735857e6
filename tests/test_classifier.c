/* The short way: a classifier that is opened, classifies pictures and is closed; pictures in batches; and
   why a size is 0. */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* The heap that the library is given: it fails at one of the calls. */
static int heap_calls, heap_fails_at, heap_live; /* 0: never */

static void *heap_malloc(size_t size) {
    void *memory = ++heap_calls == heap_fails_at ? NULL : malloc(size);
    heap_live += memory != NULL;
    return memory;
}

static void heap_free(void *memory) {
    heap_live -= memory != NULL;
    free(memory);
}

#define VIT_MALLOC(context, size) ((void)(context), heap_malloc(size))
#define VIT_FREE(context, memory) ((void)(context), heap_free(memory))
#include "test_util.h"

#define MODEL "examples/models/fashion-mnist.vit"
#define CLASSES 10
#define PICTURES 7

static unsigned char bytes[PICTURES][64 * 64 * 3];

/* Pictures of sizes from 64 x 24 downwards. */
static vit_image picture(int index) {
    uint32_t state = (uint32_t)index + 1;
    vit_image image = {0};
    image.data = bytes[index], image.width = 64 - 5 * index, image.height = 24 + 3 * index;
    random_bytes(&state, bytes[index], sizeof(bytes[index]));
    return image;
}

static void make_pictures(vit_image *images) {
    for (int i = 0; i < PICTURES; i++) images[i] = picture(i);
}

/* The scores of a picture by the long way. */
static void score(const vit_model *model, const vit_image *image, float *scores) {
    size_t size = vit_workspace_size(model, NULL, 1);
    size = vit__larger(size, vit_preprocess_workspace_size(model, NULL, image));
    void *workspace = allocate(size);
    float *pixels = allocate_floats(vit_pixels_count(model, NULL));
    assert_int_equal(vit_preprocess(model, NULL, image, pixels, workspace, size), VIT_OK);
    assert_int_equal(vit_forward(model, NULL, pixels, 1, scores, workspace, size), VIT_OK);
    vit_scores(model, scores, scores);
    free(pixels);
    free(workspace);
}

static void assert_results(const vit_model *model, const vit_image *image,
                           const vit_result *results, int k) {
    float scores[CLASSES];
    int best[CLASSES];
    score(model, image, scores);
    int found = vit_top_k(scores, CLASSES, k, best);
    for (int i = 0; i < k; i++) {
        if (i >= found) {
            assert_int_equal(results[i].index, -1);
            assert_string_equal(results[i].label, "");
            assert_false(results[i].accepted);
            continue;
        }
        assert_int_equal(results[i].index, best[i]);
        assert_string_equal(results[i].label, vit_model_label(model, best[i]));
        assert_int_equal(bits_of(results[i].score), bits_of(scores[best[i]]));
        assert_true(results[i].accepted);
    }
}

static void test_results_are_those_of_the_long_way(void **state) {
    vit_image images[PICTURES];
    (void)state;
    make_pictures(images);
    for (int threads = 0; threads < 4; threads++) {
        for (int k = 1; k <= CLASSES + 2; k += 4) {
            vit_result results[PICTURES][CLASSES + 2];
            vit_classifier c;
            assert_int_equal(vit_classifier_open(&c, MODEL, threads), VIT_OK);
            assert_int_equal(vit_classify(&c, images, PICTURES, k, results[0]), VIT_OK);
            for (int i = 0; i < PICTURES; i++)
                assert_results(vit_classifier_model(&c), images + i, results[0] + i * k, k);
            vit_classifier_close(&c);
            vit_classifier_close(&c);
        }
    }
    assert_int_equal(heap_live, 0);
}

static void test_scores_below_the_threshold_are_not_accepted(void **state) {
    vit_image image = picture(0);
    vit_result results[CLASSES];
    vit_classifier c;
    (void)state;
    assert_int_equal(vit_classifier_open(&c, MODEL, 1), VIT_OK);
    assert_int_equal(vit_classify(&c, &image, 1, CLASSES, results), VIT_OK);
    c.model.config.reject_below = results[2].score;
    assert_int_equal(vit_classify(&c, &image, 1, CLASSES, results), VIT_OK);
    for (int i = 0; i < CLASSES; i++) assert_int_equal(results[i].accepted, i <= 2);
    vit_classifier_close(&c);
}

static void test_errors_say_why(void **state) {
    vit_image images[PICTURES];
    vit_result results[PICTURES];
    vit_classifier c;
    (void)state;
    make_pictures(images);
    assert_int_equal(vit_classifier_open(NULL, MODEL, 0), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classifier_open(&c, NULL, 0), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classifier_open(&c, MODEL, -1), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classifier_open(&c, MODEL, 1025), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classifier_open(&c, "none.vit", 0), VIT_ERROR_OPEN);
    assert_int_equal(vit_classify(&c, images, 1, 1, results), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classifier_open(&c, MODEL, 2), VIT_OK);
    assert_int_equal(vit_classify(NULL, images, 1, 1, results), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classify(&c, NULL, 1, 1, results), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classify(&c, images, 1, 1, NULL), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classify(&c, images, -1, 1, results), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classify(&c, images, 1, 0, results), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_classify(&c, images, 0, 1, results), VIT_OK);
    images[4].width = 0;
    assert_int_equal(vit_classify(&c, images, PICTURES, 1, results), VIT_ERROR_ARGUMENT);
    images[4] = picture(4);
    assert_int_equal(vit_classify(&c, images, PICTURES, 1, results), VIT_OK);
    vit_classifier_close(&c);
    vit_classifier_close(NULL);
}

static void test_an_embedding_has_no_classes(void **state) {
    vit_classifier c;
    char path[] = "/tmp/vit_test_XXXXXX";
    int file = mkstemp(path);
    vit_config config = tiny_config();
    (void)state;
    config.num_classes = 0, config.output = VIT_OUTPUT_EMBEDDING;
    vit_model open;
    model_file model = model_make_open(&config, 1, &open);
    assert_true(file >= 0 && write(file, model.data, (unsigned)model.size) == (int)model.size);
    close(file);
    assert_int_equal(vit_classifier_open(&c, path, 1), VIT_ERROR_CLASSES);
    assert_int_equal(heap_live, 0);
    remove(path);
    model_free(&model);
}

/* Each allocation fails once. */
static void test_a_failing_heap_is_an_error_and_nothing_leaks(void **state) {
    vit_image images[PICTURES];
    vit_result results[PICTURES];
    int failed = 0;
    (void)state;
    make_pictures(images);
    for (int at = 1;; at++, failed++) {
        vit_classifier c;
        heap_calls = 0, heap_fails_at = at;
        vit_status status = vit_classifier_open(&c, MODEL, 2);
        if (status == VIT_OK) status = vit_classify(&c, images, PICTURES, 1, results);
        int reached = heap_calls >= at;
        vit_classifier_close(&c);
        assert_int_equal(heap_live, 0);
        heap_fails_at = 0;
        if (!reached) break;
        if (status != VIT_OK) assert_int_equal(status, VIT_ERROR_MEMORY); /* no pool: one thread */
    }
    assert_true(failed >= 4);
}

static void test_a_batch_of_pictures_is_that_of_each(void **state) {
    vit_image images[PICTURES];
    vit_model model;
    (void)state;
    make_pictures(images);
    assert_int_equal(vit_model_load(&model, MODEL, NULL), VIT_OK);
    size_t pixels = vit_pixels_count(&model, NULL);
    for (int threads = 1; threads <= 3; threads++) {
        vit_options o = {.threads = threads};
        vit_pool *pool = vit_pool_create(threads, NULL);
        o.parallel_for = vit_pool_parallel_for, o.parallel_user = pool;
        size_t size = vit_preprocess_batch_workspace_size(&model, &o, images, PICTURES);
        guarded workspace = guarded_make(size, 0);
        float *batch = allocate_floats(PICTURES * pixels), *one = allocate_floats(pixels);
        assert_int_equal(
            vit_preprocess_batch(&model, &o, images, PICTURES, batch, workspace.bytes, size - 1),
            VIT_ERROR_WORKSPACE);
        assert_int_equal(
            vit_preprocess_batch(&model, &o, images, PICTURES, batch, workspace.bytes, size),
            VIT_OK);
        for (int i = 0; i < PICTURES; i++) {
            size_t need = vit_preprocess_workspace_size(&model, NULL, images + i);
            assert_int_equal(vit_preprocess(&model, NULL, images + i, one, workspace.bytes, need),
                             VIT_OK);
            assert_same_bits(batch + (size_t)i * pixels, one, pixels);
        }
        guarded_free(&workspace);
        free(batch);
        free(one);
        vit_pool_destroy(pool);
    }
    vit_model_close(&model);
}

static void test_checks_say_why_a_size_is_0(void **state) {
    vit_image image = picture(0), none = {0};
    vit_options small = {.img_size = {1, 1}}, threads = {.threads = -1}, isa = {.isa = VIT_ISA_MVE};
    vit_model model;
    (void)state;
    assert_int_equal(vit_forward_check(NULL, NULL, 1), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_load(&model, MODEL, NULL), VIT_OK);
    assert_int_equal(vit_forward_check(&model, NULL, 1), VIT_OK);
    assert_int_equal(vit_forward_check(&model, NULL, 0), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_forward_check(&model, &small, 1), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_forward_check(&model, &threads, 1), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_forward_check(&model, &isa, 1), VIT_ERROR_ISA);
    assert_int_equal(vit_preprocess_check(&model, NULL, &image), VIT_OK);
    assert_int_equal(vit_preprocess_check(&model, NULL, &none), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess_check(&model, &small, &image), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess_batch_workspace_size(&model, NULL, &none, 1), 0);
    assert_int_equal(vit_preprocess_batch_workspace_size(&model, NULL, &image, 0), 0);
    model.config.in_chans = 2;
    assert_int_equal(vit_preprocess_check(&model, NULL, &image), VIT_ERROR_CHANNELS);
    vit_model_close(&model);
}

/* More classes than there are, and a picture that takes more memory than those before. */
static void test_a_larger_picture_and_more_than_all_classes(void **state) {
    enum { WIDTH = 300000, HEIGHT = 2 };
    unsigned char *large = (unsigned char *)allocate(WIDTH * HEIGHT * 3);
    vit_image images[] = {{large, WIDTH, HEIGHT, 0, 0, 0}, {large, WIDTH, HEIGHT, 0, 0, 0}};
    vit_result results[2][CLASSES + 2];
    uint32_t random = 9;
    vit_classifier c;
    (void)state;
    images[0] = picture(0);
    random_bytes(&random, large, WIDTH * HEIGHT * 3);
    assert_int_equal(vit_classifier_open(&c, MODEL, 1), VIT_OK);
    assert_int_equal(vit_classify(&c, images, 1, CLASSES + 2, results[0]), VIT_OK);
    size_t small = c.workspace_size;
    assert_int_equal(vit_classify(&c, images, 2, CLASSES + 2, results[0]), VIT_OK);
    assert_true(c.workspace_size > small);
    for (int i = 0; i < 2; i++)
        assert_results(vit_classifier_model(&c), images + i, results[i], CLASSES + 2);
    vit_classifier_close(&c);
    assert_int_equal(heap_live, 0);
    free(large);
}

/* What CLIP puts out: the output of a head, but no scores. */
static void test_a_projected_embedding_has_no_classes_either(void **state) {
    char path[] = "/tmp/vit_test_XXXXXX";
    int file = mkstemp(path);
    vit_config config = tiny_config();
    vit_classifier c;
    vit_model open;
    (void)state;
    config.output = VIT_OUTPUT_EMBEDDING;
    model_file model = model_make_open(&config, 1, &open);
    assert_true(file >= 0 && write(file, model.data, (unsigned)model.size) == (int)model.size);
    close(file);
    assert_true(config.num_classes > 0);
    assert_int_equal(vit_classifier_open(&c, path, 1), VIT_ERROR_CLASSES);
    assert_int_equal(heap_live, 0);
    remove(path);
    model_free(&model);
}

static void test_batches_need_pictures_pixels_and_memory(void **state) {
    vit_image image = picture(0);
    vit_model model;
    (void)state;
    assert_int_equal(vit_model_load(&model, MODEL, NULL), VIT_OK);
    size_t size = vit_preprocess_batch_workspace_size(&model, NULL, &image, 1);
    void *workspace = allocate(size);
    float *pixels = allocate_floats(vit_pixels_count(&model, NULL));
    assert_int_equal(vit_preprocess_batch_workspace_size(&model, NULL, NULL, 1), 0);
    assert_int_equal(vit_preprocess_batch(&model, NULL, &image, 0, pixels, workspace, size),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess_batch(&model, NULL, NULL, 1, pixels, workspace, size),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess_batch(&model, NULL, &image, 1, NULL, workspace, size),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess_batch(&model, NULL, &image, 1, pixels, NULL, size),
                     VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_preprocess_batch(&model, NULL, &image, 1, pixels, workspace, size),
                     VIT_OK);
    free(pixels);
    free(workspace);
    vit_model_close(&model);
}

static void test_what_takes_no_memory_or_more_than_all_is_not_asked_for(void **state) {
    const vit_options three = {.threads = 3, .parallel_for = one_by_one};
    vit__pictures p = {NULL, &three, NULL, NULL, 0, NULL, SIZE_MAX / 2};
    int calls = heap_calls;
    (void)state;
    assert_int_equal(vit__pictures_size(&p, 1), SIZE_MAX / 2);
    assert_int_equal(vit__pictures_size(&p, 3), 0);
    assert_null(vit__allocate(0, 4));
    assert_null(vit__allocate(SIZE_MAX / 4 + 1, 4));
    assert_null(vit__allocate(vit__mul(1024, SIZE_MAX / 1000), 1));
    assert_int_equal(heap_calls, calls);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_those_of_the_long_way),
        cmocka_unit_test(test_scores_below_the_threshold_are_not_accepted),
        cmocka_unit_test(test_errors_say_why),
        cmocka_unit_test(test_an_embedding_has_no_classes),
        cmocka_unit_test(test_a_failing_heap_is_an_error_and_nothing_leaks),
        cmocka_unit_test(test_a_batch_of_pictures_is_that_of_each),
        cmocka_unit_test(test_checks_say_why_a_size_is_0),
        cmocka_unit_test(test_a_larger_picture_and_more_than_all_classes),
        cmocka_unit_test(test_a_projected_embedding_has_no_classes_either),
        cmocka_unit_test(test_batches_need_pictures_pixels_and_memory),
        cmocka_unit_test(test_what_takes_no_memory_or_more_than_all_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
