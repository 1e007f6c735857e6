"""vit_preprocess beside Pillow: one thread, decoded photos in memory, to 224 x 224.

    pixels.py [--pairs N] BENCH_PIXELS.so MODEL.vit

For each photo, recipe and instruction set that is here: the median processor's times of Pillow's resize and crop
and of vit_preprocess, which normalises too, in turns, and how many times as fast it is in a pair: lower
quartile, median, upper quartile. Before that their pixels are compared: a line with other pixels is an
error. MODEL is any model of three channels; the recipes are the program's.
"""
import argparse
import ctypes
import statistics
import sys
import time

import numpy as np
from PIL import Image

SIDE, SHORTEST, EXACT = 224, 1, 2
PHOTOS = [(4000, 3000), (500, 375)]
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
RECIPES = [("exactly 224", EXACT, 224), ("256, cropped", SHORTEST, 256)]


def resized_size(resize, side, width, height):
    """As torchvision's Resize."""
    if resize == EXACT:
        return side, side
    shorter = min(width, height)
    return int(side * width / shorter), int(side * height / shorter)


def by_pillow(photo, resize, side, name):
    """Resize and centre crop."""
    width, height = resized_size(resize, side, *photo.size)
    left, top = (round((size - SIDE) / 2) for size in (width, height))
    resized = photo.resize((width, height), FILTERS[name])
    if (width, height) == (SIDE, SIDE):
        return resized
    return resized.crop((left, top, left + SIDE, top + SIDE))


class Library:
    """bench-pixels.so with a model, which does one photo at a time into self.pixels."""

    def __init__(self, path, model):
        self.functions = ctypes.CDLL(path)
        self.functions.bench_isa.restype = ctypes.c_char_p
        self.pixels = np.zeros((3, SIDE, SIDE), np.float32)
        if self.functions.bench_open(model.encode()) != 0:
            sys.exit(f"{model}: cannot be opened")

    def isas(self):
        """(number, name) of each instruction set that is here."""
        names = ((isa, self.functions.bench_isa(isa)) for isa in range(1, 64))
        return [(isa, name.decode()) for isa, name in names if name is not None]

    def preprocess(self, photo, resize, side, name, isa):
        """photo: an array [height][width][3]."""
        height, width, _ = photo.shape
        status = self.functions.bench_preprocess(
            ctypes.c_void_p(photo.ctypes.data), width, height, resize, side,
            list(FILTERS).index(name), isa, ctypes.c_void_p(self.pixels.ctypes.data))
        if status != 0:
            sys.exit(f"vit_preprocess: status {status}")


def seconds(function, *arguments):
    """How long a call takes of the processor, whatever else runs beside it."""
    begin = time.thread_time()
    function(*arguments)
    return time.thread_time() - begin


def same_pixels(library, photo, case, isa):
    """Whether the values of each channel are one line of Pillow's bytes: normalised, nothing else."""
    library.preprocess(np.asarray(photo), *case, isa)
    expected = np.asarray(by_pillow(photo, *case)).transpose(2, 0, 1)
    for ours, theirs in zip(library.pixels, expected):
        levels = [np.unique(ours[theirs == level]) for level in np.unique(theirs)]
        if any(len(values) != 1 for values in levels) or not np.all(np.diff(np.concatenate(levels)) > 0):
            return False
    return True


def compare(library, photo, case, isa, pairs):
    """(Pillow's times, ours, ratios)."""
    array = np.asarray(photo)
    theirs, ours = [], []
    for i in range(pairs + 2):
        pair = [seconds(by_pillow, photo, *case),
                seconds(library.preprocess, array, *case, isa)]
        if i >= 2:
            theirs.append(pair[0])
            ours.append(pair[1])
    return theirs, ours, [a / b for a, b in zip(theirs, ours)]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--isa", action="append", help="only this one; may be repeated")
    parser.add_argument("functions")
    parser.add_argument("model")
    arguments = parser.parse_args()
    library = Library(arguments.functions, arguments.model)
    wrong = 0
    print(f"{'photo':12}{'resize':14}{'filter':10}{'by':14}{'Pillow ms':>10}{'vit.h ms':>10}"
          "   times as fast")
    for width, height in PHOTOS:
        photo = Image.fromarray(np.random.default_rng(1).integers(
            0, 256, (height, width, 3), dtype=np.uint8))
        for (title, resize, side), name in ((r, f) for r in RECIPES for f in FILTERS):
            case = (resize, side, name)
            for isa, isa_name in library.isas():
                if arguments.isa and isa_name not in arguments.isa:
                    continue
                line = f"{f'{width} x {height}':12}{title:14}{name:10}{isa_name:14}"
                if not same_pixels(library, photo, case, isa):
                    print(line, "other pixels than Pillow's")
                    wrong += 1
                    continue
                theirs, ours, ratios = compare(library, photo, case, isa, arguments.pairs)
                low, middle, high = statistics.quantiles(ratios, n=4)
                print(f"{line}{statistics.median(theirs) * 1e3:10.2f}"
                      f"{statistics.median(ours) * 1e3:10.2f}   {low:.2f} {middle:.2f} {high:.2f}",
                      flush=True)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
