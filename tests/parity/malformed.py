"""Checks that files which are damaged or meant to do harm end vit-convert as they should.

    malformed.py BUILD [PART]

BUILD is the folder with the programs; with PART, only the cases with PART in their name run. Each has
to end with exit status 1, one line of error with certain words in it, no file, and nothing run, within
2 seconds of processor time and 300 MB of memory. tests/test_containers.c has the small ones; here are
those that it takes Python, PyTorch or much room to make. Prints a line for each case, then
'N passed, N failed'.
"""
import os
import pickle
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib

import numpy as np
import torch

import container_io

SECONDS, MEGABYTES = 2, 300
RAN = "harm-was-done"  # the file that harmful code would make


class Harm:
    """Runs a command when Python loads it."""

    def __reduce__(self):
        return os.system, (f"touch {RAN}",)


class Model(torch.nn.Module):
    """A module that is pickled whole."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x):
        """For TorchScript."""
        return self.layer(x)


def write(path, *parts):
    """Write bytes into a file."""
    with open(path, "wb") as file:
        for part in parts:
            file.write(part)
    return path


# ---- PyTorch --------------------------------------------------------------------------------


def save(path, value, legacy=False):
    """torch.save."""
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def with_pickle(path, text):
    """An archive of PyTorch with this data.pkl."""
    return container_io.write_entries(path, {"archive/data.pkl": text, "archive/version": b"3\n"})


def traced(path):
    """TorchScript."""
    torch.jit.save(torch.jit.script(Model()), path)
    return path


def before_1_6(path, text):
    """A file before 1.6 whose object is this pickle."""
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}))
    return write(path, head, text)


def outside_storage(path):
    """A tensor that is larger than its storage."""
    save(path, {"a": torch.zeros(1000)})
    entries = container_io.read_entries(path)
    data = next(name for name in entries if "/data/" in name)
    return container_io.write_entries(path, {**entries, data: entries[data][:-1]})


def without_storage(path):
    """A tensor whose storage is not there."""
    save(path, {"a": torch.zeros(1000)})
    entries = container_io.read_entries(path)
    return container_io.write_entries(path, {n: d for n, d in entries.items() if "/data/" not in n})


TORCH = {
    "harm": (lambda p: save(p, {"model": Harm()}), "at ['model'] asks for posix.system"),
    "harm before 1.6": (lambda p: save(p, Harm(), True), "asks for posix.system"),
    "harm after the weights": (lambda p: save(p, [{"a": torch.ones(2)}, Harm()]),
                               "asks for posix.system"),
    "harm in the magic number": (
        lambda p: write(p, pickle.dumps([0x1950A86A20F9469CFC6C, Harm()], 2)), "posix.system"),
    "a module": (lambda p: save(p, Model()), "a whole module (__main__.Model)"),
    "a module under a key": (lambda p: save(p, {"epoch": 1, "net": Model()}), "['net'].state_dict()"),
    "a module before 1.6": (lambda p: save(p, Model(), True), "a whole module (__main__.Model)"),
    "TorchScript": (traced, "torch.jit.load("),
    "a class of its own": (lambda p: save(p, {"config": zipfile.ZipInfo("a")}),
                           "at ['config'] asks for zipfile.ZipInfo"),
    "quantized": (lambda p: save(p, {"a": torch.quantize_per_tensor(torch.ones(2), 1.0, 0,
                                                                    torch.qint8)}),
                  "torch._utils._rebuild_qtensor"),
    "sparse": (lambda p: save(p, {"a": torch.ones(2).to_sparse()}),
               "torch._utils._rebuild_sparse_tensor"),
    "a tensor alone": (lambda p: save(p, torch.ones(2)), "a tensor without a name"),
    "no tensor": (lambda p: save(p, {"a": 1, "b": {"c": [2]}}), "its keys are a, b"),
    "a list": (lambda p: save(p, [torch.ones(2)]), "there is no dict"),
    "a storage too small": (outside_storage, "does not fit in its storage"),
    "no storage": (without_storage, "its storage data/0 is missing"),
    "lists in lists": (lambda p: with_pickle(p, b"\x80\x02" + b"]" * 50_000_000),
                       "takes more than 128 MB"),
    "tuples in tuples": (lambda p: with_pickle(p, b"\x80\x02)" + b"\x85" * 50_000_000),
                         "takes more than 128 MB"),
    "one long list": (lambda p: with_pickle(p, b"\x80\x02](" + b"N" * 60_000_000 + b"e."),
                      "more than"),
    "nothing, often": (lambda p: with_pickle(p, b"\x80\x02" + b"N0" * 100_000_000), "steps"),
    "nothing, often, before 1.6": (lambda p: before_1_6(p, b"\x80\x02" + b"N0" * 100_000_000),
                                   "steps"),
    "the same key often": (lambda p: with_pickle(
        p, b"\x80\x02}X\x05\0\0\0modelq\0}(" + b"h\0N" * 3_000_000 + b"us."),
                           "takes more than 128 MB"),
    "the same tensor often": (lambda p: with_pickle(
        p, b"\x80\x02}X\1\0\0\0aq\0ctorch._utils\n_rebuild_tensor\n((X\7\0\0\0storagectorch\n"
           b"FloatStorage\nX\7\0\0\0versionX\3\0\0\0cpuK\0tQK\0K\0\x85K\1\x85tRq\1(0"
           + b"h\0h\1" * 1_500_000 + b"u."), ""),
    "memo": (lambda p: with_pickle(p, b"\x80\x02N" + b"".join(
        b"r" + struct.pack("<I", i) for i in range(0, 40_000_000, 10))), "takes more than 128 MB"),
    "storages": (lambda p: before_1_6(
        p, b"\x80\x02](X\7\0\0\0storageq\0ctorch\nByteStorage\nq\1" + b"".join(
            b"(h\0h\1X\x07\0\0\0%07dh\0K\0tQ" % i for i in range(200_000)) + b"e."
           + pickle.dumps([], 2)), "200000 storages are too many"),
}

# ---- zip archives ---------------------------------------------------------------------------


def entry(name, data, size, method, crc=0):
    """An entry: its local header and bytes, and a function from its place to its directory."""
    fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 0, crc, len(data), size, len(name), 0)

    def directory(place):
        return b"PK\1\2\x14\0" + fields + struct.pack("<HHHII", 0, 0, 0, 0, place) + name

    return b"PK\3\4" + fields + name + data, directory


def archive(path, entries, places=None):
    """An archive of such entries; places: where each is said to be."""
    body, directory = b"", b""
    for i, (data, line) in enumerate(entries):
        directory += line(len(body) if places is None else places[i])
        body += data
    count = min(len(entries), 0xFFFF)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return write(path, body, directory, b"PK\5\6" + end)


def npy_header(shape):
    """The header of a float32 array."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


