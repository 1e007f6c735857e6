#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* for madvise */
#endif
#include "file_map.h"

#include "report.h"

#include <stdint.h>

#ifdef _WIN32
#include <windows.h>

/* All of an open file. */
static const unsigned char *view_of(const char *path, HANDLE file) {
    HANDLE mapping = CreateFileMappingA(file, NULL, PAGE_READONLY, 0, 0, NULL);
    const void *data = mapping == NULL ? NULL : MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
    if (data == NULL) fail("%s: cannot be mapped (error %lu)", path, GetLastError());
    CloseHandle(mapping); /* the view keeps it */
    return data;
}

file_map file_map_open(const char *path) {
    file_map map = {path, NULL, 0};
    LARGE_INTEGER size;
    HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        fail("%s: cannot be opened (error %lu)", path, GetLastError());
    if (GetFileType(file) != FILE_TYPE_DISK || !GetFileSizeEx(file, &size))
        fail("%s: not a regular file", path);
    if ((uintmax_t)size.QuadPart > SIZE_MAX) fail("%s: too large for this machine", path);
    map.size = (size_t)size.QuadPart;
    if (map.size > 0) map.data = view_of(path, file);
    CloseHandle(file);
    return map;
}

void file_map_release(const file_map *map) {
    (void)map; /* Windows takes it as it sees fit */
}

void file_map_close(file_map *map) {
    if (map->data != NULL) UnmapViewOfFile(map->data);
    map->data = NULL, map->size = 0;
}

#else
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What there is instead of a file. */
static const char *kind_of(mode_t mode) {
    return S_ISDIR(mode)    ? "a folder"
           : S_ISFIFO(mode) ? "a pipe: it has to be a file, which can be mapped"
                            : "not a regular file";
}

file_map file_map_open(const char *path) {
    file_map map = {path, NULL, 0};
    struct stat status;
    if (stat(path, &status) != 0) fail_open(path);
    if (!S_ISREG(status.st_mode)) /* before it is opened, for which a pipe would wait */
        fail("%s: %s", path, kind_of(status.st_mode));
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status) != 0) fail("%s: %s", path, strerror(errno));
    if ((uintmax_t)status.st_size > SIZE_MAX) fail("%s: too large for this machine", path);
    map.size = (size_t)status.st_size;
    if (map.size > 0) {
        void *data = mmap(NULL, map.size, PROT_READ, MAP_PRIVATE, file, 0);
        if (data == MAP_FAILED) fail("%s: %s", path, strerror(errno));
        map.data = data;
    }
    close(file);
    return map;
}

void file_map_release(const file_map *map) {
#ifdef MADV_DONTNEED
    if (map->data != NULL) madvise((void *)(uintptr_t)map->data, map->size, MADV_DONTNEED);
#else
    (void)map;
#endif
}

void file_map_close(file_map *map) {
    if (map->data != NULL) munmap((void *)(uintptr_t)map->data, map->size);
    map->data = NULL, map->size = 0;
}
#endif
