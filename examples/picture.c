/* Pictures for vit.h, see picture.h. This file is in the order of its steps: a picture's file is read,
   examined, decoded and turned upright.

   stb_image needs checks before it decodes. Its release 2.27, which Debian 12 has, reads or writes
   outside its buffers for a JPEG whose Huffman table claims more than 256 codes (nothings/stb issue
   1289), for 16-bit PGM (1166), and for a 16-bit PNG of 700 megapixels. So a JPEG's tables are
   examined first, PPM and PGM are read here, and the size is bounded. Its heap buffers are cleared, so
   that no old memory gets into a picture. */

#include "picture.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#define STBI_MAX_DIMENSIONS (1 << 20)
#define STBI_ASSERT(x) ((void)0)
#define STBI_MALLOC(size) calloc(1, size)
#define STBI_REALLOC(pointer, size) realloc(pointer, size)
#define STBI_FREE(pointer) free(pointer)
#include <stb/stb_image.h>

typedef unsigned char byte;

#define CUT_SHORT "the file is cut short"

/* What a file's headers say about the picture. */
typedef struct picture_header {
    int width, height;
    int orientation;
} picture_header;

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

static const char *read_stream(FILE *file, byte **bytes, size_t *size) {
    size_t used = 0, capacity = 0;
    byte *buffer = NULL;
    for (;;) {
        if (used == capacity) {
            size_t larger = capacity == 0 ? 65536 : capacity * 2;
            byte *grown = larger > capacity ? (byte *)realloc(buffer, larger) : NULL;
            if (grown == NULL) {
                free(buffer);
                return "out of memory";
            }
            buffer = grown;
            capacity = larger;
        }
        size_t got = fread(buffer + used, 1, capacity - used, file);
        if (got == 0) break;
        used += got;
    }
    if (ferror(file)) {
        free(buffer);
        return "cannot be read";
    }
    *bytes = buffer;
    *size = used;
    return NULL;
}

const char *picture_read_file(const char *path, unsigned char **bytes, size_t *size) {
    if (strcmp(path, "-") == 0) return read_stream(stdin, bytes, size);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return "cannot be opened";
    const char *error = read_stream(file, bytes, size);
    fclose(file);
    return error;
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
    int seen_exif, seen_pixels;
} jpeg_facts;

static int holds(const byte *data, size_t size, const char *magic, size_t magic_size) {
    return size >= magic_size && memcmp(data, magic, magic_size) == 0;
}

static const char *examine_jpeg_segment(int marker, const byte *data, size_t size,
                                        jpeg_facts *facts, picture_header *header) {
    if (marker == 0xC4) { /* DHT */
        if (!jpeg_tables_are_sound(data, size)) return "Corrupt JPEG";
    } else if (marker >= 0xC0 && marker <= 0xC2) { /* SOF: precision, height, width, components */
        if (size < 6) return "Corrupt JPEG";
        header->height = (int)read_u16be(data + 1);
        header->width = (int)read_u16be(data + 3);
        facts->components = data[5];
    } else if (marker >= 0xC3 && marker <= 0xCF) {
        return "arithmetic-coded, lossless and hierarchical JPEG are not supported";
    } else if (marker == 0xDA) { /* SOS: EXIF has to come before it */
        facts->seen_pixels = 1;
    } else if (marker == 0xE1 && holds(data, size, "Exif\0\0", 6)) { /* APP1: the first counts */
        if (!facts->seen_exif && !facts->seen_pixels)
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
    if (!facts->seen_pixels) return CUT_SHORT;
    if (facts->components != 4) return NULL;
    if (facts->adobe_transform == 0 || facts->adobe_transform == 2) return NULL;
    return "CMYK JPEG without an Adobe marker that tells its colours";
}

/* Segments: marker, length u16 with its own two bytes, data. After SOS there are pixels until the next
   marker. */
static const char *examine_jpeg(const byte *bytes, size_t size, picture_header *header) {
    jpeg_facts facts = {0, -1, 0, 0};
    size_t at = 2;
    for (;;) {
        int marker = next_jpeg_marker(bytes, size, &at);
        if (marker == 0xD9) return examine_jpeg_facts(&facts); /* EOI */
        if (marker == 0 || size - at < 2) return CUT_SHORT;
        size_t length = read_u16be(bytes + at);
        if (length < 2) return "Corrupt JPEG";
        if (length > size - at) return CUT_SHORT;
        const byte *data = bytes + at + 2;
        const char *error = examine_jpeg_segment(marker, data, length - 2, &facts, header);
        if (error != NULL) return error;
        at += length;
    }
}

/* ---- PNG ---- */

/* Chunks: length u32, type, data, checksum u32. */
static const char *examine_png(const byte *bytes, size_t size, picture_header *header) {
    size_t at = 8;
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
        }
        if (memcmp(type, "eXIf", 4) == 0) /* allowed before and after the pixels */
            header->orientation = picture_exif_orientation(data, length);
        if (memcmp(type, "IEND", 4) == 0) return NULL;
    }
}

