"""Compares vit-classify with PyTorch on photos, with a trained DeiT-Tiny.

    photos.py BUILD

BUILD is the folder with the programs. The environment's VIT_TEST_DATA is a folder with deit_tiny/
(model.safetensors under timm's names, config.json) and photos/ (JPEG files, and index.tsv with a
line 'file name, tab, index of the class' for each). Without it nothing is checked.

Once on the pixels that Pillow decodes, where the five best classes have to be PyTorch's, and once
on the JPEG files, which vit-classify decodes by itself: there the differences are shown and
counted.
"""
import os
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

import recipe as recipes
import safetensors_io
from plain_vit import Config, PlainViT
from programs import Programs

TOLERANCE = 1e-5


def read_index(folder):
    """(path, class) of each photo."""
    with open(os.path.join(folder, "index.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    return [(os.path.join(folder, row[0]), int(row[1])) for row in rows]


def load_model(folder):
    """The DeiT-Tiny in PyTorch."""
    model = PlainViT(Config()).eval()
    model.load_state_dict(safetensors_io.read(os.path.join(folder, "model.safetensors")))
    return model


def decode(path):
    """A photo as Pillow decodes it, RGB."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def five_best(logits):
    """Indices of the five largest logits, largest first."""
    return [int(i) for i in np.argsort(-np.asarray(logits), kind="stable")[:5]]


def reference_logits(model, pictures):
    """Logits of each picture, by Pillow, torchvision and PyTorch."""
    recipe = recipes.Recipe()
    pixels = [torch.from_numpy(recipes.preprocess(recipe, picture)) for picture in pictures]
    return [model(x[None])[0].double().numpy() for x in pixels]


def count(lists, classes):
    """How many are right: as the best, among the five best."""
    top1 = sum(best[0] == label for best, label in zip(lists, classes))
    return top1, sum(label in best for best, label in zip(lists, classes))


class Comparison:
    """What vit-classify says of the photos, beside what PyTorch says."""

    def __init__(self, results, expected, photos):
        self.names = [os.path.basename(path) for path, _ in photos]
        self.lists = [[entry["index"] for entry in result["top"]] for result in results]
        self.logits = [np.array(result["logits"]) for result in results]
        self.expected = expected
        self.counts = count(self.lists, [label for _, label in photos])

    def errors(self):
        """Largest difference of a logit in each photo, relative to the largest logit."""
        pairs = zip(self.logits, self.expected)
        return [np.abs(a - b).max() / np.abs(b).max() for a, b in pairs]

    def different(self):
        """Indices of the photos whose five best are other ones."""
        pairs = enumerate(zip(self.lists, self.expected))
        return [i for i, (best, logits) in pairs if best != five_best(logits)]

    def show(self, title):
        """Print the counts, the errors and the photos that differ."""
        errors = self.errors()
        print(f"{title}: top-1 {self.counts[0]}, top-5 {self.counts[1]} of {len(errors)}; "
              f"largest logit difference {max(errors):.1e}, median {np.median(errors):.1e}; "
              f"{len(self.different())} lists of five differ")
        for i in self.different():
            print(f"    {self.names[i]}: {self.lists[i]}, PyTorch {five_best(self.expected[i])}")


def save_ppm(pictures, folder):
    """Write the pictures; returns the paths."""
    paths = [os.path.join(folder, f"{i:03}.ppm") for i in range(len(pictures))]
    for path, picture in zip(paths, pictures):
        Image.fromarray(picture).save(path)
    return paths


def compare(programs, data, folder):
    """Run everything. Returns the checks, a dictionary of name and outcome."""
    photos = read_index(os.path.join(data, "photos"))
    pictures = [decode(path) for path, _ in photos]
    model = load_model(os.path.join(data, "deit_tiny"))
    expected = reference_logits(model, pictures)
    counts = count([five_best(x) for x in expected], [label for _, label in photos])
    print(f"PyTorch: top-1 {counts[0]}, top-5 {counts[1]} of {len(photos)}")

    path = os.path.join(folder, "deit_tiny.vit")
    programs.convert([], os.path.join(data, "deit_tiny"), path)
    same = Comparison(programs.classify(path, *save_ppm(pictures, folder)), expected, photos)
    same.show("vit-classify, pixels decoded by Pillow")
    own = Comparison(programs.classify(path, *[p for p, _ in photos]), expected, photos)
    own.show("vit-classify, JPEG files")
    return {
        "the same five best classes on the same pixels": not same.different(),
        "the same counts on the same pixels": same.counts == counts,
        "logits within 1e-5 on the same pixels": max(same.errors()) <= TOLERANCE,
        "one result for each JPEG file": len(own.lists) == len(photos),
    }


def main():
    """Compare, or say that there is nothing to compare."""
    data = os.environ.get("VIT_TEST_DATA")
    if not data:
        print("photos: skipped, VIT_TEST_DATA is not set\n0 passed, 0 failed")
        return 0
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        checks = compare(Programs(sys.argv[1]), data, folder)
    for name, good in checks.items():
        print(f"{name:52} {'ok' if good else 'FAIL'}")
    failed = list(checks.values()).count(False)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
