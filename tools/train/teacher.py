#!/usr/bin/env python3
"""Ask a teacher about the pictures to train on: train.py --teacher then has a small model learn its
answers too, which tell more of a picture than its class does.

    make build/vit-convert build/picture.o
    build/vit-convert --crop-pct 1 --dtype int8x DEIT_TINY deit.vit
    cc -O2 -I. -o build/features tools/train/features.c build/picture.o -lm
    /usr/bin/python3 tools/train/teacher.py --data MY_PICTURES --model deit.vit --out teacher.safetensors
    /usr/bin/python3 tools/train/train.py --data MY_PICTURES --teacher teacher.safetensors ...

The teacher is a large model that has learnt from other pictures, of which a head for the classes at
hand is made here: ridge regression on the features of its blocks (but for the first third), of the
pictures and of their mirror images. What it says of a picture comes from a head that has not learnt
from it: there is a head for each fifth of the pictures, which learns from the others (but never from
the tenth that train.py --hold-out tests on). The file has for each picture to train on, in the order
in which pictures.py reads them:

    shares     float32 (n, 2, classes)   the classes' probabilities, of it and of its mirror image
    features   float32 (n, 2, FEATURES)  the features' principal components, of about size 1
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/parity"))
import pictures  # noqa: E402
import safetensors_io  # noqa: E402

FOLDS = 5


# ---- what train.py reads ----

def load_taught(path, count, labels):
    """(n, 2, classes + features) of a file for so many pictures and these classes."""
    answers = safetensors_io.read(path)
    shares, features = answers["shares"], answers["features"]
    if shares.shape != (count, 2, len(labels)):
        raise ValueError(f"{path}: of other pictures: {tuple(shares.shape)}")
    return torch.cat([shares, features], 2)


# ---- features ----

def parts_folder(args):
    """Where they are kept until the end, so that an interrupted run goes on."""
    return args.out + ".parts"


def start_part(args, paths, mirror, name):
    """Start features.c on some of the pictures; it writes the file name + ".new"."""
    Path(name + ".paths").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    command = [args.features, *(["-m"] if mirror else []), args.model]
    with open(name + ".paths", "rb") as source, open(name + ".new", "wb") as out:
        return subprocess.Popen(command, stdin=source, stdout=out)


def extract_parts(args, parts, mirror):
    """Run features.c on each part, (name, paths), whose file is not there yet."""
    missing = [part for part in parts if not os.path.exists(part[0])]
    processes = [start_part(args, paths, mirror, name) for name, paths in missing]
    if any([process.wait() for process in processes]):
        raise SystemExit(f"{args.features} failed")
    for name, _ in missing:
        os.rename(name + ".new", name)


def extract(args, paths, mirror):
    """(n, blocks * 2 * embed_dim): of each block's class token and patches' mean, on args.threads
    processes. Both are normalised, as the model's final norm does it."""
    size = (len(paths) + args.threads - 1) // args.threads
    names = [f"{parts_folder(args)}/{'mirror' if mirror else 'picture'}-{i}-{size}"
             for i in range(0, len(paths), size)]
    extract_parts(args, [(name, paths[i * size:(i + 1) * size]) for i, name in enumerate(names)],
                  mirror)
    depth, dim = np.fromfile(names[0], "<u4", 2)
    raw = [np.fromfile(name, "<f4", offset=8).reshape(-1, depth, 2, dim) for name in names]
    upper = np.concatenate([part[:, depth // 3:] for part in raw])
    return F.layer_norm(torch.from_numpy(upper), (dim,)).flatten(1)


def features_of(args, paths):
    """(n, views, features): of the pictures and of their mirror images."""
    os.makedirs(parts_folder(args), exist_ok=True)
    return torch.stack([extract(args, paths, mirror) for mirror in (False, True)], 1)


def standardised(x):
    """In place, for want of memory."""
    x -= x.mean((0, 1))
    return x.div_(x.square().mean((0, 1)).sqrt() + 1e-6)


def principal_components(x, count):
    """(n, views, count), of size 1 on average."""
    flat = x.flatten(0, 1)
    # in double: LAPACK counts its workspace in the type itself, where floats end at 16.7 million
    _, vectors = torch.linalg.eigh((flat.T @ flat / len(flat)).double())
    components = x @ vectors[:, -count:].float()
    return components / components.square().mean().sqrt()


# ---- the head ----

def fold_sums(x, targets, members):
    """What ridge regression has to know of some pictures: x'x and x'y, of all views."""
    part = x[members].flatten(0, 1)
    return part.T @ part, part.T @ targets[members].repeat_interleave(x.shape[1], 0)


def cross_fitted(x, targets, learn, decay):
    """Scores (n, views, classes), each from a head that has learnt from other pictures. targets: (n,
    classes); learn: (n) which ones to learn from."""
    parts = torch.randperm(len(x), generator=torch.Generator().manual_seed(1)) % FOLDS
    sums = [fold_sums(x, targets, (parts == part) & learn) for part in range(FOLDS)]
    xx, xy = (sum(values) for values in zip(*sums))
    ridge = decay * learn.sum() * x.shape[1] * torch.eye(x.shape[2])
    scores = torch.empty(len(x), x.shape[1], targets.shape[1])
    for part, (own_xx, own_xy) in enumerate(sums):
        scores[parts == part] = x[parts == part] @ torch.linalg.solve(xx - own_xx + ridge, xy - own_xy)
    return scores


def calibrated(scores, classes, learn):
    """The scores times the factor that makes them logits which fit the classes of those best."""
    mean, classes = scores[learn].mean(1), classes[learn]
    losses = [(F.cross_entropy(factor * mean, classes).item(), factor) for factor in range(1, 41)]
    return min(losses)[1] * scores


def accuracy(logits, classes):
    return (logits.mean(1).argmax(1) == classes).float().mean().item()


def shares_of(x, classes, count, decay):
    """The classes' probabilities (n, views, classes), after a line on how right they are."""
    held = torch.zeros(len(classes), dtype=torch.bool)
    held[pictures.held_out_indices(len(classes))] = True
    targets = F.one_hot(classes, count).float() - 1 / count
    logits = calibrated(cross_fitted(x, targets, ~held, decay), classes, ~held)
    print(f"teacher: {accuracy(logits[~held], classes[~held]):.2%} of the pictures to train on right, "
          f"{accuracy(logits[held], classes[held]):.2%} of those held out", flush=True)
    return logits.softmax(2)


# ---- the program ----

def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", required=True, help="folder of classes, as for train.py")
    p.add_argument("--model", required=True, help="the teacher, a .vit file")
    p.add_argument("--out", default="teacher.safetensors", help="file to write")
    p.add_argument("--features", default="build/features", help="the program of features.c")
    p.add_argument("--components", type=int, default=128, help="of the features, to write")
    p.add_argument("--decay", type=float, default=0.005,
                   help="of the head's squared weights, next to the features' variance")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    return p.parse_args()


def write(args, x, classes, count):
    """x: (n, 2, features), standardised."""
    safetensors_io.write(args.out, {"shares": shares_of(x, classes, count, args.decay),
                                    "features": principal_components(x, args.components)})


def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    paths, classes, labels = pictures.training_paths(Path(args.data))
    write(args, standardised(features_of(args, paths)), classes, len(labels))
    shutil.rmtree(parts_folder(args))


if __name__ == "__main__":
    main()
