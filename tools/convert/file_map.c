#include "file_map.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

file_map file_map_open(const char *path) {
    file_map map = {path, NULL, 0};
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status) != 0) fail("%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode)) fail("%s: not a regular file", path);
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

void file_map_close(file_map *map) {
    if (map->data != NULL) munmap((void *)(uintptr_t)map->data, map->size);
    map->data = NULL, map->size = 0;
}
