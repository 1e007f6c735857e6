/* Little-endian numbers in a file, at any alignment. */
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>

static inline uint16_t read_u16(const unsigned char *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t read_u32(const unsigned char *p) {
    return read_u16(p) | (uint32_t)read_u16(p + 2) << 16;
}

static inline uint64_t read_u64(const unsigned char *p) {
    return read_u32(p) | (uint64_t)read_u32(p + 4) << 32;
}

#endif
