"""Compares JPEGs as examples/picture.c decodes them by libjpeg-turbo with Pillow's, bit for bit.

    jpeg.py FOLDER...

Compiles picture.c with PICTURE_TURBO as a shared library (CC counts). Prints a line for each folder,
and each picture that differs; exit status 1 if one does. A picture that either refuses is left out,
and counted.
"""
import ctypes
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]


class Picture(ctypes.Structure):
    """picture, with its vit_image."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("width", ctypes.c_int), ("height", ctypes.c_int),
        ("row_stride", ctypes.c_ssize_t), ("pixel_stride", ctypes.c_ssize_t),
        ("channel_stride", ctypes.c_ssize_t), ("rgb", ctypes.c_void_p),
        ("full_width", ctypes.c_int), ("full_height", ctypes.c_int),
    ]


def compile_library(folder):
    """picture.c, as make JPEG=turbo has it."""
    path = Path(folder) / "picture.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-DPICTURE_TURBO", "-fwrapv",
                    "-O1", "-fPIC", "-shared", "-I", ROOT, "-o", path, ROOT / "examples/picture.c",
                    "-ljpeg", "-lm"], check=True)
    library = ctypes.CDLL(str(path))
    library.picture_load.restype = ctypes.c_char_p
    return library


def decode(library, path):
    """(height, width, 3), upright; None where it is refused."""
    picture = Picture()
    if library.picture_load(ctypes.byref(picture), os.fsencode(path)) is not None:
        return None
    rows, columns = picture.height, picture.width
    pixels = np.ctypeslib.as_array((ctypes.c_uint8 * (rows * columns * 3)).from_address(picture.rgb))
    strides = (picture.row_stride, picture.pixel_stride, picture.channel_stride)
    start = pixels[picture.data - picture.rgb :]
    result = np.lib.stride_tricks.as_strided(start, (rows, columns, 3), strides).copy()
    library.picture_free(ctypes.byref(picture))
    return result


def expected(path):
    """What Pillow sees; None where it refuses."""
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError):
        return None


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(folder)
        for name in sys.argv[1:]:
            equal = refused = 0
            for path in sorted(Path(name).rglob("*")):
                if path.suffix.lower() not in (".jpg", ".jpeg"):
                    continue
                want, got = expected(path), decode(library, path)
                if want is None or got is None:
                    refused += 1
                elif want.shape == got.shape and np.array_equal(want, got):
                    equal += 1
                else:
                    print(f"{path}: differs")
                    failed += 1
            print(f"{name}: {equal} equal to the bit, {refused} refused by one or both")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
