"""What several workers of vit-classify gain, also over a DataLoader with ONNX Runtime, and that many
pictures take no more memory than few.

    jobs.py [--rounds N] [--few] BUILD DATA

DATA has photos/, which are brought to 500 x 375 and repeated until they are 2,000, and deit_tiny/, of
which BUILD has jobs.vit in int8. Compares `-j 2` with one process of one thread and with peers/loader.py,
in turns, and prints for each round the time, the processor's time and their ratios. The peer may use one
or two threads beside its two workers, and batches of one or eight; its fastest way counts, without the
time that Python takes to start. Then the peak memory for 1,000 and 100,000 pictures of 32 x 32, which
--few leaves out.

Other work on the machine disturbs the times. The processor's time does less so: two cores that were
free would do at best 2 * processor's time of one / processor's time of both, and against the peer the
ratio of the processor's times.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "examples/models/fashion-mnist.vit"
PHOTOS, SIZE, FEW, MANY = 2000, (500, 375), 1000, 100_000
PEER_WAYS = [(threads, batch) for threads in (1, 2) for batch in (1, 8)]


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


def run(command, output=subprocess.DEVNULL):
    """(seconds, processor's seconds, peak memory in KB); /usr/bin/time, as this process is larger."""
    command = ["/usr/bin/time", "-f", "%e %U %S %M", *(str(part) for part in command)]
    result = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{command}: {result.stderr}")
    seconds, user, system, memory = result.stderr.splitlines()[-1].split()
    return float(seconds), float(user) + float(system), int(memory)


def run_peer(build, data, photos, threads, batch):
    """(seconds, processor's seconds, best class of each photo) of loader.py."""
    peers = build / "peers"
    command = [sys.executable, "-W", "ignore", HERE / "peers/loader.py", "--threads", threads, "--batch",
               batch, peers / "ort.so", data / "deit_tiny", peers / "deit", photos]
    answer = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True, text=True)
    seconds, cpu, *classes = answer.stdout.split()
    return float(seconds), float(cpu), [int(index) for index in classes]


def best_classes(path):
    """Those in vit-classify's lines."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line)["top"][0]["index"] for line in lines]


def compare(build, data, folder, rounds):
    """Print a table, a line for each round."""
    photos, lines = folder / "photos", folder / "lines.ndjson"
    base = [build / "vit-classify", "-m", build / "jobs.vit", "--json"]
    make_photos(data / "photos", photos)
    print(f"{PHOTOS} photos of {SIZE[0]} x {SIZE[1]}, DeiT-Tiny in int8")
    print("| -t 1 | -j 2 | DataLoader, 2 workers, ONNX Runtime | -j 2: times as fast as -t 1, "
          "as the peer | two free cores would do |\n| --- | --- | --- | --- | --- |")
    for _ in range(rounds):
        one, one_cpu, _ = run([*base, "-j", 1, "-t", 1, photos])
        with open(lines, "wb") as output:
            two, two_cpu, _ = run([*base, "-j", 2, photos], output)
        peers = {way: run_peer(build, data, photos, *way) for way in PEER_WAYS}
        way = min(peers, key=lambda which: peers[which][0])
        peer, peer_cpu, classes = peers[way]
        same = sum(a == b for a, b in zip(best_classes(lines), classes))
        print(f"| {one:.1f} s ({PHOTOS / one:.1f} a second), cpu {one_cpu:.1f} s "
              f"| {two:.1f} s ({PHOTOS / two:.1f} a second), cpu {two_cpu:.1f} s "
              f"| {peer:.1f} s ({PHOTOS / peer:.1f} a second), cpu {peer_cpu:.1f} s, "
              f"threads {way[0]}, batch {way[1]}, the best class the same {same} times "
              f"| {one / two:.3f}, {peer / two:.3f} "
              f"| {2 * one_cpu / two_cpu:.3f}, {peer_cpu / two_cpu:.3f} |", flush=True)


def main():
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--few", action="store_true")
    parser.add_argument("build", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare(arguments.build, arguments.data, Path(name), arguments.rounds)
        for count in () if arguments.few else (FEW, MANY):
            small = Path(name) / f"small{count}"
            make_small(small, count)
            seconds, _, memory = run([arguments.build / "vit-classify", "-m", MODEL, "--json", "-j", 2, small])
            print(f"{count} small pictures in a folder, fashion-mnist.vit: "
                  f"{memory / 1024:.1f} MB, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
