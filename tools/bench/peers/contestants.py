"""The contestants as processes that obey commands: see contestant.c."""
import contextlib
import os
import subprocess
import sys
import sysconfig
import time

NAMES = {
    "vit": "vit.h",
    "ort": "ONNX Runtime",
    "eager": "PyTorch, eager",
    "frozen": "PyTorch, frozen",
}
HERE = os.path.dirname(os.path.abspath(__file__))


def command(name, folder, size, threads, batch):
    """The command line. The folder holds the programs, and a folder of files for each size."""
    files = os.path.join(folder, size)
    rest = [os.path.join(files, "pixels.f32"), str(threads), str(batch)]
    if name == "vit":
        return [os.path.join(folder, "peer-vit"), os.path.join(files, "model.vit"), *rest]
    if name == "ort":
        return [os.path.join(folder, "peer-ort"), os.path.join(files, "model.onnx"), *rest]
    script = os.path.join(HERE, "torch_contestant.py")
    return [sys.executable, "-W", "ignore", script, name, os.path.join(files, "model.pt"), *rest]


def environment():
    """The environment without what steers OpenBLAS and OpenMP, and with the OpenBLAS in front that
    shares PyTorch's OpenMP threads: those of the other builds and PyTorch's spin against each other,
    and two threads are then 3 to 4 times slower."""
    steering = ("OPENBLAS_", "OMP_", "GOMP_", "MKL_")
    result = {key: value for key, value in os.environ.items() if not key.startswith(steering)}
    result["LD_LIBRARY_PATH"] = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/openblas-openmp"
    return result


def start(*what):
    """The process of a command."""
    return subprocess.Popen(command(*what), env=environment(), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


def numbers(line):
    """Those of an answer."""
    if not line:
        raise RuntimeError("a contestant ended early")
    return [float(word) for word in line.split()]


class Contestant:
    """A running contestant."""

    def __init__(self, *what):
        self.process = start(*what)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def send(self, word):
        """Give a command."""
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def receive(self):
        """The numbers of the answer."""
        return numbers(self.process.stdout.readline())

    def ask(self, word):
        """Give a command; the first number of its answer."""
        self.send(word)
        return self.receive()[0]

    def logits(self):
        """Those of the last pass."""
        self.send("logits")
        return self.receive()

    def states(self):
        """What each thread does: R runs, S sleeps."""
        folder = f"/proc/{self.process.pid}/task"
        for thread in os.listdir(folder):
            with contextlib.suppress(OSError):  # it may have ended by now
                with open(f"{folder}/{thread}/stat", encoding="utf-8") as file:
                    yield file.read().rpartition(")")[2].split()[0]

    def rest(self):
        """Wait until all threads sleep: pools go on spinning for a while behind a pass, and would
        take a core from the next contestant."""
        for _ in range(200):
            time.sleep(0.01)
            if "R" not in self.states():
                return
        raise RuntimeError("a contestant's threads do not come to rest")


def turn(contestant):
    """Milliseconds of a pass. One goes before it that does not count: it finds the threads asleep,
    perhaps on one core, and the caches full of the other contestants' weights."""
    contestant.ask("run")
    milliseconds = contestant.ask("run")
    contestant.rest()
    return milliseconds
