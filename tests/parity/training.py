"""Trains tools/train/train.py on tiny sets of its own for two epochs, and checks what comes of it.

    training.py BUILD

BUILD is the folder with the programs. Colour pictures in folders of classes, with mean pooling:
vit-convert takes the folder as it is, and vit-classify answers as PyTorch did. Grey ones in IDX
files, without any to test on. A run that was ended after its first epoch and goes on gives the
weights of one that was not.
"""
import gzip
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from programs import Programs

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ROOT / "tools/train/train.py"
LABELS = ["blue", "green", "red"]  # the brightest channel
EPOCHS, COUNTS = 2, {"train": 80, "val": 30}
MODEL = ["--patch-size", "8", "--embed-dim", "16", "--depth", "2", "--num-heads", "2"]
RUN = ["--epochs", str(EPOCHS), "--batch", "8", "--warmup", "0.1", "--threads", "1", "--shift", "1"]
REQUIRED = 0.9


def noise(generator, channel):
    """A picture (20, 27, 3) whose brightest channel tells its class."""
    pixels = generator.integers(0, 150, (20, 27, 3))
    pixels[:, :, channel] += 100
    return pixels.astype(np.uint8)


def make_folders(folder):
    """folder/SPLIT/LABEL/NUMBER.png"""
    generator = np.random.default_rng(1)
    for split, count in COUNTS.items():
        for i, label in enumerate(LABELS):
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                picture = Image.fromarray(noise(generator, 2 - i))
                picture.save(place / f"{number:03}.png")


