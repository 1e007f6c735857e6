/* The whole model: golden values block by block, threads and batches to the bit, workspaces,
   stopping, and many threads at once. */
#define _XOPEN_SOURCE 700 /* sigaltstack */
static int count_up(void *p);
#define VIT__COUNT_UP(p) count_up(p)
#include "test_util.h"

#ifdef VIT__HAVE_AMX
#include <signal.h>
#endif

/* A model from tests/golden and its pixels. */
typedef struct golden_model {
    const char *name;
    vit_model model;
    unsigned char *data;
    float *pixels;
} golden_model;

static const char *const golden_names[] = {"tiny", "tiny_avg"};

/* NAME_stage.f32 */
static float *golden_stage(const golden_model *golden, const char *stage, size_t count) {
    char name[64];
    snprintf(name, sizeof(name), "%s_%s.f32", golden->name, stage);
    return golden_floats(name, count);
}

static void golden_open(golden_model *golden, const char *name) {
    char path[64];
    size_t size = 0;
    golden->name = name;
    snprintf(path, sizeof(path), GOLDEN "%s.vit", name);
    golden->data = read_file(path, &size);
    assert_status(vit_model_open(&golden->model, golden->data, size), VIT_OK, path);
    golden->pixels = golden_stage(golden, "pixels", vit_pixels_count(&golden->model, NULL));
}

static void golden_close(golden_model *golden) {
    free(golden->data);
    free(golden->pixels);
}

/* ---- golden values ---- */

/* Within 1e-5 of the largest. */
static void assert_golden(const float *got, const float *want, size_t count) {
    assert_near(got, want, count, 1e-5f * largest_of(want, count));
}

/* Rows [rows][stride] against [rows][width]. */
static void assert_golden_rows(const float *got, size_t stride, const float *want, int rows,
                               int width) {
    float tolerance = 1e-5f * largest_of(want, (size_t)(rows * width));
    for (int r = 0; r < rows; r++)
        assert_near(got + (size_t)r * stride, want + r * width, (size_t)width, tolerance);
}

/* The library's own pass, one step at a time. */
typedef struct stepper {
    vit__pass pass;
    unsigned char *workspace;
} stepper;

static void stepper_make(stepper *s, const vit_model *model, const vit_options *options) {
    s->workspace = (unsigned char *)allocate(vit_workspace_size(model, options, 1));
    vit__arena arena = vit__arena_make(s->workspace);
    assert_int_equal(vit__pass_plan(&s->pass, model, options, 1), VIT_OK);
    vit__pass_carve(&s->pass, &arena);
}

static void test_embedding_equals_pytorch(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_names); i++) {
        golden_model golden;
        stepper s;
        golden_open(&golden, golden_names[i]);
        stepper_make(&s, &golden.model, NULL);
        int dim = golden.model.config.embed_dim;
        float *want = golden_stage(&golden, "embed", (size_t)(s.pass.tokens * dim));
        vit__embed(&s.pass, golden.pixels);
        assert_golden_rows(s.pass.x.data, s.pass.x.stride, want, s.pass.tokens, dim);
        free(want);
        free(s.workspace);
        golden_close(&golden);
    }
}

static int compare_block(void *user, const vit_block_output *output) {
    const golden_model *golden = (const golden_model *)user;
    char stage[16];
    snprintf(stage, sizeof(stage), "block%d", output->block);
    float *want = golden_stage(golden, stage, (size_t)(output->tokens * output->embed_dim));
    assert_golden_rows(output->rows, output->row_stride, want, output->tokens, output->embed_dim);
    free(want);
    return 0;
}

static void test_every_block_equals_pytorch(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_names); i++) {
        golden_model golden;
        float logits[8] = {0};
        golden_open(&golden, golden_names[i]);
        vit_options options = {
            .on_block = compare_block, .on_block_user = &golden, .all_tokens = 1};
        assert_status(forward(&golden.model, &options, golden.pixels, 1, logits), VIT_OK,
                      "forward");
        golden_close(&golden);
    }
}

/* What the head reads: tiny's tokens behind the norm, tiny_avg's normalised mean. */
static void test_final_norm_equals_pytorch(void **state) {
    const vit_options options = {.all_tokens = 1};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_names); i++) {
        golden_model golden;
        stepper s;
        float logits[8] = {0};
        golden_open(&golden, golden_names[i]);
        stepper_make(&s, &golden.model, &options);
        const vit_config *c = &golden.model.config;
        int rows = c->final_norm == VIT_FINAL_NORM_POOLED ? 1 : s.pass.tokens;
        float *want = golden_stage(&golden, "norm", (size_t)(rows * c->embed_dim));
        assert_status(vit__run(&s.pass, golden.pixels, 0, logits), VIT_OK, "run");
        vit__table norm = c->final_norm == VIT_FINAL_NORM_POOLED ? s.pass.pooled : s.pass.x;
        assert_golden_rows(norm.data, norm.stride, want, rows, c->embed_dim);
        free(want);
        free(s.workspace);
        golden_close(&golden);
    }
}

