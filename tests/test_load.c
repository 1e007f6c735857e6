/* Loading from a file, mapped and read, with every allocation failing once; the same for the pool.
   Builds with VIT_NO_MMAP too. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What pthread.h makes for the pool fails at one of the calls too. */
static int pthread_calls, pthread_fails_at; /* 0: never */

static int pthread_fails(void) {
    return ++pthread_calls == pthread_fails_at;
}

static int test_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                               void *(*start)(void *), void *arg) {
    return pthread_fails() ? EAGAIN : pthread_create(thread, attributes, start, arg);
}

static int test_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    return pthread_fails() ? ENOMEM : pthread_mutex_init(mutex, attributes);
}

static int test_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes) {
    return pthread_fails() ? ENOMEM : pthread_cond_init(cond, attributes);
}

static long close_takes; /* nanoseconds */

#ifndef VIT_NO_MMAP
/* Gives the writer of a pipe the time to notice that its reader is gone. */
static int slow_close(int file) {
    const struct timespec wait = {0, close_takes};
    int result = close(file);
    nanosleep(&wait, NULL);
    return result;
}
#define close slow_close

static int fstat_fails;

static int test_fstat(int file, struct stat *info) {
    return fstat_fails ? -1 : fstat(file, info);
}
#define fstat test_fstat
#endif

static int clock_fails, proc_fails;

static int test_clock_gettime(clockid_t clock, struct timespec *t) {
    return clock_fails ? -1 : clock_gettime(clock, t);
}

static FILE *test_fopen(const char *name, const char *mode) {
    return proc_fails && strncmp(name, "/proc/", 6) == 0 ? NULL : fopen(name, mode);
}

static long processors; /* that the system tells of; 0: the truth */

static long test_sysconf(int name) {
    return processors == 0 ? sysconf(name) : processors;
}

#define clock_gettime test_clock_gettime
#define fopen test_fopen
#define sysconf test_sysconf
#define pthread_create test_pthread_create
#define pthread_mutex_init test_mutex_init
#define pthread_cond_init test_cond_init
#include "heap.h"
#include "test_util.h"
#undef close
#undef fstat
#undef clock_gettime
#undef fopen
#undef sysconf
#undef pthread_create
#undef pthread_mutex_init
#undef pthread_cond_init

#include <sys/resource.h>
#include <sys/wait.h>

#ifdef VIT_NO_MMAP
#define CALLS_OF_A_LOAD(read) 1
#else
#define CALLS_OF_A_LOAD(read) (read) /* a mapped file takes no memory */
#endif

/* ---- files ---- */

#define FOLDER_TEMPLATE "/tmp/vit_test_XXXXXX"

static char folder[] = FOLDER_TEMPLATE;
static char path[sizeof(folder) + 16];
static model_file tiny; /* what path holds as a rule */

