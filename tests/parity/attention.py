"""Compares attention, its rollout and features with torchvision's model and NumPy.

    attention.py BUILD

BUILD is the folder with the programs. Compiles vit.h as a shared library (CC and CFLAGS of the
environment count). Attention comes from PyTorch's own multi-head attention, which torchvision's
model is made of, when it is asked for its weights. With DeiT-Tiny of VIT_TEST_DATA the cosine of
int8's features with float32's is printed too. Prints 'N passed, N failed'.
"""
import ctypes
import functools
import os
import shlex
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torchvision.models.vision_transformer import VisionTransformer

import photos
import recipe as recipes
import safetensors_io
from programs import Programs, dtype_options

HERE = os.path.dirname(os.path.abspath(__file__))
POOLED, TOKENS = 1, 2  # vit_features
TOLERANCE = 1e-5
LEAST_COSINE = 0.99  # of int8's features with float32's


def compile_library(folder):
    """Build attention_lib.c and load it."""
    path = os.path.join(folder, "attention.so")
    command = shlex.split(os.environ.get("CC", "cc")) + ["-std=c99", "-D_POSIX_C_SOURCE=200809L"]
    command += [*shlex.split(os.environ.get("CFLAGS", "-O2")), "-fPIC", "-shared"]
    command += ["-I", os.path.join(HERE, "..", ".."), "-o", path]
    command += [os.path.join(HERE, "attention_lib.c"), "-lm", "-pthread"]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(path)
    library.parity_model_size.restype = ctypes.c_size_t
    return library


class Model:
    """A .vit file, opened by the library."""

    def __init__(self, library, path):
        self.functions = library
        self.memory = ctypes.create_string_buffer(library.parity_model_size())
        if library.parity_open(self.memory, path.encode()) != 0:
            raise RuntimeError(f"{path} does not open")

    def call(self, name, pixels, shape, *arguments):
        """An array that a function of the library fills for pixels (C, H, W)."""
        out = np.zeros(shape, np.float32)
        given = np.ascontiguousarray(pixels, np.float32)
        status = getattr(self.functions, name)(
            self.memory, given.ctypes.data_as(ctypes.c_void_p), *arguments,
            out.ctypes.data_as(ctypes.c_void_p))
        if status != 0:
            raise RuntimeError(f"{name}: status {status}")
        return out

    def attention(self, pixels, shape):
        """(depth, heads, tokens, tokens)."""
        return self.call("parity_attention", pixels, shape)

    def rollout(self, pixels, token, tokens):
        """(tokens,)."""
        return self.call("parity_rollout", pixels, (tokens,), token)

    def features(self, pixels, kind, shape, size=(0, 0)):
        """What the head reads, or all tokens."""
        return self.call("parity_features", pixels, shape, kind, *size)

    def logits(self, pixels, shape, size=(0, 0)):
        """At a size of pictures, or the model's own."""
        return self.features(pixels, 0, shape, size)


def random_model(seed):
    """torchvision's, small, with weights that make attention differ from token to token."""
    torch.manual_seed(seed)
    model = VisionTransformer(image_size=32, patch_size=8, num_layers=3, num_heads=4, hidden_dim=48,
                              mlp_dim=80, num_classes=7).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3).add_(float(parameter.dim() == 1))
    return model


def watched(model, pixels):
    """(attention of all blocks, tokens after the final norm) of PyTorch's own layers."""
    seen = []
    for block in model.encoder.layers:
        own = block.self_attention.forward

        def forward(own=own, **inputs):
            asked = {"need_weights": True, "average_attn_weights": False}
            result = own(**{**inputs, **asked})
            seen.append(result[1][0])
            return result

        block.self_attention.forward = forward
    tokens = []
    model.encoder.ln.register_forward_hook(lambda _, __, output: tokens.append(output[0]))
    model(pixels[None])
    return torch.stack(seen).detach().numpy(), tokens[0].detach().numpy()


def rolled_out(attention, token):
    """Abnar and Zuidema 2020, in NumPy: mean of the heads, identity, rows normalised, products."""
    def step(product, block):
        mixed = block.astype(np.float64).mean(0) + np.eye(block.shape[-1])
        return mixed / mixed.sum(1, keepdims=True) @ product
    return functools.reduce(step, attention, np.eye(attention.shape[-1]))[token]


class Report:
    """Counts what is within its bound, and prints what is not."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, error, bound=TOLERANCE):
        """One number, at most its bound."""
        good = error <= bound
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        if not good:
            print(f"FAILED {name}: {error:.3g} (at most {bound:g})")


def compare(report, library, programs, folder, seed):
    """A random model: attention, rollout of several tokens, features."""
    model = random_model(seed)
    source, target = os.path.join(folder, "m.safetensors"), os.path.join(folder, "m.vit")
    safetensors_io.write(source, model.state_dict())
    programs.convert(["--heads", "4"], source, target)
    pixels = torch.randn(3, 32, 32)
    attention, tokens = watched(model, pixels)
    vit = Model(library, target)
    got = vit.attention(pixels, attention.shape)
    report.check("attention", np.abs(got - attention).max())
    report.check("sum of a row", np.abs(got.astype(np.float64).sum(-1) - 1).max(), 1e-6)
    for token in (0, 5, attention.shape[-1] - 1):
        want = rolled_out(attention, token)
        report.check(f"rollout of token {token}",
                     np.abs(vit.rollout(pixels, token, len(want)) - want).max())
    largest = np.abs(tokens).max()
    got = vit.features(pixels, TOKENS, tokens.shape)
    report.check("tokens", np.abs(got - tokens).max() / largest)
    pooled = vit.features(pixels, POOLED, tokens[0].shape)
    report.check("pooled", np.abs(pooled - tokens[0]).max() / np.abs(tokens[0]).max())


def compare_types(report, library, programs, folder, data):
    """The cosine of a type's features with float32's, on photos."""
    pictures = [photos.decode(path) for path, _ in photos.read_index(os.path.join(data, "photos"))]
    pixels = [recipes.preprocess(recipes.Recipe(), picture) for picture in pictures[:10]]
    features = {}
    for dtype in ("f32", "int8", "int8x", "int4"):
        target = os.path.join(folder, f"{dtype}.vit")
        programs.convert(dtype_options(dtype), os.path.join(data, "deit_tiny"), target)
        vit = Model(library, target)
        features[dtype] = np.stack([vit.features(x, POOLED, (192,)) for x in pixels])
    for dtype in ("int8", "int8x", "int4"):
        a, b = features["f32"], features[dtype]
        cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        print(f"DeiT-Tiny: cosine of {dtype}'s features with float32's, 10 photos: "
              f"{cosines.mean():.5f} on average, {cosines.min():.5f} at least")
        if dtype != "int4":
            report.check(f"1 - cosine of {dtype}", 1 - cosines.min(), 1 - LEAST_COSINE)


def main():
    """Compare everything."""
    programs, data, report = Programs(sys.argv[1]), os.environ.get("VIT_TEST_DATA"), Report()
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(folder)
        for seed in range(3):
            compare(report, library, programs, folder, seed)
        if data:
            compare_types(report, library, programs, folder, data)
        else:
            print("SKIPPED: features of DeiT-Tiny: VIT_TEST_DATA is not set")
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
