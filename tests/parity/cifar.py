"""Accuracy of the photo model that ships on the 10,000 test pictures of CIFAR-10, as vit.h runs it, and
what its threshold keeps and refuses: of those, and of photos of other things.

    python3 tests/parity/cifar.py [--report] BUILD [MODEL.vit]

--report prints a table by class and the confusion matrix as well, in Markdown. The pictures are in the
folder that VIT_TEST_DATA names: cifar10-jpg.tar, JPEG files in test/CLASS, and photos/ with index.tsv
(file, class of ImageNet). Without it nothing is measured, which is said.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tarfile
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/train"))
import confusion  # noqa: E402

MODEL = "examples/models/cifar10.vit"
REQUIRED = 0.82
# of the photos, what the ten classes know: cock, African grey, white stork; lynx; dogs; cars and trucks
KNOWN = {7, 87, 127, 287, 167, 187, 207, 227, 247, 267, 407, 627, 670, 867}


def classify(build, model, paths):
    """(label, whether it is none of these) of each picture."""
    program = os.path.join(build, "vit-classify")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
        names.write("".join(f"{os.path.abspath(path)}\n" for path in paths))
        names.flush()
        lines = subprocess.run([program, "-m", model, "-k", "1", "--json", "@" + names.name],
                               check=True, stdout=subprocess.PIPE).stdout.splitlines()
    results = [json.loads(line) for line in lines]
    return [(r["top"][0]["label"], r.get("none_of_these", False)) for r in results]


def measure_test_set(arguments, data):
    """The share that is right, after a line on it."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(os.path.join(data, "cifar10-jpg.tar")) as archive:
            archive.extractall(folder, [m for m in archive.getmembers() if m.name.startswith("test/")])
        paths = sorted(glob.glob(os.path.join(folder, "test/*/*.jpg")))
        classes = [os.path.basename(os.path.dirname(path)) for path in paths]
        answers = classify(arguments.build, arguments.model, paths)
    right = [answer == name for (answer, _), name in zip(answers, classes)]
    kept = [not none for _, none in answers]
    both = sum(r and k for r, k in zip(right, kept))
    print(f"{os.path.basename(arguments.model)}: {sum(right)} of {len(paths)} right, "
          f"{sum(right) / len(paths):.2%}; the threshold keeps {both / sum(right):.1%} of the right "
          f"answers, and of those that it keeps {both / max(1, sum(kept)):.1%} are right")
    if arguments.report:
        labels = sorted(set(classes))
        print("\n" + confusion.markdown([labels.index(name) for name in classes],
                                        [labels.index(label) for label, _ in answers], labels))
    return sum(right) / len(paths)


def measure_other_things(arguments, data):
    """How many photos of other things are none of these."""
    with open(os.path.join(data, "photos/index.tsv")) as file:
        rows = [line.split("\t") for line in file.read().splitlines()]
    others = [os.path.join(data, "photos", name) for name, index in rows if int(index) not in KNOWN]
    answers = classify(arguments.build, arguments.model, others)
    print(f"photos of other things: {sum(none for _, none in answers)} of {len(others)} are none of these")


def main():
    """The exit status tells whether enough are right."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("build")
    parser.add_argument("model", nargs="?", default=MODEL)
    arguments = parser.parse_args()
    data = os.environ.get("VIT_TEST_DATA", "")
    if not os.path.exists(os.path.join(data, "cifar10-jpg.tar")):
        print("SKIPPED: no CIFAR-10: VIT_TEST_DATA does not name a folder with cifar10-jpg.tar")
        return
    accuracy = measure_test_set(arguments, data)
    measure_other_things(arguments, data)
    if accuracy < REQUIRED:
        sys.exit(f"FAILED: under {REQUIRED:.0%}")


main()
