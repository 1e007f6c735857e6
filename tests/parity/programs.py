"""Runs vit-convert and vit-classify."""
import json
import os
import subprocess
from dataclasses import dataclass

import numpy as np


def dtype_options(dtype):
    """vit-convert's options for a type of weights: none for float32, its default."""
    return [] if dtype == "f32" else ["--dtype", dtype]


@dataclass
class Programs:
    """The folder that make builds into."""

    build: str

    def run(self, name, *arguments):
        """(exit status, stdout, stderr) of a program."""
        command = [os.path.join(self.build, name), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, timeout=600, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")

    def convert(self, options, source, target):
        """Convert a checkpoint; RuntimeError with the message where that fails."""
        status, _, message = self.run("vit-convert", *options, source, target)
        if status != 0:
            raise RuntimeError(f"vit-convert: status {status}: {message.strip()}")

    def classify(self, model, *arguments):
        """What vit-classify prints, a dictionary for each picture."""
        status, lines, message = self.run(
            "vit-classify", "-m", model, "--json", "--logits", *arguments)
        if status != 0:
            raise RuntimeError(f"vit-classify: status {status}: {message.strip()}{lines.strip()}")
        return [json.loads(line) for line in lines.splitlines()]

    def logits(self, model, pixels, folder):
        """Logits of a tensor (1, C, H, W)."""
        path = os.path.join(folder, "pixels.f32")
        pixels.detach().numpy().astype("<f4").tofile(path)
        (result,) = self.classify(model, "--pixels", path)
        return np.array(result["logits"], np.float64)
