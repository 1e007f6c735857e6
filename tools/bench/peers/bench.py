"""vit.h beside ONNX Runtime and PyTorch: the same models, the same input, one interleaved run.

    bench.py [--quick] [--rounds N] [--models ti,s,b] [--peers ort,eager,frozen,...] FOLDER

FOLDER is the one that make bench-peers builds in. The results go there: peers.json (every number),
peers.md (the tables, also printed) and peers.svg.

In a round each contestant has one turn, in an order that changes from round to round, and none
begins before the threads of the previous one are asleep: so other work on the machine affects all of
them. The ratios are what counts; the times drift. The logits of the contestants that compute in
float32 have to agree with those of vit.h; for the others the difference is reported.

This process imports nothing large: the peak memory that the system reports for a child includes what
it shares with its parent when it starts.
"""
import argparse
import contextlib
import json
import math
import os
import sys
import time

import report
from contestants import (DEFAULT, FLOAT32, NAMES, Contestant, command, numbers, rotated, start,
                         turn)
from sizes import SIZES, TITLES

TOLERANCE = 1e-5  # of the largest logit
WARM_UP = 4  # turns; TorchScript compiles in the first ones


def difference(logits, expected):
    """The largest, relative to the largest logit."""
    if not all(map(math.isfinite, logits)):
        return math.inf  # max may pass over a NaN
    return max(abs(a - b) for a, b in zip(logits, expected)) / max(map(abs, expected))


def check(logits, what):
    """{name: difference from vit.h}. Ends the program if logits that have to agree do not."""
    errors = {name: difference(values, logits["vit"]) for name, values in logits.items()}
    for name, error in errors.items():
        if error > TOLERANCE and name in FLOAT32 or not math.isfinite(error):
            sys.exit(f"bench.py: {what}: the logits of {NAMES[name]} differ by {error:.1e}")
    return errors


def passes(folder, names, size, threads, rounds):
    """Forward passes of batch 1."""
    times, peaks = {name: [] for name in names}, []
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(Contestant(command(name, folder, size, threads, 1)))
                   for name in names}
        for _ in range(WARM_UP):
            for contestant in running.values():
                turn(contestant)
        logits = {name: contestant.logits() for name, contestant in running.items()}
        errors = check(logits, f"{TITLES[size]}, {report.thread_count(threads)}")
        for i in range(rounds):
            peaks.append(running["vit"].ask("peak"))
            running["vit"].rest()
            for name in rotated(names, i):
                times[name].append(turn(running[name]))
    return {"size": size, "threads": threads, "ms": times, "peak_gflops": peaks, "errors": errors}


def whole_process(folder, name, size):
    """(milliseconds from the start to the logits, peak memory in MB, logits) of a process on one
    thread."""
    begin = time.perf_counter()
    process = start(command(name, folder, size, 1, 1))
    process.stdin.write(b"run\nlogits\n")
    process.stdin.close()
    process.stdout.readline()
    logits = numbers(process.stdout.readline())
    milliseconds = (time.perf_counter() - begin) * 1e3
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return milliseconds, usage.ru_maxrss * 1024 / 1e6, logits


def cold_starts(folder, names, size, rounds):
    """Whole processes, with the files in the page cache: a first round, not counted, reads them."""
    times, memory = {name: [] for name in names}, {name: [] for name in names}
    for i in range(-1, rounds):
        logits = {}
        for name in rotated(names, i):
            milliseconds, megabytes, logits[name] = whole_process(folder, name, size)
            if i >= 0:
                times[name].append(milliseconds)
                memory[name].append(megabytes)
        check(logits, f"{TITLES[size]}, whole process")
    return {"size": size, "ms": times, "mb": memory}


def together(contestants):
    """Pictures a second of processes that run at the same time, each at its own pace, with 8 pictures
    in all of their batches together."""
    for _ in range(2):  # as in a turn, the first does not count
        for contestant in contestants:
            contestant.send("run")
        times = [contestant.receive()[0] for contestant in contestants]
    for contestant in contestants:
        contestant.rest()
    return sum(8e3 / len(contestants) / milliseconds for milliseconds in times)


def batches(folder, size, rounds):
    """A batch of 8 on 2 threads, and two processes of one thread with a batch of 4 each."""
    rates = {"batch": [], "processes": []}
    with contextlib.ExitStack() as stack:
        kinds = {"batch": [(2, 8)], "processes": [(1, 4), (1, 4)]}
        running = {kind: [stack.enter_context(Contestant(command("vit", folder, size, *what)))
                          for what in kinds[kind]] for kind in kinds}
        for i in range(-1, rounds):
            for kind in rotated(list(kinds), i):
                rate = together(running[kind])
                if i >= 0:
                    rates[kind].append(rate)
    return {"size": size, "per_second": rates}


def race(arguments):
    """Runs everything; returns the results as they go to the JSON file."""
    names = ["vit"] + [name for name in arguments.peers if name != "vit"]
    folder, rounds = arguments.folder, arguments.rounds
    once = [name for name in names if name != "frozen"]  # a process that runs once does not compile first
    results = {"about": report.about(folder), "passes": [], "cold": [], "batches": [],
               "files": report.file_sizes(folder, names, arguments.models)}
    for size in arguments.models:
        for threads in (1, 2):
            print(f"{TITLES[size]}, {report.thread_count(threads)}", file=sys.stderr)
            results["passes"].append(passes(folder, names, size, threads, rounds))
        print(f"{TITLES[size]}, whole processes and batches", file=sys.stderr)
        results["cold"].append(cold_starts(folder, once, size, (rounds + 1) // 2))
        results["batches"].append(batches(folder, size, (rounds + 1) // 2))
    return results


def choice(known):
    """A parser of a list with commas, whose words all have to be known."""
    def parse(text):
        words = text.split(",")
        if not set(words) <= set(known):
            raise argparse.ArgumentTypeError(f"not of {','.join(known)}")
        return words
    return parse


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--quick", dest="rounds", action="store_const", const=4)
    parser.add_argument("--models", type=choice(SIZES), default=list(SIZES))
    parser.add_argument("--peers", type=choice(NAMES), default=DEFAULT)
    return parser.parse_args()


def main():
    """Run and report."""
    arguments = parse_arguments()
    results = race(arguments)
    texts = {"peers.json": json.dumps(results, indent=1), "peers.md": report.markdown(results),
             "peers.svg": report.svg(results)}
    for name, text in texts.items():
        with open(os.path.join(arguments.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    print(texts["peers.md"])


if __name__ == "__main__":
    main()