static void write_file(const unsigned char *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A file that stays open is one of few: the tests soon fail. */
static int make_folder(void **state) {
    const struct rlimit few = {30, 30};
    model_parts parts;
    (void)state;
    memset(&parts, 0, sizeof(parts));
    parts.config = tiny_config();
    parts.labels = "a\0b";
    parts.labels_size = 4;
    parts.chunks = 1;
    tiny = model_make(&parts, 50);
    if (setrlimit(RLIMIT_NOFILE, &few) != 0 || mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof(path), "%s/model.vit", folder);
    return 0;
}

static int write_tiny(void **state) {
    (void)state;
    write_file(tiny.data, tiny.size);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    model_free(&tiny);
    remove(path);
    return rmdir(folder);
}

/* Both ways of loading: mapped where that is possible, and read. */
static vit_load_options ways(int read, heap *h) {
    if (h != NULL) memset(h, 0, sizeof(*h));
    vit_load_options options = {.no_map = read, .malloc_context = h};
    return options;
}

/* Indices backwards, so that what fails last is seen first. */
static void run_backwards(void *user, int count, vit_task task, void *arg) {
    (void)user;
    for (int index = count - 1; index >= 0; index--) task(arg, index);
}

/* Several tasks come to the same status as one. */
static void assert_shared_load(int read, vit_status want) {
    heap h;
    vit_model model;
    vit_load_options options = ways(read, &h);
    options.threads = 3, options.parallel_for = run_backwards;
    assert_status(vit_model_load(&model, path, &options), want, "several tasks");
    vit_model_close(&model);
}

/* Loads with no leak, whatever comes of it: what failed needs no closing, but may be closed. */
static vit_status try_load(int read) {
    heap h;
    vit_model model;
    vit_load_options options = ways(read, &h);
    vit_status status = vit_model_load(&model, path, &options);
    if (status == VIT_OK) vit_model_close(&model);
    assert_int_equal(h.live, 0);
    assert_null(model.memory);
    vit_model_close(&model);
    assert_null(model.data);
    return status;
}

static void assert_load(vit_status want, const char *where) {
    for (int read = 0; read < 2; read++) {
        assert_status(try_load(read), want, where);
        assert_shared_load(read, want);
    }
}

/* ---- what loads ---- */

static void test_a_loaded_model_is_the_one_in_the_file(void **state) {
    vit_model opened;
    float pixels[3] = {0.5f, -1, 2}, want[2] = {0}, got[2] = {0};
    (void)state;
    assert_int_equal(vit_model_open(&opened, tiny.data, tiny.size), VIT_OK);
    assert_int_equal(forward(&opened, NULL, pixels, 1, want), VIT_OK);
    for (int read = 0; read < 2; read++) {
        heap h;
        vit_model model;
        vit_load_options options = ways(read, &h);
        assert_status(vit_model_load(&model, path, &options), VIT_OK, "load");
        assert_memory_equal(model.data, tiny.data, tiny.size);
        assert_int_equal((uintptr_t)model.data % 64, 0);
        assert_string_equal(vit_model_label(&model, 1), "b");
        assert_status(forward(&model, NULL, pixels, 1, got), VIT_OK, "forward");
        assert_same_bits(got, want, 2);
        assert_int_equal(h.calls, CALLS_OF_A_LOAD(read));
        assert_shared_load(read, VIT_OK);
        vit_model_close(&model);
        assert_int_equal(h.live, 0);
    }
}

static void test_default_options_are_null_and_zero(void **state) {
    static const vit_load_options zero = {.no_verify = 0};
    vit_model model;
    (void)state;
    assert_status(vit_model_load(&model, path, NULL), VIT_OK, "NULL");
    vit_model_close(&model);
    assert_status(vit_model_load(&model, path, &zero), VIT_OK, "zero");
    vit_model_close(&model);
}

static void test_a_model_may_be_closed_twice(void **state) {
    (void)state;
    for (int read = 0; read < 2; read++) {
        heap h;
        vit_model model;
        vit_load_options options = ways(read, &h);
        assert_status(vit_model_load(&model, path, &options), VIT_OK, "load");
        vit_model_close(&model);
        vit_model_close(&model);
        assert_int_equal(h.live, 0);
        assert_int_equal(vit_workspace_size(&model, NULL, 1), 0);
    }
}

/* A file that was read does not need to exist any longer. */
static void test_a_read_model_survives_its_file(void **state) {
    vit_model model;
    vit_load_options options = ways(1, NULL);
    (void)state;
    assert_status(vit_model_load(&model, path, &options), VIT_OK, "load");
    write_file((const unsigned char *)"", 0);
    assert_status(vit_model_verify(&model), VIT_OK, "verify");
    vit_model_close(&model);
}

/* ---- what does not ---- */

static void test_a_missing_file_cannot_be_opened(void **state) {
    (void)state;
    assert_int_equal(remove(path), 0);
    assert_load(VIT_ERROR_OPEN, "missing");
}

static void test_a_folder_cannot_be_read(void **state) {
    (void)state;
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_load(VIT_ERROR_READ, "folder");
    assert_int_equal(rmdir(path), 0);
}

static void test_a_file_cut_off_anywhere_is_refused(void **state) {
    (void)state;
    for (size_t size = 0; size < tiny.size; size += size < 400 ? 1 : 61) {
        write_file(tiny.data, size);
        assert_load(size < 12 ? VIT_ERROR_MAGIC : VIT_ERROR_SIZE, "cut off");
    }
}

static void test_a_byte_behind_the_end_is_refused(void **state) {
    unsigned char *longer = (unsigned char *)allocate(tiny.size + 1);
    (void)state;
    memcpy(longer, tiny.data, tiny.size);
    longer[tiny.size] = 0;
    write_file(longer, tiny.size + 1);
    assert_load(VIT_ERROR_SIZE, "a byte more");
    free(longer);
}

static void test_other_files_are_recognised(void **state) {
    static const unsigned char png[300] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    (void)state;
    write_file(png, sizeof(png));
    assert_load(VIT_ERROR_MAGIC, "PNG");
    tiny.data[8] = 2;
    write_file(tiny.data, tiny.size);
    tiny.data[8] = 1;
    assert_load(VIT_ERROR_VERSION, "version 2");
}

/* A file that claims to be huge takes no huge memory. */
static void test_a_file_that_claims_to_be_huge_is_refused(void **state) {
    static const uint64_t claims[] = {(uint64_t)1 << 31, (uint64_t)1 << 62, UINT64_MAX - 63,
                                      UINT64_MAX};
    unsigned char *copy = (unsigned char *)allocate(tiny.size);
    (void)state;
    memcpy(copy, tiny.data, tiny.size);
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        put_u64(copy + 24, claims[i]);
        seal_head(copy);
        write_file(copy, tiny.size);
#ifndef VIT_NO_MMAP
        assert_int_equal(try_load(0), VIT_ERROR_SIZE);
#endif
        assert_int_equal(try_load(1), VIT_ERROR_MEMORY);
    }
    put_u64(copy + 24, 383);
    write_file(copy, tiny.size);
    assert_load(VIT_ERROR_SIZE, "383");
    free(copy);
}

