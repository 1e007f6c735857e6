"""Prints how much of each file make test reaches, and fails where it is less than the floor.

    coverage.py BUILD...

BUILD is a folder with programs of gcc --coverage that have run. The floors are in tests/coverage.txt. A
line or branch counts as reached where any of the programs reaches it; those of vit.h in the build whose
folder has "portable" in its name, as no machine has all of the vector kernels. (gcovr does this as well, but not
for functions of which there are several, as in vit.h with and without the C library.)
"""
import collections
import glob
import json
import os
import re
import subprocess
import sys

FLOORS = "tests/coverage.txt"
FILES = re.compile(r"vit\.h|(tools|examples)/.*\.c")


class Reached:
    """Of a file: how often each line ran, and each branch of it."""

    def __init__(self):
        self.lines = collections.Counter()
        self.branches = collections.Counter()

    def add(self, entry):
        for line in entry["lines"]:
            number = line["line_number"]
            self.lines[number] += line["count"]
            for i, branch in enumerate(line["branches"]):
                # builds that differ have other branches in a line
                self.branches[number, len(line["branches"]), i] += branch["count"]

    def missed(self):
        return sorted(number for number, count in self.lines.items() if count == 0)


def percent(counter):
    return 100 * sum(count > 0 for count in counter.values()) / len(counter) if counter else 100


def measured(folders):
    files = collections.defaultdict(Reached)
    data = [path for folder in folders for path in glob.glob(os.path.join(folder, "*.gcda"))]
    gcov = ["gcov", "--json-format", "--stdout", "--branch-probabilities"]
    for path in data:
        output = subprocess.run(gcov + [path], check=True, stdout=subprocess.PIPE).stdout
        for entry in json.loads(output)["files"]:
            counts = entry["file"] != "vit.h" or "portable" in path
            if FILES.fullmatch(entry["file"]) and counts:
                files[entry["file"]].add(entry)
    return files


def read_floors():
    floors = {}
    for line in open(FLOORS):
        words = line.split("#")[0].split()
        if words:
            floors[words[0]] = tuple(map(float, words[1:]))
    return floors


def ranges(numbers):
    """1-3 7 for [1, 2, 3, 7]"""
    found = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def main():
    files, floors, sunk = measured(sys.argv[1:]), read_floors(), 0
    for name in sorted(set(floors) - set(files) - {"*"}):
        print(f"{name}: it has a floor, and nothing of it ran")
        sunk += 1
    print(f"{'':40} lines  floor  branches  floor")
    for name, reached in sorted(files.items()):
        lines, branches = percent(reached.lines), percent(reached.branches)
        floor = floors.get(name, floors["*"])
        low = lines < floor[0] or branches < floor[1]
        sunk += low
        print(f"{name:40} {lines:5.1f}  {floor[0]:5.1f}  {branches:8.1f}  {floor[1]:5.1f}"
              f"{'  BELOW ITS FLOOR; not reached: ' + ranges(reached.missed()) if low else ''}")
    sys.exit(sunk > 0)


main()
