"""Mutation run: are mistakes put into vit.h found by the tests?

    mutate.py [--seed N] [--count N] [--jobs N] [--grown] [--list] BUILD

A mutant is sections [5] to [9] of vit.h with one small mistake:

    flip    a comparison says the opposite
    shift   the right side of <, <=, > or >=, or an argument of vit__min, vit__max or vit__smaller, is one
            more or one less
    drop    an `if`, or the condition of ?:, is never true; an operand of && or || is not looked at

Comparisons of constants, static data, case labels, macros' own text and what the portable build does not
have are left out. All mutants are written into one vit.h, where VIT_MUTANT in the environment chooses one
at run time, so that each test program is compiled once. A mutant is killed when a test that runs the
mutated place fails, crashes or takes ten times as long; the quick ones come first, and before the slow ones
some with sanitizers, as in make check-sanitize. COUNT mutants (300) are chosen by a shuffle of SEED (1).

Ends with status 1 where less than 95 % are killed of those that are not equivalent: tests/mutants.txt
lists these, each with the reason. Results are kept in BUILD, and an interrupted run goes on; after a
change to vit.h or to a test all begins anew. --grown: tests have only been added since, so what was killed
still is, and what is listed as equivalent too. --list: only prints what there is to choose from.
"""
import argparse
import collections
import concurrent.futures
import glob
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time

from clang import cindex
from clang.cindex import CursorKind

TESTS = "file load layers model token0 kernels attention merge preprocess classifier size faults".split()
SECTIONS = range(5, 10)
LEAST = 95  # percent
DEFINES = ["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-DVIT_NO_SIMD"]
EQUIVALENT = "tests/mutants.txt"
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
BOUNDS = ("vit__min", "vit__max", "vit__smaller")

ABSENT = 127  # exit status where none of the tests are in the program
QUICK = 0.25  # seconds: tests of a program that take less run together ...
SLOW = 3  # ... and what takes more comes after all else
SANITIZED = ["kernels", "layers", "merge", "preprocess"]  # run once more, as make check-sanitize does, by what is left
SUBJECTS = {5: "file", 6: "preprocess", 7: "kernels"}  # the program that tests a section above all

# Included before each test program: which mutant it is, which of the tests are to be run, and a byte for each
# place that was run.
RUNTIME = """\
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
static int vit__mutant = -1;
static unsigned char vit__own_reach[COUNT], *vit__reach = vit__own_reach;
#define VIT__IS_MUTANT(n) (vit__reach[n] = 1, vit__mutant == (n))
__attribute__((constructor)) static void vit__choose_mutant(void) {
    const char *mutant = getenv("VIT_MUTANT"), *reach = getenv("VIT_REACH");
    if (mutant != NULL) vit__mutant = atoi(mutant);
    if (reach == NULL) return;
    void *map = mmap(NULL, COUNT, PROT_READ | PROT_WRITE, MAP_SHARED, open(reach, O_RDWR), 0);
    if (map == MAP_FAILED) abort();
    vit__reach = (unsigned char *)map;
}
static int vit__run_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                          CMFixtureFunction setup, CMFixtureFunction teardown) {
    const char *wanted = getenv("VIT_TESTS"); /* ,one,two, */
    struct CMUnitTest chosen[200];
    char quoted[200];
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        sprintf(quoted, ",%s,", tests[i].name);
        if (strstr(wanted, quoted) != NULL) chosen[left++] = tests[i];
    }
    return left == 0 ? ABSENT : _cmocka_run_group_tests(name, chosen, left, setup, teardown);
}
#define _cmocka_run_group_tests vit__run_tests
"""


class Mutant:
    """`text` at start to end of vit.h instead of what is there; name tells it from all others."""

    def __init__(self, function, whole, start, end, text):
        self.function, self.whole = function, whole
        self.start, self.end, self.text = start, end, text
        self.name = self.line = self.section = self.number = None


