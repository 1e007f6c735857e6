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


def text_chunk(kind, orientation):
    """EXIF as ImageMagick puts it into a PNG, in the form of 32 bytes: tEXt or zTXt."""
    data = b"Exif\0\0" + exif(orientation, ">")
    lines = b"\nexif\n%8d\n" % len(data) + data.hex().encode() + b"\n"
    keyword = b"Raw profile type exif\0"
    content = keyword + (b"\0" + zlib.compress(lines) if kind == b"zTXt" else lines)
    return struct.pack(">L", len(content)) + kind + content + struct.pack(
        ">L", zlib.crc32(kind + content))


def core_bmp(image, bits):
    """A BMP of OS/2, with a header of 12 bytes and a palette of three bytes a colour."""
    colours = np.array(image.getpalette()[: 3 << bits], np.uint8)
    colours = np.resize(colours, 3 << bits).reshape(-1, 3)[:, ::-1].tobytes()
    pixels = np.asarray(image)[::-1]
    if bits < 8:
        pixels = np.packbits(pixels & 1, axis=1)
    pixels = np.pad(pixels, ((0, 0), (0, -pixels.shape[1] % 4))).tobytes()
    header = struct.pack("<LHHHH", 12, *image.size, 1, bits)
    offset = 14 + len(header) + len(colours)
    return struct.pack("<2sLHHL", b"BM", offset + len(pixels), 0, 0, offset) + (
        header + colours + pixels)


def make_unusual():
    """What is valid, and stb_image refuses or gets wrong."""
    rng = np.random.default_rng(2)
    rgb = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    keep("core8.bmp", core_bmp(rgb.quantize(256), 8))
    keep("core1.bmp", core_bmp(rgb.quantize(2), 1))
    bmp = saved(rgb, "BMP")
    offset = struct.unpack("<L", bmp[10:14])[0]
    keep("palette24.bmp", bmp[:10] + struct.pack("<L", offset + 1024) + bmp[14:offset]
         + bytes(1024) + bmp[offset:])
    for kind, name in ((b"tEXt", "exif_text.png"), (b"zTXt", "exif_ztext.png")):
        data = saved(rgb, "PNG")
        keep(name, data[:33] + text_chunk(kind, 6) + data[33:])
    y, x = np.mgrid[0:16, 0:24]
    ramp = Image.fromarray(np.stack([x * 10, y * 15, 255 - x * 5], -1).astype(np.uint8))
    jpeg = saved(ramp, "JPEG", quality=95)
    frame = jpeg.index(b"\xff\xc0")
    keep("gap.jpg", jpeg[:frame] + b"\xff\0\0\2" + jpeg[frame:])
    while b"\xff\xc4" in jpeg:
        at = jpeg.index(b"\xff\xc4")
        jpeg = jpeg[:at] + jpeg[at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0] :]
    keep("no_tables.jpg", jpeg)


def main():
    """Everything, from one seed."""
    FOLDER.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    make_png(rng)
    make_others(rng)
    make_jpeg()
    make_unusual()


main()