static void test_damaged_weights_are_found_unless_not_looked_for(void **state) {
    vit_model model;
    (void)state;
    tiny.data[tiny.size - 200] ^= 4;
    write_file(tiny.data, tiny.size);
    tiny.data[tiny.size - 200] ^= 4;
    assert_load(VIT_ERROR_CHECKSUM, "damaged");
    for (int read = 0; read < 2; read++) {
        vit_load_options options = {.no_verify = 1, .no_map = read};
        assert_status(vit_model_load(&model, path, &options), VIT_OK, "no_verify");
        assert_status(vit_model_verify(&model), VIT_ERROR_CHECKSUM, "verify");
        vit_model_close(&model);
    }
}

static void test_a_damaged_head_is_refused_even_without_verifying(void **state) {
    (void)state;
    tiny.data[200] ^= 1;
    write_file(tiny.data, tiny.size);
    tiny.data[200] ^= 1;
    for (int read = 0; read < 2; read++) {
        vit_model model;
        vit_load_options options = {.no_verify = 1, .no_map = read};
        assert_status(vit_model_load(&model, path, &options), VIT_ERROR_HEAD, "head");
        vit_model_close(&model);
    }
}

static void test_null_arguments_are_refused(void **state) {
    vit_model model;
    (void)state;
    memset(&model, 0xFF, sizeof(model));
    assert_int_equal(vit_model_load(NULL, path, NULL), VIT_ERROR_ARGUMENT);
    assert_int_equal(vit_model_load(&model, NULL, NULL), VIT_ERROR_ARGUMENT);
    vit_model_close(&model);
}

/* ---- pipes ---- */

static void *write_pipe(void *arg) {
    const model_file *file = (const model_file *)arg;
    FILE *pipe = fopen(path, "wb");
    if (pipe == NULL) return NULL;
    fwrite(file->data, 1, file->size, pipe);
    fclose(pipe);
    return NULL;
}

/* A named pipe cannot be mapped: it is read, and opened once, for its writer writes once. The file
   is larger than the pipe. */
