/* Other sizes than the model's own: options.img_size, resampled positions, the recipe, a picture's own
   aspect ratio. How positions are resampled is compared with PyTorch in tests/parity/sizes.py. */
#include "test_util.h"

/* The tokens before the blocks, with other positions than those of their own grid. */
typedef struct embedder {
    vit_model model;
    model_file file;
    unsigned char *workspace;
    vit__pass pass;
    float *pixels;
} embedder;

static void embed(embedder *e, const vit_config *config, vit_options *options) {
    uint32_t random = 5;
    e->file = model_make_open(config, 61, &e->model);
    size_t count = vit_pixels_count(&e->model, options);
    assert_true(count > 0);
    e->workspace = (unsigned char *)allocate(vit_workspace_size(&e->model, options, 1));
    e->pixels = allocate_floats(count);
    random_floats(&random, e->pixels, count);
    vit__arena arena = vit__arena_make(e->workspace);
    assert_int_equal(vit__pass_plan(&e->pass, &e->model, options, 1), VIT_OK);
    vit__pass_carve(&e->pass, &arena);
    vit__embed(&e->pass, e->pixels);
}

static void embed_free(embedder *e) {
    free(e->pixels);
    free(e->workspace);
    model_free(&e->file);
}

static void test_prefix_tokens_keep_their_positions(void **state) {
    static const int sizes[][2] = {{13, 17}, {8, 9}, {4, 3}, {44, 6}, {40, 51}};
    (void)state;
    for (int method = 0; method < VIT_POS_RESAMPLE_COUNT; method++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            vit_config config = small_config();
            vit_options options = {.img_size = {sizes[i][0], sizes[i][1]}};
            embedder own, other;
            config.prefix_tokens = 3, config.pos_resample = (vit_pos_resample)method;
            embed(&own, &config, NULL);
            embed(&other, &config, &options);
            assert_int_equal(other.pass.tokens, 3 + sizes[i][0] / 4 * (sizes[i][1] / 3));
            assert_same_bits(other.pass.x.data, own.pass.x.data, 3 * own.pass.dim);
            embed_free(&own), embed_free(&other);
        }
    }
}

/* A position is a mean of old ones with weights whose sum is 1. */
static void test_equal_positions_stay_as_they_are(void **state) {
    (void)state;
    for (int method = 0; method < VIT_POS_RESAMPLE_COUNT; method++) {
        for (int in = 1; in < 40; in += 3) {
            for (int out = 1; out < 60; out += 7) {
                for (int at = 0; at < out; at++) {
                    vit__taps t = vit__taps_of((vit_pos_resample)method, in, out, at);
                    double sum = 0;
                    for (int i = 0; i < t.count; i++) {
                        sum += (double)vit__tap(&t, i) / (double)t.sum;
                        assert_in_range(vit__tap_index(&t, i), 0, in - 1);
                    }
                    assert_true(fabs(sum - 1) < 1e-5);
                }
            }
        }
    }
}

