/* Pictures for vit.h, see picture.h. This file is in the order of its steps: a picture's file is read,
   examined, decoded and turned upright.

   stb_image needs checks before it decodes. Its release 2.27, which Debian 12 has, reads or writes
   outside its buffers for a JPEG whose Huffman table claims more than 256 codes (nothings/stb issue
   1289), for 16-bit PGM (1166), and for a 16-bit PNG of 700 megapixels. So a JPEG's tables are
   examined first, PPM and PGM are read here, and the size is bounded. Its heap buffers are cleared, so
   that no old memory gets into a picture, and none is larger than the picture's head lets expect.

   Valid files that it refuses or gets wrong are handed to it with another head: JPEGs without Huffman
   tables, or with bytes between their segments; BMPs of OS/2 with a palette, and of 24 or 32 bits with
   one. */

#include "picture.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef PICTURE_TURBO
#include <setjmp.h>
#include <jpeglib.h>
#endif

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#define STBI_MAX_DIMENSIONS (1 << 20)
#define STBI_ASSERT(x) ((void)0)
#define STBI_MALLOC(size) stb_allocate(NULL, size)
#define STBI_REALLOC(pointer, size) stb_allocate(pointer, size)
#define STBI_FREE(pointer) free(pointer)
static void *stb_allocate(void *old, size_t size);
#include <stb/stb_image.h>

typedef unsigned char byte;

#define CUT_SHORT "the file is cut short"

#ifdef PICTURE_TURBO /* which may keep all coefficients of any JPEG */
enum { HAS_TURBO = 1 };
#else
enum { HAS_TURBO = 0 };
#endif

const char picture_beyond_memory[] = "takes more memory than is allowed";
const char picture_beyond_stream[] = "more bytes on standard input than are allowed";
const char picture_beyond_scans[] = "a JPEG of more scans than are allowed";

/* What a file's headers say about the picture. */
typedef struct picture_header {
    int width, height;
    int orientation;
    double memory;               /* bytes that decoding takes at most, beside those of the file */
    int is_patched;              /* 1: stb_image needs another head */
    int full_width, full_height; /* before JPEG is decoded smaller */
} picture_header;

/* Bytes that stb_image may have in one piece, in this thread. */
static STBI_THREAD_LOCAL size_t stb_largest;

static void *stb_allocate(void *old, size_t size) {
    if (size > stb_largest) return NULL;
    return old == NULL ? calloc(1, size) : realloc(old, size);
}

static picture_limits with_defaults(const picture_limits *limits) {
    picture_limits all = {PICTURE_MEMORY, PICTURE_STREAM, PICTURE_SCANS, {0, 0}};
    if (limits == NULL) return all;
    memcpy(all.enough, limits->enough, sizeof(all.enough));
    if (limits->memory > 0) all.memory = limits->memory;
    if (limits->stream > 0) all.stream = limits->stream;
    if (limits->scans > 0) all.scans = limits->scans;
    return all;
}

static unsigned read_u16be(const byte *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static unsigned read_u16le(const byte *p) {
    return (unsigned)p[1] << 8 | p[0];
}

static unsigned long read_u32be(const byte *p) {
    return (unsigned long)read_u16be(p) << 16 | read_u16be(p + 2);
}

static unsigned long read_u32le(const byte *p) {
    return (unsigned long)read_u16le(p + 2) << 16 | read_u16le(p);
}

/* ---- reading ---- */

/* Not more than `most` bytes: of a longer file one more is read, so that it is noticed. */
static const char *read_stream(FILE *file, size_t most, const char *beyond, byte **bytes,
                               size_t *size) {
    size_t used = 0, capacity = 0;
    byte *buffer = NULL;
    const char *error = NULL;
    for (;;) {
        if (used == capacity) {
            size_t larger = capacity == 0 ? 65536 : capacity * 2;
            if (larger > most) larger = most + 1;
            byte *grown = larger > capacity ? (byte *)realloc(buffer, larger) : NULL;
            error = larger > capacity ? "out of memory" : beyond;
            if (grown == NULL) break;
            buffer = grown;
            capacity = larger;
        }
        size_t got = fread(buffer + used, 1, capacity - used, file);
        error = ferror(file) ? strerror(errno) : NULL;
        if (got == 0) break;
        used += got;
    }
    if (error != NULL) free(buffer);
    *bytes = buffer;
    *size = used;
    return error;
}

const char *picture_read_file_within(const char *path, unsigned char **bytes, size_t *size,
                                     const picture_limits *limits) {
    const picture_limits l = with_defaults(limits);
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, l.stream, picture_beyond_stream, bytes, size);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return strerror(errno);
    const char *error = read_stream(file, l.memory, picture_beyond_memory, bytes, size);
    fclose(file);
    return error;
}

