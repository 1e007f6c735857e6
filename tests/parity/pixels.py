"""Compares vit_preprocess with Pillow and torchvision, bit for bit.

    pixels.py [number of random cases]

Compiles vit.h as a shared library (CC and CFLAGS of the environment count) and calls it by ctypes.
Prints one line for each group of cases, the number of values compared, then 'N passed, N failed'.
"""
import ctypes
import os
import random
import shlex
import subprocess
import sys
import tempfile

import numpy as np

import recipe as recipes
import vit_format

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")


class Image(ctypes.Structure):
    """vit_image."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("row_stride", ctypes.c_ssize_t),
        ("pixel_stride", ctypes.c_ssize_t),
        ("channel_stride", ctypes.c_ssize_t),
    ]


def compile_library(folder):
    """Build preprocess_lib.c and load it."""
    path = os.path.join(folder, "preprocess.so")
    flags = shlex.split(os.environ.get("CFLAGS", "-O2"))
    command = shlex.split(os.environ.get("CC", "cc")) + ["-std=c99", "-D_POSIX_C_SOURCE=200809L"]
    command += [*flags, "-fPIC", "-shared", "-I", ROOT, "-o", path]
    command += [os.path.join(HERE, "preprocess_lib.c"), "-lm", "-pthread"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(path)


def model_bytes(recipe, folder):
    """A .vit file of the smallest model that has the recipe, at an aligned address."""
    height, width = recipe.img_size
    header = dict(patch_size=recipe.img_size, num_classes=1, embed_dim=1, depth=1, num_heads=1,
                  head_dim=1, mlp_dim=1, prefix_tokens=1, head_tokens=1, head_avg=0, final_norm=0,
                  pre_logits=0, act=0, norm_eps=1e-6, **recipe.header())
    matrix = (np.zeros((1, 1)), np.zeros(1))
    tensors = {key: matrix for key in vit_format.keys(header)}
    patch = recipe.in_chans * height * width
    tensors["patch_embed", 0] = (np.zeros((1, patch)), np.zeros(1))
    tensors["prefix_tokens", 0] = np.zeros((1, 1))
    for role in ("pos_embed", "norm1", "norm2", "norm"):
        tensors[role, 0] = np.zeros((2, 1))
    path = os.path.join(folder, "recipe.vit")
    vit_format.write(path, header, tensors)
    data = np.fromfile(path, np.uint8)
    buffer = np.zeros(data.size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    buffer[start : start + data.size] = data
    return buffer[start : start + data.size]


def packed(array):
    """(what holds the bytes, offset of the upper left pixel, strides) for packed rows."""
    channels = array.shape[2] if array.ndim == 3 else 1
    return array, 0, (0, 0 if channels == 3 else 1, 0)


def rgba(array):
    """Four bytes a pixel."""
    extra = np.full(array.shape[:2] + (1,), 77, np.uint8)
    return np.concatenate([array, extra], axis=2), 0, (0, 4, 0)


def bgr(array):
    """Channels the other way round."""
    return np.ascontiguousarray(array[:, :, ::-1]), 2, (0, 3, -1)


def bottom_up(array):
    """The last row first, with three spare bytes after each."""
    height, width = array.shape[:2]
    stride = 3 * width + 3
    rows = np.full((height, stride), 99, np.uint8)
    rows[:, : 3 * width] = array[::-1].reshape(height, -1)
    return rows, (height - 1) * stride, (-stride, 3, 0)


def planar(array):
    """One plane a channel."""
    height, width = array.shape[:2]
    return np.ascontiguousarray(array.transpose(2, 0, 1)), 0, (width, 1, height * width)


def run(library, recipe, array, layout, folder):
    """The library's result, (in_chans, height, width)."""
    model = model_bytes(recipe, folder)
    holder, offset, strides = layout(array)
    holder = np.ascontiguousarray(holder)
    image = Image(holder.ctypes.data + offset, array.shape[1], array.shape[0], *strides)
    pixels = np.full((recipe.in_chans, *recipe.img_size), np.nan, np.float32)
    status = library.parity_preprocess(
        ctypes.c_void_p(model.ctypes.data), ctypes.c_size_t(model.size), ctypes.byref(image),
        ctypes.c_void_p(pixels.ctypes.data))
    if status != 0:
        raise ValueError(f"vit_preprocess: status {status}")
    return pixels


def hugging_face_values(recipe, array):
    """Hugging Face's arithmetic: u8 * factor in double, cast to float, normalised in float."""
    cropped = recipes.crop(recipe, recipes.resize(recipe, recipes.picture(recipe, array)))
    values = (cropped * (1 / 255)).astype(np.float32)
    mean, std = (np.array(x, np.float32) for x in (recipe.mean, recipe.std))
    return ((values - mean) / std).transpose(2, 0, 1)


