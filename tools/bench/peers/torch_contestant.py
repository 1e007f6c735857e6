"""The contestant PyTorch; the commands are contestant.c's.

    torch_contestant.py eager[-bf16]|frozen[-bf16] MODEL PIXELS THREADS BATCH

MODEL is a file of a whole module, so that no time goes into initial weights that the file's would
replace. With -bf16 weights, pixels and all that is computed are of type bfloat16.
"""
import os
import sys
import time

import numpy as np
import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tests/parity"))

import plain_vit  # noqa: E402,F401 (the module's classes)


def load(mode, path, pixels):
    """The model, in eval mode; frozen: traced, with constant weights, optimised by TorchScript."""
    model = torch.load(path).to(pixels.dtype)
    if mode == "eager":
        return model
    with torch.no_grad():
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, pixels)))


def answer(text):
    """Write a line."""
    print(text, flush=True)


def serve(model, pixels):
    """Obey the commands on standard input."""
    for line in sys.stdin:
        if line == "run\n":
            begin = time.perf_counter()
            logits = model(pixels)
            answer(f"{(time.perf_counter() - begin) * 1e3:.4f}")
        elif line == "logits\n":
            answer(" ".join(f"{x:.9g}" for x in logits[0].tolist()))
        else:
            sys.exit("torch_contestant.py: there is no such command")


def main():
    """Load and serve."""
    name, path, pixels_path, threads, batch = sys.argv[1:]
    mode, _, dtype = name.partition("-")
    torch.set_num_threads(int(threads))
    pixels = torch.from_numpy(np.fromfile(pixels_path, "<f4").reshape(1, 3, 224, 224))
    pixels = pixels.repeat(int(batch), 1, 1, 1)
    if dtype == "bf16":
        pixels = pixels.bfloat16()
    model = load(mode, path, pixels)
    with torch.inference_mode():
        serve(model, pixels)


if __name__ == "__main__":
    main()