/* torch.nn.functional.interpolate of numbers [3][5] to [7][2], then [6][4] to [1][3], for each method. */
static void test_resampled_positions_equal_pytorch(void **state) {
    static const struct { int in[2], out[2]; } grids[] = {{{3, 5}, {7, 2}}, {{6, 4}, {1, 3}}};
    static const float want[VIT_POS_RESAMPLE_COUNT][17] = {
        {-8.456864f, 4.446986f, -5.59364f, 4.378118f, 1.525944f, 4.242165f, 7.882103f, 4.009364f,
         7.488654f, 3.60546f, 5.158789f, 3.229962f, 4.436648f, 3.070204f, 3.534781f, 1.476624f,
         3.534782f},
        {-6.978638f, 8.830196f, -3.556586f, 6.974802f, 3.484708f, 3.319626f, 9.292969f, -0.1484375f,
         9.433592f, -1.278356f, 6.556517f, -0.8417695f, 5.596649f, -0.889435f, 2.609954f, 0,
         2.609954f},
        {-11, 9, -6.370368f, 7.425924f, -0.9629655f, 5.574076f, 3, 4, 3.296297f, 3.444443f,
         1.037034f, 3.722224f, -1, 4, -11, -5.46875f, 6},
        {-7.402324f, 7.48833f, -4.119579f, 5.952922f, 2.771442f, 2.898347f, 8.612776f, -0.1068804f,
         9.047809f, -1.333018f, 6.195802f, -1.126153f, 5.040617f, -1.223756f, 0.9589595f,
         0.7060654f, 3.959778f},
        {-5.75f, 6.75f, -3.642857f, 5.928571f, 2.678572f, 3.464285f, 9, 1, 7.607143f, 0.6785714f,
         6.214285f, 0.3571429f, 5.75f, 0.25f, 3.583333f, 1.5f, 3.583333f}};
    float numbers[6 * 4];
    (void)state;
    for (int i = 0; i < 6 * 4; i++) numbers[i] = (float)(i * i * 7 % 23 - 11);
    for (int method = 0; method < VIT_POS_RESAMPLE_COUNT; method++) {
        const float *next = want[method];
        for (size_t g = 0; g < COUNT_OF(grids); g++) {
            const int *in = grids[g].in, *out = grids[g].out;
            vit__pos_grid grid = {numbers, in[0], in[1], 1, (vit_pos_resample)method};
            for (int at = 0; at < out[0] * out[1]; at++) {
                float got = 0;
                vit__add_position(&grid, out[0], out[1], at, &got);
                assert_near(&got, next++, 1, 2e-5f);
            }
        }
    }
}

/* What the tokens of patches have more than those of a model without positions is the resampled ones. */
static void test_patches_get_their_resampled_positions(void **state) {
    (void)state;
    for (int i = 0; i < 2 * VIT_POS_RESAMPLE_COUNT; i++) {
        vit_config config = small_config();
        vit_options options = {.img_size = {20, 12}};
        embedder with, without;
        config.embed_norm = i % 2, config.pos_resample = (vit_pos_resample)(i / 2);
        embed(&with, &config, &options);
        const vit__pass *pass = &with.pass;
        const size_t patches = (size_t)vit__patches_of(pass), dim = pass->dim;
        const float *positions = vit__tensor_data(&with.model, VIT__POS_EMBED, 0);
        const vit__pos_grid grid = {positions + dim, 3, 5, dim, config.pos_resample};
        embed(&without, &config, &options);
        float *zeros = (float *)(void *)(without.file.data +
                                         ((const unsigned char *)positions - with.file.data));
        memset(zeros, 0, (1 + 3 * 5) * dim * sizeof(float));
        vit__embed(&without.pass, without.pixels);
        for (size_t at = 0; at < patches; at++) {
            float *want = without.pass.x.data + (1 + at) * without.pass.x.stride;
            vit__add_position(&grid, 5, 4, (int)at, want);
            assert_near(pass->x.data + (1 + at) * pass->x.stride, want, dim, 1e-5f);
        }
        embed_free(&with), embed_free(&without);
    }
}

/* A model with positions for a size that is not its own is one of that size, used at another. */
static void test_positions_may_be_for_another_size_than_the_models(void **state) {
    static const int sizes[][2] = {{5, 4}, {3, 4}, {2, 5}, {1, 1}};
    uint32_t random = 8;
    float pixels[3 * 13 * 17], got[5], want[5];
    (void)state;
    random_floats(&random, pixels, COUNT_OF(pixels));
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        vit_config own = small_config(), other = small_config();
        vit_options options = {.img_size = {13, 17}};
        vit_model model;
        own.pos_size[0] = sizes[i][0], own.pos_size[1] = sizes[i][1];
        other.img_size[0] = sizes[i][0] * 4, other.img_size[1] = sizes[i][1] * 3;
        model_file file = model_make_open(&own, 65, &model);
        assert_status(forward(&model, NULL, pixels, 1, got), VIT_OK, "its own size");
        model_free(&file);
        file = model_make_open(&other, 65, &model);
        assert_status(forward(&model, &options, pixels, 1, want), VIT_OK, "another size");
        model_free(&file);
        assert_same_bits(got, want, 5);
    }
}

