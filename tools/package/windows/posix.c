#include "posix.h"

#include "include/sys/ioctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#undef fclose
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

int sigaction(int signal_number, const struct sigaction *action, struct sigaction *old) {
    void (*before)(int) = signal(signal_number, action->sa_handler);
    if (before == SIG_ERR) return -1;
    if (old != NULL) old->sa_handler = before;
    return 0;
}

/* ---- files and folders ---- */

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

int fcntl(int file, int command, const struct flock *lock) {
    /* Others could neither read nor write what is locked: so it is a byte far after the file's end. */
    OVERLAPPED place = {.OffsetHigh = 1 << 30};
    HANDLE handle = (HANDLE)_get_osfhandle(file);
    int good =
        command == F_SETLK && lock->l_type == F_WRLCK &&
        LockFileEx(handle, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place);
    if (!good) errno = EACCES;
    return good ? 0 : -1;
}

/* ---- streams ---- */

ssize_t getline(char **line, size_t *room, FILE *file) {
    size_t length = 0;
    for (int c = 0; c != '\n' && (c = fgetc(file)) != EOF;) {
        if (length + 2 > *room) {
            size_t larger = *room < 64 ? 128 : 2 * *room;
            char *moved = realloc(*line, larger);
            if (moved == NULL) return -1;
            *line = moved, *room = larger;
        }
        (*line)[length++] = (char)c;
        (*line)[length] = 0;
    }
    return length > 0 && !ferror(file) ? (ssize_t)length : -1;
}

/* This thread's stream of open_memstream: a temporary file. */
static __thread struct memory_stream {
    FILE *file;
    char **text;
    size_t *size;
} memory;

FILE *open_memstream(char **text, size_t *size) {
    char folder[MAX_PATH + 1], path[MAX_PATH + 1];
    if (memory.file != NULL || GetTempPathA(sizeof(folder), folder) == 0 ||
        GetTempFileNameA(folder, "vit", 0, path) == 0)
        return NULL;
    memory.file = fopen(path, "w+bTD"); /* short-lived, and deleted when it is closed */
    memory.text = text, memory.size = size;
    return memory.file;
}

/* Reads what was written to the stream, with a 0 after it; returns whether that is possible. */
static int take_memory(void) {
    long length = fflush(memory.file) == 0 ? ftell(memory.file) : -1;
    if (length < 0 || (*memory.text = malloc((size_t)length + 1)) == NULL) return 0;
    rewind(memory.file);
    *memory.size = fread(*memory.text, 1, (size_t)length, memory.file);
    (*memory.text)[*memory.size] = 0;
    return *memory.size == (size_t)length;
}

int posix_fclose(FILE *file) {
    int good = 1;
    if (file == memory.file) {
        good = take_memory();
        memory.file = NULL;
    }
    return fclose(file) == 0 && good ? 0 : EOF;
}

/* ---- the console ---- */

int ioctl(int file, unsigned long request, struct winsize *size) {
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (request != TIOCGWINSZ || !GetConsoleScreenBufferInfo((HANDLE)_get_osfhandle(file), &info))
        return -1;
    size->ws_row = (unsigned short)(info.srWindow.Bottom - info.srWindow.Top + 1);
    size->ws_col = (unsigned short)(info.srWindow.Right - info.srWindow.Left + 1);
    return 0;
}
