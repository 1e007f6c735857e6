#!/usr/bin/env python3
"""The first pictures of Fashion-MNIST's test set as C source.

    make_pictures.py COUNT NAME [WIDTHxHEIGHT]

writes NAME.c and NAME.h: arrays of 28 x 28 bytes, in the section .pictures, and their classes. With a
size they are a camera's frames in RGB565, the high byte first, which show the picture in their middle.
"""
import gzip
import sys

DATA = "/usr/share/datasets/fashion-mnist"  # where Debian's dataset-fashion-mnist puts it


def read(name, header, size):
    with gzip.open(f"{DATA}/t10k-{name}.gz") as file:
        file.read(header)
        return file.read(size)


def frame_of(pixels, width, height):
    """A picture of 28 x 28, as high as the frame."""
    frame, left = bytearray(), (width - height) // 2
    for y in range(height):
        row = pixels[y * 28 // height * 28:][:28]
        for x in range(width):
            grey = row[(x - left) * 28 // height] if left <= x < left + height else 0
            frame += (grey >> 3 << 11 | grey >> 2 << 5 | grey >> 3).to_bytes(2, "big")
    return bytes(frame)


def numbers(data):
    return ",".join(map(str, data))


def main(count, name, frame=None):
    pixels = read("images-idx3-ubyte", 16, count * 28 * 28)
    classes = read("labels-idx1-ubyte", 8, count)
    pictures, size = [pixels[i:i + 28 * 28] for i in range(0, len(pixels), 28 * 28)], ""
    if frame is not None:
        width, height = map(int, frame.split("x"))
        pictures = [frame_of(picture, width, height) for picture in pictures]
        size = f"#define FRAME_WIDTH {width}\n#define FRAME_HEIGHT {height}\n"
    with open(f"{name}.h", "w") as file:
        file.write(f"#define PICTURES {count}\n{size}"
                   f"extern const unsigned char pictures[PICTURES][{len(pictures[0])}];\n"
                   "extern const short picture_classes[PICTURES];\n")
    with open(f"{name}.c", "w") as file:
        section = '__attribute__((section(".pictures")))'
        file.write('#include "pictures.h"\n\n'
                   f"{section} const short picture_classes[PICTURES] = {{{numbers(classes)}}};\n"
                   f"{section} const unsigned char pictures[PICTURES][{len(pictures[0])}] = {{\n")
        for picture in pictures:
            file.write(f"{{{numbers(picture)}}},\n")
        file.write("};\n")


main(int(sys.argv[1]), *sys.argv[2:])
