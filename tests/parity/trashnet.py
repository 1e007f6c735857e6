"""Teaches DeiT-Tiny TrashNet's six classes with vit-teach; 78 % of its test pictures must be right.

    trashnet.py BUILD

BUILD is the folder with the programs. VIT_TEST_DATA/trashnet has learn/CLASS and test/CLASS. Prints
a table for README: with some pictures of each class, how many of the test pictures are right, and
how long it took. The last model of each type is also run by vit-classify, which has to be as good.
"""
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from programs import Programs, dtype_options

COUNTS, DTYPES, REQUIRED = [5, 10, 20, 40, 60], ["f32", "int8"], 78.0


def link_pictures(source, target, count):
    """The first pictures of each class."""
    for folder in sorted(source.iterdir()):
        (target / folder.name).mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir())[:count]:
            link = target / folder.name / path.name
            if not link.exists():
                link.symlink_to(path)


def teach(programs, backbone, photos, test, output):
    """(percent of the test pictures, percent of those held out, seconds)"""
    begin = time.monotonic()
    status, told, message = programs.run("vit-teach", "-m", backbone, photos, "--test", test,
                                         "--reject", "0.95", "-o", output)
    if status != 0:
        raise RuntimeError(f"vit-teach: status {status}: {message}")
    shares = [float(re.search(rf"{what}: ([\d.]+) %", told)[1])
              for what in ("--test", "held-out pictures")]
    return *shares, time.monotonic() - begin


def share_right(programs, model, test):
    """Percent of the test pictures that vit-classify gets right."""
    lines = programs.classify(model, *sorted(test.glob("*/*")))
    right = sum(line["top"][0]["label"] == Path(line["file"]).parent.name for line in lines)
    return 100 * right / len(lines)


def check(programs, data, dtype, folder):
    """Prints the rows of a type; returns whether its last model is good enough."""
    backbone, photos, output = folder / "backbone.vit", folder / "photos", folder / "mine.vit"
    test = data / "trashnet/test"
    programs.convert(dtype_options(dtype), data / "deit_tiny", backbone)
    for count in COUNTS:
        link_pictures(data / "trashnet/learn", photos, count)
        right, held_out, seconds = teach(programs, backbone, photos, test, output)
        print(f"| {dtype}, {count} | {right:.1f} % | {held_out:.1f} % | {seconds:.1f} s |")
    *_, again = teach(programs, backbone, photos, test, output)
    classified = share_right(programs, output, test)
    print(f"{dtype}: the same again took {again:.2f} s; vit-classify gets {classified:.1f} % right",
          flush=True)
    return min(right, classified) >= REQUIRED


def main():
    """Exit status 1 where fewer are right."""
    data = os.environ.get("VIT_TEST_DATA")
    if not data or not Path(data, "trashnet").is_dir():
        print("trashnet: VIT_TEST_DATA has no trashnet/: skipped")
        return
    print("| pictures of each class | test pictures right | held out | time, new ones embedded |")
    print("| --- | --- | --- | --- |")
    good = True
    for dtype in DTYPES:
        with tempfile.TemporaryDirectory() as folder:
            good &= check(Programs(sys.argv[1]), Path(data), dtype, Path(folder))
    sys.exit(0 if good else f"fewer than {REQUIRED} %")


if __name__ == "__main__":
    main()
