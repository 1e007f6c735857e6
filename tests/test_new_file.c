/* Files that programs write: complete in their place, or the old one as it was and nothing else, whatever
   ends the program; links and modes stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tools/convert/new_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/vit_test_XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int empty_folder(void **state) {
    (void)state;
    return system("rm -rf ./*");
}

static int remove_folder(void **state) {
    (void)state;
    return chdir("/") != 0 || rmdir(folder) != 0;
}

static int file_count(void) {
    struct dirent *entry;
    int count = 0;
    DIR *here = opendir(".");
    assert_non_null(here);
    while ((entry = readdir(here)) != NULL) count += entry->d_name[0] != '.';
    closedir(here);
    return count;
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_text(const char *path, const char *text) {
    char found[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(found, 1, sizeof(found) - 1, file);
    fclose(file);
    found[size] = 0;
    assert_string_equal(found, text);
}

static void write_new(const char *path) {
    new_file f = new_file_open(path);
    new_file_write(&f, "new", 3);
    new_file_finish(&f);
    new_file_commit(&f);
}

/* In a process of its own; its status as wait gives it. What it says is not shown. */
static int status_of(void (*child)(int), int argument) {
    int status, id = fork();
    assert_true(id >= 0);
    if (id == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(99);
        child(argument);
        exit(0);
    }
    assert_int_equal(waitpid(id, &status, 0), id);
    return status;
}

static void test_a_new_file_takes_the_place_of_an_old_one(void **state) {
    (void)state;
    write_new("out");
    assert_text("out", "new");
    write_text("out", "old");
    write_new("out");
    assert_text("out", "new");
    assert_int_equal(file_count(), 1);
}

static void test_the_mode_of_the_old_one_stays(void **state) {
    static const mode_t modes[] = {0600, 0640, 0664, 0755, 0444};
    struct stat status;
    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        write_text("out", "old");
        assert_int_equal(chmod("out", modes[i]), 0);
        write_new("out");
        assert_int_equal(stat("out", &status), 0);
        assert_int_equal(status.st_mode & 07777, modes[i]);
        remove("out");
    }
    umask(027);
    write_new("out");
    umask(022);
    assert_int_equal(stat("out", &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
}

static void test_a_link_stays_and_what_it_leads_to_is_new(void **state) {
    char target[16] = "";
    (void)state;
    assert_int_equal(mkdir("other", 0777), 0);
    write_text("other/out", "old");
    assert_int_equal(symlink("other/out", "link"), 0);
    write_new("link");
    assert_int_equal(readlink("link", target, sizeof(target) - 1), 9);
    assert_string_equal(target, "other/out");
    assert_text("other/out", "new");
    assert_int_equal(file_count(), 2);
}

static void open_alone(int which) {
    static const char *const paths[] = {"broken", "other", "pipe", "none/out"};
    new_file_open(paths[which]);
}

static void test_what_is_no_file_is_refused(void **state) {
    (void)state;
    assert_int_equal(symlink("nothing", "broken"), 0);
    assert_int_equal(mkdir("other", 0777), 0);
    assert_int_equal(mkfifo("pipe", 0666), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(WEXITSTATUS(status_of(open_alone, i)), 1);
    assert_int_equal(file_count(), 3);
}

static const int deadly[] = {SIGHUP,  SIGINT,    SIGTERM, SIGABRT, SIGSEGV, SIGFPE,
                             SIGILL,  SIGPIPE,   SIGQUIT, SIGBUS,  SIGSYS,  SIGTRAP,
                             SIGALRM, SIGVTALRM, SIGPROF, SIGUSR1, SIGUSR2, SIGXCPU};
#define DEADLY (sizeof(deadly) / sizeof(deadly[0]))

/* Two files, as vit-convert --c-array has them. */
static void write_in_spite_of(int signal_number) {
    new_file a = new_file_open("out"), b = new_file_open("out.h");
    new_file_write(&a, "new", 3);
    raise(signal_number);
    new_file_write(&b, "new", 3);
    new_file_finish(&a), new_file_finish(&b);
    new_file_commit(&a), new_file_commit(&b);
}

/* Whoever runs the tests may have it ignored, as nohup has SIGHUP. */
static void write_with_signal(int signal_number) {
    signal(signal_number, SIG_DFL);
    write_in_spite_of(signal_number);
}

static void write_with_signal_ignored(int signal_number) {
    signal(signal_number, SIG_IGN);
    write_in_spite_of(signal_number);
}

static void test_a_deadly_signal_leaves_the_old_file_alone(void **state) {
    (void)state;
    write_text("out", "old");
    for (size_t i = 0; i < DEADLY; i++) {
        int status = status_of(write_with_signal, deadly[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), deadly[i]);
        assert_text("out", "old");
        assert_int_equal(file_count(), 1);
    }
}

static void test_an_ignored_signal_stays_ignored(void **state) {
    (void)state;
    for (size_t i = 0; i < DEADLY; i++) {
        assert_int_equal(status_of(write_with_signal_ignored, deadly[i]), 0);
        assert_text("out", "new");
        assert_int_equal(file_count(), 2);
        empty_folder(NULL);
    }
}

static void exit_in_between(int status) {
    new_file f = new_file_open("out");
    new_file_write(&f, "new", 3);
    exit(status);
}

static void write_too_much(int size) {
    const struct rlimit limit = {(rlim_t)size, (rlim_t)size};
    char bytes[4096] = "";
    setrlimit(RLIMIT_FSIZE, &limit);
    new_file f = new_file_open("out");
    for (int i = 0; i < 100; i++) new_file_write(&f, bytes, sizeof(bytes));
    new_file_finish(&f);
    new_file_commit(&f);
}

static void test_an_error_leaves_the_old_file_alone(void **state) {
    (void)state;
    write_text("out", "old");
    assert_int_equal(WEXITSTATUS(status_of(exit_in_between, 3)), 3);
    assert_int_equal(WEXITSTATUS(status_of(write_too_much, 10000)), 1);
    assert_text("out", "old");
    assert_int_equal(file_count(), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, empty_folder)
    const struct CMUnitTest tests[] = {
        /* first: the signals' handlers are installed once, and cmocka installs its own for each test */
        TEST(test_a_deadly_signal_leaves_the_old_file_alone),
        TEST(test_an_ignored_signal_stays_ignored),
        TEST(test_a_new_file_takes_the_place_of_an_old_one),
        TEST(test_the_mode_of_the_old_one_stays),
        TEST(test_a_link_stays_and_what_it_leads_to_is_new),
        TEST(test_what_is_no_file_is_refused),
        TEST(test_an_error_leaves_the_old_file_alone),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