static void test_logits_equal_pytorch(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_names); i++) {
        golden_model golden;
        float logits[8] = {0};
        golden_open(&golden, golden_names[i]);
        size_t classes = (size_t)golden.model.config.num_classes;
        float *want = golden_stage(&golden, "logits", classes);
        assert_status(forward(&golden.model, NULL, golden.pixels, 1, logits), VIT_OK, "forward");
        assert_golden(logits, want, classes);
        free(want);
        golden_close(&golden);
    }
}

/* ---- the last block ---- */

/* But for rounding: its few queries are multiplied by the keys' weights, not the tokens. */
static void test_last_block_for_token_0_alone_is_exact(void **state) {
    const vit_options all = {.all_tokens = 1};
    golden_model golden;
    float want[7] = {0}, got[7] = {0};
    (void)state;
    golden_open(&golden, "tiny");
    assert_status(forward(&golden.model, &all, golden.pixels, 1, want), VIT_OK, "all tokens");
    assert_status(forward(&golden.model, NULL, golden.pixels, 1, got), VIT_OK, "token 0");
    for (int i = 0; i < 7; i++) assert_true(fabsf(got[i] - want[i]) <= 2e-6f * fabsf(want[0]));
    golden_close(&golden);
}

/* How many rows of each image the hook is shown behind each block. */
static int note_tokens(void *user, const vit_block_output *output) {
    ((int *)user)[output->block] = output->tokens;
    return 0;
}

static void test_last_block_computes_the_tokens_of_the_head_only(void **state) {
    static const int cases[][4] = {
        /* head_tokens, head_avg, all_tokens -> tokens of the last block, of 2 + 15 */
        {1, 0, 0, 1},
        {2, 0, 0, 2},
        {1, 1, 0, 17},
        {0, 1, 0, 17},
        {1, 0, 1, 17}};
    float pixels[3 * 13 * 17] = {0}, logits[5];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int tokens[2] = {0, 0};
        vit_options options = {
            .on_block = note_tokens, .on_block_user = tokens, .all_tokens = cases[i][2]};
        vit_config config = small_config();
        vit_model model;
        config.prefix_tokens = 2, config.head_tokens = cases[i][0], config.head_avg = cases[i][1];
        model_file file = model_make_open(&config, 30, &model);
        assert_status(forward(&model, &options, pixels, 1, logits), VIT_OK, "forward");
        assert_int_equal(tokens[0], 17);
        assert_int_equal(tokens[1], cases[i][3]);
        model_free(&file);
    }
}

/* ---- threads and batches, to the bit ---- */

/* A parallel_for that runs the indices of a step one after the other, those of each share in random
   order, by random workers, while it stands in for the counting that the workers do. */
typedef struct shuffler {
    uint32_t random;
} shuffler;

static struct shuffling {
    vit__step *step; /* NULL: none is under way */
    uint32_t *random;
    int *order;
    int taken[VIT__SHARES];
} shuffling;

static int first_of_share(const vit__step *step, int i) {
    return i > 0 ? step->share[i - 1].end : 0;
}

/* The next index of a share. */
static int take_shuffled(int i) {
    const vit__step *step = shuffling.step;
    int at = first_of_share(step, i) + shuffling.taken[i];
    if (at == step->share[i].end) return INT32_MAX;
    shuffling.taken[i]++;
    return shuffling.order[at];
}

/* The next index or the next worker, instead of counting. A worker may stop after any index. */
static int count_up_shuffled(const void *p) {
    const vit__step *step = shuffling.step;
    for (int i = 0; i < step->shares; i++) {
        if (p == &step->share[i].claims) return random_below(shuffling.random, 2);
        if (p == &step->share[i].next)
            return random_below(shuffling.random, 3) == 0 ? INT32_MAX : take_shuffled(i);
    }
    return random_below(shuffling.random, step->workers);
}

static int count_up(void *p) {
    if (shuffling.step != NULL) return count_up_shuffled(p);
    return shared_add((int *)p, 1);
}

