"""Compares vit-convert's GPTQ with the paper's algorithm in NumPy, in float64.

    gptq.py

Compiles tools/convert/gptq.c as a shared library (CC and CFLAGS of the environment count). The scales
of int4's groups are those that quantize_int4 finds for the weights as they are when a group is reached.
Prints 'N passed, N failed'.
"""
import ctypes
import os
import shlex
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ["gptq.c", "lapack.c", "quantize.c", "report.c"]
GROUP, DAMPING = 32, 0.1
SHAPES = [(48, 16), (192, 64), (272, 48)]  # inputs, outputs
RANGES = [8, 63, 127]
LEAST_SAME = 0.999  # share of the integers; a weight between two of them may become either


class Rounded(ctypes.Structure):
    """struct rounded of gptq.h."""

    _fields_ = [("integers", ctypes.c_void_p), ("scales", ctypes.c_void_p)]


def compile_library(folder):
    """Build the sources of the converter and load them."""
    path, root = os.path.join(folder, "gptq.so"), os.path.join(HERE, "..", "..")
    command = shlex.split(os.environ.get("CC", "cc")) + ["-std=c99", "-D_POSIX_C_SOURCE=200809L"]
    command += [*shlex.split(os.environ.get("CFLAGS", "-O2")), "-fPIC", "-shared", "-I", root]
    command += [os.path.join(root, "tools", "convert", name) for name in SOURCES]
    subprocess.run([*command, "-o", path, "-ldl", "-lm"], check=True)
    library = ctypes.CDLL(path)
    library.quantize_int4.restype = ctypes.c_uint16
    library.lapack_open()
    return library


def address(array):
    """For an argument that is a pointer."""
    return ctypes.c_void_p(array.ctypes.data)


def group_scales(library, weights, importance):
    """The scale of each output's group (outputs, inputs)."""
    scales, integers = [], np.zeros(GROUP, np.int8)
    importance = np.ascontiguousarray(importance, np.float32)
    for row in np.ascontiguousarray(weights, np.float32):
        bits = library.quantize_int4(address(row), address(importance), ctypes.c_size_t(len(row)),
                                     address(integers))
        scales.append(np.array(bits, np.uint16).view(np.float16))
    return np.array(scales, np.float64)


def gptq(library, inputs, weights, most):
    """The paper's algorithm for inputs (rows, inputs) and weights (outputs, inputs): integers."""
    squares = inputs.T @ inputs
    squares += np.eye(len(squares)) * DAMPING * np.mean(np.diag(squares))
    upper = np.linalg.cholesky(np.linalg.inv(squares)).T
    weights, integers = weights.copy(), np.zeros(weights.shape, np.int64)
    scales = (np.abs(weights).max(1) / most).astype(np.float32).astype(np.float64)
    for k in range(weights.shape[1]):
        if most == 8 and k % GROUP == 0:
            group = slice(k, k + GROUP)
            scales = group_scales(library, weights[:, group], 1 / np.diag(upper)[group] ** 2)
        integers[:, k] = np.clip(np.rint(weights[:, k] / scales), -most, 7 if most == 8 else most)
        error = (weights[:, k] - integers[:, k] * scales) / upper[k, k]
        weights[:, k:] -= np.outer(error, upper[k, k:])
    return integers


def rounded(library, inputs, weights, most):
    """The same by the converter."""
    outputs, width = weights.shape
    squares, columns = inputs.T @ inputs, np.ascontiguousarray(weights.T)
    integers = np.zeros((outputs, width), np.int8)
    scales = np.zeros((outputs, -(-width // GROUP)), np.float32)
    out = Rounded(integers.ctypes.data, scales.ctypes.data)
    good = library.gptq_prepare(address(squares), ctypes.c_size_t(width))
    good = good and library.gptq_round(address(squares), address(columns), ctypes.c_size_t(outputs),
                                       ctypes.c_size_t(width), most, ctypes.byref(out))
    return integers if good else None


def check(library, shape, most):
    """Whether both give the same integers; printed."""
    width, outputs = shape
    random = np.random.default_rng(width)
    inputs = random.normal(size=(4 * width, width)) @ random.normal(size=(width, width))
    weights = random.normal(size=(outputs, width))
    want, got = gptq(library, inputs, weights, most), rounded(library, inputs, weights, most)
    same = 0 if got is None else np.mean(want == got)
    good = same >= LEAST_SAME
    print(f"{width:4} inputs, to {most:3}: {100 * same:.3f} % the same {'ok' if good else 'FAIL'}")
    return good


def main():
    """Compare. Exit status 0 if all is the same."""
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(folder)
        results = [check(library, shape, most) for shape in SHAPES for most in RANGES]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
