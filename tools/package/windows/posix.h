/* What the programs take from POSIX and mingw-w64 has not, or has otherwise. The compiler includes this
   before each file of a program for Windows (make windows), so that the files need not know of it.

   Paths are UTF-8, by utf8.manifest (Windows 10 of 2019 and later). Files and streams are binary. In
   what a program is called with, / stands for each \, which Windows takes as well. */
#ifndef POSIX_H
#define POSIX_H

#include <direct.h>
#include <dirent.h>
#include <io.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* ---- signals: those without a Windows one never come, and signal() refuses them ---- */

#define SIGHUP SIGBREAK /* the console is closed */
#define SIGPIPE 13
#define SIGXFSZ 25

/* A handler is called once, in a thread of its own, as if all had SA_RESETHAND. */
struct sigaction {
    void (*sa_handler)(int);
    int sa_mask, sa_flags;
};
#define SA_RESETHAND 1
#define sigemptyset(mask) (*(mask) = 0)
int sigaction(int signal_number, const struct sigaction *action, struct sigaction *old);

/* ---- files and folders ---- */

#define mkdir(path, mode) posix_mkdir(path)
int posix_mkdir(const char *path);

/* Replaces a file that exists, unless it is open. */
#define rename posix_rename
int posix_rename(const char *from, const char *to);

/* Of /proc/self/exe alone: this program. */
ssize_t readlink(const char *path, char *target, size_t size);

int scandir(const char *folder, struct dirent ***entries, int (*wanted)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **));
int alphasort(const struct dirent **a, const struct dirent **b);

/* A lock for writing, of a whole file, held until it is closed. */
struct flock {
    short l_type, l_whence;
};
#define F_SETLK 6
#define F_WRLCK 1
int fcntl(int file, int command, const struct flock *lock);

/* ---- streams ---- */

#define flockfile _lock_file
#define funlockfile _unlock_file

ssize_t getline(char **line, size_t *room, FILE *file);

/* One at a time in each thread; *text and *size are there after fclose. */
FILE *open_memstream(char **text, size_t *size);
#define fclose posix_fclose
int posix_fclose(FILE *file);

/* ---- the program ---- */

/* main() of posix.c calls that of the program. */
#define main program_main
int program_main(int argc, char **argv);

#endif