def deflated_zeros(size, head=b""):
    """A stream of deflate that unpacks to head and zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts, part = [packer.compress(head)], bytes(1 << 20)
    for _ in range((size - len(head)) >> 20):
        parts.append(packer.compress(part))
    parts.append(packer.compress(bytes((size - len(head)) % (1 << 20))))
    return b"".join(parts) + packer.flush()


def bomb(path, megabytes, count=1):
    """An .npz of arrays of zeros."""
    size = megabytes << 20
    data = deflated_zeros(size, npy_header((size - 128 >> 2,)))
    return archive(path, [entry(b"a%d.npy" % i, data, size, 8) for i in range(count)])


def overlapping(path):
    """Many entries that share the same bytes."""
    size = 64 << 20
    data = deflated_zeros(size, npy_header((size - 128 >> 2,)))
    shared, line = entry(b"a.npy", data, size, 8)
    lines = [entry(b"%05d" % i, data, size, 8)[1] for i in range(1000)]
    return archive(path, [(shared, line)] + [(b"", line) for line in lines], [0] * 1001)


def absurd_size(path):
    """An entry that says it has 2^62 bytes, by zip64."""
    name, extra = b"a.npy", struct.pack("<HHQ", 1, 8, 1 << 62)
    data, _ = entry(name, npy_header((1 << 60,)), 0xFFFFFFFF, 8)

    def directory(place):
        fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, 128, 0xFFFFFFFF, 5, len(extra))
        return b"PK\1\2\x14\0" + fields + struct.pack("<HHHII", 0, 0, 0, 0, place) + name + extra

    return archive(path, [(data, directory)])


ZIP = {
    "a bomb of 1 GB": (lambda p: bomb(p, 1024), "unpacked"),
    "a bomb of 250 MB in each of 20": (lambda p: bomb(p, 250, 20), "unpacked"),
    "overlapping entries": (overlapping, "overlap"),
    "an absurd size": (absurd_size, "unpacked"),
    "many entries": (lambda p: archive(p, [entry(b"%06d.npy" % i, b"", 0, 0) for i in range(60_000)]),
                     "not an array"),
    "many entries, packed": (lambda p: archive(
        p, [entry(b"%06d.npy" % i, deflated_zeros(5000), 5000, 8) for i in range(50_000)]),
                             "not an array"),
    "nothing": (lambda p: archive(p, []), "a zip archive without a file"),
    "other files": (lambda p: container_io.write_entries(p, {"a.txt": b"a"}), "(a.txt, ...)"),
    "Keras": (lambda p: container_io.write_entries(
        p, {"config.json": b"{}", "model.weights.h5": b"\x89HDF"}), "a Keras model"),
    "a packed checkpoint": (lambda p: container_io.write_entries(p, {"x/model.safetensors": b""}),
                            "unpack it (x/model.safetensors)"),
}

# ---- others ---------------------------------------------------------------------------------


def npz(path, **arrays):
    """numpy.savez."""
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    return path


def safetensors(path, text, tail=b"", length=None):
    """A header and what is after it."""
    return write(path, struct.pack("<Q", len(text) if length is None else length), text, tail)


def many_tensors(count):
    """A header with many empty tensors."""
    one = '"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return ("{" + ",".join(one % i for i in range(count)) + "}").encode()


OTHERS = {
    "npz: Python objects": (lambda p: npz(p, a=np.array([{}], object)), "numpy.savez"),
    "npz: records": (lambda p: npz(p, a=np.zeros(2, "f4,i4")), "an array of records"),
    "npz: texts": (lambda p: npz(p, a=np.array(["a"])), "arrays of <U1"),
    "safetensors: 99 MB of numbers": (lambda p: safetensors(p, b'{"a":[' + b"1," * 49_500_000),
                                      "bytes of JSON are too many"),
    "safetensors: 31 MB of numbers": (lambda p: safetensors(p, b'{"a":[' + b"1," * 15_500_000),
                                      "too many values"),
    "safetensors: 31 MB of brackets": (lambda p: safetensors(p, b"{" + b"[" * 31_000_000), "JSON"),
    "safetensors: 31 MB of one text": (lambda p: safetensors(p, b'{"' + b"a" * 31_000_000), "JSON"),
    "safetensors: many tensors": (lambda p: safetensors(p, many_tensors(150_000)), "too many values"),
    "safetensors: a length of 2^63": (lambda p: safetensors(p, b"{}", length=1 << 63), "not a kind"),
    "safetensors: cut in its header": (lambda p: safetensors(p, b'{"a"', length=90), "cut short"),
    "vit.cpp: many labels": (lambda p: write(
        p, struct.pack("<9i", 0x67676D6C, 8, 1, 1, 1 << 20, 2, 4, 0, 1 << 20),
        b"".join(struct.pack("<2i", i, 0) for i in range(1 << 20))), ""),
    "vit.cpp: quantized": (lambda p: write(
        p, struct.pack("<9i", 0x67676D6C, 8, 1, 1, 3, 2, 4, 2, 0)), "quantized"),
    "an index of itself": (lambda p: write(p, b'{"weight_map":{"a":"%s"}}'
                                           % os.path.basename(p).encode()),
                           "there are no tensors"),
    "an index out of its folder": (lambda p: write(p, b'{"weight_map":{"a":"../b"}}'),
                                   "not the name of a shard"),
    "JSON": (lambda p: write(p, b'{"a":1}'), "no index of shards"),
}


# ---- running them ----------------------------------------------------------------------------


def limit():
    """More memory than is granted makes the program say that it has none."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEGABYTES << 20, MEGABYTES << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (4 * SECONDS, 4 * SECONDS))


