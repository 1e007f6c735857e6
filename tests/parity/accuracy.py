"""Accuracy of the model that ships on the 10,000 pictures of Fashion-MNIST's test set, as vit.h
runs it: written as PGM files, classified by vit-classify. Needs nothing but Python and the data
set.

    python3 tests/parity/accuracy.py BUILD_FOLDER [MODEL.vit]
"""
import gzip
import json
import os
import subprocess
import sys
import tempfile

DATA = "/usr/share/datasets/fashion-mnist"  # Debian's dataset-fashion-mnist
MODEL = "examples/models/fashion-mnist.vit"
SIDE = 28
REQUIRED = 0.85


def read_test_set():
    """Pictures as bytes, and their classes."""
    with gzip.open(f"{DATA}/t10k-images-idx3-ubyte.gz") as file:
        pixels = file.read()[16:]
    with gzip.open(f"{DATA}/t10k-labels-idx1-ubyte.gz") as file:
        labels = list(file.read()[8:])
    size = SIDE * SIDE
    return [pixels[i * size:(i + 1) * size] for i in range(len(labels))], labels


def write_pictures(pictures, folder):
    for i, picture in enumerate(pictures):
        with open(os.path.join(folder, f"{i}.pgm"), "wb") as file:
            file.write(b"P5 %d %d 255\n" % (SIDE, SIDE) + picture)


def classify(program, model, folder, count):
    """The best class of each picture."""
    names = [f"{i}.pgm" for i in range(count)]
    output = subprocess.run([program, "-m", model, "-k", "1", "--json"] + names, cwd=folder,
                            check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line)["top"][0]["index"] for line in output.splitlines()]


def main():
    program = os.path.abspath(os.path.join(sys.argv[1], "vit-classify"))
    model = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else MODEL)
    pictures, labels = read_test_set()
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(pictures, folder)
        found = classify(program, model, folder, len(labels))
    right = sum(a == b for a, b in zip(found, labels))
    accuracy = right / len(labels)
    print(f"{os.path.basename(model)}: {right} of {len(labels)} right, {accuracy:.2%}")
    if accuracy <= REQUIRED:
        sys.exit(f"FAILED: not over {REQUIRED:.0%}")


main()