def random_picture(rng, width, height, channels):
    """Noise, a gradient, or flat areas with edges."""
    shape = (height, width, 3)[: 2 if channels == 1 else 3]
    numpy_rng = np.random.default_rng(rng.randrange(2**32))
    kind = rng.randrange(3)
    if kind == 0:
        return numpy_rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == 1:
        steps = np.add.outer(np.arange(height) * 3, np.arange(width) * 2) % 256
        values = steps if channels == 1 else np.stack([steps, 255 - steps, steps // 2], axis=2)
        return values.astype(np.uint8)
    return (numpy_rng.integers(0, 2, shape) * 255).astype(np.uint8)


def random_recipe(rng):
    """Any recipe with sizes up to 96."""
    size = lambda: rng.choice([rng.randint(1, 96), rng.randint(8, 40)])  # noqa: E731
    square, side = rng.random() < 0.5, size()
    channels = rng.choice([3, 3, 1])
    resize_side = size()
    return recipes.Recipe(
        img_size=(side, side) if square else (size(), size()),
        in_chans=channels,
        resize=rng.choice([recipes.NONE, recipes.SHORTEST, recipes.SHORTEST, recipes.EXACT]),
        resize_size=(resize_side,) * 2 if rng.random() < 0.6 else (resize_side, size()),
        interpolation=rng.randrange(2),
        crop=rng.randrange(2),
        rescale=rng.choice([255.0, 255.0, 255.0, 256.0, 1.0, 127.5]),
        mean=tuple(rng.choice([0.5, 0.485, 0.456, 0.0, rng.random()]) for _ in range(channels)),
        std=tuple(rng.choice([0.5, 0.229, 1.0, 0.1 + rng.random()]) for _ in range(channels)),
    )


def random_size(rng):
    """(width, height): usual, tiny, or far from square."""
    kind = rng.randrange(10)
    if kind == 0:
        return rng.randint(1, 4), rng.randint(300, 2000)
    if kind == 1:
        return rng.randint(300, 2000), rng.randint(1, 4)
    if kind == 2:
        return rng.randint(1, 8), rng.randint(1, 8)
    return rng.randint(5, 500), rng.randint(5, 500)


def random_case(rng):
    """(group, recipe, array, layout)."""
    recipe = random_recipe(rng)
    width, height = random_size(rng)
    if rng.random() < 0.3:
        array, layout = random_picture(rng, width, height, 1), packed
    else:
        array = random_picture(rng, width, height, 3)
        layout = rng.choice([packed, packed, rgba, bgr, bottom_up, planar])
    kind = ["none", "shortest", "exact"][recipe.resize]
    return f"{kind} {['bilinear', 'bicubic'][recipe.interpolation]}", recipe, array, layout


def fixed_cases():
    """Cases with the recipes of published models, on pictures of usual sizes."""
    rng = random.Random(7)
    half = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
    published = {
        "timm and DeiT, 248 bicubic": recipes.Recipe(),
        "torchvision, 256 bilinear": recipes.Recipe(resize_size=(256, 256), interpolation=0),
        "Hugging Face, exactly 224": recipes.Recipe(
            resize=recipes.EXACT, resize_size=(224, 224), interpolation=0, **half),
        "Hugging Face, 256 then crop": recipes.Recipe(
            resize_size=(256, 256), crop=recipes.ROUND_FLOOR),
        "384 bicubic": recipes.Recipe((384, 384), resize_size=(384, 384), **half),
    }
    sizes = [(500, 375), (375, 500), (640, 480), (224, 224), (248, 331), (100, 67), (1600, 1203)]
    for name, recipe in published.items():
        for width, height in sizes:
            yield name, recipe, random_picture(rng, width, height, 3), packed


def compare(library, case, folder):
    """(what is wrong, empty where all bits agree; number of values; how many of them differ)."""
    _, recipe, array, layout = case
    expected = recipes.preprocess(recipe, array)
    if recipe.rescale == 255 and different(expected, hugging_face_values(recipe, array)):
        return "the two references differ", expected.size, 0
    try:
        actual = run(library, recipe, array, layout, folder)
    except ValueError as error:
        return str(error), expected.size, expected.size
    wrong, largest = different(expected, actual), np.abs(expected - actual).max()
    problem = f"{wrong} of {expected.size} values differ, by {largest:g} at most" if wrong else ""
    return problem, expected.size, wrong


def different(a, b):
    """In how many places the bits of two float32 arrays are not the same."""
    a, b = (np.ascontiguousarray(x, np.float32).view(np.uint32) for x in (a, b))
    return int((a != b).sum())


def main():
    """Run all cases."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    rng = random.Random(2020)
    values = wrong = passed = failed = 0
    groups = {}
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(folder)
        cases = list(fixed_cases()) + [random_case(rng) for _ in range(count)]
        for case in cases:
            name, recipe, array, layout = case
            problem, size, differing = compare(library, case, folder)
            values, wrong = values + size, wrong + differing
            good, bad = groups.get(name, (0, 0))
            groups[name] = (good + (not problem), bad + bool(problem))
            if problem:
                print(f"{array.shape} {layout.__name__} {recipe}: {problem}")
    for name, (good, bad) in groups.items():
        print(f"{name:32} {good:4} of {good + bad:4} equal  {'FAIL' if bad else 'ok'}")
        passed, failed = passed + good, failed + bad
    print(f"{values} values compared, {wrong} differ")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