def run(build, path, folder):
    """(exit status, what is said, seconds of processor time) of a conversion."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([os.path.join(build, "vit-convert"), path, "out.vit"], cwd=folder,
                          capture_output=True, preexec_fn=limit, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, done.stderr.decode(errors="replace"), seconds


def problem_of(build, folder, make, words):
    """What is wrong with a case; nothing where all is well."""
    status, said, seconds = run(build, make(os.path.join(folder, "in.file")), folder)
    errors = [line for line in said.splitlines() if not line.startswith("vit-convert: note: ")]
    left = sorted(set(os.listdir(folder)) - {"in.file"})
    if status != 1 or len(errors) != 1 or not errors[0].startswith("vit-convert: error: "):
        return f"status {status}: {said.strip()[:300]}"
    if words not in errors[0] or "out of memory" in errors[0]:
        return f"no '{words}' in: {errors[0]}"
    if left:
        return f"left behind: {left}"
    return f"{seconds:.2f} s" if seconds > SECONDS else ""


def main():
    """Run the cases and print the count."""
    build, part = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    counts = [0, 0]
    for kind, cases in (("PyTorch", TORCH), ("zip", ZIP), ("", OTHERS)):
        for name, (make, words) in cases.items():
            name = f"{kind}: {name}" if kind else name
            if part not in name:
                continue
            with tempfile.TemporaryDirectory() as folder:
                problem = problem_of(build, folder, make, words)
            counts[bool(problem)] += 1
            print(f"{name:40} {'FAIL ' + problem if problem else 'ok'}", flush=True)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return counts[1] > 0


if __name__ == "__main__":
    sys.exit(main())
