#!/usr/bin/env python3
"""Run images in qemu and compare them with the same program on this machine.

    check.py BUILD IMAGE...

For every picture the class has to be the same, and the logits have to agree within TOLERANCE of the
largest one: the products of integers are the same everywhere, but the floats around them are rounded
in another order, so an activation may be quantized up on one machine and down on the other, and this
adds up with the depth. Where the order is that of plain C (all but MVE), a program of this machine
with the same arithmetic has to give the same bits. Sizes have to stay within LIMITS. At the end it
prints the boards' own lines of key=value pairs.
"""
import concurrent.futures
import os
import re
import struct
import subprocess
import sys

TOLERANCE = {"int8": 2e-2, "int4": 2e-2, "deit4": 2e-2, "deit8": 5e-2,  # 12 blocks of int8
             "photos": 1e-1}  # the most of ten
TIMEOUT = 1200  # seconds
ARM = "qemu-system-arm -nographic -semihosting -icount shift=6 -M {board} -kernel {image}"
RISCV = ("qemu-system-riscv32 -nographic -semihosting-config enable=on,target=native -bios none "
         "-icount shift=0 -M {board} -kernel {image}")
BOARDS = {"netduinoplus2": ARM, "mps2-an500": ARM, "mps3-an547": ARM, "virt": RISCV}

# bytes; ram is all that is static and the stack
LIMITS = {"netduinoplus2-int8": {"flash": 420_000, "ram": 64_000},
          "netduinoplus2-int8-lean": {"ram": 44_000},
          "netduinoplus2-int4": {"flash": 260_000},
          "mps2-an500-deit8-lean": {"ram": 262_144},
          "mps2-an500-deit8-lean-photos": {"ram": 262_144},
          "mps3-an547-deit8": {"ram": 1_200_000},
          "mps3-an547-deit4": {"ram": 1_200_000}}


def model_of(image):
    return re.search("int8|int4|deit8|deit4", image)[0]


def tolerance_of(image):
    return TOLERANCE["photos" if image.endswith("-photos") else model_of(image)]


def host_of(image):
    """The program of this machine, built as usual, that sees the same pictures."""
    return f"host-{model_of(image)}" + re.search("(-camera|-photos)?$", image)[0]


def portable_of(image):
    """The program of this machine that rounds as the image does."""
    if image.startswith("mps3-an547") and not image.endswith("-plain"):
        return None
    variant = re.search("(-lean|-camera)?(-photos)?$", image)[0]
    return f"portable-{model_of(image)}{variant}"


def run(command):
    """What it prints, on both streams."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False)
    text = result.stdout.decode()
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {result.returncode}\n{text[-1000:]}")
    return text


def run_board(build, image):
    board = next(name for name in BOARDS if image.startswith(name))
    command = BOARDS[board].format(board=board, image=os.path.join(build, f"{image}.elf"))
    return run(command.split())


def logits_of(text):
    """A tuple for each picture."""
    lines = re.findall(r"^logits((?: [0-9a-f]{8})+)$", text, re.MULTILINE)
    return [struct.unpack(f">{len(line) // 9}f", bytes.fromhex(line)) for line in lines]


def pairs_of(text):
    return dict(re.findall(r"(\w+)=(\S+)", text.splitlines()[-1]))


def argmax(values):
    return max(range(len(values)), key=values.__getitem__)


def compare(got, want, tolerance):
    """The largest difference of logits, relative to the largest logit; problems as text."""
    worst, problems = 0, []
    for number, (a, b) in enumerate(zip(got, want)):
        difference = max(abs(x - y) for x, y in zip(a, b)) / max(map(abs, b))
        worst = max(worst, difference)
        if not difference <= tolerance:
            problems.append(f"picture {number}: logits differ by {difference:.1e}")
        if argmax(a) != argmax(b):
            problems.append(f"picture {number}: another class than on this machine")
    return worst, problems


def check(image, text, host_logits):
    pairs, got, portable = pairs_of(text), logits_of(text), portable_of(image)
    want = host_logits[host_of(image)]
    worst, problems = compare(got, want, tolerance_of(image))
    if not len(want) >= len(got) == int(pairs["pictures"]) > 0:
        problems.append("some logits are missing")
    if portable is not None and got != host_logits[portable][:len(got)]:
        problems.append(f"logits are not those of {portable} to the bit")
    if "deit" in image and pairs["pictures"] == "1" and pairs["correct"] != "1":
        problems.append("the photo has another label")
    if image.endswith("-camera") and pairs["correct"] != pairs["pictures"]:
        problems.append("a frame has another label")
    used = {"flash": int(pairs["flash"]), "ram": int(pairs["ram"]) + int(pairs["stack"])}
    for what, limit in LIMITS.get(image, {}).items():
        if used[what] > limit:
            problems.append(f"{what} {used[what]}, at most {limit}")
    print(f"{'FAILED ' if problems else 'ok     '} {image}: {len(got)} pictures, logits within "
          f"{worst:.1e} of those on this machine")
    for problem in problems:
        print(f"        {problem}")
    return not problems


def main(build, images):
    hosts = set(map(host_of, images)) | set(map(portable_of, images)) - {None}
    host_logits = {host: logits_of(run([os.path.join(build, host)])) for host in hosts}
    good, lines = True, []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda image: run_board(build, image), images)
        for image, text in zip(images, texts):
            good &= check(image, text, host_logits)
            lines.append(text.splitlines()[-1])
    print("\n".join(lines))
    return 0 if good else 1


sys.exit(main(sys.argv[1], sys.argv[2:]))