class Finder:
    """All mutants of the sections, and the text to put around expressions so that one can be chosen."""

    def __init__(self, path):
        self.bytes = open(path, "rb").read()
        self.mutants = []
        self.wraps = []  # (start, -end, number, before, after)
        unit = cindex.Index.create().parse(path, DEFINES + ["-x", "c", "-DVIT_IMPLEMENTATION"])
        errors = [str(d) for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if errors:
            sys.exit("\n".join(errors))
        banners = {int(m[1]): m.start() for m in re.finditer(rb"/\* ---- \[(\d+)\]", self.bytes)}
        first, after = banners[SECTIONS[0]], banners[SECTIONS[-1] + 1]
        self.banners = banners
        for cursor in unit.cursor.get_children():
            inside = os.path.normpath(str(cursor.location.file)) == path and first < extent(cursor)[0] < after
            if inside and cursor.kind == CursorKind.FUNCTION_DECL and cursor.is_definition():
                self.function = cursor.spelling
                self.walk(cursor)
        self.name_all()

    def name_all(self):
        seen = collections.Counter()
        for number, m in enumerate(self.mutants):
            start, end = m.whole
            old = self.text(start, end)
            new = self.text(start, m.start) + m.text + self.text(m.end, end)
            m.name = " ".join(f"{m.function}: {old} -> {new}".split())
            m.line = self.bytes.count(b"\n", 0, m.start) + 1
            seen[m.name] += 1
            if seen[m.name] > 1:
                m.name += f" ({seen[m.name]})"
            m.number = number
            m.section = max(n for n, offset in self.banners.items() if offset < m.start)

    def text(self, start, end):
        return self.bytes[start:end].decode()

    def add(self, whole, start, end, text):
        self.mutants.append(Mutant(self.function, whole, start, end, text))
        return f"VIT__IS_MUTANT({len(self.mutants) - 1})"

    def wrap(self, start, end, before, after):
        self.wraps.append((start, -end, len(self.wraps), before, after))

    def walk(self, cursor):
        kind, children = cursor.kind, list(cursor.get_children())
        if kind == CursorKind.VAR_DECL and cursor.storage_class == cindex.StorageClass.STATIC:
            return
        if kind == CursorKind.CASE_STMT:
            children = children[1:]
        if kind == CursorKind.IF_STMT or kind == CursorKind.CONDITIONAL_OPERATOR:
            self.drop_condition(children[0])
        if kind == CursorKind.BINARY_OPERATOR:
            self.mutate_operator(cursor, *children)
        if kind == CursorKind.CALL_EXPR and cursor.spelling in BOUNDS:
            for argument in cursor.get_arguments():
                self.shift(extent(cursor), argument)
        for child in children:
            self.walk(child)

    def operator(self, left, right):
        """What is written between two operands; nothing sensible where they are from a macro's text."""
        between = self.text(extent(left)[1], extent(right)[0])
        return re.sub(r"/\*.*?\*/", "", between, flags=re.S).strip()

    def mutate_operator(self, cursor, left, right):
        name, whole = self.operator(left, right), extent(cursor)
        if is_constant(left) and is_constant(right):
            return
        if name in OPPOSITE:
            mutant = self.add(whole, extent(left)[1], extent(right)[0], f" {OPPOSITE[name]} ")
            self.wrap(*whole, f"({mutant} ^ (", "))")
        if name in ("<", "<=", ">", ">="):
            self.shift(whole, right)
        if name in ("&&", "||"):
            for operand in (left, right):
                if not is_constant(operand) and not self.is_chain(operand, name):
                    self.drop_operand(whole, operand, name)

    def is_chain(self, operand, name):
        """Whether an operand is a && b itself: then a and b are dropped, and not both."""
        operand = bare(operand)
        if operand.kind != CursorKind.BINARY_OPERATOR:
            return False
        return self.operator(*operand.get_children()) == name

    def drop_operand(self, whole, operand, name):
        start, end = extent(operand)
        mutant = self.add(whole, start, end, "1" if name == "&&" else "0")
        self.wrap(start, end, f"({mutant} || (" if name == "&&" else f"(!{mutant} && (", "))")

    def drop_condition(self, condition):
        start, end = extent(condition)
        if not is_constant(condition) and start < end:
            mutant = self.add((start, end), start, end, "0")
            self.wrap(start, end, f"(!{mutant} && (", "))")

    def shift(self, whole, bound):
        start, end = extent(bound)
        text = self.text(start, end)
        if bare(bound).kind in (CursorKind.BINARY_OPERATOR, CursorKind.CONDITIONAL_OPERATOR):
            text = f"({text})"
        more, less = (self.add(whole, start, end, f"{text} {sign} 1") for sign in "+-")
        self.wrap(start, end, "((", f") + {more} - {less})")

    def rewritten(self):
        """vit.h with all mutants in it, each line where it was."""
        starts, ends = collections.defaultdict(list), collections.defaultdict(list)
        for start, end, _, before, after in sorted(self.wraps):
            starts[start].append(before)
            ends[-end].insert(0, after)
        out, at = [], 0
        for offset in sorted(set(starts) | set(ends)):
            out += [self.text(at, offset), *ends[offset], *starts[offset]]
            at = offset
        return "".join(out) + self.text(at, len(self.bytes))


def extent(cursor):
    return cursor.extent.start.offset, cursor.extent.end.offset


def bare(cursor):
    """Without the conversions that C adds."""
    while cursor.kind == CursorKind.UNEXPOSED_EXPR:
        children = list(cursor.get_children())
        if len(children) != 1:
            break
        cursor = children[0]
    return cursor


def is_constant(cursor):
    if cursor.kind == CursorKind.DECL_REF_EXPR:
        return cursor.referenced.kind == CursorKind.ENUM_CONSTANT_DECL
    if cursor.kind in (CursorKind.CALL_EXPR, CursorKind.MEMBER_REF_EXPR):
        return False
    return all(is_constant(child) for child in cursor.get_children())


def write_if_other(path, text):
    if not os.path.exists(path) or open(path).read() != text:
        open(path, "w").write(text)
        return True
    return False


class Runner:
    """The test programs with all mutants in them."""

    def __init__(self, build, finder, tests, flags="-O1"):
        self.build, self.count = build, len(finder.mutants)
        self.is_sanitized = "sanitize" in flags
        os.makedirs(build, exist_ok=True)
        new = write_if_other(f"{build}/vit.h", finder.rewritten())
        runtime = RUNTIME.replace("COUNT", str(self.count)).replace("ABSENT", str(ABSENT))
        new |= write_if_other(f"{build}/mutant.h", runtime)
        programs = [self.program(test) for test in tests]
        make = ["make", "--no-print-directory", "CC=gcc", f"CFLAGS={flags}", "WARNINGS=-w", f"BUILD={build}",
                f"CPPFLAGS=-DVIT_NO_SIMD -include {build}/mutant.h -I{build}"]
        if new:
            for program in programs:
                if os.path.exists(program):
                    os.remove(program)
        subprocess.run(make + programs, check=True, stdout=subprocess.DEVNULL)
        self.batches = []
        for test in tests:
            self.batches += self.try_program(test)

    def program(self, test):
        return f"{self.build}/test_{test}"

    def try_program(self, test):
        """Its tests as batches; what is known of them stays beside the program."""
        path, program = f"{self.build}/{test}.json", digest([self.program(test)])
        known = json.load(open(path)) if os.path.exists(path) else {}
        if known.get("program") != program:
            names = re.findall(r"(?:unit_test|TEST)\((test_\w+)", open(f"tests/test_{test}.c").read())
            tried = [self.try_unchanged(test, name) for name in names]
            known = {"program": program, "tests": [t for t in tried if t is not None]}
            with open(path, "w") as file:
                json.dump(known, file)
        tests = [Batch(self, test, [name], seconds, bytes.fromhex(places))
                 for name, seconds, places in known["tests"]]
        slow = [t for t in tests if t.seconds >= QUICK]
        return [joined([t for t in tests if t.seconds < QUICK])] + slow

    def try_unchanged(self, test, name):
        """Name, processor time and places; None for a test that this build does not have."""
        path = f"{self.build}/reach"
        with open(path, "wb") as file:
            file.write(bytes(self.count))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = self.run(test, [name], 60, VIT_REACH=path)
        if status == ABSENT:
            return None
        if status != 0:
            sys.exit(f"{self.program(test)}: {name} fails without any mutant")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return name, after.ru_utime - before.ru_utime, open(path, "rb").read().hex()

    def run(self, test, names, limit, **environment):
        """Exit status, with a limit of processor time, and of time where something waits for ever."""

        def set_limits():
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if not self.is_sanitized:  # which takes terabytes of addresses
                resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))

        child = subprocess.Popen([self.program(test)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=set_limits,
                                 env={**os.environ, "VIT_TESTS": f",{','.join(names)},", **environment})
        try:
            return child.wait(30 + 10 * limit)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()


class Batch:
    """Tests of a program that run together, and which mutants' places they run."""

    def __init__(self, runner, test, names, seconds, places):
        self.runner, self.test, self.names, self.seconds, self.places = runner, test, names, seconds, places
        self.longest = seconds  # of its tests
        self.name = f"{test} {names[0]}" + " sanitized" * runner.is_sanitized
        self.kills = 0  # so far

    def try_on(self, mutant):
        """Whether it kills it."""
        limit = int(10 * self.seconds) + 2
        killed = self.runner.run(self.test, self.names, limit, VIT_MUTANT=str(mutant.number)) != 0
        self.kills += killed
        return killed


def joined(batches):
    first, names = batches[0], [name for b in batches for name in b.names]
    places = bytes(map(max, zip(*(b.places for b in batches))))
    whole = Batch(first.runner, first.test, names, sum(b.seconds for b in batches), places)
    whole.longest = max(b.seconds for b in batches)
    whole.name = f"{first.test} quick" + " sanitized" * first.runner.is_sanitized
    return whole


class State:
    """What is known of each mutant, by name, in a file: what killed it, and which batches did not."""

    def __init__(self, build, finder, grown, equivalent):
        self.path, self.lock = f"{build}/results.json", threading.Lock()
        os.makedirs(build, exist_ok=True)
        vit = hashlib.sha256(finder.rewritten().encode()).hexdigest()
        tests = digest(sorted(glob.glob("tests/*.[ch]")))
        self.data = {"vit": vit, "tests": tests, "killers": {}, "passed": {}}
        old = json.load(open(self.path)) if os.path.exists(self.path) else self.data
        if old["vit"] == vit and (old["tests"] == tests or grown):
            self.data["killers"], self.data["passed"] = old["killers"], old["passed"]
        self.known = equivalent if grown else ()
        if old["tests"] != tests:
            for passed in self.data["passed"].values():
                passed[:] = [name for name in passed if " quick" not in name]

    def killer(self, mutant):
        return self.data["killers"].get(mutant.name)

    def passed(self, mutant):
        return self.data["passed"].get(mutant.name, ())

    def put(self, mutant, batch, kills):
        with self.lock:
            if kills:
                self.data["killers"][mutant.name] = batch.name
            else:
                self.data["passed"].setdefault(mutant.name, []).append(batch.name)
            with open(self.path + ".new", "w") as file:
                json.dump(self.data, file, indent=0)
            os.replace(self.path + ".new", self.path)


def digest(paths):
    return hashlib.sha256(b"".join(open(path, "rb").read() for path in paths)).hexdigest()


def read_equivalent():
    """Names of mutants: the lines that are neither comments nor, indented, the reason of those above."""
    lines = open(EQUIVALENT).read().splitlines() if os.path.exists(EQUIVALENT) else []
    return {line.strip() for line in lines if line and not line.startswith(("#", " "))}


def run_one(mutant, batches, state):
    """Most likely killers first, until one kills it."""
    subject = SUBJECTS.get(mutant.section)
    for batch in sorted(batches, key=lambda b: (b.test != subject, b.seconds / (1 + b.kills))):
        if batch.places[mutant.number] and batch.name not in state.passed(mutant):
            killed = batch.try_on(mutant)
            state.put(mutant, batch, killed)
            if killed:
                break


def run_stage(chosen, batches, state, jobs):
    left = [m for m in chosen if state.killer(m) is None and m.name not in state.known]
    print(f"{len(left)} of {len(chosen)} mutants left for {sum(len(b.names) for b in batches)} tests", flush=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda m: run_one(m, batches, state), left))


