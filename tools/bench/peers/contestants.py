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
    "eager-bf16": "PyTorch, eager, bf16",
    "frozen-bf16": "PyTorch, frozen, bf16",
    "vit-f16": "vit.h, f16",
    "vit-bf16": "vit.h, bf16",
    "vit-int8": "vit.h, int8",
    "vit-int8x": "vit.h, int8x",
    "vit-int4": "vit.h, int4",
    "ort-int8": "ONNX Runtime, int8",
}
DEFAULT = ["ort", "eager", "frozen", "vit-int8", "ort-int8"]
FLOAT32 = ["vit", "ort", "eager", "frozen"]  # their logits have to agree
ENDINGS = {"vit": "vit", "ort": "onnx"}  # of the model files; PyTorch has one for every contestant
HERE = os.path.dirname(os.path.abspath(__file__))


def model_path(name, folder, size):
    """The file of a contestant's model."""
    program, dash, dtype = name.partition("-")
    file = f"model{dash}{dtype}.{ENDINGS[program]}" if program in ENDINGS else "model.pt"
    return os.path.join(folder, size, file)


def command(name, folder, size, threads, batch):
    """The command line. The folder holds the programs, and a folder of files for each size."""
    program = name.partition("-")[0]
    start_words = [os.path.join(folder, f"peer-{program}")]
    if program not in ENDINGS:
        script = os.path.join(HERE, "torch_contestant.py")
        start_words = [sys.executable, "-W", "ignore", script, name]
    pixels = os.path.join(folder, size, "pixels.f32")
    return [*start_words, model_path(name, folder, size), pixels, str(threads), str(batch)]


def has_avx512():
    """Whether Linux says that the processor has AVX-512."""
    try:
        with open("/proc/cpuinfo", encoding="ascii") as lines:
            return " avx512f " in lines.read()
    except OSError:
        return False


def environment():
    """The environment without the settings of OpenBLAS and OpenMP, and with the OpenBLAS first that
    shares PyTorch's OpenMP threads: the threads of the other builds spin against PyTorch's, and two
    threads are then 3 to 4 times slower. OpenBLAS 0.3.21 takes newer processors with AVX-512 for one of
    2004, for which its products take five times as long: it is told the kind."""
    steering = ("OPENBLAS_", "OMP_", "GOMP_", "MKL_")
    result = {key: value for key, value in os.environ.items() if not key.startswith(steering)}
    if has_avx512():
        result["OPENBLAS_CORETYPE"] = "SkylakeX"
    result["LD_LIBRARY_PATH"] = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/openblas-openmp"
    return result


def start(words):
    """The process of a command line."""
    return subprocess.Popen(words, env=environment(), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


def numbers(line):
    """Those of an answer."""
    if not line:
        raise RuntimeError("a contestant ended early")
    return [float(word) for word in line.split()]


class Contestant:
    """A running contestant, by its command line."""

    def __init__(self, words):
        self.process = start(words)

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
        """Wait until all threads sleep: pools spin for a while after a pass, and would take a core
        from the next contestant."""
        for _ in range(200):
            time.sleep(0.01)
            if "R" not in self.states():
                return
        raise RuntimeError("a contestant's threads do not come to rest")


def rotated(items, by):
    """The list, rotated."""
    by %= len(items)
    return items[by:] + items[:by]


def turn(contestant, word="run"):
    """Milliseconds of a pass, after one that does not count: that one finds the threads asleep,
    perhaps on one core, and the caches full of the other contestants' weights."""
    contestant.ask(word)
    milliseconds = contestant.ask(word)
    contestant.rest()
    return milliseconds