/* With any batch, threads, type of weights, norms of patches. */
static void test_logits_at_another_size_are_the_same_for_any_batch(void **state) {
    enum { IMAGES = 3, SIZE = 3 * 20 * 12 };
    float pixels[IMAGES * SIZE];
    uint32_t random = 6;
    (void)state;
    random_floats(&random, pixels, COUNT_OF(pixels));
    for (int i = 0; i < 2 * VIT_DTYPE_COUNT; i++) {
        float want[IMAGES * 5], got[IMAGES * 5];
        vit_config config = small_config();
        vit_options options = {.img_size = {20, 12}};
        vit_model model;
        config.embed_norm = i % 2;
        model_file file = model_make_dtype(&config, (vit_dtype)(i / 2), 62, &model);
        assert_int_equal(vit_pixels_count(&model, &options), SIZE);
        assert_int_equal(vit_token_count(&model, &options), 1 + 5 * 4);
        for (size_t image = 0; image < IMAGES; image++)
            assert_status(forward(&model, &options, pixels + image * SIZE, 1, want + image * 5),
                          VIT_OK, "one");
        for (int threads = 0; threads < 4; threads++) {
            options.threads = threads, options.parallel_for = threads > 0 ? one_by_one : NULL;
            assert_status(forward(&model, &options, pixels, IMAGES, got), VIT_OK, "all");
            assert_same_bits(got, want, IMAGES * 5);
        }
        model_free(&file);
    }
}

static void test_sizes_out_of_range_are_refused(void **state) {
    static const int sizes[][2] = {
        {0, 16}, {16, 0}, {3, 16}, {16, 2}, {-16, 16}, {1 << 20, 1 << 20}, {1 << 30, 16}};
    vit_config config = small_config();
    unsigned char byte = 0;
    vit_image image = {&byte, 1, 1, 0, 1, 0};
    float x[1], y[5];
    vit_model model;
    model_file file = model_make_open(&config, 63, &model);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        vit_options options = {.img_size = {sizes[i][0], sizes[i][1]}};
        assert_int_equal(vit_pixels_count(&model, &options), 0);
        assert_int_equal(vit_token_count(&model, &options), 0);
        assert_int_equal(vit_output_count(&model, &options), 0);
        assert_int_equal(vit_workspace_size(&model, &options, 1), 0);
        assert_int_equal(vit_preprocess_workspace_size(&model, &options, &image), 0);
        assert_int_equal(vit_forward(&model, &options, x, 1, y, x, 0), VIT_ERROR_ARGUMENT);
        assert_int_equal(vit_preprocess(&model, &options, &image, x, x, 0), VIT_ERROR_ARGUMENT);
    }
    model_free(&file);
}

/* resize_size at 384 is timm's floor(384 / crop_pct), or in proportion. */
static void test_the_recipe_follows_the_size(void **state) {
    static const struct {
        float crop_pct;
        int resized, want[2];
    } cases[] = {{0.9f, 248, {426, 248}},
                 {0.875f, 256, {438, 256}},
                 {0.98f, 228, {391, 228}},
                 {0, 256, {438, 256}},
                 {1, 224, {384, 224}}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        vit_config config = small_config();
        const int size[2] = {384, 224};
        config.img_size[0] = config.img_size[1] = 224;
        config.preprocess.crop_pct = cases[i].crop_pct;
        config.preprocess.resize_size[0] = config.preprocess.resize_size[1] = cases[i].resized;
        vit_preprocess_config recipe = vit__recipe_at(&config, size);
        for (int side = 0; side < 2; side++)
            assert_int_equal(recipe.resize_size[side], cases[i].want[side]);
        const int turned[2] = {size[1], size[0]};
        recipe = vit__recipe_at(&config, turned);
        for (int side = 0; side < 2; side++)
            assert_int_equal(recipe.resize_size[side], cases[i].want[1 - side]);
    }
}

