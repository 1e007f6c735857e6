#!/usr/bin/env python3
"""Writes tests/golden/picture/: small files and the RGB that Pillow 9.4 makes of them.

    /usr/bin/python3 tests/golden/make_pictures.py        (Debian: python3-pil, python3-numpy)

NAME is the picture; NAME.rgb is width and height as u16, little-endian, and the RGB that
Image.open, ImageOps.exif_transpose and convert("RGB") give.
Chunks and markers that Pillow cannot write are put in by hand.
"""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FOLDER = Path(__file__).parent / "picture"
ADOBE_TRANSFORM = 11  # offset of the transform behind the word Adobe


def expected(data):
    """What Pillow sees in a file."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def keep(name, data, image=None):
    """Write a picture, and beside it what Pillow, or the caller, sees in it."""
    FOLDER.joinpath(name).write_bytes(data)
    image = image or expected(data)
    header = struct.pack("<HH", *image.size)
    FOLDER.joinpath(name + ".rgb").write_bytes(header + image.tobytes())


def saved(image, kind, **options):
    """The file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation, order):
    """A TIFF directory with nothing but the orientation; order is < or >."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHLHH", 0x0112, 3, 1, orientation, 0)
    return magic + struct.pack(order + "LH", 8, 1) + entry + bytes(4)


def png(width, height, bits, colour, rows, before=b"", after=b""):
    """A PNG from rows of bytes, with an eXIf chunk before or after the pixels."""

    def chunk(kind, data):
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    header = struct.pack(">LLBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header)]
    parts += [chunk(b"eXIf", before)] if before else []
    parts += [chunk(b"IDAT", pixels)]
    parts += [chunk(b"eXIf", after)] if after else []
    return b"".join(parts) + chunk(b"IEND", b"")


def make_png(rng):
    """Alpha, palettes, few and many bits, orientation."""
    rgba = rng.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    image = Image.fromarray(rgba)
    rgb = image.convert("RGB")
    keep("rgb.png", saved(rgb, "PNG"))
    keep("rgba.png", saved(image, "PNG"))
    keep("grey.png", saved(rgb.convert("L"), "PNG"))
    keep("grey_alpha.png", saved(image.convert("LA"), "PNG"))
    keep("one_bit.png", saved(rgb.convert("1"), "PNG"))
    keep("two_bits.png", png(7, 5, 2, 0, [rng.bytes(2) for _ in range(5)]))
    keep("palette.png", saved(rgb.quantize(13), "PNG", transparency=bytes(range(13))))
    deep = rng.integers(0, 65536, (5, 7, 3)).astype(">u2")
    keep("rgb16.png", png(7, 5, 16, 2, [row.tobytes() for row in deep]))
    deep = rng.integers(0, 65536, (5, 7)).astype(">u2")  # Pillow clips these to white
    high = Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    keep("grey16.png", png(7, 5, 16, 0, [row.tobytes() for row in deep]), high)
    rows = [row.tobytes() for row in rgba[..., :3]]
    keep("exif_before.png", png(7, 5, 8, 2, rows, before=exif(6, "<")))
    keep("exif_after.png", png(7, 5, 8, 2, rows, after=exif(7, ">")))


def make_others(rng):
    """BMP, PPM and PGM."""
    rgb = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    keep("rgb.bmp", saved(rgb, "BMP"))
    keep("palette.bmp", saved(rgb.quantize(13), "BMP"))
    keep("rgb.ppm", saved(rgb, "PPM"))
    keep("grey.pgm", saved(rgb.convert("L"), "PPM"))
    few = rng.integers(0, 7, (5, 7, 3), dtype=np.uint8)
    keep("six.ppm", b"P6\n# maximum 6\n7 5\n6\n" + few.tobytes())
    deep = rng.integers(0, 1001, (5, 7, 3)).astype(">u2")
    keep("deep.ppm", b"P6 7 5 1000\n" + deep.tobytes())


def make_jpeg():
    """Orientation, and the ways of telling the colours of four components."""
    y, x = np.mgrid[0:16, 0:24]
    ramp = np.stack([x * 10, y * 15, 255 - x * 5], -1).astype(np.uint8)
    rgb = Image.fromarray(ramp)
    keep("exif.jpg", saved(rgb, "JPEG", quality=95, exif=b"Exif\0\0" + exif(8, ">")))
    keep("progressive.jpg", saved(rgb, "JPEG", quality=95, progressive=True))
    inks = np.concatenate([ramp, (y * 8)[..., None].astype(np.uint8)], -1)
    cmyk = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=95)
    at = cmyk.index(b"Adobe")
    size = struct.unpack(">H", cmyk[at - 2 : at])[0]
    keep("cmyk.jpg", cmyk)
    patch = at + ADOBE_TRANSFORM
    keep("ycck.jpg", cmyk[:patch] + b"\2" + cmyk[patch + 1 :])
    FOLDER.joinpath("cmyk_unmarked.jpg").write_bytes(cmyk[: at - 4] + cmyk[at - 2 + size :])


def main():
    """Everything, from one seed."""
    FOLDER.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    make_png(rng)
    make_others(rng)
    make_jpeg()


main()
