"""Prints how much of each file make test reaches, and fails where it is less than the floor.

    coverage.py BUILD...

BUILD is a folder with programs of gcc --coverage that have run. The floors are in tests/coverage.txt. A
line or branch counts as reached where any of the programs reaches it; those of vit.h in the build whose
folder has "portable" in its name. vit.h@ISA are its vector kernels for an instruction set, from the folder
with "vectors" in its name, and vit.h@vectors is what else only that build has. What no test can reach is in
tests/coverage_excluded.txt, with its reason, and does not count. (gcovr does this as well, but not for
functions of which there are several, as in vit.h with and without the C library.)
"""
import collections
import glob
import json
import os
import re
import subprocess
import sys

FLOORS = "tests/coverage.txt"
EXCLUDED = "tests/coverage_excluded.txt"
FILES = re.compile(r"vit\.h|(tools|examples)/.*\.c")
TARGETS = {"sse41": "sse4.1", "avx2": "avx2", "avxvnni": "avx2-vnni", "avx512": "avx512",
           "avx512vnni": "avx512-vnni", "avx512bf16": "avx512-bf16", "amx": "amx", "neon": "neon",
           "dotprod": "neon-dotprod", "i8mm": "neon-i8mm", "neonbf16": "neon-bf16", "rvv": "rvv"}
TARGET = re.compile("vit__.*_(" + "|".join(TARGETS) + ")")


class Reached:
    """Of a file: how often each line ran, and each branch of it."""

    def __init__(self):
        self.lines = collections.Counter()
        self.branches = collections.Counter()

    def add(self, line):
        number = line["line_number"]
        self.lines[number] += line["count"]
        for i, branch in enumerate(line["branches"]):
            # builds that differ have other branches in a line
            self.branches[number, len(line["branches"]), i] += branch["count"]

    def missed(self):
        return sorted(number for number, count in self.lines.items() if count == 0)

    def missed_branches(self):
        return sorted({key[0] for key, count in self.branches.items() if count == 0})

    def exclude(self, numbers):
        """Takes out what is not reached of these lines."""
        for number in numbers:
            if self.lines[number] == 0:
                del self.lines[number]
        for key in [k for k, count in self.branches.items() if k[0] in numbers and count == 0]:
            del self.branches[key]


def percent(counter):
    return 100 * sum(count > 0 for count in counter.values()) / len(counter) if counter else 100


def name_of(path, entry, line):
    """The name in the table that a line counts for, or None."""
    if entry["file"] != "vit.h" or "portable" in path:
        return entry["file"]
    if "vectors" not in path:
        return None
    target = TARGET.fullmatch(line.get("function_name", ""))
    return "vit.h@" + (TARGETS[target.group(1)] if target else "vectors")


def measured(folders):
    files = collections.defaultdict(Reached)
    data = [path for folder in folders for path in glob.glob(os.path.join(folder, "*.gcda"))]
    gcov = ["gcov", "--json-format", "--stdout", "--branch-probabilities"]
    for path in data:
        output = subprocess.run(gcov + [path], check=True, stdout=subprocess.PIPE).stdout
        for entry in json.loads(output)["files"]:
            for line in entry["lines"] if FILES.fullmatch(entry["file"]) else []:
                name = name_of(path, entry, line)
                if name:
                    files[name].add(line)
    # the portable build measures what it has, too
    for number in files["vit.h"].lines if "vit.h@vectors" in files else []:
        others = files["vit.h@vectors"]
        others.lines.pop(number, None)
        for key in [key for key in others.branches if key[0] == number]:
            del others.branches[key]
    return files


def read_floors():
    floors = {}
    for line in open(FLOORS):
        words = line.split("#")[0].split()
        if words:
            floors[words[0]] = tuple(map(float, words[1:]))
    return floors


def exclude(files):
    """Returns the number of entries that are not those of one line."""
    wrong, used = 0, 0
    for line in open(EXCLUDED):
        if not line.strip() or line[0] in "# ":
            continue
        name, text = line.rstrip("\n").split(": ", 1)
        source = [s.strip() for s in open(name.split("@")[0])]
        numbers = {i for i, s in enumerate(source, 1) if s == text}
        used += 1
        if len(numbers) != 1:
            print(f"{EXCLUDED}: {len(numbers)} lines of {name} are: {text}")
            wrong += 1
        elif name in files:
            files[name].exclude(numbers)
    print(f"{used} lines are excluded: {EXCLUDED} says why")
    return wrong


def isas_here(folders):
    """Those that the programs of the vectors' build ran with."""
    found = set()
    for folder in folders:
        if "vectors" in folder:
            found |= set(subprocess.run([os.path.join(folder, "list_isas")], check=True, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.split())
    return found


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
    folders = sys.argv[1:]
    files, floors, here = measured(folders), read_floors(), isas_here(folders)
    for name in ["vit.h@" + isa for isa in TARGETS.values() if isa not in here]:
        floors.pop(name, None)
        if files.pop(name, None):
            print(f"{name}: SKIPPED, as this machine does not have it")
    sunk = exclude(files)
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
              f"{'  BELOW ITS FLOOR; not reached: ' + ranges(reached.missed()) if low else ''}"
              f"{'; branches: ' + ranges(reached.missed_branches()) if low else ''}")
    sys.exit(sunk > 0)


main()
