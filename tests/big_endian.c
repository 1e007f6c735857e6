/* On a big-endian machine every way to open a model says that it cannot be used there, and leaves nothing
   behind. Run by check_platforms.sh. */
#include "heap.h"

#include "test_util.h"

#define MODEL GOLDEN "tiny.vit"

static void test_the_message_says_why(void **state) {
    (void)state;
    assert_string_equal(vit_status_string(VIT_ERROR_BYTE_ORDER),
                        "models can be used on little-endian machines only");
}

static void test_a_model_in_memory_is_refused(void **state) {
    vit_model model;
    size_t size = 0;
    unsigned char *data = read_file(MODEL, &size);
    (void)state;
    assert_status(vit_model_open(&model, data, size), VIT_ERROR_BYTE_ORDER, MODEL);
    assert_null(model.data);
    free(data);
}

static void test_a_model_in_a_file_is_refused(void **state) {
    heap h = {0, 0, 0};
    vit_load_options options;
    (void)state;
    memset(&options, 0, sizeof(options));
    options.malloc_context = &h;
    for (options.no_map = 0; options.no_map < 2; options.no_map++) {
        vit_model model;
        assert_status(vit_model_load(&model, MODEL, &options), VIT_ERROR_BYTE_ORDER, MODEL);
        assert_null(model.data);
        assert_null(model.memory);
        assert_int_equal(h.live, 0);
        vit_model_close(&model);
    }
}

static void test_a_classifier_is_refused(void **state) {
    vit_classifier classifier;
    (void)state;
    assert_status(vit_classifier_open(&classifier, MODEL, 1), VIT_ERROR_BYTE_ORDER, MODEL);
    vit_classifier_close(&classifier);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_message_says_why),
        cmocka_unit_test(test_a_model_in_memory_is_refused),
        cmocka_unit_test(test_a_model_in_a_file_is_refused),
        cmocka_unit_test(test_a_classifier_is_refused),
    };
    return cmocka_run_group_tests_name("big_endian", tests, NULL, NULL);
}
