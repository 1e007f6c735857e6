"""What several workers of vit-classify gain, and that many pictures take no more memory than few.

    jobs.py [--rounds N] BUILD MODEL.vit PHOTOS

PHOTOS is a folder of photos, which are brought to 500 x 375 and repeated until they are 2,000.
Compares `-j 2` with one process of one thread, in turns, and prints for each round the time, the
processor's time and their ratios. Then the peak memory for 1,000 and 100,000 pictures of 32 x 32.
Other work on the machine disturbs the times. The processor's time does less so: two cores that were
free would do at best 2 * processor's time of one / processor's time of both.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

MODEL = Path(__file__).parents[2] / "examples/models/fashion-mnist.vit"
PHOTOS, SIZE, FEW, MANY = 2000, (500, 375), 1000, 100_000


def make_photos(source, folder):
    """The first photo of each content is written, the others are links to it."""
    folder.mkdir()
    paths = sorted(path for path in source.iterdir()
                   if path.suffix.lower() in (".jpg", ".jpeg"))
    for i in range(PHOTOS):
        target, first = folder / f"{i:05}.jpg", folder / f"{i % len(paths):05}.jpg"
        if i < len(paths):
            with Image.open(paths[i]) as picture:
                picture.convert("RGB").resize(SIZE).save(target, quality=90)
        else:
            os.link(first, target)


def make_small(folder, count):
    """Pictures of 32 x 32, all in one folder; a file may have 65,000 links."""
    folder.mkdir()
    for i in range(count):
        target, first = folder / f"{i:06}.jpg", folder / f"{i // 50_000 * 50_000:06}.jpg"
        if i % 50_000 == 0:
            Image.effect_noise((32, 32), 64).convert("RGB").save(target)
        else:
            os.link(first, target)


def run(command):
    """(seconds, processor's seconds, peak memory in KB); /usr/bin/time, as this process is larger."""
    command = ["/usr/bin/time", "-f", "%e %U %S %M", *(str(part) for part in command)]
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{command}: {result.stderr}")
    seconds, user, system, memory = result.stderr.splitlines()[-1].split()
    return float(seconds), float(user) + float(system), int(memory)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("build", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    arguments = parser.parse_args()
    base = [arguments.build / "vit-classify", "-m", arguments.model, "--json"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(arguments.photos, folder / "photos")
        print(f"{PHOTOS} photos of {SIZE[0]} x {SIZE[1]}, {arguments.model.name}")
        print("| -t 1 | -j 2 | times as fast | two free cores would do |\n| --- | --- | --- | --- |")
        for _ in range(arguments.rounds):
            one, one_cpu, _ = run([*base, "-j", 1, "-t", 1, folder / "photos"])
            two, two_cpu, _ = run([*base, "-j", 2, folder / "photos"])
            print(f"| {one:.1f} s ({PHOTOS / one:.1f} a second), cpu {one_cpu:.1f} s "
                  f"| {two:.1f} s ({PHOTOS / two:.1f} a second), cpu {two_cpu:.1f} s "
                  f"| {one / two:.3f} | {2 * one_cpu / two_cpu:.3f} |", flush=True)
        for count in (FEW, MANY):
            small = folder / f"small{count}"
            make_small(small, count)
            seconds, _, memory = run([*base[:2], MODEL, "--json", "-j", 2, small])
            print(f"{count} small pictures in a folder, fashion-mnist.vit: "
                  f"{memory / 1024:.1f} MB, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
