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

#define SIGHUP SIGBREAK /* the console is closed */

#define mkdir(path, mode) posix_mkdir(path)
int posix_mkdir(const char *path);

/* Replaces a file that exists. */
#define rename posix_rename
int posix_rename(const char *from, const char *to);

/* Of /proc/self/exe alone: this program. */
ssize_t readlink(const char *path, char *target, size_t size);

int scandir(const char *folder, struct dirent ***entries, int (*wanted)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **));
int alphasort(const struct dirent **a, const struct dirent **b);

/* main() of posix.c calls that of the program. */
#define main program_main
int program_main(int argc, char **argv);

#endif
