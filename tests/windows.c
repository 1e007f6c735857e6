/* What vit.h has of Windows' own: files by their names in UTF-8, mapped, and the pool's threads. Built by
   mingw-w64 and run by wine (make check-windows). Builds with VIT_NO_MMAP too. */
#include <process.h>
#include <stddef.h>
#include <stdlib.h>

/* Starting a thread fails at one of the calls. */
static int starts, start_fails_at; /* 0: never */

static uintptr_t start_thread(void *security, unsigned stack, unsigned(__stdcall *run)(void *),
                              void *arg, unsigned flags, unsigned *id) {
    if (++starts == start_fails_at) return 0;
    return _beginthreadex(security, stack, run, arg, flags, id);
}

#define _beginthreadex start_thread
#include "heap.h"
#include "test_util.h"
#undef _beginthreadex

#if defined(_WINDOWS_) || defined(_WINDEF_) || defined(min) || defined(near) || defined(ERROR)
#error "vit.h brings what windows.h defines"
#endif
#include <windows.h>

#ifdef VIT_NO_MMAP
enum { MAPS = 0 };
#else
enum { MAPS = 1 };
#endif

/* ---- files ---- */

static const char *const names[] = {"plain.vit", "Modell \xC3\xA4\xC3\x9F.vit",
                                    "\xE5\x86\x99\xE7\x9C\x9F.vit", "\xF0\x9F\x91\x9E.vit"};
static const wchar_t *const wide_names[] = {L"plain.vit", L"Modell \x00E4\x00DF.vit",
                                            L"\x5199\x771F.vit", L"\xD83D\xDC5E.vit"};
#define PATH names[1]
#define WIDE_PATH wide_names[1]
#define FOLDER L"vit-test"

static model_file tiny;

static void make_tiny(void) {
    model_parts parts;
    memset(&parts, 0, sizeof(parts));
    parts.config = tiny_config();
    parts.labels = "a\0b";
    parts.labels_size = 4;
    tiny = model_make(&parts, 50);
}

/* A folder of its own for the files, which a test that failed may have left. */
static void enter_folder(void) {
    wchar_t folder[MAX_PATH + 1];
    assert_in_range(GetTempPathW(MAX_PATH, folder), 1, MAX_PATH);
    assert_true(SetCurrentDirectoryW(folder));
    assert_true(CreateDirectoryW(FOLDER, NULL) || GetLastError() == ERROR_ALREADY_EXISTS);
    assert_true(SetCurrentDirectoryW(FOLDER));
}

static void remove_folder(void) {
    _wremove(WIDE_PATH);
    assert_true(SetCurrentDirectoryW(L".."));
    assert_true(RemoveDirectoryW(FOLDER));
}

static void write_wide(const wchar_t *name, const unsigned char *data, size_t size) {
    FILE *file = _wfopen(name, L"wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static DWORD handles(void) {
    DWORD count = 0;
    assert_true(GetProcessHandleCount(GetCurrentProcess(), &count));
    return count;
}

/* Loads with no leak, whatever comes of it. */
static vit_status try_load(const char *path, int read) {
    heap h = {0, 0, 0};
    vit_model model;
    vit_load_options options = {.no_map = read, .malloc_context = &h};
    vit_status status = vit_model_load(&model, path, &options);
    if (status == VIT_OK) vit_model_close(&model);
    assert_int_equal(h.live, 0);
    assert_null(model.memory);
    return status;
}

static void assert_load(const char *path, vit_status want, const char *where) {
    assert_status(try_load(path, 0), want, where);
    assert_status(try_load(path, 1), want, where);
}

/* The heap has the path in UTF-16 while the file is opened, and the file where it is read. */
static void test_paths_are_utf8(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        write_wide(wide_names[i], tiny.data, tiny.size);
        for (int read = 0; read < 2; read++) {
            heap h = {0, 0, 0};
            vit_model model;
            vit_load_options options = {.no_map = read, .malloc_context = &h};
            assert_status(vit_model_load(&model, names[i], &options), VIT_OK, names[i]);
            assert_memory_equal(model.data, tiny.data, tiny.size);
            assert_int_equal((uintptr_t)model.data % 64, 0);
            assert_int_equal(model.mapped, MAPS && !read);
            assert_int_equal(h.calls, model.mapped ? 1 : 2);
            assert_int_equal(h.live, model.mapped ? 0 : 1);
            vit_model_close(&model);
            assert_int_equal(h.live, 0);
        }
        assert_int_equal(_wremove(wide_names[i]), 0);
    }
}

static void test_a_classifier_takes_such_a_path(void **state) {
    vit_classifier classifier;
    (void)state;
    write_wide(WIDE_PATH, tiny.data, tiny.size);
    assert_status(vit_classifier_open(&classifier, PATH, 2), VIT_OK, PATH);
    assert_int_equal(vit_pool_threads((vit_pool *)classifier.options.parallel_user), 2);
    vit_classifier_close(&classifier);
}