static void shuffle(int *order, int first, int end, uint32_t *random) {
    for (int i = first; i < end; i++) {
        int j = first + random_below(random, i - first + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

static int all_are_taken(void) {
    for (int i = 0; i < shuffling.step->shares; i++)
        if (first_of_share(shuffling.step, i) + shuffling.taken[i] < shuffling.step->share[i].end)
            return 0;
    return 1;
}

static void shuffled_for(void *user, int count, vit_task task, void *arg) {
    vit__step *step = (vit__step *)arg;
    shuffler *s = (shuffler *)user;
    int *order = (int *)allocate((size_t)step->share[step->shares - 1].end * sizeof(int));
    struct shuffling mine = {step, &s->random, order, {0}};
    for (int i = 0; i < step->shares; i++)
        shuffle(order, first_of_share(step, i), step->share[i].end, &s->random);
    shuffling = mine;
    while (!all_are_taken()) task(arg, random_below(&s->random, count));
    shuffling.step = NULL;
    for (int i = 0; i < step->shares; i++) /* as the workers would have left them */
        step->share[i].next = step->share[i].end, step->share[i].claims = 1;
    step->next_worker = step->workers;
    free(order);
}

enum { BATCH = 8, CLASSES = 5 };

/* A small model, 8 pictures, and the logits of each picture alone. */
typedef struct batch_rig {
    vit_model model;
    model_file file;
    size_t count;
    float *pixels;
    float want[BATCH * CLASSES];
} batch_rig;

static void batch_make(batch_rig *rig, const vit_config *config, vit_dtype dtype, int low_memory) {
    const vit_options alone = {.low_memory = low_memory};
    uint32_t random = 31;
    rig->file = model_make_dtype(config, dtype, 32, &rig->model);
    rig->count = vit_pixels_count(&rig->model, NULL);
    rig->pixels = allocate_floats(BATCH * rig->count);
    random_floats(&random, rig->pixels, BATCH * rig->count);
    for (size_t i = 0; i < BATCH; i++)
        assert_status(
            forward(&rig->model, &alone, rig->pixels + i * rig->count, 1, rig->want + i * CLASSES),
            VIT_OK, "one");
}

static void batch_free(batch_rig *rig) {
    free(rig->pixels);
    model_free(&rig->file);
}

/* One config for each way through the head. */
static vit_config batch_config(int variant) {
    vit_config config = small_config();
    if (variant == 1) config.head_avg = 1, config.final_norm = VIT_FINAL_NORM_POOLED;
    if (variant == 2) config.prefix_tokens = 3, config.head_tokens = 2, config.pre_logits = 21;
    if (variant == 3) config.head_tokens = 0, config.head_avg = 1, config.prefix_tokens = 0;
    return config;
}

static void check_batches(const batch_rig *rig, const vit_options *options) {
    static const int batches[] = {1, 2, 3, 5, 8};
    for (size_t i = 0; i < COUNT_OF(batches); i++) {
        float got[BATCH * CLASSES] = {0};
        memset(got, 0xFF, sizeof(got));
        assert_status(forward(&rig->model, options, rig->pixels, batches[i], got), VIT_OK, "batch");
        assert_same_bits(got, rig->want, (size_t)batches[i] * CLASSES);
    }
}

static void test_logits_are_the_same_for_any_batch(void **state) {
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        vit_config config = batch_config(variant);
        batch_rig rig;
        batch_make(&rig, &config, VIT_F32, 0);
        check_batches(&rig, NULL);
        batch_free(&rig);
    }
}

static void test_logits_are_the_same_for_any_order_of_tasks_and_workers(void **state) {
    static const int threads[] = {1, 2, 3, 8, 1024};
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        vit_config config = batch_config(variant);
        batch_rig rig;
        batch_make(&rig, &config, VIT_F32, 0);
        for (size_t i = 0; i < COUNT_OF(threads); i++) {
            shuffler s = {33};
            vit_options options = {
                .threads = threads[i], .parallel_for = shuffled_for, .parallel_user = &s};
            check_batches(&rig, &options);
        }
        batch_free(&rig);
    }
}

/* So many tokens that threads share the rows of one image, in one part each or in several. */
static void test_logits_are_the_same_where_threads_share_rows(void **state) {
    static const int threads[] = {2, 3, 9};
    (void)state;
    for (int i = 0; i <= VIT_DTYPE_COUNT; i++) {
        vit_config config = small_config();
        batch_rig rig;
        config.img_size[0] = 4 * (i == 0 ? 29 : 8), config.img_size[1] = 3 * 17;
        config.depth = 1, config.num_heads = i == 0 ? 1 : 2;
        batch_make(&rig, &config, (vit_dtype)vit__max(0, i - 1), 0);
        for (size_t j = 0; j < COUNT_OF(threads); j++) {
            float got[2 * CLASSES] = {0};
            shuffler s = {34};
            vit_options options = {
                .threads = threads[j], .parallel_for = shuffled_for, .parallel_user = &s};
            for (int batch = 1; batch <= 2; batch++) {
                assert_status(forward(&rig.model, &options, rig.pixels, batch, got), VIT_OK,
                              "rows");
                assert_same_bits(got, rig.want, (size_t)batch * CLASSES);
            }
        }
        batch_free(&rig);
    }
}

static void test_logits_are_the_same_for_any_number_of_threads(void **state) {
    static const int threads[] = {1, 2, 3, 8};
    (void)state;
    if (!HAS_THREADS) skip();
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        vit_pool *pool = vit_pool_create(threads[i], NULL);
        assert_non_null(pool);
        assert_int_equal(vit_pool_threads(pool), threads[i]);
        for (int variant = 0; variant < 8 * VIT_DTYPE_COUNT; variant++) {
            vit_config config = batch_config(variant % 4);
            batch_rig rig;
            vit_options options = {.threads = threads[i],
                                   .parallel_for = vit_pool_parallel_for,
                                   .parallel_user = pool};
            options.low_memory = variant / 4 % 2;
            batch_make(&rig, &config, (vit_dtype)(variant / 8), options.low_memory);
            check_batches(&rig, &options);
            batch_free(&rig);
        }
        vit_pool_destroy(pool);
    }
}

/* ---- whatever parallel_for does, nothing is written outside the workspace ---- */

static void nothing_for(void *user, int count, vit_task task, void *arg) {
    (void)user, (void)count, (void)task, (void)arg;
}

static void twice_for(void *user, int count, vit_task task, void *arg) {
    (void)user;
    for (int i = 0; i < 2 * count; i++) task(arg, i / 2);
}

static void beyond_for(void *user, int count, vit_task task, void *arg) {
    static const int indices[] = {-1, INT32_MIN, INT32_MAX, 1 << 20};
    (void)user;
    for (size_t i = 0; i < COUNT_OF(indices); i++) task(arg, indices[i]);
    for (int i = count + 8; i >= -8; i--) task(arg, i);
}