/* ---- BMP ---- */

/* File header: "BM", 8 bytes, u32 offset of the pixels. Then a second header, which starts with its own
   size: 12 with u16 width and height, or more with i32 ones and a negative height for top-down
   pictures. */
static const char *examine_bmp(const byte *bytes, size_t size, picture_header *header) {
    unsigned long width, height;
    size_t bits;
    if (size < 30) return CUT_SHORT;
    if (read_u32le(bytes + 14) == 12) {
        width = read_u16le(bytes + 18);
        height = read_u16le(bytes + 20);
        bits = read_u16le(bytes + 24);
    } else {
        width = read_u32le(bytes + 18);
        height = read_u32le(bytes + 22);
        bits = read_u16le(bytes + 28);
        if (height > INT_MAX) height = 0xFFFFFFFF - height + 1;
    }
    if (width > STBI_MAX_DIMENSIONS || height > STBI_MAX_DIMENSIONS || bits > 32)
        return "Corrupt BMP";
    size_t offset = read_u32le(bytes + 10), row_size = (width * bits + 31) / 32 * 4;
    if (offset > size || (row_size > 0 && height > (size - offset) / row_size)) return CUT_SHORT;
    header->width = (int)width;
    header->height = (int)height;
    return NULL;
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

static const char *decode_pnm(const byte *bytes, size_t size, picture_header *header, byte **rgb) {
    size_t at = 2, channels = bytes[1] == '6' ? 3 : 1;
    long width = read_pnm_number(bytes, size, &at);
    long height = width < 0 ? -1 : read_pnm_number(bytes, size, &at);
    long maximum = height < 0 ? -1 : read_pnm_number(bytes, size, &at);
    if (maximum < 1 || maximum > 65535) return "Corrupt PPM or PGM";
    header->width = (int)width;
    header->height = (int)height;
    const char *error = check_size(header);
    if (error != NULL) return error;

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

static const char *decode_by_stb(const byte *bytes, size_t size, const picture_header *header,
                                 byte **rgb) {
    int width, height, channels;
    const char *error = check_size(header);
    if (error != NULL) return error;
    if (size > INT_MAX) return "the file is too large";
    *rgb = stbi_load_from_memory(bytes, (int)size, &width, &height, &channels, 3);
    if (*rgb == NULL) {
        error = stbi_failure_reason(); /* NULL after some failures */
        return error != NULL ? error : "damaged, or too large for the memory";
    }
    if (width == header->width && height == header->height) return NULL;
    free(*rgb);
    return "the file contradicts itself about its size";
}

static const char *decode_any(const byte *bytes, size_t size, picture_header *header, byte **rgb) {
    const char *error;
    if (size == 0) return "the file is empty";
    if (holds(bytes, size, "P6", 2) || holds(bytes, size, "P5", 2))
        return decode_pnm(bytes, size, header, rgb);
    if (holds(bytes, size, "\xFF\xD8\xFF", 3)) error = examine_jpeg(bytes, size, header);
    else if (holds(bytes, size, "\x89PNG\r\n\x1A\n", 8)) error = examine_png(bytes, size, header);
    else if (holds(bytes, size, "BM", 2)) error = examine_bmp(bytes, size, header);
    else error = "not a JPEG, PNG, BMP, PPM (P6) or PGM (P5) file";
    return error != NULL ? error : decode_by_stb(bytes, size, header, rgb);
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

const char *picture_decode(picture *out, const unsigned char *bytes, size_t size) {
    picture_header header = {0, 0, 1};
    byte *rgb = NULL;
    const char *error = decode_any(bytes, size, &header, &rgb);
    if (error != NULL) return error;
    const vit_image image = {rgb, header.width, header.height, (ptrdiff_t)header.width * 3, 3, 1};
    out->rgb = rgb;
    out->image = image;
    picture_orient(&out->image, header.orientation);
    return NULL;
}

const char *picture_load(picture *out, const char *path) {
    unsigned char *bytes;
    size_t size;
    const char *error = picture_read_file(path, &bytes, &size);
    if (error != NULL) return error;
    error = picture_decode(out, bytes, size);
    free(bytes);
    return error;
}

void picture_free(picture *out) {
    free(out->rgb);
}