/* Below 2^20, or the recipe is refused. */
static void test_a_recipe_has_a_limit_at_another_size(void **state) {
    vit_preprocess_config recipe = small_config().preprocess;
    (void)state;
    recipe.crop_pct = 0;
    assert_int_equal(vit__scale_resize(&recipe, 1, (1 << 20) - 1, 1), (1 << 20) - 1);
    assert_int_equal(vit__scale_resize(&recipe, 1, 1 << 20, 1), -1);
    assert_int_equal(vit__scale_resize(&recipe, 1, 1 << 10, 1 << 10), -1);
    recipe.crop_pct = 0.5f;
    assert_int_equal(vit__scale_resize(&recipe, 1, 7, (1 << 19) - 1), (1 << 20) - 2);
    assert_int_equal(vit__scale_resize(&recipe, 1, 7, 1 << 19), -1);
}

static void test_a_picture_keeps_its_aspect_ratio(void **state) {
    static const int cases[][4] = {{100, 100, 14, 14}, {480, 640, 12, 16}, {640, 480, 16, 12},
                                   {100, 400, 7, 28},  {1, 1000, 1, 196},  {1000, 1, 196, 1},
                                   {470, 1000, 10, 19} /* not 20, which would be more patches */};
    vit_config config = tiny_config();
    vit_model model;
    config.img_size[0] = config.img_size[1] = 224, config.patch_size[0] = config.patch_size[1] = 16;
    model_file file = model_make_open(&config, 64, &model);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int size[2];
        vit_image image = {NULL, cases[i][1], cases[i][0], 0, 0, 0};
        assert_int_equal(vit_native_img_size(&model, &image, size), VIT_OK);
        assert_int_equal(size[0], cases[i][2] * 16);
        assert_int_equal(size[1], cases[i][3] * 16);
    }
    vit_image none = {NULL, 0, 5, 0, 0, 0};
    int size[2];
    assert_int_equal(vit_native_img_size(&model, &none, size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(NULL, &none, size), VIT_ERROR_ARGUMENT);
    const vit_image flat = {NULL, 5, 0, 0, 0, 0}, least = {NULL, 1, 1, 0, 0, 0};
    assert_int_equal(vit_native_img_size(&model, &flat, size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(&model, NULL, size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(&model, &least, NULL), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(&model, &least, size), VIT_OK);
    assert_int_equal(size[0], 14 * 16);
    assert_int_equal(size[1], 14 * 16);
    vit_model closed;
    memset(&closed, 0, sizeof(closed));
    assert_int_equal(vit_native_img_size(&closed, &least, size), VIT_ERROR_ARGUMENT);
    model_free(&file);
}

/* Positions of a grid of the file's own, 3 x 5, are resampled as they are for another size. */
static void test_a_grid_of_positions_is_that_of_a_model_of_its_size(void **state) {
    enum { SIZE = 3 * 20 * 12 };
    static const int sizes[][2] = {{20, 12}, {13, 12}, {20, 17}};
    float pixels[3 * 20 * 17], want[5], got[5];
    uint32_t random = 6;
    (void)state;
    random_floats(&random, pixels, COUNT_OF(pixels));
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        vit_config own = small_config(), other = own;
        vit_options options = {.img_size = {sizes[i][0], sizes[i][1]}};
        vit_model models[2];
        other.img_size[0] = sizes[i][0], other.img_size[1] = sizes[i][1];
        other.pos_size[0] = 3, other.pos_size[1] = 5;
        model_file file = model_make_open(&own, 65, &models[0]);
        model_file other_file = model_make_open(&other, 65, &models[1]);
        assert_status(forward(&models[0], &options, pixels, 1, want), VIT_OK, "by options");
        assert_status(forward(&models[1], NULL, pixels, 1, got), VIT_OK, "by pos_size");
        assert_same_bits(got, want, 5);
        model_free(&file), model_free(&other_file);
    }
}

/* A crop_pct that makes one side of resize_size too large, or 0. */
static void test_a_recipe_out_of_range_at_another_size_is_refused(void **state) {
    static const struct {
        float crop_pct;
        int fits;
    } cases[] = {{1e-6f, 0}, {1e-30f, 0}, {14, 1}, {1e30f, 0}};
    static const vit_options sizes[] = {{.img_size = {13, 20}}, {.img_size = {16, 17}}};
    unsigned char byte[3] = {0};
    const vit_image image = {byte, 1, 1, 0, 0, 0};
    vit_config config = small_config();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        vit_model model;
        config.preprocess.crop_pct = cases[i].crop_pct;
        model_file file = model_make_open(&config, 66, &model);
        for (size_t side = 0; side < 2; side++)
            assert_status(vit_preprocess_check(&model, &sizes[side], &image),
                          cases[i].fits ? VIT_OK : VIT_ERROR_ARGUMENT, "another size");
        assert_status(vit_preprocess_check(&model, NULL, &image), VIT_OK, "its own");
        model_free(&file);
    }
}