static void test_what_is_no_file_cannot_be_opened(void **state) {
    (void)state;
    assert_load("missing.vit", VIT_ERROR_OPEN, "missing");
    assert_load("", VIT_ERROR_OPEN, "no name");
    assert_load(".", VIT_ERROR_OPEN, "a folder");
    assert_load("Modell \xE4.vit", VIT_ERROR_OPEN, "not UTF-8");
    assert_load("a|b.vit", VIT_ERROR_OPEN, "not a name");
}

static void test_a_file_of_another_size_is_refused(void **state) {
    unsigned char *longer = (unsigned char *)allocate(tiny.size + 1);
    (void)state;
    for (size_t size = 0; size < tiny.size; size += size < 400 ? 7 : 61) {
        write_wide(WIDE_PATH, tiny.data, size);
        assert_load(PATH, size < 12 ? VIT_ERROR_MAGIC : VIT_ERROR_SIZE, "cut off");
    }
    memcpy(longer, tiny.data, tiny.size);
    longer[tiny.size] = 0;
    write_wide(WIDE_PATH, longer, tiny.size + 1);
    assert_load(PATH, VIT_ERROR_SIZE, "a byte more");
    free(longer);
}

static void test_damaged_weights_are_found(void **state) {
    (void)state;
    tiny.data[tiny.size - 200] ^= 4;
    write_wide(WIDE_PATH, tiny.data, tiny.size);
    tiny.data[tiny.size - 200] ^= 4;
    assert_load(PATH, VIT_ERROR_CHECKSUM, "damaged");
}

/* A file that is mapped keeps its size, and is free again when the model is closed. */
static void test_a_mapped_file_cannot_be_cut_short(void **state) {
    vit_model model;
    (void)state;
    if (!MAPS) skip();
    write_wide(WIDE_PATH, tiny.data, tiny.size);
    assert_status(vit_model_load(&model, PATH, NULL), VIT_OK, "load");
    HANDLE file = CreateFileW(WIDE_PATH, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                              OPEN_EXISTING, 0, NULL);
    if (file != INVALID_HANDLE_VALUE) {
        assert_false(SetEndOfFile(file));
        CloseHandle(file);
    }
    assert_status(vit_model_verify(&model), VIT_OK, "verify");
    vit_model_close(&model);
    write_wide(WIDE_PATH, tiny.data, 100);
    assert_int_equal(_wremove(WIDE_PATH), 0);
}

static unsigned __stdcall write_pipe(void *pipe) {
    DWORD written = 0;
    ConnectNamedPipe(pipe, NULL);
    WriteFile(pipe, tiny.data, (DWORD)tiny.size, &written, NULL);
    FlushFileBuffers(pipe);
    CloseHandle(pipe);
    return written != tiny.size;
}

/* It is opened once: its writer writes once. */
static void test_a_pipe_is_read(void **state) {
    char path[64];
    (void)state;
    snprintf(path, sizeof(path), "\\\\.\\pipe\\vit-test-%lu", GetCurrentProcessId());
    for (int read = 0; read < 2; read++) {
        HANDLE pipe =
            CreateNamedPipeA(path, PIPE_ACCESS_OUTBOUND, PIPE_TYPE_BYTE, 1, 512, 512, 0, NULL);
        assert_true(pipe != INVALID_HANDLE_VALUE);
        HANDLE writer = (HANDLE)_beginthreadex(NULL, 0, write_pipe, pipe, 0, NULL);
        assert_status(try_load(path, read), VIT_OK, "pipe");
        WaitForSingleObject(writer, INFINITE);
        CloseHandle(writer);
    }
}

static void test_loading_survives_the_failure_of_every_allocation(void **state) {
    (void)state;
    write_wide(WIDE_PATH, tiny.data, tiny.size);
    for (int read = 0; read < 2; read++) {
        vit_status status = VIT_ERROR_MEMORY;
        for (int n = 1; status != VIT_OK; n++) {
            heap h = {0, 0, n};
            vit_model model;
            vit_load_options options = {.no_map = read, .malloc_context = &h};
            status = vit_model_load(&model, PATH, &options);
            assert_status(status, h.calls >= n ? VIT_ERROR_MEMORY : VIT_OK, "load");
            vit_model_close(&model);
            assert_int_equal(h.live, 0);
        }
    }
}

static void test_loading_leaves_no_handle_open(void **state) {
    (void)state;
    write_wide(WIDE_PATH, tiny.data, tiny.size);
    assert_load(PATH, VIT_OK, "load");
    DWORD before = handles();
    for (int i = 0; i < 50; i++) {
        assert_load(PATH, VIT_OK, "load");
        assert_load("missing.vit", VIT_ERROR_OPEN, "missing");
    }
    assert_int_equal(handles(), before);
}

