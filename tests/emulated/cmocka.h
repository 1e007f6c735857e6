/* A stand-in for cmocka, for targets that it does not exist for: the part of its interface that the
   tests use. It needs no setjmp, so the first failure ends the program, with exit status 1, and
   skip() works in the test function itself alone. Where there is cmocka the tests use that. It prints the
   same lines for each test. */
#ifndef CMOCKA_STAND_IN_H
#define CMOCKA_STAND_IN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state); /* may be NULL, as the next */
    int (*teardown)(void **state);
};

#define cmocka_unit_test(f) \
    { #f, f, NULL, NULL }
#define cmocka_unit_test_setup(f, setup) \
    { #f, f, setup, NULL }
#define cmocka_unit_test_teardown(f, teardown) \
    { #f, f, NULL, teardown }
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    stand_in_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)

/* The test that runs, for messages, and how many were skipped. */
static const char *stand_in_test;
static int stand_in_skipped;

static inline void stand_in_fixture(int (*fixture)(void **state), void **state, const char *name) {
    if (fixture == NULL || fixture(state) == 0) return;
    fprintf(stderr, "[  FAILED  ] %s: its setup or teardown\n", name);
    exit(1);
}

static inline void stand_in_run_one(const struct CMUnitTest *test, void *state) {
    int skipped = stand_in_skipped;
    stand_in_test = test->name;
    stand_in_fixture(test->setup, &state, test->name);
    test->test(&state);
    if (stand_in_skipped == skipped) printf("[       OK ] %s\n", test->name);
    fflush(stdout);
    stand_in_fixture(test->teardown, &state, test->name);
}

static inline int stand_in_run(const char *group, const struct CMUnitTest *tests, size_t count,
                               int (*setup)(void **state), int (*teardown)(void **state)) {
    void *state = NULL;
    printf("[==========] %s: Running %d test(s).\n", group, (int)count);
    fflush(stdout); /* or a test that forks would print it twice */
    stand_in_fixture(setup, &state, group);
    for (size_t i = 0; i < count; i++) stand_in_run_one(&tests[i], state);
    stand_in_fixture(teardown, &state, group);
    printf("[  PASSED  ] %d test(s), %d skipped.\n", (int)count - stand_in_skipped,
           stand_in_skipped);
    return 0;
}

#define stand_in_at(file, line) \
    fprintf(stderr, "[  FAILED  ] %s\n%s:%d: ", stand_in_test, file, line)

#define fail_msg(...)                    \
    do {                                 \
        stand_in_at(__FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);    \
        fputs("\n", stderr);             \
        exit(1);                         \
    } while (0)

#define skip()                                      \
    do {                                            \
        printf("[  SKIPPED ] %s\n", stand_in_test); \
        stand_in_skipped++;                         \
        return;                                     \
    } while (0)

static inline void stand_in_check(int holds, const char *what, const char *file, int line) {
    if (holds) return;
    stand_in_at(file, line);
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* As in cmocka, numbers are compared as the widest unsigned ones. */
static inline void stand_in_equal(uintmax_t a, uintmax_t b, int equal, const char *file, int line) {
    if ((a == b) == equal) return;
    stand_in_at(file, line);
    fprintf(stderr, "%#llx %s %#llx\n", (unsigned long long)a,
            equal ? "!=" : "==", (unsigned long long)b);
    exit(1);
}

static inline void stand_in_in_range(uintmax_t value, uintmax_t least, uintmax_t most,
                                     const char *file, int line) {
    if (least <= value && value <= most) return;
    stand_in_at(file, line);
    fprintf(stderr, "%llu is not within %llu-%llu\n", (unsigned long long)value,
            (unsigned long long)least, (unsigned long long)most);
    exit(1);
}

#define assert_false(x) assert_true(!(x))
#define assert_true(x) stand_in_check((x) ? 1 : 0, #x, __FILE__, __LINE__)
#define assert_null(x) assert_true((x) == NULL)
#define assert_non_null(x) assert_true((x) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)
#define assert_memory_not_equal(a, b, size) assert_true(memcmp(a, b, size) != 0)
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_string_not_equal(a, b) assert_true(strcmp(a, b) != 0)
#define assert_int_equal(a, b) stand_in_equal((uintmax_t)(a), (uintmax_t)(b), 1, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) \
    stand_in_equal((uintmax_t)(a), (uintmax_t)(b), 0, __FILE__, __LINE__)
#define assert_in_range(value, least, most) \
    stand_in_in_range((uintmax_t)(value), (uintmax_t)(least), (uintmax_t)(most), __FILE__, __LINE__)

#endif
