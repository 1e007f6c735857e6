/* Reading zip archives from memory. Entries that are stored stay where they are; deflated ones are
   unpacked by zlib when they are asked for. (libzip does not tell where an entry's bytes are, so
   that it would copy a whole model.) */
#ifndef ZIP_H
#define ZIP_H

#include "file_map.h"

#include <stdint.h>

typedef struct zip_entry {
    char *name;
    struct zip *archive;
    size_t header;             /* place of its local header in the file */
    const unsigned char *data; /* in the file: packed_size bytes */
    size_t packed_size, size;
    int method; /* 0 stored, 8 deflated */
    uint32_t crc;
    int checked;             /* whether the bytes have been compared with crc */
    unsigned char *unpacked; /* a deflated entry's bytes while they are kept */
    unsigned long last_use;
} zip_entry;

typedef struct zip {
    const file_map *file;
    zip_entry *entries; /* in the order of their names */
    size_t count;
    size_t kept; /* bytes of all that is unpacked */
    unsigned long uses;
} zip;

/* Whether a file begins as an archive does; its directory. The entries do not overlap, and all of them
   unpack to 256 MB at most, or to 100 times the file. */
int zip_starts(const file_map *file);
zip *zip_open(const file_map *file);
void zip_close(zip *z);

/* NULL where there is none. */
zip_entry *zip_find(const zip *z, const char *name);

/* An entry's bytes, which are compared with its checksum at first. Those of a deflated entry, which may
   have 256 MB, stay only until others need the room. */
const unsigned char *zip_bytes(zip_entry *e);

/* The first bytes of an entry, `size` at most, without the checksum. Returns how many there are. */
size_t zip_begin(const zip_entry *e, unsigned char *bytes, size_t size);

#endif