const char *picture_read_file(const char *path, unsigned char **bytes, size_t *size) {
    return picture_read_file_within(path, bytes, size, NULL);
}

/* ---- EXIF: a TIFF file, of which only the first directory is read ---- */

int picture_exif_orientation(const unsigned char *exif, size_t size) {
    enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_SIZE = 12 };
    if (size < 8 || (memcmp(exif, "II*\0", 4) != 0 && memcmp(exif, "MM\0*", 4) != 0)) return 1;
    unsigned (*u16)(const byte *) = exif[0] == 'I' ? read_u16le : read_u16be;
    unsigned long (*u32)(const byte *) = exif[0] == 'I' ? read_u32le : read_u32be;

    size_t directory = u32(exif + 4);
    if (directory > size - 2) return 1;
    size_t entries = u16(exif + directory);
    size_t present = (size - 2 - directory) / ENTRY_SIZE; /* the rest are cut off */
    if (entries > present) entries = present;

    unsigned long orientation = 1;
    for (size_t i = 0; i < entries; i++) { /* tag u16, type u16, count u32, value u16 or u32 */
        const byte *entry = exif + directory + 2 + i * ENTRY_SIZE;
        if (u16(entry) != TAG_ORIENTATION || u32(entry + 4) != 1) continue;
        if (u16(entry + 2) == TYPE_SHORT) orientation = u16(entry + 8);
        if (u16(entry + 2) == TYPE_LONG) orientation = u32(entry + 8);
    }
    return orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
}

/* ---- JPEG ---- */

/* The next marker that starts a segment, or 0 at the end of the file; *at moves past it. Stuffed zeros
   and restart markers belong to the pixels. */
static int next_jpeg_marker(const byte *bytes, size_t size, size_t *at) {
    for (size_t i = *at; i + 1 < size; i++) {
        int marker = bytes[i + 1];
        if (bytes[i] != 0xFF || marker == 0xFF || marker == 0) continue;
        if (marker >= 0xD0 && marker <= 0xD7) continue;
        *at = i + 2;
        return marker;
    }
    return 0;
}

/* Huffman tables: a byte of class and number, 16 counts of codes by length, then a byte for each
   code. */
static int jpeg_tables_are_sound(const byte *data, size_t size) {
    while (size > 0) {
        size_t codes = 0;
        if (size < 17) return 0;
        for (size_t i = 1; i <= 16; i++) codes += data[i];
        if (codes > 256 || codes > size - 17) return 0;
        data += 17 + codes;
        size -= 17 + codes;
    }
    return 1;
}

/* What the segments of a JPEG have told so far. */
typedef struct jpeg_facts {
    int components;
    int adobe_transform; /* -1: not given */
    int seen_exif, seen_tables, scans;
} jpeg_facts;

static int holds(const byte *data, size_t size, const char *magic, size_t magic_size) {
    return size >= magic_size && memcmp(data, magic, magic_size) == 0;
}

/* What stb_image takes for the blocks of a component, one byte a sample, three in progressive ones, and
   for the pixels. frame: what follows height and width: the number of components, and of each its
   number, sampling factors, table. */
static double jpeg_memory(const picture_header *header, const byte *frame, int is_progressive) {
    double most_across = 1, most_down = 1, sum = 0, pixels;
    for (int i = 0; i < frame[0]; i++) {
        int across = frame[2 + 3 * i] >> 4, down = frame[2 + 3 * i] & 15;
        if (across > most_across) most_across = across;
        if (down > most_down) most_down = down;
        sum += across * down;
    }
    pixels = ceil(header->width / (8 * most_across)) * ceil(header->height / (8 * most_down)) * 64;
    return pixels * (sum * (is_progressive ? 3 : 1) + 3 * most_across * most_down);
}

/* SOF: precision, height, width, components. */
static const char *examine_jpeg_frame(int marker, const byte *data, size_t size, jpeg_facts *facts,
                                      picture_header *header) {
    if (size < 6 || size < 6 + 3u * data[5] || facts->components > 0) return "Corrupt JPEG";
    header->height = (int)read_u16be(data + 1);
    header->width = (int)read_u16be(data + 3);
    facts->components = data[5];
    header->memory = jpeg_memory(header, data + 5, marker == 0xC2 || HAS_TURBO);
    return NULL;
}