/* All indices at once, by more threads than were asked for. */
typedef struct crowd {
    vit_task task;
    void *arg;
    int count;
} crowd;

static void run_in_crowd(void *arg, int index) {
    const crowd *c = (const crowd *)arg;
    c->task(c->arg, index % (c->count + 1) - 1);
}

static void crowded_for(void *user, int count, vit_task task, void *arg) {
    crowd c = {task, arg, count};
    vit_pool_parallel_for(user, 16, run_in_crowd, &c);
}

static void check_any_parallel_for(vit_pool *pool, vit_parallel_for parallel_for) {
    static const int threads[] = {0, 1, 2, 3, 4, 7};
    for (int i = 0; i < (int)COUNT_OF(threads) * VIT_DTYPE_COUNT * 2; i++) {
        vit_config config = batch_config(i % 4);
        batch_rig rig;
        vit_options options;
        memset(&options, 0, sizeof(options));
        options.threads = threads[i % (int)COUNT_OF(threads)];
        options.parallel_for = parallel_for, options.parallel_user = pool;
        options.low_memory = i / (int)COUNT_OF(threads) % 2;
        options.all_tokens = i % 5 == 0;
        batch_make(&rig, &config, (vit_dtype)(i / (int)COUNT_OF(threads) / 2), options.low_memory);
        if (options.all_tokens) { /* computes more, to the same result but for rounding */
            float got[BATCH * CLASSES];
            assert_status(forward(&rig.model, &options, rig.pixels, 5, got), VIT_OK, "all tokens");
        } else check_batches(&rig, &options);
        batch_free(&rig);
    }
}

static void test_no_parallel_for_makes_it_write_outside_the_workspace(void **state) {
    static const vit_parallel_for all[] = {nothing_for, twice_for, beyond_for, crowded_for,
                                           vit_pool_parallel_for};
    vit_pool *pool = vit_pool_create(4, NULL);
    (void)state;
    if (HAS_THREADS) assert_non_null(pool);
    for (size_t i = 0; i < COUNT_OF(all); i++) check_any_parallel_for(pool, all[i]);
    vit_pool_destroy(pool);
}

/* threads 0 asks the pool. */
static void test_a_pool_tells_how_many_threads_it_has(void **state) {
    vit_config config = small_config();
    vit_options by_pool, by_number;
    batch_rig rig;
    vit_pool *pool = vit_pool_create(3, NULL);
    (void)state;
    if (!HAS_THREADS) skip();
    memset(&by_pool, 0, sizeof(by_pool));
    by_pool.parallel_for = vit_pool_parallel_for, by_pool.parallel_user = pool;
    by_number = by_pool;
    by_number.threads = 3;
    batch_make(&rig, &config, VIT_F32, 0);
    size_t three = vit_workspace_size(&rig.model, &by_number, 8);
    assert_int_equal(vit_workspace_size(&rig.model, &by_pool, 8), three);
    by_pool.parallel_user = NULL; /* a pool that could not be created has one */
    assert_true(vit_workspace_size(&rig.model, &by_pool, 8) < three);
    vit_pool_destroy(pool);
    batch_free(&rig);
}

/* Whether the scores of one worker, and of no other, are written by a task that this one runs. */
static void check_scores(vit__pass *pass, int worker) {
    size_t size = pass->scratch_size;
    pass->first_head = 0;
    memset(pass->scratch, 0xFF, 3 * size * sizeof(float));
    vit__attention_task(pass, 0, worker);
    for (size_t i = 0; i < 3 * size; i += size)
        assert_int_equal(isnan(pass->scratch[i + pass->slice_size]), i != (size_t)worker * size);
}

static void test_attention_writes_into_the_scores_of_its_worker_alone(void **state) {
    shuffler s = {38};
    vit_options options = {.threads = 3, .parallel_for = shuffled_for, .parallel_user = &s};
    golden_model golden;
    stepper step;
    (void)state;
    golden_open(&golden, "tiny");
    stepper_make(&step, &golden.model, &options);
    vit__embed(&step.pass, golden.pixels);
    vit__attention_branch(&step.pass, 0);
    for (int worker = 0; worker < 3; worker++) check_scores(&step.pass, worker);
    free(step.workspace);
    golden_close(&golden);
}

/* threads without a parallel_for, and the reverse, mean one thread. */
static void test_a_hook_without_threads_runs_as_one(void **state) {
    vit_config config = small_config();
    batch_rig rig;
    shuffler s = {34};
    vit_options hook = {.parallel_for = shuffled_for, .parallel_user = &s};
    vit_options threads = {.threads = 8};
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    check_batches(&rig, &hook);
    check_batches(&rig, &threads);
    size_t one = vit_workspace_size(&rig.model, NULL, 8);
    assert_int_equal(vit_workspace_size(&rig.model, &hook, 8), one);
    assert_int_equal(vit_workspace_size(&rig.model, &threads, 8), one);
    batch_free(&rig);
}

/* ---- several callers ---- */

#ifdef THREADS
#include <pthread.h>

typedef struct caller {
    const batch_rig *rig;
    const vit_options *options;
    pthread_t thread;
    int differences;
} caller;

