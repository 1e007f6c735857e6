/* A camera's frames for vit.h, in firmware: rows of RGB565, YUYV or grey of any size in, the picture that
   the model takes out, in 8 bits (VIT_PIXELS_U8).

   Copy camera.h and camera.c into your program. They need vit.h and nothing else: no C library, no heap,
   no double. A frame need not be in memory: its rows are taken one by one, as they come from the sensor.

   What is done is what vit_preprocess does with the frame as RGB, by the model's own recipe: resized
   (Pillow's antialiased filters), cropped, and for a model of one channel made grey. Each byte is within
   1 of what vit_preprocess has before it normalises: filter weights are computed in float instead of
   double. (tests/test_camera.c)

   Every function may be called from any thread, each camera by one at a time. */

#ifndef CAMERA_H
#define CAMERA_H

#include "vit.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum camera_format {
    CAMERA_GREY,              /* a byte for each pixel */
    CAMERA_RGB565,            /* two bytes, the low one first: red in bits 11 to 15 of the number */
    CAMERA_RGB565_HIGH_FIRST, /* the same, the high byte first, as most sensors send it */
    CAMERA_YUYV,      /* four bytes for two pixels: Y, U, Y, V; ITU-R BT.601, Y from 16 to 235 */
    CAMERA_YUYV_FULL, /* the same, but with Y, U and V from 0 to 255, as in JPEG */
    CAMERA_FORMAT_COUNT
} camera_format;

#define CAMERA_MAX_SIDE 16384 /* of a frame, and of a frame that is resized */

/* One axis of resize and crop: of `in` pixels resized to `out`, those from `start` on are wanted, `size` of
   them. */
typedef struct camera_axis {
    int in, out, start, size;
    int reach; /* half the width of the filter: 1 bilinear, 2 bicubic */
    int taps;  /* largest number of input pixels of an output pixel */
} camera_axis;

/* Input pixels of one output pixel; count 0: outside of the frame, black. */
typedef struct camera_span {
    int first, count;
} camera_span;

/* A frame that is being read. Its members are camera.c's. */
typedef struct camera {
    camera_format format;
    int channels; /* of the picture */
    camera_axis down, across;
    camera_span *columns;    /* [across.size] */
    int32_t *column_weights; /* [across.size][across.taps] */
    int32_t *row_weights;    /* [down.taps], of the line */
    unsigned char *source;   /* [across.in][channels]: one row of the frame */
    unsigned char *rows;     /* [down.taps][across.size][channels]: a ring of resized rows */
    unsigned char *picture;
    int rows_seen;    /* of the frame */
    int line;         /* of the picture: the next to be made */
    camera_span span; /* of that line */
} camera;

/* Bytes of memory that frames of this kind need; 0 where camera_begin would return an error. */
size_t camera_memory_size(const vit_model *model, camera_format format, int width, int height);

/* Before the first row of each frame. memory, at a multiple of 4, and picture, uint8_t [height][width]
   [in_chans] of the model's size, stay the caller's, and have to stay until the picture is complete.
   VIT_ERROR_CHANNELS where the model has neither 1 nor 3 channels, VIT_ERROR_ARGUMENT for sides beyond
   CAMERA_MAX_SIDE, an odd width of YUYV or memory at another address, VIT_ERROR_WORKSPACE. */
vit_status camera_begin(camera *c, const vit_model *model, camera_format format, int width,
                        int height, void *memory, size_t memory_size, unsigned char *picture);

/* The next row of the frame, from the top. Returns whether the picture is complete; rows after that
   change nothing. */
int camera_row(camera *c, const void *row);

#ifdef __cplusplus
}
#endif

#endif