def idx(array):
    """The bytes of an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def make_idx(folder):
    """Grey pictures of 16 x 16, dark and bright ones; one file gzipped, one not."""
    folder.mkdir()
    generator = np.random.default_rng(2)
    classes = generator.integers(0, 2, 200).astype(np.uint8)
    pictures = generator.integers(0, 150, (200, 16, 16)) + 100 * classes[:, None, None]
    (folder / "train-images-idx3-ubyte").write_bytes(idx(pictures.astype(np.uint8)))
    with gzip.open(folder / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(idx(classes))


def command(data, out, *options):
    """The command line of a run."""
    words = ["--data", data, "--out", out, *MODEL, *RUN, *options]
    return [sys.executable, "-W", "ignore", *map(str, [TRAIN, *words])]


def train(*arguments):
    """Returns what it prints."""
    return subprocess.run(command(*arguments), check=True, stdout=subprocess.PIPE).stdout.decode()


def refused(*arguments):
    """What a run that has to fail says; empty if it does not."""
    run = subprocess.run(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return run.stderr.decode() if run.returncode != 0 else ""


def train_until_first_epoch(*arguments):
    """A run that is ended when its first epoch is done."""
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if line.startswith(b"epoch 1/"):
                break
        process.kill()


def train_until_told(*arguments):
    """A run that is told to end when it has saved a step. Returns how many it did, of how many."""
    words = command(*arguments, "--save-minutes", "0")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        first = process.stdout.readline().decode()
        while not (arguments[1] / "state.pt").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().decode()
    epochs, steps = map(int, re.search(r"(\d+) epochs of (\d+) steps", first).groups())
    return int(re.search(r"told to end after step (\d+)", rest).group(1)), epochs * steps


def make_teacher(build, model, data, out):
    """Asks the model about the pictures. Returns what teacher.py prints."""
    program = out.parent / "features"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", f"-I{ROOT}", "-o", program,
                    ROOT / "tools/train/features.c", Path(build) / "picture.o", "-lm", "-pthread"],
                   check=True)
    words = ["--data", data, "--model", model, "--out", out, "--features", program,
             "--components", "8", "--threads", "2"]
    return subprocess.run([sys.executable, "-W", "ignore", ROOT / "tools/train/teacher.py", *words],
                          check=True, stdout=subprocess.PIPE).stdout.decode()


def accuracy_of(out):
    """From the first line of its report."""
    report = (out / "report.md").read_text(encoding="utf-8")
    right, count = map(int, re.match(r"(\d+) of (\d+) pictures right", report).groups())
    return right, count


def classified(programs, model, folder):
    """How many of the pictures in the folders of classes vit-classify names rightly."""
    paths = sorted(folder.glob("*/*.png"))
    answers = programs.classify(model, *paths)
    return sum(LABELS[answer["top"][0]["index"]] == path.parent.name
               for answer, path in zip(answers, paths)), len(paths)


def check(name, good):
    """Print how it went. Returns 1 for a failure."""
    print(f"{name}: {'ok' if good else 'FAIL'}")
    return not good


def check_going_on(folder, options):
    """How many checks of runs that were ended and go on, as folder/run would have, fail."""
    train_until_first_epoch(folder / "pictures", folder / "again", *options)
    resumed = "1 done" in train(folder / "pictures", folder / "again", *options)
    same = [(folder / run / "model.safetensors").read_bytes() for run in ("run", "again")]
    failed = check("interrupted and gone on, the same weights", resumed and same[0] == same[1])

    done, steps = train_until_told(folder / "pictures", folder / "told", *options)
    train(folder / "pictures", folder / "told", *options)
    same = [(folder / run / "model.safetensors").read_bytes() for run in ("run", "told")]
    failed += check(f"told to end after {done} of {steps} steps and gone on, the same weights",
                    0 < done < steps and same[0] == same[1])

    printed = train(folder / "pictures", folder / "told", *options, "--epochs", "3")
    failed += check("gone on for longer, and told so",
                    "goes on with epochs 3, before 2" in printed and "epoch 3/3" in printed)
    failed += check("another learning rate is refused", "another lr" in refused(
        folder / "pictures", folder / "told", *options, "--lr", "0"))
    return failed


def check_folders(programs, folder):
    """How many checks of a run on folders of classes fail."""
    make_folders(folder / "pictures")
    options = ("--img-size", "16", "--pool", "avg", "--erase", "0.2", "--mixup", "0.2", "--cutmix",
               "1")
    printed = train(folder / "pictures", folder / "run", *options)
    programs.convert([], folder / "run", folder / "run.vit")
    right, count = accuracy_of(folder / "run")
    ours = classified(programs, folder / "run.vit", folder / "pictures/val")
    failed = check(f"folders of classes: {right} of {count} right", right >= REQUIRED * count)
    failed += check(f"vit-classify: {ours[0]} of {ours[1]} right", ours == (right, count))
    failed += check("the time left is told", "min left" in printed)

    failed += check_going_on(folder, options)
    train(folder / "pictures", folder / "more", *options, "--lr", "0", "--start", folder / "run")
    more = accuracy_of(folder / "more")
    failed += check(f"started from the first: {more[0]} of {more[1]} right",
                    more == (right, count))

    train(folder / "pictures", folder / "held", *options, "--hold-out")
    held = accuracy_of(folder / "held")
    return failed + check(f"a tenth of those to train on held out: {held[0]} of {held[1]} right",
                          held[1] == 24 and held[0] >= REQUIRED * 24)


def check_teacher(build, folder):
    """How many checks of a run that learns from the first one's model fail."""
    printed = make_teacher(build, folder / "run.vit", folder / "pictures", folder / "teacher")
    shares = [float(share) for share in re.findall(r"([\d.]+)% of", printed)]
    failed = check(f"teacher: {shares} % right", len(shares) == 2 and min(shares) >= 100 * REQUIRED)
    train(folder / "pictures", folder / "taught", "--img-size", "16", "--teacher", folder / "teacher",
          "--structured", "--muon-lr", "0.02", "--keep", "0.75", "--cooldown", "1", "--whole", "1",
          "--test-every", "2", "--mixup", "0.2")
    right, count = accuracy_of(folder / "taught")
    return failed + check(f"taught by it: {right} of {count} right", right >= REQUIRED * count)


def check_idx(programs, folder):
    """How many checks of a run on IDX files fail."""
    make_idx(folder / "idx")
    train(folder / "idx", folder / "grey", "--img-size", "16", "--muon-lr", "0.02")
    programs.convert([], folder / "grey", folder / "grey.vit")
    right, count = accuracy_of(folder / "grey")
    return check(f"IDX files, a tenth held out: {right} of {count} right",
                 count == 20 and right >= REQUIRED * count)


def main():
    """The exit status tells whether all went well."""
    programs = Programs(os.path.abspath(sys.argv[1]))
    with tempfile.TemporaryDirectory() as name:
        failed = check_folders(programs, Path(name)) + check_teacher(sys.argv[1], Path(name))
        failed += check_idx(programs, Path(name))
    sys.exit(f"FAILED: {failed} checks" if failed else 0)


main()
