"""Accuracy of fashion-mnist.vit on the 10,000 pictures of Fashion-MNIST's test set, as vit.h
runs it: written as PGM files, classified by vit-classify. Needs nothing but Python and the data
set.

    python3 tests/parity/accuracy.py [--report] BUILD_FOLDER [MODEL.vit]

--report prints a table by class and the confusion matrix as well, in Markdown.
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/train"))
import confusion  # noqa: E402

DATA = "/usr/share/datasets/fashion-mnist"  # Debian's dataset-fashion-mnist
MODEL = "examples/models/fashion-mnist.vit"
SIDE = 28
REQUIRED = 0.905


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


def classify(program, model, folder, count, num_classes):
    """(class, label) of each picture, from the best class to the last."""
    names = [f"{i}.pgm" for i in range(count)]
    output = subprocess.run([program, "-m", model, "-k", str(num_classes), "--json"] + names,
                            cwd=folder, check=True, stdout=subprocess.PIPE).stdout
    return [[(answer["index"], answer["label"]) for answer in json.loads(line)["top"]]
            for line in output.splitlines()]


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("build")
    parser.add_argument("model", nargs="?", default=MODEL)
    return parser.parse_args()


def main():
    """The exit status tells whether enough are right, of that model."""
    arguments = parse_arguments()
    program = os.path.abspath(os.path.join(arguments.build, "vit-classify"))
    pictures, classes = read_test_set()
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(pictures, folder)
        answers = classify(program, os.path.abspath(arguments.model), folder, len(classes),
                           max(classes) + 1)
    found = [answer[0][0] for answer in answers]
    right = sum(a == b for a, b in zip(found, classes))
    accuracy = right / len(classes)
    print(f"{os.path.basename(arguments.model)}: {right} of {len(classes)} right, {accuracy:.2%}")
    if arguments.report:
        labels = [label for _, label in sorted(answers[0])]
        print("\n" + confusion.markdown(classes, found, labels))
    if arguments.model == MODEL and accuracy < REQUIRED:
        sys.exit(f"FAILED: under {REQUIRED:.1%}")


main()