/* No assertion here: cmocka's may be used on the main thread alone. */
static void *call_often(void *arg) {
    caller *c = (caller *)arg;
    size_t need = vit_workspace_size(&c->rig->model, c->options, 3);
    void *workspace = need > 0 ? malloc(need) : NULL;
    for (int i = 0; i < 20 && workspace != NULL; i++) {
        float got[3 * CLASSES] = {0};
        vit_status status =
            vit_forward(&c->rig->model, c->options, c->rig->pixels, 3, got, workspace, need);
        c->differences += status != VIT_OK;
        for (int k = 0; k < 3 * CLASSES; k++)
            c->differences += bits_of(got[k]) != bits_of(c->rig->want[k]);
    }
    c->differences += workspace == NULL;
    free(workspace);
    return NULL;
}

static void check_callers(const vit_options *options) {
    vit_config config = small_config();
    batch_rig rig;
    caller callers[4];
    batch_make(&rig, &config, VIT_F32, 0);
    for (size_t i = 0; i < COUNT_OF(callers); i++) {
        callers[i].rig = &rig, callers[i].options = options, callers[i].differences = 0;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(callers); i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        assert_int_equal(callers[i].differences, 0);
    }
    batch_free(&rig);
}
#else
static void check_callers(const vit_options *options) {
    (void)options;
    fail_msg("there are no threads");
}
#endif

static void test_many_threads_share_one_model(void **state) {
    (void)state;
    if (!HAS_THREADS) skip();
    check_callers(NULL);
}

static void test_many_threads_share_one_model_and_one_pool(void **state) {
    vit_pool *pool = vit_pool_create(3, NULL);
    vit_options options = {
        .threads = 3, .parallel_for = vit_pool_parallel_for, .parallel_user = pool};
    (void)state;
    if (!HAS_THREADS) skip();
    assert_non_null(pool);
    check_callers(&options);
    vit_pool_destroy(pool);
}

/* ---- the hook ---- */

typedef struct watch {
    int calls, stop_at;
    int blocks[64], images[64], counts[64];
} watch;

static int watch_block(void *user, const vit_block_output *output) {
    watch *w = (watch *)user;
    w->blocks[w->calls] = output->block;
    w->images[w->calls] = output->image;
    w->counts[w->calls] = output->images;
    return ++w->calls == w->stop_at;
}

static void test_on_block_sees_every_block_of_every_image_in_order(void **state) {
    vit_config config = small_config();
    batch_rig rig;
    shuffler s = {35};
    watch w = {0, 0, {0}, {0}, {0}};
    vit_options options = {.threads = 3,
                           .parallel_for = shuffled_for,
                           .parallel_user = &s,
                           .on_block = watch_block,
                           .on_block_user = &w};
    float logits[BATCH * CLASSES] = {0};
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    assert_status(forward(&rig.model, &options, rig.pixels, 8, logits), VIT_OK, "forward");
    assert_int_equal(w.calls, 6); /* images 0-2, 3-5, 6-7, two blocks each */
    for (int i = 0; i < w.calls; i++) {
        assert_int_equal(w.blocks[i], i % 2);
        assert_int_equal(w.images[i], i / 2 * 3);
        assert_int_equal(w.counts[i], i < 4 ? 3 : 2);
    }
    batch_free(&rig);
}

static void test_on_block_stops_the_pass(void **state) {
    vit_config config = small_config();
    batch_rig rig;
    float logits[3 * CLASSES] = {0};
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    for (int stop_at = 1; stop_at <= 6; stop_at++) {
        watch w = {0, stop_at, {0}, {0}, {0}};
        vit_options options = {.on_block = watch_block, .on_block_user = &w};
        assert_status(forward(&rig.model, &options, rig.pixels, 3, logits), VIT_ERROR_STOPPED,
                      "stop");
        assert_int_equal(w.calls, stop_at);
    }
    batch_free(&rig);
}

/* ---- the workspace ---- */

static void test_workspace_may_lie_anywhere_be_dirty_and_exact(void **state) {
    vit_config config = small_config();
    batch_rig rig;
    float got[2 * CLASSES] = {0};
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    size_t need = vit_workspace_size(&rig.model, NULL, 2);
    for (size_t shift = 0; shift < 64; shift++) {
        guarded w = guarded_make(need, shift); /* filled with NaN */
        assert_status(vit_forward(&rig.model, NULL, rig.pixels, 2, got, w.bytes, need), VIT_OK,
                      "forward");
        guarded_free(&w);
        assert_same_bits(got, rig.want, 2 * CLASSES);
    }
    batch_free(&rig);
}

static void test_a_workspace_used_for_something_else_gives_the_same(void **state) {
    vit_config config = batch_config(2);
    batch_rig rig;
    uint32_t random = 36;
    float got[CLASSES] = {0};
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    size_t need = vit_workspace_size(&rig.model, NULL, 1);
    unsigned char *workspace = (unsigned char *)allocate(need);
    for (size_t image = 0; image < BATCH; image++) {
        random_bytes(&random, workspace, need);
        assert_status(
            vit_forward(&rig.model, NULL, rig.pixels + image * rig.count, 1, got, workspace, need),
            VIT_OK, "forward");
        assert_same_bits(got, rig.want + image * CLASSES, CLASSES);
    }
    free(workspace);
    batch_free(&rig);
}

