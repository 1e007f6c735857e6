#!/usr/bin/env python3
"""Write sample pictures from the Fashion-MNIST test set as JPEG files.

    apt install python3-torch python3-pil dataset-fashion-mnist
    /usr/bin/python3 tools/train/make_samples.py examples/images

The first pictures of each class in the order of the test set, none picked by hand:
two of each of the first classes and one of each of the others, --count in all. They
are 28x28, grey, named CLASS-LABEL-NUMBER.jpg: 9-ankle-boot-1.jpg.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from PIL import Image

from pictures import FASHION_MNIST, FASHION_MNIST_LABELS, read_idx_split


def first_of_each_class(classes, count):
    """Yield (class, number from 1, index in the test set) of `count` pictures."""
    rounds, extra = divmod(count, len(FASHION_MNIST_LABELS))
    for c in range(len(FASHION_MNIST_LABELS)):
        wanted = rounds + (c < extra)
        for number, index in enumerate(np.flatnonzero(classes == c)[:wanted], 1):
            yield c, number, index


def file_name(c, number):
    label = re.sub("[^a-z]+", "-", FASHION_MNIST_LABELS[c].lower())
    return f"{c}-{label}-{number}.jpg"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", nargs="?", default="examples/images", help="folder to write")
    p.add_argument("--data", default=FASHION_MNIST, help="folder of the IDX files")
    p.add_argument("--count", type=int, default=12)
    args = p.parse_args()

    test = read_idx_split(args.data, "t10k")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for c, number, index in first_of_each_class(test.classes, args.count):
        path = out / file_name(c, number)
        Image.fromarray(test.images[index, 0].numpy()).save(path, quality=95)
        print(f"{path}  test picture {index}")


if __name__ == "__main__":
    main()
