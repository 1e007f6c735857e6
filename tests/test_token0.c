/* What the documentation says of token 0: its input is the same for every picture, it stands first,
   and its output alone feeds the head. */
#include "test_util.h"

/* The steps of the library one by one, for one picture; all tokens in the last block. */
typedef struct stepper {
    vit_model model;
    unsigned char *file, *workspace;
    vit__pass pass;
    float *pixels;
} stepper;

static const vit_options all_tokens = {.all_tokens = 1};

static void stepper_make(stepper *s) {
    size_t size = 0;
    s->file = read_file(GOLDEN "tiny.vit", &size);
    assert_status(vit_model_open(&s->model, s->file, size), VIT_OK, "tiny.vit");
    s->workspace = (unsigned char *)allocate(vit_workspace_size(&s->model, &all_tokens, 1));
    vit__arena arena = vit__arena_make(s->workspace);
    assert_int_equal(vit__pass_plan(&s->pass, &s->model, &all_tokens, 1), VIT_OK);
    vit__pass_carve(&s->pass, &arena);
    s->pixels = golden_floats("tiny_pixels.f32", vit_pixels_count(&s->model, NULL));
}

static void stepper_free(stepper *s) {
    free(s->pixels);
    free(s->workspace);
    free(s->file);
}

static void run_head(const stepper *s, float *logits) {
    vit__final_norm_and_pool(&s->pass);
    vit__classify(&s->pass, logits);
}

static void run_blocks(stepper *s) {
    for (int block = 0; block < s->model.config.depth; block++) {
        vit__attention_branch(&s->pass, block);
        vit__mlp_branch(&s->pass, block);
    }
}

static void test_the_input_of_token_0_is_the_same_for_every_picture(void **state) {
    stepper s;
    float first[48];
    uint32_t random = 60;
    (void)state;
    stepper_make(&s);
    vit__embed(&s.pass, s.pixels);
    memcpy(first, s.pass.x.data, sizeof(first));
    for (int picture = 0; picture < 10; picture++) {
        float patch[48];
        memcpy(patch, s.pass.x.data + s.pass.dim, sizeof(patch));
        random_floats(&random, s.pixels, vit_pixels_count(&s.model, NULL));
        vit__embed(&s.pass, s.pixels);
        assert_same_bits(s.pass.x.data, first, 48);
        assert_memory_not_equal(s.pass.x.data + s.pass.dim, patch,
                                sizeof(patch)); /* unlike token 1 */
    }
    stepper_free(&s);
}

static void test_token_0_stands_first_and_has_position_0(void **state) {
    stepper s;
    (void)state;
    stepper_make(&s);
    const float *token = vit__tensor_data(&s.model, VIT__PREFIX_TOKENS, 0);
    const float *pos = vit__tensor_data(&s.model, VIT__POS_EMBED, 0);
    vit__embed(&s.pass, s.pixels);
    for (int i = 0; i < 48; i++) {
        float want = token[i] + pos[i];
        assert_same_bits(s.pass.x.data + i, &want, 1);
    }
    stepper_free(&s);
}

/* Its output depends on the picture, once it has gathered from the patches. */
static void test_the_output_of_token_0_is_not_the_same_for_every_picture(void **state) {
    stepper s;
    float output[48];
    uint32_t random = 61;
    (void)state;
    stepper_make(&s);
    vit__embed(&s.pass, s.pixels);
    run_blocks(&s);
    memcpy(output, s.pass.x.data, sizeof(output));
    random_floats(&random, s.pixels, vit_pixels_count(&s.model, NULL));
    s.pass.rows_per_image = s.pass.tokens;
    vit__embed(&s.pass, s.pixels);
    run_blocks(&s);
    for (int i = 0; i < 48; i++) assert_true(fabsf(s.pass.x.data[i] - output[i]) > 1e-7f);
    stepper_free(&s);
}

static void test_the_output_of_token_0_alone_feeds_the_head(void **state) {
    stepper s;
    float want[7] = {0}, got[7] = {0}, token_0[48];
    uint32_t random = 62;
    (void)state;
    stepper_make(&s);
    vit__embed(&s.pass, s.pixels);
    run_blocks(&s);
    memcpy(token_0, s.pass.x.data, sizeof(token_0));
    run_head(&s, want);
    for (size_t token = 1; token < (size_t)s.pass.tokens; token++)
        random_floats(&random, s.pass.x.data + token * s.pass.dim, 48);
    memcpy(s.pass.x.data, token_0, sizeof(token_0));
    run_head(&s, got);
    assert_same_bits(got, want, 7);
    memcpy(s.pass.x.data, token_0, sizeof(token_0));
    s.pass.x.data[0] += 1;
    run_head(&s, got);
    assert_memory_not_equal(got, want, sizeof(got));
    stepper_free(&s);
}

/* Patches have no order but their positions: the tokens behind token 0, reversed with their
   positions already added, give the same logits but for rounding. */
static void test_the_order_of_the_other_tokens_does_not_matter(void **state) {
    stepper s;
    float want[7] = {0}, got[7] = {0};
    (void)state;
    stepper_make(&s);
    vit__embed(&s.pass, s.pixels);
    run_blocks(&s);
    run_head(&s, want);
    s.pass.rows_per_image = s.pass.tokens;
    vit__embed(&s.pass, s.pixels);
    for (size_t a = 1, b = (size_t)s.pass.tokens - 1; a < b; a++, b--) {
        for (size_t i = 0; i < s.pass.dim; i++) {
            float *x = s.pass.x.data, swap = x[a * s.pass.dim + i];
            x[a * s.pass.dim + i] = x[b * s.pass.dim + i];
            x[b * s.pass.dim + i] = swap;
        }
    }
    run_blocks(&s);
    run_head(&s, got);
    assert_near(got, want, 7, 1e-5f * largest_of(want, 7));
    stepper_free(&s);
}

/* But which token is token 0 matters: swapped with token 1, the logits are others. */
static void test_only_token_0_is_the_class_token(void **state) {
    stepper s;
    float want[7] = {0}, got[7] = {0};
    (void)state;
    stepper_make(&s);
    assert_status(forward(&s.model, NULL, s.pixels, 1, want), VIT_OK, "forward");
    vit__embed(&s.pass, s.pixels);
    for (size_t i = 0; i < s.pass.dim; i++) {
        float swap = s.pass.x.data[i];
        s.pass.x.data[i] = s.pass.x.data[s.pass.dim + i];
        s.pass.x.data[s.pass.dim + i] = swap;
    }
    run_blocks(&s);
    run_head(&s, got);
    for (int i = 0; i < 7; i++) assert_true(fabsf(got[i] - want[i]) > 1e-3f);
    stepper_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_input_of_token_0_is_the_same_for_every_picture),
        cmocka_unit_test(test_token_0_stands_first_and_has_position_0),
        cmocka_unit_test(test_the_output_of_token_0_is_not_the_same_for_every_picture),
        cmocka_unit_test(test_the_output_of_token_0_alone_feeds_the_head),
        cmocka_unit_test(test_the_order_of_the_other_tokens_does_not_matter),
        cmocka_unit_test(test_only_token_0_is_the_class_token),
    };
    return cmocka_run_group_tests_name("token 0", tests, NULL, NULL);
}