/* ---- the pool ---- */

enum { THREAD_COUNT = 4 };

/* What each index of a step ran in. No index ends before all have begun, so that each has a thread. */
typedef struct meeting {
    LONG present;
    DWORD threads[THREAD_COUNT];
    unsigned modes[THREAD_COUNT];
} meeting;

static void meet(void *arg, int index) {
    meeting *m = (meeting *)arg;
    m->threads[index] = GetCurrentThreadId();
    m->modes[index] = _mm_getcsr() & ~(unsigned)_MM_EXCEPT_MASK;
    InterlockedIncrement(&m->present);
    while (InterlockedCompareExchange(&m->present, 0, 0) < THREAD_COUNT) Sleep(0);
}

static void test_a_pool_runs_as_many_tasks_at_a_time_as_it_has_threads(void **state) {
    vit_pool *pool = vit_pool_create(THREAD_COUNT, NULL);
    (void)state;
    assert_non_null(pool);
    for (int round = 0; round < 20; round++) {
        meeting m = {0};
        vit_pool_parallel_for(pool, THREAD_COUNT, meet, &m);
        for (int i = 0; i < THREAD_COUNT; i++)
            for (int k = 0; k < i; k++) assert_int_not_equal(m.threads[i], m.threads[k]);
        if (round % 4 == 3) Sleep(5); /* the threads are asleep */
    }
    vit_pool_destroy(pool);
}

/* The threads flush to zero and round as their creator does. */
static void test_threads_have_the_mode_of_their_creator(void **state) {
    unsigned before = _mm_getcsr(),
             mode = (before | _MM_FLUSH_ZERO_ON | _MM_ROUND_UP) & ~(unsigned)_MM_EXCEPT_MASK;
    meeting m = {0};
    (void)state;
    _mm_setcsr(mode);
    vit_pool *pool = vit_pool_create(THREAD_COUNT, NULL);
    assert_non_null(pool);
    vit_pool_parallel_for(pool, THREAD_COUNT, meet, &m);
    _mm_setcsr(before);
    for (int i = 0; i < THREAD_COUNT; i++) assert_int_equal(m.modes[i], mode);
    vit_pool_destroy(pool);
}

static void test_creating_a_pool_survives_each_thread_that_does_not_start(void **state) {
    vit_pool *pool = NULL;
    (void)state;
    DWORD before = handles();
    for (int n = 1; pool == NULL; n++) {
        heap h = {0, 0, 0};
        starts = 0, start_fails_at = n;
        pool = vit_pool_create(8, &h);
        assert_int_equal(pool == NULL, n <= 7);
        if (pool != NULL) vit_pool_destroy(pool);
        assert_int_equal(h.live, 0);
    }
    start_fails_at = 0;
    assert_int_equal(handles(), before);
}

static void test_creating_a_pool_survives_a_full_heap(void **state) {
    heap h = {0, 0, 1};
    (void)state;
    assert_null(vit_pool_create(3, &h));
    assert_int_equal(h.live, 0);
}

static void test_processors_are_those_of_the_affinity(void **state) {
    DWORD_PTR before, system;
    (void)state;
    assert_true(GetProcessAffinityMask(GetCurrentProcess(), &before, &system));
    assert_true(SetProcessAffinityMask(GetCurrentProcess(), before & ~(before - 1)));
    assert_int_equal(vit_processor_count(), 1);
    assert_true(SetProcessAffinityMask(GetCurrentProcess(), before));
    int count = 0;
    for (DWORD_PTR mask = before; mask != 0; mask >>= 1) count += (int)(mask & 1);
    assert_int_equal(vit_processor_count(), count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_utf8),
        cmocka_unit_test(test_a_classifier_takes_such_a_path),
        cmocka_unit_test(test_what_is_no_file_cannot_be_opened),
        cmocka_unit_test(test_a_file_of_another_size_is_refused),
        cmocka_unit_test(test_damaged_weights_are_found),
        cmocka_unit_test(test_a_mapped_file_cannot_be_cut_short),
        cmocka_unit_test(test_a_pipe_is_read),
        cmocka_unit_test(test_loading_survives_the_failure_of_every_allocation),
        cmocka_unit_test(test_loading_leaves_no_handle_open),
        cmocka_unit_test(test_a_pool_runs_as_many_tasks_at_a_time_as_it_has_threads),
        cmocka_unit_test(test_threads_have_the_mode_of_their_creator),
        cmocka_unit_test(test_creating_a_pool_survives_each_thread_that_does_not_start),
        cmocka_unit_test(test_creating_a_pool_survives_a_full_heap),
        cmocka_unit_test(test_processors_are_those_of_the_affinity),
    };
    make_tiny();
    enter_folder();
    int failures = cmocka_run_group_tests_name("windows", tests, NULL, NULL);
    remove_folder();
    model_free(&tiny);
    return failures;
}