static const char *examine_jpeg_segment(int marker, const byte *data, size_t size,
                                        jpeg_facts *facts, picture_header *header) {
    if (marker == 0xC4) { /* DHT */
        facts->seen_tables |= facts->scans == 0;
        if (!jpeg_tables_are_sound(data, size)) return "Corrupt JPEG";
    } else if (marker >= 0xC0 && marker <= 0xC2) {
        return examine_jpeg_frame(marker, data, size, facts, header);
    } else if (marker >= 0xC3 && marker <= 0xCF) {
        return "arithmetic-coded, lossless and hierarchical JPEG are not supported";
    } else if (marker == 0xDA) { /* SOS: EXIF has to come before it */
        facts->scans++;
    } else if (marker == 0xE1 && holds(data, size, "Exif\0\0", 6)) { /* APP1: the first counts */
        if (!facts->seen_exif && facts->scans == 0)
            header->orientation = picture_exif_orientation(data + 6, size - 6);
        facts->seen_exif = 1;
    } else if (marker == 0xEE && size >= 12 && holds(data, size, "Adobe\0", 6)) { /* APP14 */
        facts->adobe_transform = data[11];
    }
    return NULL;
}

/* With four components, stb_image and Pillow agree on what Adobe's marker declares: 0 CMYK, 2
   YCCK. */
static const char *examine_jpeg_facts(const jpeg_facts *facts) {
    if (facts->scans == 0) return CUT_SHORT;
    if (facts->components != 4) return NULL;
    if (facts->adobe_transform == 0 || facts->adobe_transform == 2) return NULL;
    return "CMYK JPEG without an Adobe marker that tells its colours";
}

/* Segments: marker, length u16 with its own two bytes, data. After SOS there are pixels until the next
   marker. */
static const char *examine_jpeg(const byte *bytes, size_t size, int most_scans,
                                picture_header *header) {
    jpeg_facts facts = {0, -1, 0, 0, 0};
    size_t at = 2;
    for (;;) {
        size_t before = at;
        int marker = next_jpeg_marker(bytes, size, &at);
        if (facts.scans == 0 && at > before + 2) header->is_patched = 1;
        if (marker == 0xD9) return examine_jpeg_facts(&facts); /* EOI */
        if (marker == 0 || size - at < 2) return CUT_SHORT;
        size_t length = read_u16be(bytes + at);
        if (length < 2) return "Corrupt JPEG";
        if (length > size - at) return CUT_SHORT;
        const byte *data = bytes + at + 2;
        const char *error = examine_jpeg_segment(marker, data, length - 2, &facts, header);
        if (error != NULL) return error;
        if (marker == 0xDA && !facts.seen_tables) header->is_patched = 1;
        if (facts.scans > most_scans) return picture_beyond_scans;
        at += length;
    }
}

/* The tables that are meant where there are none (T.81, K.3): DHT, with its marker and length, for
   luminance and chrominance. */
static const byte usual_tables[] = {
    0xFF, 0xC4, 0x00, 0x1F, 0x00, 0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A,
    0x0B, 0xFF, 0xC4, 0x00, 0xB5, 0x10, 0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05,
    0x04, 0x04, 0x00, 0x00, 0x01, 0x7D, 0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31,
    0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42,
    0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18,
    0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43,
    0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63,
    0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8,
    0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6,
    0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2,
    0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFF, 0xC4, 0x00, 0x1F, 0x01, 0x00, 0x03, 0x01,
    0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02,
    0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0xFF, 0xC4, 0x00, 0xB5, 0x11, 0x00, 0x02,
    0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77, 0x00, 0x01,
    0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62,
    0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28,
    0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A,
    0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A,
    0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7,
    0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5,
    0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE2, 0xE3,
    0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
};

/* The same picture with nothing between its segments, and with the usual tables in front, which its own
   replace; to be freed. */
static byte *patch_jpeg(const byte *bytes, size_t size, size_t *patched_size) {
    byte *patched = (byte *)malloc(size + sizeof(usual_tables)), *out = patched;
    size_t at = 2;
    if (patched == NULL) return NULL;
    memcpy(out, bytes, 2);
    memcpy(out + 2, usual_tables, sizeof(usual_tables));
    out += 2 + sizeof(usual_tables);
    for (int marker = 0; marker != 0xDA;) { /* examine_jpeg has found them all */
        marker = next_jpeg_marker(bytes, size, &at);
        size_t length = read_u16be(bytes + at);
        memcpy(out, bytes + at - 2, length + 2);
        out += length + 2;
        at += length;
    }
    memcpy(out, bytes + at, size - at);
    *patched_size = (size_t)(out - patched) + size - at;
    return patched;
}

/* ---- PNG ---- */

/* What stb_image takes: the filtered rows and the pixels, twice and a half where they are interlaced;
   then the pixels and three bytes for each, or six where there are 16 bits. */
