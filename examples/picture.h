/* Pictures for vit.h: a JPEG, PNG, BMP, PPM or PGM file in, an upright vit_image out.

   Copy picture.h and picture.c into your program. They need vit.h, stb_image.h (package libstb-dev
   or stb) and -lm. Compile picture.c with -fwrapv if the compiler has it, since sums in stb_image
   overflow on damaged JPEG files.

   The pixels, compared with Pillow's Image.open, ImageOps.exif_transpose, convert("RGB"):

     JPEG      within 3 levels of 255, as decoders round differently; more in the last two columns
               of 4:2:2 ones, where stb_image weighs the colours differently. CMYK and YCCK as
               Adobe's marker says; without one, and arithmetic-coded, lossless or 12-bit: an error
     PNG       equal; but of 16 bits a channel always the high byte, where Pillow clips 16-bit grey
               to white. Alpha is dropped, not blended
     BMP       equal; RLE is an error
     PPM, PGM  equal, binary (P6, P5) only; but 16-bit grey is scaled, where Pillow clips it

   The EXIF orientation in a JPEG's APP1, a PNG's eXIf or a PNG's text as ImageMagick writes it is
   applied; one in XMP is not.

   What a picture costs is told from its head and bounded before any memory is taken for it.

   With PICTURE_TURBO defined for picture.c, JPEGs are decoded by libjpeg-turbo (package
   libjpeg62-turbo-dev, -ljpeg), which is what Pillow has: then their pixels are equal, too.

   Every function may be called from any thread. */

#ifndef PICTURE_H
#define PICTURE_H

#include "vit.h"

#define PICTURE_MAX_PIXELS (1 << 28) /* larger ones are refused as bombs or damaged */

typedef struct picture {
    vit_image image;    /* upright: its strides read rgb in the order that EXIF asks for */
    unsigned char *rgb; /* as decoded; belongs to the picture */
    int width, height;  /* upright, of the file: those of the image unless it was decoded smaller */
} picture;

/* What a picture may cost. 0 stands for the default. */
typedef struct picture_limits {
    size_t memory; /* bytes: the file, its pixels, and what is between: PICTURE_MEMORY */
    size_t stream; /* bytes of standard input: PICTURE_STREAM */
    int scans;     /* of a JPEG: PICTURE_SCANS */
    int enough
        [2]; /* height and width that are enough: JPEGs are decoded at 1/2, 1/4 or 1/8 where that
                      is still as large, as Pillow's draft does. Needs PICTURE_TURBO; 0: never */
} picture_limits;

#define PICTURE_MEMORY ((size_t)256 << 20) /* e.g. 59 million pixels of JPEG, 34 if progressive */
#define PICTURE_STREAM ((size_t)64 << 20)
#define PICTURE_SCANS 64 /* libjpeg writes 10 */

/* What exceeds a limit gives one of these. */
extern const char picture_beyond_memory[], picture_beyond_stream[], picture_beyond_scans[];

/* These return NULL, or a constant string in English that says what is wrong. Free a picture after
   success only. limits: NULL stands for the defaults, which those without have. */
const char *picture_load(picture *out, const char *path); /* "-" reads standard input */
const char *picture_load_within(picture *out, const char *path, const picture_limits *limits);
const char *picture_decode(picture *out, const unsigned char *bytes, size_t size);
const char *picture_decode_within(picture *out, const unsigned char *bytes, size_t size,
                                  const picture_limits *limits);
void picture_free(picture *out);

/* A whole file in memory, for free(). "-" reads standard input. */
const char *picture_read_file(const char *path, unsigned char **bytes, size_t *size);
const char *picture_read_file_within(const char *path, unsigned char **bytes, size_t *size,
                                     const picture_limits *limits);

/* Whether this build has libjpeg-turbo, so that picture_limits.enough counts. */
int picture_has_draft(void);

/* The orientation, 1 to 8, in a block of EXIF, which starts with II or MM; 1 if it has none or is
   damaged. */
int picture_exif_orientation(const unsigned char *exif, size_t size);

/* Turn and mirror an image by an EXIF orientation: only its strides, size and origin change. Its row
   and pixel strides must be set; an orientation outside 2 to 8 changes nothing. */
void picture_orient(vit_image *image, int orientation);

#endif