def run_all(chosen, options, finder, state):
    runner = Runner(options.build, finder, TESTS)
    for least, most in ((0, QUICK), (QUICK, SLOW)):
        run_stage(chosen, [b for b in runner.batches if least <= b.longest < most], state, options.jobs)
    sanitized = Runner(f"{options.build}/sanitized", finder, SANITIZED,
                       "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all")
    run_stage(chosen, [b for b in sanitized.batches if b.longest < SLOW], state, options.jobs)
    run_stage(chosen, [b for b in runner.batches if SLOW <= b.longest], state, options.jobs)
    return runner


def report(chosen, runner, state, equivalent):
    killed = [m for m in chosen if state.killer(m)]
    survived = [m for m in chosen if not state.killer(m) and m.name not in equivalent]
    same = len(chosen) - len(killed) - len(survived)
    wrong = [m for m in killed if m.name in equivalent]
    for m in survived:
        runs = any(b.places[m.number] for b in runner.batches)
        print(f"survived: vit.h:{m.line}{'' if runs else ', which no test runs'}\n{m.name}")
    for m in wrong:
        print(f"listed as equivalent, but {state.killer(m)} kills it: {m.name}")
    by_test = collections.Counter(state.killer(m).split()[0] for m in killed)
    print("killed by " + ", ".join(f"{test} {n}" for test, n in by_test.most_common()))
    rate = 100 * len(killed) / max(1, len(killed) + len(survived))
    print(f"{len(chosen)} mutants: {len(killed)} killed, {len(survived)} survived, {same} equivalent: "
          f"{rate:.1f} % killed of those that are not equivalent, {100 * len(killed) / len(chosen):.1f} % of all")
    return rate >= LEAST and not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--grown", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("build")
    options = parser.parse_args()
    finder = Finder("vit.h")
    if options.list:
        for m in finder.mutants:
            print(f"vit.h:{m.line}: {m.name}")
        return
    order = list(finder.mutants)
    random.Random(options.seed).shuffle(order)
    chosen = sorted(order[:options.count], key=lambda m: m.number)
    equivalent = read_equivalent()
    start = time.monotonic()
    state = State(options.build, finder, options.grown, equivalent)
    runner = run_all(chosen, options, finder, state)
    print(f"seed {options.seed}, {time.monotonic() - start:.0f} s")
    sys.exit(0 if report(chosen, runner, state, equivalent) else 1)


main()