static void test_a_pipe_is_read(void **state) {
    model_file file;
    (void)state;
    file.data = read_file(GOLDEN "tiny.vit", &file.size);
    close_takes = 2000000;
    alarm(60); /* who opens it a second time waits for ever */
    for (int i = 0; i < 10; i++) {
        pthread_t writer;
        assert_int_equal(remove(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(pthread_create(&writer, NULL, write_pipe, &file), 0);
        assert_status(try_load(i % 2), VIT_OK, i % 2 ? "read" : "by default");
        assert_int_equal(pthread_join(writer, NULL), 0);
    }
    alarm(0);
    close_takes = 0;
    assert_int_equal(remove(path), 0);
    free(file.data);
}

/* ---- out of memory ---- */

static void test_loading_survives_the_failure_of_every_allocation(void **state) {
    (void)state;
    for (int read = 0; read < 2; read++) {
        vit_status status = VIT_ERROR_MEMORY;
        for (int n = 1; status != VIT_OK; n++) {
            heap h;
            vit_model model;
            vit_load_options options = ways(read, &h);
            h.fail_at = n;
            status = vit_model_load(&model, path, &options);
            assert_true(status == (h.calls >= n ? VIT_ERROR_MEMORY : VIT_OK));
            if (status != VIT_OK) assert_int_equal(h.live, 0);
            vit_model_close(&model);
            assert_int_equal(h.live, 0);
        }
    }
}

static void test_a_failed_load_leaves_nothing_behind(void **state) {
    (void)state;
    for (size_t at = 0; at < tiny.size; at += 13) {
        tiny.data[at] ^= 0x20;
        write_file(tiny.data, tiny.size);
        tiny.data[at] ^= 0x20;
        assert_int_not_equal(try_load(0), VIT_OK);
        assert_int_not_equal(try_load(1), VIT_OK);
    }
}

/* ---- the pool ---- */

static void test_creating_a_pool_survives_the_failure_of_every_allocation(void **state) {
    vit_pool *pool = NULL;
    (void)state;
    for (int n = 1; pool == NULL; n++) {
        heap h = {0, 0, n};
        pool = vit_pool_create(3, &h);
        assert_int_equal(pool == NULL, h.calls >= n);
        if (pool == NULL) assert_int_equal(h.live, 0);
        if (pool != NULL) vit_pool_destroy(pool);
        assert_int_equal(h.live, 0);
    }
}

static void test_creating_a_pool_survives_the_failure_of_every_call_to_pthread(void **state) {
    vit_pool *pool = NULL;
    (void)state;
    for (int n = 1; pool == NULL; n++) {
        heap h = {0, 0, 0};
        pthread_calls = 0, pthread_fails_at = n;
        pool = vit_pool_create(8, &h);
        assert_int_equal(pool == NULL, pthread_calls >= n);
        if (pool != NULL) assert_in_range(n, 8, 20); /* 7 threads, mutexes and conditions */
        if (pool != NULL) vit_pool_destroy(pool);
        assert_int_equal(h.live, 0);
    }
    pthread_fails_at = 0;
}

static void test_destroying_a_pool_gives_all_memory_back(void **state) {
    (void)state;
    for (int threads = 1; threads <= 17; threads++) {
        heap h = {0, 0, 0};
        vit_pool *pool = vit_pool_create(threads, &h);
        assert_non_null(pool);
        assert_true(h.live > 0);
        vit_pool_destroy(pool);
        assert_int_equal(h.live, 0);
    }
}

/* Ends the child with status 0 where `child` returns; a child that hangs is killed. */
static void in_a_fork(void (*child)(vit_pool *pool), vit_pool *pool) {
    int status = -1;
    fflush(NULL);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        alarm(10);
        child(pool);
        _exit(0);
    }
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
}

static void count_index(void *arg, int index) {
    int *runs = (int *)arg;
    runs[index]++;
}

static void run_in_the_child(vit_pool *pool) {
    int runs[100] = {0};
    vit_pool_parallel_for(pool, 100, count_index, runs);
    for (int i = 0; i < 100; i++) {
        if (runs[i] != 1) _exit(1);
    }
    vit_pool_destroy(pool);
}

static void fork_within(void *arg, int index) {
    if (index == 0) in_a_fork(run_in_the_child, (vit_pool *)arg);
}

/* A child has the pool's memory and none of its threads; it may have been busy, too. */
static void test_a_pool_can_be_used_and_destroyed_in_a_forked_child(void **state) {
    vit_pool *pool = vit_pool_create(4, NULL);
    (void)state;
    assert_non_null(pool);
    in_a_fork(run_in_the_child, pool);
    vit_pool_parallel_for(pool, 4, fork_within, pool);
    vit_pool_destroy(pool);
}

/* Tasks of a worker that loses its processor: it has begun, and is late. */
typedef struct slow_worker {
    pthread_t caller;
    int begun; /* tasks of the worker's */
} slow_worker;

static void be_slow(void *arg, int index) {
    static const struct timespec short_wait = {0, 100000}, long_wait = {0, 5000000};
    slow_worker *slow = (slow_worker *)arg;
    (void)index;
    if (!pthread_equal(pthread_self(), slow->caller)) {
        shared_add(&slow->begun, 1);
        nanosleep(&long_wait, NULL);
        return;
    }
    int begun = shared_add(&slow->begun, 0);
    for (int i = 0; i < 50 && shared_add(&slow->begun, 0) == begun; i++)
        nanosleep(&short_wait, NULL);
}

/* Tasks that the worker takes of `calls` times two. */
static int tasks_of_the_worker(vit_pool *pool, slow_worker *slow, int calls) {
    int begun = slow->begun;
    for (int i = 0; i < calls; i++) vit_pool_parallel_for(pool, 2, be_slow, slow);
    return slow->begun - begun;
}

static void test_a_caller_that_waits_for_its_worker_goes_on_alone_for_a_while(void **state) {
    const struct timespec wait = {0, 20000000};
    vit_pool *pool = vit_pool_create(2, NULL);
    slow_worker slow = {pthread_self(), 0};
    (void)state;
    assert_non_null(pool);
    for (int i = 0; i < 100 && pool->alone_until == 0; i++) tasks_of_the_worker(pool, &slow, 1);
    assert_true(slow.begun > 0 && pool->alone_until > vit__now());
    assert_int_equal(tasks_of_the_worker(pool, &slow, 3), 0);
    int again = 0;
    for (int i = 0; i < 1000 && again == 0; i++) {
        nanosleep(&wait, NULL);
        again = tasks_of_the_worker(pool, &slow, 1);
    }
    assert_int_equal(again, 1);
    vit_pool_destroy(pool);
}

static void test_short_and_rare_waits_leave_the_workers_at_work(void **state) {
    const uint64_t millisecond = 1000000;
    vit_pool *pool = vit_pool_create(2, NULL);
    (void)state;
    assert_non_null(pool);
    pool->since = vit__now() - 80 * millisecond;
    for (int i = 0; i < 1000; i++) vit__pool_judge(pool, VIT__SHORT_WAIT - 1);
    assert_int_equal(pool->waited, 0);
    for (int i = 0; i < 8; i++) vit__pool_judge(pool, 2 * millisecond);
    assert_int_equal(pool->alone_until, 0);
    pool->since = vit__now() - 1000 * millisecond;
    vit__pool_judge(pool, 2 * millisecond);
    assert_int_equal(pool->waited, 10 * millisecond);
    assert_true(vit__now() - pool->since < 600 * millisecond && pool->alone_until == 0);
    pool->since = vit__now() - 10 * millisecond;
    vit__pool_judge(pool, 2 * millisecond);
    assert_true(pool->alone_until > vit__now());
    vit__pool_judge(pool, 60000 * millisecond); /* a process that was stopped */
    assert_in_range(pool->alone_until - vit__now(), 400 * millisecond, 500 * millisecond);
    vit_pool_destroy(pool);
}

#ifdef __linux__
/* A file below the folder of the tests, whose path is given without the first '/'. */
static void write_below(const char *root, const char *name, const char *text) {
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", root, name);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(full, 0700) != 0) assert_int_equal(errno, EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_processors_are_those_of_the_affinity_and_the_quota(void **state) {
    static const struct {
        const char *mask, *groups, *name, *text;
        long want;
    } cases[] = {
        {"3", "0::/\n", "cpu.max", "max 100000\n", 2},
        {"ffffffff,ffffffff", "0::/\n", "cpu.max", "max 100000\n", 64},
        {"00000000,0000000f", "0::/a/b\n", "a/b/cpu.max", "150000 100000\n", 2},
        {"f", "0::/a/b\n", "a/cpu.max", "100000 100000\n", 1},
        {"f", "0::/a/b\n", "cpu.max", "1000 100000\n", 1},
        {"f", "0::/a/b\n", "other/cpu.max", "100000 100000\n", 4},
        {"f", "0::/a/b\n", "cpu.max", "nonsense\n", 4},
        {"f", "0::/a/b\n", "cpu.max", "900000 100000\n", 4},
        {"f", "4:memory:/x\n2:cpu,cpuacct:/x\n", "cpu/cpu.cfs_quota_us", "250000\n", 3},
        {"f", "2:cpu,cpuacct:/\n0::/\n", "cpu/cpu.cfs_quota_us", "200000\n", 2},
        {"f", "2:cpu,cpuacct:/\n", "cpu/cpu.cfs_quota_us", "-1\n", 4},
        {"f", "", "cpu.max", "100000 100000\n", 4},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char root[256], text[256], name[256];
        snprintf(root, sizeof(root), "%s/root%zu", folder, i);
        assert_int_equal(mkdir(root, 0700), 0);
        snprintf(text, sizeof(text), "Name:\tx\nCpus_allowed:\t%s\nCpus_allowed_list:\t0-3\n",
                 cases[i].mask);
        write_below(root, "proc/self/status", text);
        write_below(root, "proc/self/cgroup", cases[i].groups);
        snprintf(name, sizeof(name), "sys/fs/cgroup/%s", cases[i].name);
        write_below(root, name, cases[i].text);
        char *quota = strstr(name, "cfs_quota_us");
        if (quota != NULL) memcpy(quota, "cfs_period_us", 14);
        if (quota != NULL) write_below(root, name, "100000\n");
        long got = vit__within_quotas(root, vit__allowed_processors(root));
        if (got != cases[i].want) fail_msg("case %zu: %ld processors", i, got);
    }
    char command[256];
    snprintf(command, sizeof(command), "rm -r %s/root*", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(vit__allowed_processors("/nowhere"), 0);
    assert_int_equal(vit__within_quotas("/nowhere", 7), 7);
}
#endif

/* ---- what the system refuses ---- */

#ifndef VIT_NO_MMAP
static void test_a_file_whose_size_is_not_told_is_read(void **state) {
    heap h;
    vit_model model;
    vit_load_options options = ways(0, &h);
    (void)state;
    fstat_fails = 1;
    assert_status(vit_model_load(&model, path, &options), VIT_OK, "load");
    fstat_fails = 0;
    assert_true(!model.mapped && h.live == 1);
    vit_model_close(&model);
    assert_int_equal(h.live, 0);
}
#endif

static void test_a_file_too_many_cannot_be_opened(void **state) {
    int files[64], count = 0;
    (void)state;
    while (count < 64 && (files[count] = open("/dev/null", O_RDONLY)) >= 0) count++;
    assert_in_range(count, 1, 63);
    for (int read = 0; read < 2; read++) assert_status(try_load(read), VIT_ERROR_OPEN, "too many");
    while (count > 0) close(files[--count]);
    assert_load(VIT_OK, "again");
}

static void test_a_clock_that_fails_stands_still(void **state) {
    (void)state;
    clock_fails = 1;
    assert_int_equal(vit__now(), 0);
    clock_fails = 0;
    assert_true(vit__now() > 0);
}

static void test_there_are_1_to_1024_processors_whatever_the_system_says(void **state) {
    static const long said[] = {-1, 1, 7, 1024, 1025, 100000};
    static const int want[] = {1, 1, 7, 1024, 1024, 1024};
    (void)state;
    proc_fails = 1;
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        processors = said[i];
        assert_int_equal(vit_processor_count(), want[i]);
    }
    proc_fails = 0, processors = 0;
}

#ifdef __linux__
static void write_group(const char *root, const char *quota, const char *period) {
    write_below(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota);
    if (period != NULL) write_below(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", period);
}

/* Files of the system that are not as they should be: as if they were not there. */
static void test_nonsense_limits_no_processors(void **state) {
    static const struct {
        const char *quota, *period;
        long want;
    } groups[] = {{"100000\n", "100000\n", 1}, {"nonsense\n", "100000\n", 6},
                  {"100000\n", "0\n", 6},      {"100000\n", "-5\n", 6},
                  {"0\n", "100000\n", 6},      {"100000\n", "nonsense\n", 6}};
    char root[256], command[300];
    (void)state;
    snprintf(root, sizeof(root), "%s/root", folder);
    assert_int_equal(mkdir(root, 0700), 0);
    write_group(root, "100000\n", NULL); /* without a period */
    assert_int_equal(vit__within_quotas(root, 6), 6);
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        write_group(root, groups[i].quota, groups[i].period);
        if (vit__within_quotas(root, 6) != groups[i].want) fail_msg("group %zu", i);
    }
    write_below(root, "proc/self/status", "Cpus_allowed:\tg3 Zf,~1\n");
    assert_int_equal(vit__allowed_processors(root), 2 + 4 + 1);
    snprintf(command, sizeof(command), "rm -r %s", root);
    assert_int_equal(system(command), 0);
}
#endif

#define FILE_TEST(name) cmocka_unit_test_setup(name, write_tiny)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_a_loaded_model_is_the_one_in_the_file),
        FILE_TEST(test_default_options_are_null_and_zero),
        FILE_TEST(test_a_model_may_be_closed_twice),
        FILE_TEST(test_a_read_model_survives_its_file),
        FILE_TEST(test_a_missing_file_cannot_be_opened),
        FILE_TEST(test_a_folder_cannot_be_read),
        FILE_TEST(test_a_file_cut_off_anywhere_is_refused),
        FILE_TEST(test_a_byte_behind_the_end_is_refused),
        FILE_TEST(test_other_files_are_recognised),
        FILE_TEST(test_a_file_that_claims_to_be_huge_is_refused),
        FILE_TEST(test_damaged_weights_are_found_unless_not_looked_for),
        FILE_TEST(test_a_damaged_head_is_refused_even_without_verifying),
        FILE_TEST(test_null_arguments_are_refused),
        FILE_TEST(test_a_pipe_is_read),
        FILE_TEST(test_loading_survives_the_failure_of_every_allocation),
        FILE_TEST(test_a_failed_load_leaves_nothing_behind),
        cmocka_unit_test(test_creating_a_pool_survives_the_failure_of_every_allocation),
        cmocka_unit_test(test_creating_a_pool_survives_the_failure_of_every_call_to_pthread),
        cmocka_unit_test(test_destroying_a_pool_gives_all_memory_back),
        cmocka_unit_test(test_a_pool_can_be_used_and_destroyed_in_a_forked_child),
        cmocka_unit_test(test_a_caller_that_waits_for_its_worker_goes_on_alone_for_a_while),
        cmocka_unit_test(test_short_and_rare_waits_leave_the_workers_at_work),
#ifndef VIT_NO_MMAP
        FILE_TEST(test_a_file_whose_size_is_not_told_is_read),
#endif
        FILE_TEST(test_a_file_too_many_cannot_be_opened),
        cmocka_unit_test(test_a_clock_that_fails_stands_still),
        cmocka_unit_test(test_there_are_1_to_1024_processors_whatever_the_system_says),
#ifdef __linux__
        cmocka_unit_test(test_nonsense_limits_no_processors),
        cmocka_unit_test(test_processors_are_those_of_the_affinity_and_the_quota),
#endif
    };
    return cmocka_run_group_tests_name("load", tests, make_folder, remove_folder);
}