static void test_a_workspace_one_byte_too_small_is_refused_and_left_alone(void **state) {
    vit_config config = small_config();
    batch_rig rig;
    float got[CLASSES] = {1, 2, 3, 4, 5};
    const float untouched[CLASSES] = {1, 2, 3, 4, 5};
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    size_t need = vit_workspace_size(&rig.model, NULL, 1);
    guarded w = guarded_make(need, 0);
    assert_int_equal(vit_forward(&rig.model, NULL, rig.pixels, 1, got, w.bytes, need - 1),
                     VIT_ERROR_WORKSPACE);
    assert_int_equal(vit_forward(&rig.model, NULL, rig.pixels, 1, got, w.bytes, 0),
                     VIT_ERROR_WORKSPACE);
    for (size_t i = 0; i < need; i++) assert_int_equal(w.bytes[i], 0xFF);
    assert_same_bits(got, untouched, CLASSES);
    guarded_free(&w);
    batch_free(&rig);
}

static void test_workspace_grows_with_the_smaller_of_threads_and_batch(void **state) {
    vit_config config = small_config();
    vit_model model;
    model_file file = model_make_open(&config, 37, &model);
    shuffler s = {0};
    vit_options options = {.threads = 4, .parallel_for = shuffled_for, .parallel_user = &s};
    (void)state;
    for (int batch = 2; batch <= 12; batch++) {
        size_t before = vit_workspace_size(&model, &options, batch - 1);
        size_t now = vit_workspace_size(&model, &options, batch);
        assert_true(batch <= 4 ? now > before : now == before);
        assert_int_equal(vit_workspace_size(&model, NULL, batch),
                         vit_workspace_size(&model, NULL, 1));
    }
    assert_int_equal(vit_workspace_size(&model, &options, INT32_MAX),
                     vit_workspace_size(&model, &options, 4));
    options.threads = 8;
    assert_true(vit_workspace_size(&model, &options, 1) < 4 * vit_workspace_size(&model, NULL, 1));
    model_free(&file);
}

/* ---- pixels a row of patches at a time ---- */

/* What read_rows of the tests gives, and whether it is asked in order. */
typedef struct row_source {
    const vit_config *config;
    const vit_options *options;
    const void *pixels; /* of all images */
    int calls, stop_at;
} row_source;

static int give_rows(void *user, int image, int row, void *pixels) {
    row_source *s = (row_source *)user;
    const vit_config *c = s->config;
    const int rows = c->patch_size[0], down = c->img_size[0] / rows;
    const size_t width = (size_t)c->img_size[1], channels = (size_t)c->in_chans;
    const size_t plane = (size_t)c->img_size[0] * width, some = (size_t)rows * width;
    assert_int_equal(image, s->calls / down);
    assert_int_equal(row, s->calls % down * rows);
    size_t first = (size_t)image * channels * plane;
    if (s->options->pixel_type == VIT_PIXELS_U8) {
        const unsigned char *in = (const unsigned char *)s->pixels + first;
        memcpy(pixels, in + (size_t)row * width * channels, some * channels);
    } else {
        const float *in = (const float *)s->pixels + first;
        for (size_t i = 0; i < channels; i++)
            memcpy((float *)pixels + i * some, in + i * plane + (size_t)row * width,
                   some * sizeof(float));
    }
    return s->calls++ == s->stop_at ? -1 : 0;
}

/* stops: whether to stop the pass at each call, too. */
static void check_rows(const vit_model *model, vit_options options, const void *pixels, int stops) {
    float want[BATCH * CLASSES], got[BATCH * CLASSES];
    row_source s = {vit_model_config(model), &options, pixels, 0, -1};
    const int batch = 5, calls = batch * (s.config->img_size[0] / s.config->patch_size[0]);
    assert_status(forward(model, &options, pixels, batch, want), VIT_OK, "pixels");
    options.read_rows = give_rows, options.read_rows_user = &s;
    assert_status(forward(model, &options, NULL, batch, got), VIT_OK, "rows");
    assert_int_equal(s.calls, calls);
    assert_same_bits(got, want, (size_t)batch * CLASSES);
    for (int at = 0; stops && at < calls; at++) {
        s.calls = 0, s.stop_at = at;
        assert_status(forward(model, &options, NULL, batch, got), VIT_ERROR_STOPPED, "stopped");
        assert_int_equal(s.calls, at + 1);
    }
}

static void test_rows_of_patches_one_by_one_give_the_same_logits(void **state) {
    static const int threads[] = {1, 2, 3, 8};
    (void)state;
    for (int variant = 0; variant < 16 * VIT_DTYPE_COUNT; variant++) {
        vit_config config = small_config();
        shuffler s = {34};
        vit_options options = {
            .threads = threads[variant / 4 % 4], .parallel_for = shuffled_for, .parallel_user = &s};
        batch_rig rig;
        options.low_memory = variant % 2;
        options.pixel_type = (vit_pixel_type)(variant / 2 % 2);
        batch_make(&rig, &config, (vit_dtype)(variant / 16), 0);
        check_rows(&rig.model, options, rig.pixels, variant < 16);
        batch_free(&rig);
    }
}

