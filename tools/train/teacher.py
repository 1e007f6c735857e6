#!/usr/bin/env python3
"""Ask a teacher about the pictures to train on: train.py --teacher then has a small model learn its
answers too, which tell more of a picture than its class does.

    make build/vit-convert build/picture.o
    build/vit-convert --crop-pct 1 --dtype int8x DEIT_TINY deit.vit
    cc -O2 -I. -o build/features tools/train/features.c build/picture.o -lm
    /usr/bin/python3 tools/train/teacher.py --data MY_PICTURES --model deit.vit --out teacher.safetensors
    /usr/bin/python3 tools/train/train.py --data MY_PICTURES --teacher teacher.safetensors ...

The teacher is a large model that has learnt from other pictures, of which a head for the classes at
hand is made here: a linear layer on the features of its last blocks, of the pictures and of their
mirror images. What it says of a picture comes from a head that has not learnt from it: there is a
head for each fifth of the pictures, which learns from the others (but never from the tenth that
train.py --hold-out tests on). The file has for each picture to train on, in the order in which
pictures.py reads them:

    shares     float32 (n, 2, classes)   the classes' probabilities, of it and of its mirror image
    features   float32 (n, 2, FEATURES)  the features' principal components, of about size 1
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/parity"))
import pictures  # noqa: E402
import safetensors_io  # noqa: E402

BLOCKS = 4  # the head reads the features of the last ones
FOLDS = 5
ITERATIONS = 100


# ---- what train.py reads ----

def load_taught(path, count, labels):
    """(n, 2, classes + features) of a file for so many pictures and these classes."""
    answers = safetensors_io.read(path)
    shares, features = answers["shares"], answers["features"]
    if shares.shape != (count, 2, len(labels)):
        raise ValueError(f"{path}: of other pictures: {tuple(shares.shape)}")
    return torch.cat([shares, features], 2)


# ---- features ----

def start_part(args, paths, mirror, name):
    """Start features.c on some of the pictures; it writes the file name."""
    Path(name + ".paths").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    command = [args.features, *(["-m"] if mirror else []), args.model]
    with open(name + ".paths", "rb") as source, open(name, "wb") as out:
        return subprocess.Popen(command, stdin=source, stdout=out)


def extract(args, paths, mirror, folder):
    """(n, BLOCKS * 2 * embed_dim): of the last blocks' class token and patches' mean, on args.threads
    processes. Each half is normalised, as the model's final norm does it."""
    size = (len(paths) + args.threads - 1) // args.threads
    names = [f"{folder}/{i}" for i in range(0, len(paths), size)]
    processes = [start_part(args, paths[i * size:(i + 1) * size], mirror, name)
                 for i, name in enumerate(names)]
    if any([process.wait() for process in processes]):
        raise SystemExit(f"{args.features} failed")
    depth, dim = np.fromfile(names[0], "<u4", 2)
    raw = np.concatenate([np.fromfile(name, "<f4", offset=8) for name in names])
    raw = torch.from_numpy(raw).view(len(paths), depth, 2, dim)[:, -BLOCKS:]
    return F.layer_norm(raw, (dim,)).flatten(1)


def features_of(args, paths):
    """(n, 2, features), standardised: of the pictures and their mirror images."""
    with tempfile.TemporaryDirectory() as folder:
        x = torch.stack([extract(args, paths, mirror, folder) for mirror in (False, True)], 1)
    x -= x.mean((0, 1))
    return x.div_(x.square().mean((0, 1)).sqrt() + 1e-6)


def principal_components(x, count):
    """(n, 2, count), of size 1 on average."""
    flat = x.flatten(0, 1)
    _, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    components = x @ vectors[:, -count:]
    return components / components.square().mean().sqrt()


# ---- the head ----

def fit(x, classes, count, decay):
    """A linear layer that tells the classes (n) by the features (n, 2, features)."""
    layer = torch.nn.Linear(x.shape[2], count)
    torch.nn.init.zeros_(layer.weight)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=ITERATIONS,
                                  line_search_fn="strong_wolfe")
    classes, x = classes.repeat_interleave(x.shape[1]), x.flatten(0, 1)

    def loss():
        optimiser.zero_grad()
        value = F.cross_entropy(layer(x), classes) + decay * layer.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return layer.requires_grad_(False)


def cross_fitted(x, classes, count, decay):
    """Logits (n, 2, count), each from a head that has learnt from other pictures."""
    parts = torch.randperm(len(classes), generator=torch.Generator().manual_seed(1)) % FOLDS
    held = torch.zeros(len(classes), dtype=torch.bool)
    held[pictures.held_out_indices(len(classes))] = True
    logits = torch.empty(len(classes), 2, count)
    for part in range(FOLDS):
        learn = (parts != part) & ~held
        layer = fit(x[learn], classes[learn], count, decay)
        logits[parts == part] = layer(x[parts == part])
        right = logits[parts == part].mean(1).argmax(1) == classes[parts == part]
        print(f"head {part + 1} of {FOLDS}: {right.float().mean():.2%} of the others right", flush=True)
    return logits


# ---- the program ----

def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", required=True, help="folder of classes, as for train.py")
    p.add_argument("--model", required=True, help="the teacher, a .vit file")
    p.add_argument("--out", default="teacher.safetensors", help="file to write")
    p.add_argument("--features", default="build/features", help="the program of features.c")
    p.add_argument("--components", type=int, default=128, help="of the features, to write")
    p.add_argument("--decay", type=float, default=1e-5, help="of the head's squared weights")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    return p.parse_args()


def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    paths, classes, labels = pictures.training_paths(Path(args.data))
    x = features_of(args, paths)
    logits = cross_fitted(x, classes, len(labels), args.decay)
    features = principal_components(x, args.components)
    safetensors_io.write(args.out, {"shares": logits.softmax(2), "features": features})


if __name__ == "__main__":
    main()
