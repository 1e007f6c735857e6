#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#undef main
#undef rename

int _dowildcard = -1; /* mingw-w64's start expands * and ?, which no shell does */

static void use_slashes(char *path) {
    for (; *path != 0; path++)
        if (*path == '\\') *path = '/';
}

int main(int argc, char **argv) {
    _fmode = _O_BINARY;
    for (int file = 0; file < 3; file++) _setmode(file, _O_BINARY);
    SetConsoleOutputCP(CP_UTF8);
    for (int i = 1; i < argc; i++) use_slashes(argv[i]);
    return program_main(argc, argv);
}

int posix_mkdir(const char *path) {
    return _mkdir(path);
}

int posix_rename(const char *from, const char *to) {
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING)) return 0;
    errno = GetLastError() == ERROR_FILE_NOT_FOUND ? ENOENT : EACCES;
    return -1;
}

ssize_t readlink(const char *path, char *target, size_t size) {
    DWORD length = 0;
    if (strcmp(path, "/proc/self/exe") == 0 && size <= MAXDWORD)
        length = GetModuleFileNameA(NULL, target, (DWORD)size);
    if (length == 0 || length == size) { /* it would be cut off */
        errno = EINVAL;
        return -1;
    }
    use_slashes(target);
    return (ssize_t)length;
}

int alphasort(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Adds a copy of the entry; returns whether there is memory. */
static int add(struct dirent ***entries, int count, const struct dirent *entry) {
    struct dirent **more = realloc(*entries, ((size_t)count + 1) * sizeof(*more));
    if (more == NULL) return 0;
    *entries = more;
    more[count] = malloc(sizeof(*entry));
    if (more[count] == NULL) return 0;
    *more[count] = *entry;
    return 1;
}

int scandir(const char *folder, struct dirent ***entries, int (*wanted)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **)) {
    DIR *open = opendir(folder);
    int count = 0, good = 1;
    *entries = NULL;
    if (open == NULL) return -1;
    for (struct dirent *entry; good && (entry = readdir(open)) != NULL;) {
        if (wanted != NULL && !wanted(entry)) continue;
        good = add(entries, count, entry);
        count += good;
    }
    closedir(open);
    if (good && count > 1)
        qsort(*entries, (size_t)count, sizeof(**entries),
              (int (*)(const void *, const void *))compare);
    if (good) return count;
    while (count > 0) free((*entries)[--count]);
    free(*entries);
    errno = ENOMEM;
    return -1;
}