static void test_pixels_come_one_way(void **state) {
    vit_config config = small_config();
    vit_options options = {0};
    row_source s = {&config, &options, NULL, 0, -1};
    batch_rig rig;
    float got[CLASSES], rollout[64];
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    assert_status(forward(&rig.model, &options, NULL, 1, got), VIT_ERROR_ARGUMENT, "neither");
    options.read_rows = give_rows, options.read_rows_user = &s;
    assert_status(forward(&rig.model, &options, rig.pixels, 1, got), VIT_ERROR_ARGUMENT, "both");
    size_t size = vit_rollout_workspace_size(&rig.model, &options);
    assert_true(size > 0);
    void *workspace = allocate(size);
    assert_status(
        vit_rollout(&rig.model, &options, rig.pixels, 1, got, 0, rollout, workspace, size),
        VIT_ERROR_ARGUMENT, "rollout");
    assert_int_equal(s.calls, 0);
    free(workspace);
    batch_free(&rig);
}

/* ---- what is refused ---- */

/* Little memory is never more, and where there are several heads it is less. */
static void test_low_memory_takes_less(void **state) {
    vit_options low;
    (void)state;
    memset(&low, 0, sizeof(low));
    low.low_memory = 1;
    for (int dtype = 0; dtype < VIT_DTYPE_COUNT; dtype++) {
        vit_config config = small_config();
        vit_model model;
        model_file file = model_make_dtype(&config, (vit_dtype)dtype, 45, &model);
        size_t least = vit_workspace_size(&model, &low, 1);
        assert_in_range(least, 1, vit_workspace_size(&model, NULL, 1) - 1);
        model_free(&file);
    }
}

static void test_impossible_arguments_have_no_workspace_and_are_refused(void **state) {
    static const struct {
        int threads, batch, pixel_type;
    } bad[] = {{0, 0, 0},         {0, -1, 0}, {-1, 1, 0}, {1025, 1, 0},
               {INT32_MAX, 1, 0}, {0, 1, 2},  {0, 1, 99}};
    vit_config config = small_config();
    batch_rig rig;
    float got[CLASSES], workspace[4];
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        vit_options options;
        memset(&options, 0, sizeof(options));
        options.threads = bad[i].threads;
        options.pixel_type = (vit_pixel_type)bad[i].pixel_type;
        assert_int_equal(vit_workspace_size(&rig.model, &options, bad[i].batch), 0);
        assert_int_equal(vit_forward(&rig.model, &options, rig.pixels, bad[i].batch, got, workspace,
                                     sizeof(workspace)),
                         VIT_ERROR_ARGUMENT);
    }
    batch_free(&rig);
}

static void test_null_arguments_are_refused(void **state) {
    vit_config config = small_config();
    batch_rig rig;
    float out[CLASSES] = {0};
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    size_t need = vit_workspace_size(&rig.model, NULL, 1);
    unsigned char *work = (unsigned char *)allocate(need);
    const vit_model *m = &rig.model;
    assert_int_equal(vit_workspace_size(NULL, NULL, 1), 0);
    assert_int_equal(vit_forward(NULL, NULL, rig.pixels, 1, out, work, need), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_forward(m, NULL, NULL, 1, out, work, need), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_forward(m, NULL, rig.pixels, 1, NULL, work, need), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_forward(m, NULL, rig.pixels, 1, out, NULL, need), VIT_ERROR_ARGUMENT);
    free(work);
    batch_free(&rig);
}

/* ---- the pool ---- */

typedef struct tally {
    int runs[1000];
} tally;

static void count_run(void *arg, int index) {
    tally *t = (tally *)arg;
    t->runs[index]++;
}

static void test_a_pool_runs_every_index_once(void **state) {
    static const int counts[] = {0, 1, 2, 7, 1000};
    (void)state;
    if (!HAS_THREADS) skip();
    for (int threads = 1; threads <= 9; threads += 2) {
        vit_pool *pool = vit_pool_create(threads, NULL);
        assert_non_null(pool);
        for (size_t i = 0; i < COUNT_OF(counts) * 20; i++) {
            tally t;
            memset(&t, 0, sizeof(t));
            vit_pool_parallel_for(pool, counts[i % COUNT_OF(counts)], count_run, &t);
            for (int k = 0; k < 1000; k++)
                assert_int_equal(t.runs[k], k < counts[i % COUNT_OF(counts)]);
        }
        vit_pool_destroy(pool);
    }
}

static void test_a_pool_has_the_processors_of_the_process_by_default(void **state) {
    (void)state;
    if (!HAS_THREADS) skip();
    vit_pool *pool = vit_pool_create(0, NULL);
    assert_in_range(vit_processor_count(), 1, VIT__MAX_THREADS);
    assert_int_equal(vit_pool_threads(pool), vit_processor_count());
    vit_pool_destroy(pool);
}

static void test_pools_of_impossible_size_are_not_created(void **state) {
    (void)state;
    assert_null(vit_pool_create(-1, NULL));
    assert_null(vit_pool_create(INT32_MAX, NULL));
    assert_int_equal(vit_pool_threads(NULL), 1);
    vit_pool_destroy(NULL);
}

