"""The stack that the functions of vit.h need: stack_use.py FILE.ci [LIMIT]

FILE.ci is what gcc writes for -fcallgraph-info=su. Prints, for each public function, the bytes of the
deepest chain of calls that it can start, without memcpy and the like, and without the program's own
hooks. Ends with status 1 where a function calls itself, directly or through others, where a frame has
no size of its own, or where a chain is longer than LIMIT.

Calls through a pointer are told by who makes them: vit_forward's steps start tasks, tasks call
kernels, and of the kernels the product calls activations. So the file has to be compiled with
VIT_NO_PARALLEL, without which a task may be a whole pass.
"""

import re
import sys

INDIRECT = "__indirect_call"


def read(path):
    """Frames by function, and the functions that each calls."""
    frames, calls = {}, {}
    for line in open(path):
        node = re.match(r'node: \{ title: "([^"]*)" label: "[^"]*\\n(\d+) bytes \((\w[\w,]*)\)"', line)
        edge = re.match(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', line)
        if node:
            frames[node[1]] = int(node[2])
            if node[3] != "static":
                sys.exit(f"{node[1]}: its frame is {node[3]}")
        if edge:
            calls.setdefault(edge[1], set()).add(edge[2])
    return frames, calls


def reachable(starts, calls):
    found, left = set(), list(starts)
    while left:
        function = left.pop()
        if function not in found:
            found.add(function)
            left += calls.get(function, ())
    return found


def resolve(frames, calls):
    """Calls through pointers replaced by what they may call."""
    called = set().union(*calls.values())
    pointed = {f for f in frames if ":" in f and f not in called}
    tasks = {f for f in pointed if f.endswith("_task")}
    kernels = pointed - tasks
    acts = {f for f in kernels if "gelu" in f}
    in_tasks, in_kernels = reachable(tasks, calls), reachable(kernels, calls)
    resolved = {}
    for function in frames:
        own = calls.get(function, set())
        if INDIRECT in own:
            more = acts if function in in_kernels else kernels if function in in_tasks else tasks
            own = own - {INDIRECT} | more
        resolved[function] = {f for f in own if f in frames}
    return resolved


def deepest(function, frames, calls, above=()):
    if function in above:
        sys.exit("recursion: " + " -> ".join(above[above.index(function):] + (function,)))
    chain = above + (function,)
    return frames[function] + max(
        (deepest(f, frames, calls, chain) for f in calls[function]), default=0)


def main():
    frames, calls = read(sys.argv[1])
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize
    calls = resolve(frames, calls)
    worst = 0
    for function in sorted(f for f in frames if ":" not in f):
        size = deepest(function, frames, calls)
        worst = max(worst, size)
        print(f"{function:32} {size:6}")
    if worst == 0:
        sys.exit(f"{sys.argv[1]}: no public function")
    if worst > limit:
        sys.exit(f"{worst} bytes, more than {limit}")


main()