static double png_memory(const byte *header) {
    static const int channels_of[] = {1, 0, 3, 1, 2, 0, 4};
    double pixels = (double)read_u32be(header) * (double)read_u32be(header + 4);
    int bits = header[8], colour = header[9], is_palette = colour == 3, wide = bits == 16;
    int channels = colour <= 6 ? channels_of[colour] : 4, with_alpha = channels % 2;
    double raw = pixels * channels * bits / 8 + (double)read_u32be(header + 4) * 2;
    double own = pixels * (channels + with_alpha) * (wide ? 2 : 1);
    double first = raw + own * (header[12] != 0 ? 2.5 : 1);
    double second = own + pixels * (wide ? 6 + 3 : is_palette ? 4 + 3 : 3);
    return first > second ? first : second;
}

/* A digit in hexadecimal, or -1. */
static int read_digit(byte c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What ImageMagick writes: a line break, the profile's name, its size, each on a line, and the bytes in
   hexadecimal. */
static int text_orientation(const char *text, size_t size) {
    byte exif[4096];
    size_t at = 0, count = 0;
    for (int lines = 0; at < size && lines < 3; at++) lines += text[at] == '\n';
    for (; at + 1 < size && count < sizeof(exif); at++) {
        int high = read_digit((byte)text[at]), low = read_digit((byte)text[at + 1]);
        if (high < 0 || low < 0) continue; /* a line break */
        exif[count++] = (byte)(high << 4 | low);
        at++;
    }
    if (!holds(exif, count, "Exif\0\0", 6)) return 1;
    return picture_exif_orientation(exif + 6, count - 6);
}

/* tEXt: a keyword, NUL, text; zTXt: a keyword, NUL, the method 0, deflated text. Of a profile that is
   larger than any orientation is far, the beginning is enough. */
static int png_text_orientation(const byte *data, size_t size, int is_deflated) {
    static const char keyword[] = "Raw profile type exif";
    char text[3 * 4096];
    if (!holds(data, size, keyword, sizeof(keyword))) return 1;
    data += sizeof(keyword);
    size -= sizeof(keyword);
    if (!is_deflated) return text_orientation((const char *)data, size);
    if (size < 1 || size > INT_MAX) return 1;
    int length =
        stbi_zlib_decode_buffer(text, (int)sizeof(text), (const char *)data + 1, (int)size - 1);
    return length < 0 ? 1 : text_orientation(text, (size_t)length);
}

/* Chunks: length u32, type, data, checksum u32. */
static const char *examine_png(const byte *bytes, size_t size, picture_header *header) {
    size_t at = 8;
    int in_text = 1; /* orientation, which counts where there is no eXIf */
    for (;;) {
        if (size - at < 12) return CUT_SHORT;
        size_t length = read_u32be(bytes + at);
        const byte *type = bytes + at + 4, *data = bytes + at + 8;
        if (length > size - at - 12) return CUT_SHORT;
        at += 12 + length;

        if (memcmp(type, "CgBI", 4) == 0) return "PNG in Apple's own format for iPhones";
        if (memcmp(type, "IHDR", 4) == 0) {
            if (length != 13 || read_u32be(data) > INT_MAX || read_u32be(data + 4) > INT_MAX)
                return "Corrupt PNG";
            header->width = (int)read_u32be(data);
            header->height = (int)read_u32be(data + 4);
            header->memory = png_memory(data) + 2.0 * (double)size; /* IDAT in one piece */
        }
        if (memcmp(type, "eXIf", 4) == 0) { /* allowed before and after the pixels */
            header->orientation = picture_exif_orientation(data, length);
        }
        if (memcmp(type, "tEXt", 4) == 0 || memcmp(type, "zTXt", 4) == 0) {
            int found = png_text_orientation(data, length, type[0] == 'z');
            if (found != 1) in_text = found;
        }
        if (memcmp(type, "IEND", 4) == 0) break;
    }
    if (header->orientation == 1) header->orientation = in_text;
    return NULL;
}

/* ---- BMP ---- */

enum { BMP_FILE_HEADER = 14, BMP_CORE = 12, BMP_INFO = 40 };

/* File header: "BM", 8 bytes, u32 offset of the pixels. Then a second header, which starts with its own
   size: 12 with u16 width and height, or more with i32 ones and a negative height for top-down
   pictures, and with u32 compression. */
static const char *examine_bmp(const byte *bytes, size_t size, picture_header *header) {
    unsigned long width, height, compression = 0;
    size_t bits, second;
    if (size < 34) return CUT_SHORT;
    second = read_u32le(bytes + BMP_FILE_HEADER);
    if (second == BMP_CORE) {
        width = read_u16le(bytes + 18);
        height = read_u16le(bytes + 20);
        bits = read_u16le(bytes + 24);
    } else {
        width = read_u32le(bytes + 18);
        height = read_u32le(bytes + 22);
        bits = read_u16le(bytes + 28);
        compression = read_u32le(bytes + 30);
        if (height > INT_MAX) height = 0xFFFFFFFF - height + 1;
    }
    if (width > STBI_MAX_DIMENSIONS || height > STBI_MAX_DIMENSIONS || bits > 32)
        return "Corrupt BMP";
    if (compression == 1 || compression == 2)
        return "BMP with RLE is not read: convert (package imagemagick) makes a PNG of it";
    if (compression == 4 || compression == 5) return "BMP with a JPEG or PNG in it is not read";
    size_t offset = read_u32le(bytes + 10), row_size = (width * bits + 31) / 32 * 4;
    if (offset > size || (row_size > 0 && height > (size - offset) / row_size)) return CUT_SHORT;
    header->width = (int)width;
    header->height = (int)height;
    header->memory = 3.0 * (double)width * (double)height;
    size_t end = BMP_FILE_HEADER + second;
    if (second == BMP_CORE) header->is_patched = bits < 16 && offset > end;
    else header->is_patched = bits >= 24 && compression == 0 && offset > end;
    return NULL;
}

static void put_u32le(byte *out, size_t value) {
    for (int i = 0; i < 4; i++) out[i] = (byte)(value >> (8 * i) & 255);
}

/* The same picture with a header of 40 bytes where it had 12, each colour in four bytes where it had
   three, and without a palette where no pixel refers to it; to be freed. */
static byte *patch_bmp(const byte *bytes, size_t size, size_t *patched_size) {
    size_t offset = read_u32le(bytes + 10), second = read_u32le(bytes + BMP_FILE_HEADER);
    int is_core = second == BMP_CORE;
    size_t bits = is_core ? read_u16le(bytes + 24) : 32, room = is_core ? BMP_INFO : second;
    size_t colours = is_core ? (offset - BMP_FILE_HEADER - BMP_CORE) / 3 : 0;
    if (is_core && colours > (size_t)1 << bits) colours = (size_t)1 << bits;
    size_t head = BMP_FILE_HEADER + room + 4 * colours;
    byte *patched = (byte *)calloc(1, head + size - offset);
    if (patched == NULL) return NULL;
    memcpy(patched, bytes, BMP_FILE_HEADER + (is_core ? 0 : second));
    put_u32le(patched + 10, head);
    if (is_core) {
        put_u32le(patched + 14, BMP_INFO);
        put_u32le(patched + 18, read_u16le(bytes + 18));
        put_u32le(patched + 22, read_u16le(bytes + 20));
        memcpy(patched + 26, bytes + 22, 4); /* planes and bits */
        put_u32le(patched + 46, colours);
    }
    for (size_t i = 0; i < colours; i++)
        memcpy(patched + BMP_FILE_HEADER + BMP_INFO + 4 * i, bytes + 26 + 3 * i, 3);
    memcpy(patched + head, bytes + offset, size - offset);
    *patched_size = head + size - offset;
    return patched;
}

/* ---- PPM and PGM: "P6" or "P5", width, height, maximum, one white space, samples ---- */

static int is_space(int c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number after white space and comments, or -1 if there is none; *at moves past the number and the
   one white space that ends it. */
static long read_pnm_number(const byte *bytes, size_t size, size_t *at) {
    size_t i = *at;
    long number = 0;
    while (i < size && (is_space(bytes[i]) || bytes[i] == '#')) {
        if (bytes[i] == '#')
            while (i < size && bytes[i] != '\n' && bytes[i] != '\r') i++;
        else i++;
    }
    if (i == size || bytes[i] < '0' || bytes[i] > '9') return -1;
    for (; i < size && bytes[i] >= '0' && bytes[i] <= '9'; i++) {
        number = number * 10 + (bytes[i] - '0');
        if (number > PICTURE_MAX_PIXELS) return -1;
    }
    if (i == size || !is_space(bytes[i])) return -1;
    *at = i + 1;
    return number;
}

static byte scale_sample(unsigned value, unsigned maximum) {
    if (value >= maximum) return 255;
    return (byte)lrint((double)value / maximum * 255);
}

static const char *check_size(const picture_header *header) {
    if (header->width <= 0 || header->height <= 0) return "the picture has no pixels";
    if (header->width > PICTURE_MAX_PIXELS / header->height) return "the picture is too large";
    return NULL;
}

/* Bytes of the file, of its other form if there is one, and of decoding. */
static const char *check_memory(const picture_header *header, size_t size, size_t most) {
    double memory = header->memory + (double)size * (header->is_patched ? 2 : 1);
    return memory > (double)most ? picture_beyond_memory : NULL;
}

static const char *decode_pnm(const byte *bytes, size_t size, const picture_limits *limits,
                              picture_header *header, byte **rgb) {
    size_t at = 2, channels = bytes[1] == '6' ? 3 : 1;
    long width = read_pnm_number(bytes, size, &at);
    long height = width < 0 ? -1 : read_pnm_number(bytes, size, &at);
    long maximum = height < 0 ? -1 : read_pnm_number(bytes, size, &at);
    if (maximum < 1 || maximum > 65535) return "Corrupt PPM or PGM";
    header->width = (int)width;
    header->height = (int)height;
    const char *error = check_size(header);
    header->memory = 3.0 * (double)width * (double)height;
    if (error == NULL) error = check_memory(header, size, limits->memory);
    if (error != NULL) return error;

    header->full_width = (int)width, header->full_height = (int)height;
    size_t pixels = (size_t)width * (size_t)height, sample_size = maximum > 255 ? 2 : 1;
    if ((size - at) / channels / sample_size < pixels) return CUT_SHORT;
    byte *out = (byte *)malloc(pixels * 3);
    if (out == NULL) return "out of memory";
    for (size_t i = 0; i < pixels * 3; i++) {
        const byte *p = bytes + at + (channels == 3 ? i : i / 3) * sample_size;
        out[i] = scale_sample(sample_size == 2 ? read_u16be(p) : *p, (unsigned)maximum);
    }
    *rgb = out;
    return NULL;
}

/* ---- decoding ---- */

/* stb_image's own reading of the head has to be the same, before it takes memory. */
static const char *decode_by_stb(const byte *bytes, size_t size, const picture_header *header,
                                 byte **rgb) {
    enum { SMALLEST = 1 << 20 }; /* its own structs, and files that are mostly text */
    int width, height, channels;
    if (size > INT_MAX) return "the file is too large";
    stb_largest = (size_t)header->memory + SMALLEST;
    if (stbi_info_from_memory(bytes, (int)size, &width, &height, &channels) &&
        (width != header->width || height != header->height))
        return "the file contradicts itself about its size";
    *rgb = stbi_load_from_memory(bytes, (int)size, &width, &height, &channels, 3);
    if (*rgb != NULL) return NULL;
    const char *error = stbi_failure_reason(); /* NULL after some failures */
    return error != NULL ? error : "damaged, or too large for the memory";
}

/* A head that is sound leaves the pixels. libjpeg goes on at the next restart marker; stb_image would
   have to be told where the bytes of each part end, which only decoding tells. */
static const char *name_damage(const char *error) {
    if (error == NULL || strcmp(error, "Corrupt JPEG") != 0) return error;
    return "the JPEG's pixels are damaged: make JPEG=turbo builds a program that shows what is "
           "left";
}

#ifdef PICTURE_TURBO

/* libjpeg's errors come back by longjmp; it is silent about data that it can do something with. */
typedef struct turbo {
    struct jpeg_error_mgr base; /* first, so that a pointer to it is one to all */
    jmp_buf back;
    struct jpeg_decompress_struct jpeg;
    byte *row, *rgb;
} turbo;

static void turbo_fail(j_common_ptr jpeg) {
    longjmp(((turbo *)(void *)jpeg->err)->back, 1);
}

static void turbo_say(j_common_ptr jpeg, int level) {
    (void)jpeg;
    (void)level;
}

/* As Pillow's draft: by how much both sides are larger than needed, down to 8, 4, 2 or 1. */
static unsigned turbo_scale(const picture_header *header, const int enough[2]) {
    int transposed = header->orientation >= 5;
    int down = enough[transposed], across = enough[!transposed];
    if (down < 1 || across < 1) return 1;
    int scale = header->height / down, other = header->width / across;
    if (other < scale) scale = other;
    return scale >= 8 ? 8 : scale >= 4 ? 4 : scale >= 2 ? 2 : 1;
}

/* RGB from grey, or from CMYK as Adobe inverts it, by Pillow's formula. */
static void turbo_convert(const byte *in, byte *rgb, size_t width, int components) {
    for (size_t x = 0; x < width; x++, in += components) {
        for (int c = 0; c < 3; c++) {
            unsigned light = components == 4 ? in[3] : 0; /* what black leaves */
            unsigned ink = (255u - in[components == 4 ? c : 0]) * light + 128;
            *rgb++ = (byte)(components == 4 ? light - ((ink >> 8) + ink) / 256 : in[0]);
        }
    }
}

static void turbo_read_rows(struct jpeg_decompress_struct *jpeg, byte *row, byte *rgb) {
    size_t width = jpeg->output_width;
    while (jpeg->output_scanline < jpeg->output_height) {
        byte *out = rgb + (size_t)jpeg->output_scanline * width * 3;
        byte *line = jpeg->output_components == 3 ? out : row;
        jpeg_read_scanlines(jpeg, &line, 1);
        if (line == row) turbo_convert(row, out, width, jpeg->output_components);
    }
}

/* The head is read, and says what header does: memory for the pixels and a row. */
static const char *turbo_begin(struct jpeg_decompress_struct *jpeg, const picture_header *header,
                               const int enough[2], byte **row, byte **rgb) {
    if (jpeg->image_width != (unsigned)header->width ||
        jpeg->image_height != (unsigned)header->height)
        return "the file contradicts itself about its size";
    if (jpeg->num_components == 2) return "a JPEG of two components";
    jpeg->scale_denom = turbo_scale(header, enough);
    jpeg->out_color_space = jpeg->num_components == 1   ? JCS_GRAYSCALE
                            : jpeg->num_components == 4 ? JCS_CMYK
                                                        : JCS_RGB;
    jpeg_calc_output_dimensions(jpeg);
    *row = (byte *)malloc((size_t)jpeg->output_width * 4);
    *rgb = (byte *)malloc((size_t)jpeg->output_width * jpeg->output_height * 3);
    return *row == NULL || *rgb == NULL ? "out of memory" : NULL;
}

/* What setjmp leaves alone is not its function's own. */
static const char *turbo_run(turbo *t, const byte *bytes, size_t size, const int enough[2],
                             const picture_header *header) {
    if (setjmp(t->back) != 0) return "a JPEG that libjpeg-turbo cannot decode";
    jpeg_create_decompress(&t->jpeg);
    jpeg_mem_src(&t->jpeg, bytes, size);
    jpeg_read_header(&t->jpeg, TRUE);
    const char *error = turbo_begin(&t->jpeg, header, enough, &t->row, &t->rgb);
    if (error != NULL) return error;
    jpeg_start_decompress(&t->jpeg);
    turbo_read_rows(&t->jpeg, t->row, t->rgb);
    return NULL;
}

/* Pixels of the size that is then in header. */
static const char *decode_by_turbo(const byte *bytes, size_t size, const int enough[2],
                                   picture_header *header, byte **rgb) {
    turbo t;
    memset(&t, 0, sizeof(t));
    t.jpeg.err = jpeg_std_error(&t.base);
    t.base.error_exit = turbo_fail;
    t.base.emit_message = turbo_say;
    const char *error = turbo_run(&t, bytes, size, enough, header);
    header->width = (int)t.jpeg.output_width;
    header->height = (int)t.jpeg.output_height;
    jpeg_destroy_decompress(&t.jpeg);
    free(t.row);
    if (error != NULL) free(t.rgb);
    *rgb = t.rgb;
    return error;
}

#endif

/* With another head where that is needed. patch: what makes it, or NULL. */
static const char *decode_file(const byte *bytes, size_t size, const picture_limits *limits,
                               picture_header *header,
                               byte *(*patch)(const byte *, size_t, size_t *), byte **rgb) {
    const char *error = check_size(header);
    if (error == NULL) error = check_memory(header, size, limits->memory);
    if (error != NULL) return error;
    header->full_width = header->width, header->full_height = header->height;
#ifdef PICTURE_TURBO
    if (patch == patch_jpeg) return decode_by_turbo(bytes, size, limits->enough, header, rgb);
#endif
    if (!header->is_patched) return name_damage(decode_by_stb(bytes, size, header, rgb));
    byte *patched = patch(bytes, size, &size);
    if (patched == NULL) return "out of memory";
    error = decode_by_stb(patched, size, header, rgb);
    free(patched);
    return name_damage(error);
}

/* What is no picture that is read here, by its beginning, and what makes one of it. */
static const char *name_other(const byte *bytes, size_t size) {
    static const struct {
        size_t at, size;
        const char *magic, *error;
    } kinds[] = {
        {8, 4, "WEBP", "WebP, which is not read: dwebp (package webp) makes a PNG of it"},
        {8, 4, "avif", "AVIF, which is not read: avifdec (package libavif-bin) makes a PNG of it"},
        {8, 4, "avis", "AVIF, which is not read: avifdec (package libavif-bin) makes a PNG of it"},
        {4, 4, "ftyp",
         "HEIC, or a video: heif-convert (package libheif-examples) makes a JPEG of HEIC"},
        {0, 4, "GIF8", "GIF, which is not read: convert (package imagemagick) makes a PNG of it"},
        {0, 4, "II*\0", "TIFF, which is not read: convert (package imagemagick) makes a PNG of it"},
        {0, 4, "MM\0*", "TIFF, which is not read: convert (package imagemagick) makes a PNG of it"},
        {0, 2, "\xFF\x0A",
         "JPEG XL, which is not read: djxl (package libjxl-tools) makes a PNG of it"},
        {4, 4, "JXL ", "JPEG XL, which is not read: djxl (package libjxl-tools) makes a PNG of it"},
        {4, 4, "jP  ",
         "JPEG 2000, which is not read: opj_decompress (package libopenjp2-tools) "
         "makes a PNG of it"},
        {0, 2, "P3",
         "a PPM in text, which is not read: pnmtopnm (package netpbm) makes a binary one"},
        {0, 2, "P2",
         "a PGM in text, which is not read: pnmtopnm (package netpbm) makes a binary one"},
        {0, 4, "%PDF", "a PDF: pdftoppm (package poppler-utils) makes pictures of its pages"},
        {0, 19, "version https://git",
         "a git-lfs pointer: the picture itself was not fetched "
         "(git lfs pull)"},
        {0, 5, "<html", "a web page, not a picture"},
        {0, 9, "<!doctype", "a web page, not a picture"},
        {0, 9, "<!DOCTYPE", "a web page, not a picture"},
        {0, 4, "<svg",
         "SVG, which is not read: rsvg-convert (package librsvg2-bin) makes a PNG of it"},
        {1, 3, "VIT", "a .vit file, not a picture: models are named by -m"},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (size >= kinds[i].at + kinds[i].size &&
            memcmp(bytes + kinds[i].at, kinds[i].magic, kinds[i].size) == 0)
            return kinds[i].error;
    }
    return "not a JPEG, PNG, BMP, PPM (P6) or PGM (P5) file";
}

static const char *decode_any(const byte *bytes, size_t size, const picture_limits *limits,
                              picture_header *header, byte **rgb) {
    byte *(*patch)(const byte *, size_t, size_t *) = NULL;
    const char *error;
    if (size == 0) return "the file is empty";
    if (holds(bytes, size, "P6", 2) || holds(bytes, size, "P5", 2))
        return decode_pnm(bytes, size, limits, header, rgb);
    if (holds(bytes, size, "\xFF\xD8\xFF", 3)) {
        error = examine_jpeg(bytes, size, limits->scans, header);
        patch = patch_jpeg;
    } else if (holds(bytes, size, "\x89PNG\r\n\x1A\n", 8)) {
        error = examine_png(bytes, size, header);
    } else if (holds(bytes, size, "BM", 2)) {
        error = examine_bmp(bytes, size, header);
        patch = patch_bmp;
    } else {
        error = name_other(bytes, size);
    }
    return error != NULL ? error : decode_file(bytes, size, limits, header, patch, rgb);
}

void picture_orient(vit_image *image, int orientation) {
    int o = orientation >= 1 && orientation <= 8 ? orientation : 1;
    int mirrored = o == 2 || o == 3 || o == 7 || o == 8;
    int upside_down = o == 3 || o == 4 || o == 6 || o == 7;
    int transposed = o >= 5;
    if (mirrored) {
        image->data += (image->width - 1) * image->pixel_stride;
        image->pixel_stride = -image->pixel_stride;
    }
    if (upside_down) {
        image->data += (image->height - 1) * image->row_stride;
        image->row_stride = -image->row_stride;
    }
    if (transposed) { /* columns become rows, after the two above */
        const vit_image before = *image;
        image->width = before.height;
        image->height = before.width;
        image->pixel_stride = before.row_stride;
        image->row_stride = before.pixel_stride;
    }
}

const char *picture_decode_within(picture *out, const unsigned char *bytes, size_t size,
                                  const picture_limits *limits) {
    const picture_limits l = with_defaults(limits);
    picture_header header = {0, 0, 1, 0, 0, 0, 0};
    byte *rgb = NULL;
    const char *error = decode_any(bytes, size, &l, &header, &rgb);
    if (error != NULL) return error;
    const vit_image image = {rgb, header.width, header.height, (ptrdiff_t)header.width * 3, 3, 1};
    out->rgb = rgb;
    out->image = image;
    out->width = header.orientation >= 5 ? header.full_height : header.full_width;
    out->height = header.orientation >= 5 ? header.full_width : header.full_height;
    picture_orient(&out->image, header.orientation);
    return NULL;
}

const char *picture_decode(picture *out, const unsigned char *bytes, size_t size) {
    return picture_decode_within(out, bytes, size, NULL);
}

const char *picture_load_within(picture *out, const char *path, const picture_limits *limits) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    const char *error = picture_read_file_within(path, &bytes, &size, limits);
    if (error != NULL) return error;
    error = picture_decode_within(out, bytes, size, limits);
    free(bytes);
    return error;
}

const char *picture_load(picture *out, const char *path) {
    return picture_load_within(out, path, NULL);
}

int picture_has_draft(void) {
    return HAS_TURBO;
}

void picture_free(picture *out) {
    free(out->rgb);
}