static void test_int8_takes_no_size_of_too_many_tokens(void **state) {
    (void)state;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        const int is_int8 = dtype == VIT_INT8 || dtype == VIT_INT8X;
        vit_config config = tiny_config();
        vit_options options = {.img_size = {1 << 9, 1 << 8}};
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 67, &model);
        assert_int_equal(vit_forward_check(&model, &options, 1),
                         is_int8 ? VIT_ERROR_ARGUMENT : VIT_OK);
        options.img_size[1]--;
        assert_int_equal(vit_forward_check(&model, &options, 1), VIT_OK);
        model_free(&file);
    }
}

static void test_a_size_of_its_own_needs_a_model_and_a_picture(void **state) {
    static vit_model closed; /* all zero */
    vit_config config = small_config();
    const vit_image flat = {NULL, 5, 0, 0, 0, 0}, good = {NULL, 5, 5, 0, 0, 0};
    int size[2];
    vit_model model;
    model_file file = model_make_open(&config, 68, &model);
    (void)state;
    assert_int_equal(vit_native_img_size(&closed, &good, size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(&model, NULL, size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(&model, &good, NULL), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(&model, &flat, size), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_native_img_size(&model, &good, size), VIT_OK);
    model_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix_tokens_keep_their_positions),
        cmocka_unit_test(test_equal_positions_stay_as_they_are),
        cmocka_unit_test(test_resampled_positions_equal_pytorch),
        cmocka_unit_test(test_patches_get_their_resampled_positions),
        cmocka_unit_test(test_positions_may_be_for_another_size_than_the_models),
        cmocka_unit_test(test_logits_at_another_size_are_the_same_for_any_batch),
        cmocka_unit_test(test_sizes_out_of_range_are_refused),
        cmocka_unit_test(test_the_recipe_follows_the_size),
        cmocka_unit_test(test_a_recipe_has_a_limit_at_another_size),
        cmocka_unit_test(test_a_picture_keeps_its_aspect_ratio),
        cmocka_unit_test(test_a_grid_of_positions_is_that_of_a_model_of_its_size),
        cmocka_unit_test(test_a_recipe_out_of_range_at_another_size_is_refused),
        cmocka_unit_test(test_int8_takes_no_size_of_too_many_tokens),
        cmocka_unit_test(test_a_size_of_its_own_needs_a_model_and_a_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