static void test_a_pool_that_could_not_be_created_runs_on_the_caller(void **state) {
    tally t;
    (void)state;
    memset(&t, 0, sizeof(t));
    vit_pool_parallel_for(NULL, 3, count_run, &t);
    for (int i = 0; i < 4; i++) assert_int_equal(t.runs[i], i < 3);
}

/* A size computed on one machine holds on every other, so it does not depend on what is there. */
static void test_an_instruction_set_that_is_not_there_is_an_error_of_forward_alone(void **state) {
    vit_config config = small_config();
    float got[8];
    batch_rig rig;
    (void)state;
    batch_make(&rig, &config, VIT_F32, 0);
    size_t size = vit_workspace_size(&rig.model, NULL, 1);
    void *workspace = allocate(size);
    for (int isa = 0; isa < VIT_ISA_COUNT; isa++) {
        vit_options options;
        memset(&options, 0, sizeof(options));
        options.isa = (vit_isa)isa;
        int there = isa == VIT_ISA_BEST || vit__kernels_of(options.isa) != NULL;
        assert_int_equal(vit_workspace_size(&rig.model, &options, 1), size);
        assert_int_equal(vit_forward(&rig.model, &options, rig.pixels, 1, got, workspace, size),
                         there ? VIT_OK : VIT_ERROR_ISA);
    }
    free(workspace);
    batch_free(&rig);
}

#ifdef VIT__HAVE_AMX
/* Has to come first: what Linux has granted a process once stays granted. */
static void test_models_run_where_linux_refuses_the_tiles(void **state) {
    static const vit_dtype dtypes[] = {VIT_INT8, VIT_INT8X, VIT_BF16};
    static char too_small[4096];
    stack_t stack;
    (void)state;
    if (vit_best_isa() != VIT_ISA_AMX) skip();
    memset(&stack, 0, sizeof(stack));
    stack.ss_sp = too_small, stack.ss_size = sizeof(too_small);
    assert_int_equal(sigaltstack(&stack, NULL), 0);
    assert_ptr_equal(vit__kernels_for_dtype(&vit__kernels_amx, VIT_INT8), &vit__kernels_avx512bf16);
    for (size_t i = 0; i < COUNT_OF(dtypes); i++) {
        const vit_options others = {.isa = VIT_ISA_AVX512_BF16};
        vit_config config = batch_config(0);
        batch_rig rig;
        batch_make(&rig, &config, dtypes[i], 0);
        check_batches(&rig, &others);
        batch_free(&rig);
    }
    stack.ss_flags = SS_DISABLE;
    assert_int_equal(sigaltstack(&stack, NULL), 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
#ifdef VIT__HAVE_AMX
        cmocka_unit_test(test_models_run_where_linux_refuses_the_tiles),
#endif
        cmocka_unit_test(test_embedding_equals_pytorch),
        cmocka_unit_test(test_every_block_equals_pytorch),
        cmocka_unit_test(test_final_norm_equals_pytorch),
        cmocka_unit_test(test_logits_equal_pytorch),
        cmocka_unit_test(test_last_block_for_token_0_alone_is_exact),
        cmocka_unit_test(test_last_block_computes_the_tokens_of_the_head_only),
        cmocka_unit_test(test_logits_are_the_same_for_any_batch),
        cmocka_unit_test(test_logits_are_the_same_for_any_order_of_tasks_and_workers),
        cmocka_unit_test(test_logits_are_the_same_where_threads_share_rows),
        cmocka_unit_test(test_logits_are_the_same_for_any_number_of_threads),
        cmocka_unit_test(test_attention_writes_into_the_scores_of_its_worker_alone),
        cmocka_unit_test(test_a_hook_without_threads_runs_as_one),
        cmocka_unit_test(test_many_threads_share_one_model),
        cmocka_unit_test(test_many_threads_share_one_model_and_one_pool),
        cmocka_unit_test(test_on_block_sees_every_block_of_every_image_in_order),
        cmocka_unit_test(test_on_block_stops_the_pass),
        cmocka_unit_test(test_workspace_may_lie_anywhere_be_dirty_and_exact),
        cmocka_unit_test(test_a_workspace_used_for_something_else_gives_the_same),
        cmocka_unit_test(test_a_workspace_one_byte_too_small_is_refused_and_left_alone),
        cmocka_unit_test(test_workspace_grows_with_the_smaller_of_threads_and_batch),
        cmocka_unit_test(test_rows_of_patches_one_by_one_give_the_same_logits),
        cmocka_unit_test(test_pixels_come_one_way),
        cmocka_unit_test(test_low_memory_takes_less),
        cmocka_unit_test(test_impossible_arguments_have_no_workspace_and_are_refused),
        cmocka_unit_test(test_null_arguments_are_refused),
        cmocka_unit_test(test_no_parallel_for_makes_it_write_outside_the_workspace),
        cmocka_unit_test(test_a_pool_tells_how_many_threads_it_has),
        cmocka_unit_test(test_a_pool_runs_every_index_once),
        cmocka_unit_test(test_a_pool_has_the_processors_of_the_process_by_default),
        cmocka_unit_test(test_pools_of_impossible_size_are_not_created),
        cmocka_unit_test(test_a_pool_that_could_not_be_created_runs_on_the_caller),
        cmocka_unit_test(test_an_instruction_set_that_is_not_there_is_an_error_of_forward_alone),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
