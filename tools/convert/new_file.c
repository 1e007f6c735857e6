#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* for realpath */
#endif
#include "new_file.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_UNFINISHED 4 /* at a time */

static const char *volatile unfinished[MAX_UNFINISHED]; /* to be removed when the program ends */

static void remove_unfinished(void) {
    for (int i = 0; i < MAX_UNFINISHED; i++) {
        if (unfinished[i] != NULL) unlink(unfinished[i]);
        unfinished[i] = NULL;
    }
}

static void remove_and_die(int signal_number) {
    remove_unfinished();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* Those that end a program, unless whoever started it has them ignored. */
static void remove_when_ended(void) {
    static const int deadly[] = {SIGHUP,  SIGINT,  SIGTERM, SIGABRT, SIGSEGV, SIGFPE,
                                 SIGILL,  SIGPIPE,
#ifndef _WIN32
                                 SIGQUIT, SIGBUS,  SIGSYS,  SIGTRAP, SIGALRM, SIGVTALRM,
                                 SIGPROF, SIGUSR1, SIGUSR2, SIGXCPU
#endif
    };
    static int done;
    if (done) return;
    done = 1;
    atexit(remove_unfinished);
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
        if (signal(deadly[i], remove_and_die) == SIG_IGN) signal(deadly[i], SIG_IGN);
    }
    signal(SIGXFSZ, SIG_IGN); /* a limit of a file's size is an error of writing */
}

static void set_unfinished(const char *from, const char *to) {
    int i = 0;
    while (i < MAX_UNFINISHED && unfinished[i] != from) i++;
    if (i == MAX_UNFINISHED) fail("too many files at a time");
    unfinished[i] = to;
}

/* Where a link leads to, or the path itself. */
static char *place_of(const char *path) {
#ifndef _WIN32
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) {
        char *place = realpath(path, NULL);
        if (place == NULL) fail("%s: a link: %s", path, strerror(errno));
        return place;
    }
#endif
    return format_text("%s", path);
}

new_file new_file_open(const char *path) {
    new_file o = {place_of(path), NULL, NULL};
    struct stat status;
    int there = stat(o.path, &status) == 0;
    if (there && !S_ISREG(status.st_mode))
        fail("%s: %s", path, S_ISDIR(status.st_mode) ? "a folder" : "not a regular file");
    o.temporary = format_text("%s.%ld.tmp", o.path, (long)getpid());
    int file = open(o.temporary, O_RDWR | O_CREAT | O_EXCL, 0666);
    if (file < 0) fail("%s: %s", path, strerror(errno));
    set_unfinished(NULL, o.temporary);
    remove_when_ended();
#ifndef _WIN32
    if (there && fchmod(file, status.st_mode & 07777) != 0)
        fail("%s: its mode: %s", path, strerror(errno));
#endif
    o.file = fdopen(file, "w+b");
    if (o.file == NULL) fail("%s: %s", path, strerror(errno));
    return o;
}

void new_file_write(new_file *o, const void *data, size_t size) {
    if (fwrite(data, 1, size, o->file) != size) fail("%s: %s", o->path, strerror(errno));
}

/* Some file systems have nothing to wait for, and say EINVAL. */
static int wait_for_disk(FILE *file) {
#ifdef _WIN32
    return _commit(_fileno(file));
#else
    return fsync(fileno(file)) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : -1;
#endif
}

void new_file_finish(new_file *o) {
    if (ferror(o->file) || fflush(o->file) != 0 || wait_for_disk(o->file) != 0 ||
        fclose(o->file) != 0)
        fail("%s: %s", o->path, strerror(errno));
    o->file = NULL;
}

void new_file_commit(new_file *o) {
    if (rename(o->temporary, o->path) != 0) fail("%s: %s", o->path, strerror(errno));
    set_unfinished(o->temporary, NULL);
    free(o->temporary);
    free(o->path);
}
