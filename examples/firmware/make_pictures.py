#!/usr/bin/env python3
"""The first pictures of Fashion-MNIST's test set as C source.

    make_pictures.py COUNT NAME

writes NAME.c and NAME.h: arrays of 28 x 28 bytes, in the section .pictures, and their classes.
"""
import gzip
import sys

DATA = "/usr/share/datasets/fashion-mnist"  # where Debian's dataset-fashion-mnist puts it


def read(name, header, size):
    with gzip.open(f"{DATA}/t10k-{name}.gz") as file:
        file.read(header)
        return file.read(size)


def numbers(data):
    return ",".join(map(str, data))


def main(count, name):
    size = 28 * 28
    pixels = read("images-idx3-ubyte", 16, count * size)
    classes = read("labels-idx1-ubyte", 8, count)
    with open(f"{name}.h", "w") as file:
        file.write(f"#define PICTURES {count}\n"
                   f"extern const unsigned char pictures[PICTURES][{size}];\n"
                   "extern const short picture_classes[PICTURES];\n")
    with open(f"{name}.c", "w") as file:
        section = '__attribute__((section(".pictures")))'
        file.write('#include "pictures.h"\n\n'
                   f"{section} const short picture_classes[PICTURES] = {{{numbers(classes)}}};\n"
                   f"{section} const unsigned char pictures[PICTURES][{size}] = {{\n")
        for i in range(0, len(pixels), size):
            file.write(f"{{{numbers(pixels[i:i + size])}}},\n")
        file.write("};\n")


main(int(sys.argv[1]), sys.argv[2])
